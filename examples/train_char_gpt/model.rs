//! A small GPT, with the names that nanoGPT gives its parameters.

use candle_core::{D, DType, Device, Result, Tensor, Var};
use candle_nn::ops::softmax;

use crate::random::Random;

#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub(crate) characters: usize,
    pub(crate) context: usize,
    pub(crate) width: usize,
    pub(crate) heads: usize,
    pub(crate) blocks: usize,
}

/// Token and position embeddings, blocks of attention and MLP, a last norm; logits by the token embeddings once more.
pub(crate) struct Gpt {
    pub(crate) size: Size,
    /// In the order in which they are computed with.
    pub(crate) parameters: Vec<(String, Var)>,
    tokens: Tensor,
    positions: Tensor,
    blocks: Vec<Block>,
    norm: Norm,
    /// Zero where a character may look, and hardly a chance where it would look ahead.
    mask: Tensor,
}

struct Block {
    before_attention: Norm,
    query_key_value: Linear,
    projection: Linear,
    before_mlp: Norm,
    up: Linear,
    down: Linear,
}

struct Norm {
    gain: Tensor,
    shift: Tensor,
}

struct Linear {
    /// Outputs by inputs, as torch has it.
    weight: Tensor,
    bias: Tensor,
}

impl Gpt {
    pub(crate) fn new(size: Size, random: &mut Random) -> Result<Self> {
        let mut maker = Maker { parameters: Vec::new(), random };
        let Size { width, context, .. } = size;
        let tokens = maker.normal("transformer.wte.weight", &[size.characters, width], 0.02)?;
        let positions = maker.normal("transformer.wpe.weight", &[context, width], 0.02)?;
        let blocks = (0..size.blocks).map(|index| maker.block(&format!("transformer.h.{index}"), size));
        let blocks = blocks.collect::<Result<_>>()?;
        let norm = maker.norm("transformer.ln_f", width)?;
        let ahead = (0..context * context)
            .map(|at| if at % context > at / context { -1e9f32 } else { 0.0 })
            .collect::<Vec<_>>();
        let mask = Tensor::from_vec(ahead, (context, context), &Device::Cpu)?;
        Ok(Gpt { size, parameters: maker.parameters, tokens, positions, blocks, norm, mask })
    }

    /// What may come next, a row of logits for each character of each run.
    pub(crate) fn forward(&self, inputs: &Tensor) -> Result<Tensor> {
        let (runs, length) = inputs.dims2()?;
        let tokens = self.tokens.index_select(&inputs.flatten_all()?, 0)?;
        let tokens = tokens.reshape((runs, length, self.size.width))?;
        let mut stream = tokens.broadcast_add(&self.positions.narrow(0, 0, length)?)?;
        stream = stream.reshape((runs * length, self.size.width))?;
        let mask = self.mask.narrow(0, 0, length)?.narrow(1, 0, length)?;
        for block in &self.blocks {
            stream = block.forward(&stream, runs, self.size.heads, &mask)?;
        }
        self.norm.forward(&stream)?.matmul(&self.tokens.t()?)
    }
}

impl Block {
    fn forward(&self, stream: &Tensor, runs: usize, heads: usize, mask: &Tensor) -> Result<Tensor> {
        let attended = self.attention(&self.before_attention.forward(stream)?, runs, heads, mask)?;
        let stream = (stream + attended)?;
        let hidden = self.up.forward(&self.before_mlp.forward(&stream)?)?.relu()?;
        stream + self.down.forward(&hidden)?
    }

    fn attention(&self, inputs: &Tensor, runs: usize, heads: usize, mask: &Tensor) -> Result<Tensor> {
        let (rows, width) = inputs.dims2()?;
        let (length, size) = (rows / runs, width / heads);
        let parts = self.query_key_value.forward(inputs)?.reshape((runs, length, 3, heads, size))?;
        let part = |index| parts.narrow(2, index, 1)?.squeeze(2)?.transpose(1, 2)?.contiguous();
        let (query, key, value) = (part(0)?, part(1)?, part(2)?);
        let scores = (query.matmul(&key.t()?)? * (size as f64).powf(-0.5))?;
        let shares = softmax(&scores.broadcast_add(mask)?, D::Minus1)?;
        let mixed = shares.matmul(&value)?.transpose(1, 2)?.reshape((rows, width))?;
        self.projection.forward(&mixed)
    }
}

impl Linear {
    fn forward(&self, inputs: &Tensor) -> Result<Tensor> {
        inputs.matmul(&self.weight.t()?)?.broadcast_add(&self.bias)
    }
}

impl Norm {
    /// candle's own has no gradient.
    fn forward(&self, inputs: &Tensor) -> Result<Tensor> {
        let centred = inputs.broadcast_sub(&inputs.mean_keepdim(D::Minus1)?)?;
        let spread = (centred.sqr()?.mean_keepdim(D::Minus1)? + 1e-5)?.sqrt()?;
        centred.broadcast_div(&spread)?.broadcast_mul(&self.gain)?.broadcast_add(&self.shift)
    }
}

/// Makes parameters and keeps their names.
struct Maker<'a> {
    parameters: Vec<(String, Var)>,
    random: &'a mut Random,
}

impl Maker<'_> {
    fn block(&mut self, path: &str, size: Size) -> Result<Block> {
        let width = size.width;
        // What adds to the stream begins the smaller the more of it there is, as in GPT-2.
        let small = 0.02 / (2.0 * size.blocks as f64).sqrt();
        Ok(Block {
            before_attention: self.norm(&format!("{path}.ln_1"), width)?,
            query_key_value: self.linear(&format!("{path}.attn.c_attn"), width, 3 * width, 0.02)?,
            projection: self.linear(&format!("{path}.attn.c_proj"), width, width, small)?,
            before_mlp: self.norm(&format!("{path}.ln_2"), width)?,
            up: self.linear(&format!("{path}.mlp.c_fc"), width, 4 * width, 0.02)?,
            down: self.linear(&format!("{path}.mlp.c_proj"), 4 * width, width, small)?,
        })
    }

    fn linear(&mut self, path: &str, inputs: usize, outputs: usize, std: f64) -> Result<Linear> {
        let weight = self.normal(&format!("{path}.weight"), &[outputs, inputs], std)?;
        let bias = Var::zeros(outputs, DType::F32, &Device::Cpu)?;
        Ok(Linear { weight, bias: self.keep(format!("{path}.bias"), bias) })
    }

    fn norm(&mut self, path: &str, width: usize) -> Result<Norm> {
        let gain = Var::ones(width, DType::F32, &Device::Cpu)?;
        let shift = Var::zeros(width, DType::F32, &Device::Cpu)?;
        let gain = self.keep(format!("{path}.weight"), gain);
        Ok(Norm { gain, shift: self.keep(format!("{path}.bias"), shift) })
    }

    fn normal(&mut self, name: &str, dims: &[usize], std: f64) -> Result<Tensor> {
        let values = (0..dims.iter().product()).map(|_| (std * self.random.normal()) as f32);
        let values = Tensor::from_vec(values.collect::<Vec<_>>(), dims, &Device::Cpu)?;
        Ok(self.keep(name.to_owned(), Var::from_tensor(&values)?))
    }

    fn keep(&mut self, name: String, var: Var) -> Tensor {
        let tensor = var.as_tensor().clone();
        self.parameters.push((name, var));
        tensor
    }
}
