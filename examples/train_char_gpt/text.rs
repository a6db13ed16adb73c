//! The text, as the numbers of its characters, in parts to learn from and to test with.

use candle_core::{Device, Result, Tensor};

use crate::random::Random;

/// One in so many paragraphs is kept for testing.
const TEST_EVERY: usize = 10;

/// What a network reads, and for every character of it the one that comes next.
pub(crate) struct Batch {
    pub(crate) inputs: Tensor,
    pub(crate) targets: Tensor,
}

pub(crate) struct Text {
    /// The characters in order; a token is a place in it.
    pub(crate) characters: Vec<char>,
    train: Vec<u32>,
    test: Vec<u32>,
}

impl Text {
    pub(crate) fn new(text: &str) -> Self {
        let mut characters: Vec<char> = text.chars().collect();
        characters.sort_unstable();
        characters.dedup();
        let mut text_of = Text { characters, train: Vec::new(), test: Vec::new() };
        for (index, paragraph) in text.split_inclusive('\n').enumerate() {
            let tokens = text_of.tokens(paragraph);
            let part =
                if index % TEST_EVERY == TEST_EVERY - 1 { &mut text_of.test } else { &mut text_of.train };
            part.extend(tokens);
        }
        text_of
    }

    /// The tokens of what is written with these characters; others are left out.
    pub(crate) fn tokens(&self, text: &str) -> Vec<u32> {
        let places = text.chars().filter_map(|character| self.characters.binary_search(&character).ok());
        places.map(|place| place as u32).collect()
    }

    /// Runs of text from random places.
    pub(crate) fn batch(&self, runs: usize, context: usize, random: &mut Random) -> Result<Batch> {
        let starts = (0..runs).map(|_| random.below(self.train.len() - context));
        batch(&self.train, starts, context)
    }

    /// The text kept for testing, from its beginning to its end or for `most` batches spread over it.
    pub(crate) fn test_batches(
        &self,
        runs: usize,
        context: usize,
        most: usize,
    ) -> impl Iterator<Item = Result<Batch>> {
        let size = runs * context;
        let whole = (self.test.len() - 1) / size;
        let batches = whole.min(most);
        (0..batches).map(move |index| {
            let first = index * whole / batches * size;
            batch(&self.test, (0..runs).map(|run| first + run * context), context)
        })
    }
}

fn batch(tokens: &[u32], starts: impl Iterator<Item = usize>, context: usize) -> Result<Batch> {
    let (mut inputs, mut targets) = (Vec::new(), Vec::new());
    for start in starts {
        inputs.extend_from_slice(&tokens[start..start + context]);
        targets.extend_from_slice(&tokens[start + 1..start + context + 1]);
    }
    let runs = inputs.len() / context;
    Ok(Batch {
        inputs: Tensor::from_vec(inputs, (runs, context), &Device::Cpu)?,
        targets: Tensor::from_vec(targets, runs * context, &Device::Cpu)?,
    })
}
