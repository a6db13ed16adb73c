//! AdamW as GPTs are trained: warm-up, cosine decay, clipped gradients, and decay of matrices alone.

use candle_core::backprop::GradStore;
use candle_core::{Result, Var};
use candle_nn::optim::{AdamW, Optimizer as _, ParamsAdamW};

/// The length of all gradients together is at most this.
const LONGEST: f64 = 1.0;
const PEAK: f64 = 2e-3;
const FLOOR: f64 = 1e-4;
const WARM_UP: u64 = 100;

pub(crate) struct Optimizer {
    parameters: Vec<Var>,
    matrices: AdamW,
    vectors: AdamW,
    steps: u64,
}

impl Optimizer {
    pub(crate) fn new(parameters: Vec<Var>, steps: u64) -> Result<Self> {
        let (matrices, vectors) = parameters.iter().cloned().partition(|it| it.rank() > 1);
        let with_decay = |weight_decay| ParamsAdamW { weight_decay, beta2: 0.99, ..ParamsAdamW::default() };
        Ok(Optimizer {
            parameters,
            matrices: AdamW::new(matrices, with_decay(0.1))?,
            vectors: AdamW::new(vectors, with_decay(0.0))?,
            steps,
        })
    }

    /// Changes all parameters, and gives how long their gradients were before they were clipped.
    pub(crate) fn step(&mut self, step: u64, gradients: &mut GradStore) -> Result<f64> {
        let length = self.clip(gradients)?;
        for optimizer in [&mut self.matrices, &mut self.vectors] {
            optimizer.set_learning_rate(learning_rate(step, self.steps));
            optimizer.step(gradients)?;
        }
        Ok(length)
    }

    fn clip(&self, gradients: &mut GradStore) -> Result<f64> {
        let mut squares = 0.0;
        for gradient in self.parameters.iter().filter_map(|it| gradients.get(it)) {
            squares += f64::from(gradient.sqr()?.sum_all()?.to_scalar::<f32>()?);
        }
        let length = squares.sqrt();
        if length > LONGEST {
            for parameter in &self.parameters {
                if let Some(gradient) = gradients.remove(parameter) {
                    gradients.insert(parameter, (gradient * (LONGEST / length))?);
                }
            }
        }
        Ok(length)
    }
}

/// Up in a line, then down along half a cosine.
pub(crate) fn learning_rate(step: u64, steps: u64) -> f64 {
    if step < WARM_UP {
        return PEAK * (step + 1) as f64 / WARM_UP as f64;
    }
    let done = (step - WARM_UP) as f64 / steps.saturating_sub(WARM_UP).max(1) as f64;
    FLOOR + (PEAK - FLOOR) * 0.5 * (1.0 + (std::f64::consts::PI * done.min(1.0)).cos())
}
