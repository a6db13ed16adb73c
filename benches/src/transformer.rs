//! The tensors of GPT-2, at any size.

/// A transformer with the names and shapes of GPT-2.
#[derive(Clone, Copy, Debug)]
pub struct Transformer {
    /// Blocks.
    pub layers: u64,
    /// Numbers in a hidden state.
    pub width: u64,
    /// Tokens.
    pub vocabulary: u64,
    /// Tokens in a text.
    pub positions: u64,
}

/// 148 tensors, 124 million numbers: 498 MB.
pub const GPT2: Transformer = Transformer { layers: 12, width: 768, vocabulary: 50257, positions: 1024 };
/// 774 million numbers: 3.1 GB, or 0.4 GB in four bits.
pub const GPT2_LARGE: Transformer =
    Transformer { layers: 36, width: 1280, vocabulary: 50257, positions: 1024 };
/// The size of GPT-J: 5.9 billion numbers, 3.3 GB in four bits.
pub const GPT_J: Transformer = Transformer { layers: 28, width: 4096, vocabulary: 50400, positions: 2048 };
/// 20,008 tensors with next to nothing in them.
pub const MANY_TENSORS: Transformer = Transformer { layers: 1667, width: 8, vocabulary: 64, positions: 32 };

/// A parameter without its values.
#[derive(Clone, Debug)]
pub struct Tensor {
    /// Its name.
    pub name: String,
    /// Its shape: rows and columns, or one length.
    pub dims: Vec<u64>,
}

impl Tensor {
    fn new(name: impl Into<String>, dims: impl Into<Vec<u64>>) -> Self {
        Tensor { name: name.into(), dims: dims.into() }
    }

    /// How many numbers it has.
    pub fn elements(&self) -> u64 {
        self.dims.iter().product()
    }

    /// Rows and columns of a matrix: quantizers leave everything else alone.
    pub fn matrix(&self) -> Option<(u64, u64)> {
        if let [rows, columns] = self.dims[..] { Some((rows, columns)) } else { None }
    }
}

impl Transformer {
    /// The tensors, in the order in which the network uses them.
    pub fn tensors(&self) -> Vec<Tensor> {
        let width = self.width;
        let mut tensors = vec![
            Tensor::new("wte.weight", [self.vocabulary, width]),
            Tensor::new("wpe.weight", [self.positions, width]),
        ];
        let layer = |tensors: &mut Vec<Tensor>, name: String, weight: Vec<u64>| {
            let bias = weight[weight.len() - 1];
            tensors.push(Tensor::new(format!("{name}.weight"), weight));
            tensors.push(Tensor::new(format!("{name}.bias"), [bias]));
        };
        for block in 0..self.layers {
            for (name, weight) in [
                ("ln_1", vec![width]),
                ("attn.c_attn", vec![width, 3 * width]),
                ("attn.c_proj", vec![width, width]),
                ("ln_2", vec![width]),
                ("mlp.c_fc", vec![width, 4 * width]),
                ("mlp.c_proj", vec![4 * width, width]),
            ] {
                layer(&mut tensors, format!("h.{block}.{name}"), weight);
            }
        }
        layer(&mut tensors, "ln_f".to_owned(), vec![width]);
        tensors
    }

    /// How many numbers all of them have.
    pub fn parameters(&self) -> u64 {
        self.tensors().iter().map(Tensor::elements).sum()
    }

    /// With a vocabulary that packed formats can part into groups of 128, as trainers round it up too.
    #[must_use]
    pub fn padded(self) -> Self {
        Transformer { vocabulary: self.vocabulary.next_multiple_of(128), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_of_the_models_that_they_are_named_after() {
        assert_eq!((GPT2.tensors().len(), GPT2.parameters()), (148, 124_439_808));
        assert_eq!(GPT2_LARGE.parameters(), 774_030_080);
        assert_eq!(MANY_TENSORS.tensors().len(), 20_008);
        assert_eq!(GPT2.padded().vocabulary, 50_304);
    }
}
