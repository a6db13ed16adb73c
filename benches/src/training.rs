//! A loop that is like training: it works on weights and gradients in memory with all cores.

use std::ops::{ControlFlow, Range};
use std::time::{Duration, Instant};

use quantviz::{
    DType, Elements, Error, Format, Model, Parameter, ParameterId, ParameterSource, Part, Result, Role,
    Shape, Sink, read_elements, role_from_name,
};

use crate::transformer::Transformer;

/// A network in training.
pub struct Training {
    model: Model,
    weights: Vec<Vec<f32>>,
    gradients: Vec<Vec<f32>>,
    threads: usize,
}

impl Training {
    /// A network of this shape, with noise for weights.
    pub fn new(shape: &Transformer) -> Self {
        let mut model = Model::new(Format::Memory);
        let (mut weights, mut gradients) = (Vec::new(), Vec::new());
        let mut state = 1u64;
        for tensor in shape.tensors() {
            let dims = Shape::new(tensor.dims.clone()).unwrap_or_else(|_| Shape::scalar());
            let role = role_from_name(&tensor.name, &dims).unwrap_or(Role::Other);
            let elements = usize::try_from(tensor.elements()).unwrap_or(0);
            let mut noise = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                ((state >> 40) as f32 / (1 << 23) as f32 - 1.0) * 0.02
            };
            weights.push((0..elements).map(|_| noise()).collect());
            gradients.push((0..elements).map(|_| noise()).collect());
            model.parameters.push(Parameter::new(tensor.name, DType::F32, dims, role));
        }
        model.add_module_layers();
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Training { model, weights, gradients, threads }
    }

    /// How many numbers it has.
    pub fn elements(&self) -> usize {
        self.weights.iter().map(Vec::len).sum()
    }

    /// A step: every thread computes for as long as is asked for, then an optimizer goes over all weights.
    pub fn step(&mut self, compute: Duration) {
        let threads = self.threads;
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(move || work(compute));
            }
        });
        let per_thread = self.weights.len().div_ceil(threads);
        std::thread::scope(|scope| {
            for (weights, gradients) in
                self.weights.chunks_mut(per_thread).zip(self.gradients.chunks(per_thread))
            {
                scope.spawn(move || {
                    for (weight, gradient) in weights.iter_mut().flatten().zip(gradients.iter().flatten()) {
                        *weight -= 1e-3 * gradient;
                    }
                });
            }
        });
    }
}

/// Multiplies numbers in the nearest cache, as often as it takes idle: so the time is that of work, not of waiting.
pub fn work(compute: Duration) {
    /// What a round takes on an idle core, measured once.
    static ROUNDS_PER_MS: std::sync::OnceLock<f64> = std::sync::OnceLock::new();
    let mut values = [1.000_1f32; 1024];
    let mut round = || {
        for value in &mut values {
            *value = *value * 0.999_9 + 0.000_1;
        }
        std::hint::black_box(&values);
    };
    let rounds_per_ms = *ROUNDS_PER_MS.get_or_init(|| {
        let begun = Instant::now();
        (0..20_000).for_each(|_| round());
        20_000.0 / (begun.elapsed().as_secs_f64() * 1e3)
    });
    let rounds = (compute.as_secs_f64() * 1e3 * rounds_per_ms) as u64;
    (0..rounds).for_each(|_| round());
}

impl ParameterSource for Training {
    fn model(&self) -> &Model {
        &self.model
    }

    fn read(
        &self,
        id: ParameterId,
        part: Part,
        range: Range<u64>,
        sink: &mut dyn Sink,
    ) -> Result<ControlFlow<()>> {
        read_elements(&Elements::F32(&self.of(part)?[id.index()]), range, sink)
    }

    fn gather(&self, id: ParameterId, part: Part, at: &[u64], out: &mut [f32]) -> Result<()> {
        let all = &self.of(part)?[id.index()];
        at.iter().zip(out).for_each(|(&at, out)| *out = all[at as usize]);
        Ok(())
    }
}

impl Training {
    fn of(&self, part: Part) -> Result<&[Vec<f32>]> {
        match part {
            Part::Stored | Part::Codes => Ok(&self.weights),
            Part::Gradient => Ok(&self.gradients),
            _ => Err(Error::not_found("it is not quantized")),
        }
    }
}
