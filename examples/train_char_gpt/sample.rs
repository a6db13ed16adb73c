//! What the network writes.

use candle_core::{Device, Result, Tensor};

use crate::model::Gpt;
use crate::random::Random;
use crate::text::Text;

/// Below one, likely characters become likelier still.
const TEMPERATURE: f64 = 0.7;

/// Goes on from `prompt` for so many characters.
pub(crate) fn write(
    gpt: &Gpt,
    text: &Text,
    prompt: &str,
    characters: usize,
    random: &mut Random,
) -> Result<String> {
    let mut tokens = text.tokens(prompt);
    for _ in 0..characters {
        let seen = &tokens[tokens.len().saturating_sub(gpt.size.context)..];
        let inputs = Tensor::from_slice(seen, (1, seen.len()), &Device::Cpu)?;
        let logits = gpt.forward(&inputs)?.get(seen.len() - 1)?.to_vec1::<f32>()?;
        tokens.push(choose(&logits, random));
    }
    Ok(tokens.iter().filter_map(|&token| text.characters.get(token as usize)).collect())
}

fn choose(logits: &[f32], random: &mut Random) -> u32 {
    let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let chance = |&logit: &f32| (f64::from(logit - highest) / TEMPERATURE).exp();
    let mut left = random.share() * logits.iter().map(chance).sum::<f64>();
    for (token, logit) in logits.iter().enumerate() {
        left -= chance(logit);
        if left < 0.0 {
            return token as u32;
        }
    }
    0
}
