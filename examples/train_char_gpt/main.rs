//! A small GPT learns English, character by character, on the CPU: the run that quantviz is tried on.
//!
//! `cargo run --release -p quantviz-examples --example train_char_gpt`
#![allow(clippy::print_stdout, reason = "a program for a terminal")]
#![allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "all of these are small")]

mod memory;
mod model;
mod optimizer;
mod random;
mod recording;
mod sample;
mod text;

use std::error::Error;
use std::time::{Duration, Instant};

use candle_nn::loss::cross_entropy;
use clap::Parser;
use quantviz_testkit::Rounds;

use crate::model::{Gpt, Size};
use crate::optimizer::{Optimizer, learning_rate};
use crate::random::Random;
use crate::text::Text;

/// What it reads at once: so many runs of text, each so long.
const RUNS: usize = 12;
const CONTEXT: usize = 64;
/// How often it is tested, and writes something.
const TEST_EVERY: u64 = 100;
const SAMPLE_EVERY: u64 = 500;
const PROMPT: &str = "The ";

/// Trains a small GPT on the sentences of this project's documentation.
#[derive(Parser)]
struct Options {
    /// How many steps to train; the learning rate falls until then
    #[arg(long, default_value_t = 2000)]
    steps: u64,
    /// Ends after so many seconds, if that is sooner
    #[arg(long)]
    seconds: Option<f64>,
    /// Chooses the first weights, and what is read when
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// A snapshot every so many steps; 0 records nothing
    #[arg(long, default_value_t = 10)]
    every: u64,
    /// Where the run is recorded: a folder
    #[arg(long, default_value = "quantviz-runs")]
    store: String,
    /// What the session is called; if nothing is said, char-gpt and the time
    #[arg(long)]
    session: Option<String>,
    /// Of the time, the share that recording may take
    #[arg(long, default_value_t = 0.01)]
    share: f64,
    /// Records half of the steps only, ten at a time, and says at the end what recording costs
    #[arg(long)]
    alternate: bool,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let _kept = memory::keep();
    let text = Text::new(include_str!("../text/prose.txt"));
    let mut random = Random::new(options.seed);
    let size = Size { characters: text.characters.len(), context: CONTEXT, width: 128, heads: 4, blocks: 4 };
    let gpt = Gpt::new(size, &mut random)?;
    let count: usize = gpt.parameters.iter().map(|(_, it)| it.elem_count()).sum();
    println!("{count} parameters in {} tensors, {} characters", gpt.parameters.len(), size.characters);

    let named = gpt.parameters.iter().map(|(name, variable)| (name.as_str(), variable.as_tensor()));
    let network = quantviz_candle::Network::new(named)?;
    let mut recording = recording::begin(&options, &text.characters)?;
    let mut rounds = Rounds::of(10);
    let mut optimizer =
        Optimizer::new(gpt.parameters.iter().map(|(_, it)| it.clone()).collect(), options.steps)?;
    let limit = options.seconds.map(Duration::from_secs_f64);
    let start = Instant::now();
    let mut since = (Instant::now(), 0, 0.0);
    for step in 0..options.steps {
        let batch = text.batch(RUNS, CONTEXT, &mut random)?;
        let loss = cross_entropy(&gpt.forward(&batch.inputs)?, &batch.targets)?;
        let mut gradients = loss.backward()?;
        let length = optimizer.step(step, &mut gradients)?;
        let loss = loss.to_scalar::<f32>()?;
        let is_recorded = !options.alternate || rounds.is_with(step);
        if let Some(recording) = recording.as_mut().filter(|_| is_recorded) {
            let rate = learning_rate(step, options.steps);
            let scalars = [("loss", f64::from(loss)), ("gradient_norm", length), ("learning_rate", rate)];
            recording.record(step, &network.with_gradients(&gradients), &scalars);
        }
        rounds.ended(step);
        since.1 += 1;
        since.2 += f64::from(loss);

        let is_last = step + 1 == options.steps || limit.is_some_and(|limit| start.elapsed() >= limit);
        // What is measured are steps: behind a test, they find their memory elsewhere.
        let may_pause = !options.alternate;
        if may_pause && step % TEST_EVERY == 0 || is_last {
            let (began, steps, sum) = since;
            let tokens = f64::from(steps) * (RUNS * CONTEXT) as f64 / began.elapsed().as_secs_f64();
            let test = test_loss(&gpt, &text, if is_last { usize::MAX } else { 8 })?;
            println!(
                "step {step:5}  loss {:.3}  test {test:.3}  rate {:.1e}  gradient {length:.2}  {tokens:.0} tokens/s  {:.0} s",
                sum / f64::from(steps),
                learning_rate(step, options.steps),
                start.elapsed().as_secs_f64(),
            );
            if let Some(recording) = &mut recording {
                recording.note(step, "test loss", &format!("{test:.4}"));
            }
            since = (Instant::now(), 0, 0.0);
            rounds.paused();
        }
        if may_pause && step > 0 && step % SAMPLE_EVERY == 0 || is_last {
            let written = sample::write(&gpt, &text, PROMPT, 240, &mut Random::new(options.seed))?;
            println!("{}\n", written.trim_end());
            if let Some(recording) = &mut recording {
                recording.note(step, "sample", &written);
            }
            rounds.paused();
            since.0 = Instant::now();
        }
        if is_last {
            break;
        }
    }
    if let Some(recording) = recording {
        recording::end(recording, &options);
    }
    if options.alternate {
        println!("recording costs {}", rounds.cost());
    }
    Ok(())
}

fn test_loss(gpt: &Gpt, text: &Text, most: usize) -> candle_core::Result<f64> {
    let (mut sum, mut batches) = (0.0, 0.0);
    for batch in text.test_batches(RUNS, CONTEXT, most) {
        let batch = batch?;
        sum += f64::from(cross_entropy(&gpt.forward(&batch.inputs)?, &batch.targets)?.to_scalar::<f32>()?);
        batches += 1.0;
    }
    Ok(sum / batches)
}
