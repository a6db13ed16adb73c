//! What rounding would cost: simulated for any float model, from its weights alone.

mod budget;
mod encode;
mod family;
mod fit;
mod plan;
mod rounding;
mod run;
mod scheme;
mod survey;
#[cfg(test)]
mod tests;
mod tiles;
mod weights;

use std::ops::ControlFlow;

pub use budget::{Choice, choose, decibels};
pub use encode::EncodedWeight;
#[cfg(test)]
pub(crate) use rounding::NF4;
pub use scheme::PreviewScheme;
pub(crate) use weights::check_used;
pub use weights::{AxisRule, Weight, quantizable, quantized_weights};

use crate::names::names;
use crate::{Error, ParameterId, ParameterSource, Progress, Result};

names! {
    /// How scales are chosen.
    #[derive(Default)]
    Clip {
        /// So that no weight is beyond the last code.
        #[default]
        Nothing "none";
        /// Of 0.30 to 1.00 times that, in steps of 0.01, what loses least: each group its own.
        Mse "mse";
    }
}

/// Which schemes to simulate, and how.
///
/// ```
/// use std::ops::ControlFlow;
/// use quantviz_core::{MemorySource, Preview, choose};
///
/// let weight = ndarray::Array2::from_shape_fn((16, 64), |(row, column)| (row * column) as f32);
/// let source = MemorySource::new().with("fc.weight", weight);
/// let preview = Preview::of(["int8".parse()?, "int4-block32".parse()?]);
/// let previewed = preview.run(&source, &|_progress| ControlFlow::Continue(()))?;
/// let [int8, int4] = &previewed[0].schemes[..] else { unreachable!("two schemes") };
/// assert!(int8.sqnr_db() > int4.sqnr_db());
/// assert_eq!(int4.bits_per_weight(), Some(5.0));
///
/// let choice = choose(&previewed, 6.0)?;
/// assert_eq!(choice.schemes, [Some(1)]);
/// # Ok::<(), quantviz_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Preview {
    schemes: Vec<PreviewScheme>,
    clip: Clip,
    rules: Vec<AxisRule>,
    threads: Option<usize>,
    /// Elements that are in memory at a time, for each thread.
    at_once: u64,
}

/// What a weight would lose.
#[derive(Debug)]
#[non_exhaustive]
pub struct PreviewedWeight {
    /// Which one, and the axis of scales per channel.
    pub weight: Weight,
    /// How many numbers it has; none where it cannot be read.
    pub elements: u64,
    /// How many of them are NaN or infinite: they are left out.
    pub non_finite: u64,
    /// For each scheme, what it loses; nothing where the weight cannot be read.
    pub schemes: Vec<PreviewedScheme>,
    /// Why it cannot be read.
    pub error: Option<Error>,
}

/// What a weight would lose by one scheme.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct PreviewedScheme {
    /// The scheme.
    pub scheme: PreviewScheme,
    /// The sum of the squares of the numbers.
    pub squares: f64,
    /// The sum of the squares of what they lose.
    pub squared_error: f64,
    /// How many numbers there are.
    pub elements: u64,
    /// The bits of codes, scales and zero-points.
    pub bits: u64,
}

impl Preview {
    /// A simulation of these schemes, each scale so large that nothing is clipped.
    pub fn of(schemes: impl IntoIterator<Item = PreviewScheme>) -> Self {
        Preview {
            schemes: schemes.into_iter().collect(),
            clip: Clip::default(),
            rules: Vec::new(),
            threads: None,
            at_once: tiles::AT_ONCE,
        }
    }

    /// Chooses scales so.
    #[must_use]
    pub fn clip(mut self, clip: Clip) -> Self {
        self.clip = clip;
        self
    }

    /// Says along which axis the outputs of some weights lie.
    #[must_use]
    pub fn axes(mut self, rules: impl IntoIterator<Item = AxisRule>) -> Self {
        self.rules = rules.into_iter().collect();
        self
    }

    /// Uses this many threads.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = Some(threads.max(1));
        self
    }

    /// Simulates all schemes on every weight that can be rounded, in the order of the model. `progress` hears of every
    /// step and calls it off by breaking. The result does not depend on the number of threads.
    ///
    /// A weight that cannot be read does not end it: its [`PreviewedWeight::error`] says why.
    ///
    /// # Errors
    /// Where nothing can be rounded, an axis is not there, or `progress` breaks.
    pub fn run<S: ParameterSource + Sync + ?Sized>(
        &self,
        source: &S,
        progress: &(dyn Fn(Progress) -> ControlFlow<()> + Sync),
    ) -> Result<Vec<PreviewedWeight>> {
        run::run(self, source, progress)
    }

    /// The codes, scales and zero-points that a scheme gives one weight, all in memory.
    ///
    /// # Errors
    /// Where the parameter cannot be rounded or read.
    pub fn encode<S: ParameterSource + ?Sized>(
        &self,
        source: &S,
        parameter: ParameterId,
        scheme: PreviewScheme,
    ) -> Result<EncodedWeight> {
        encode::encode(self, source, parameter, scheme)
    }
}

impl PreviewedScheme {
    /// The signal-to-noise ratio. `None` where nothing is lost, and where all is.
    pub fn sqnr_db(&self) -> Option<f64> {
        let is_ratio = self.squares > 0.0 && self.squared_error > 0.0;
        is_ratio.then(|| 10.0 * (self.squares / self.squared_error).log10())
    }

    /// Whether nothing is lost.
    pub fn is_exact(&self) -> bool {
        self.squared_error == 0.0
    }

    /// The bits of codes, scales and zero-points for each number; `None` where there is none.
    pub fn bits_per_weight(&self) -> Option<f64> {
        (self.elements > 0).then(|| as_f64(self.bits) / as_f64(self.elements))
    }

    /// What is lost of many, each counting with its numbers.
    pub fn mean_noise_to_signal<'a>(many: impl IntoIterator<Item = &'a PreviewedScheme>) -> f64 {
        let (mut lost, mut elements) = (0.0, 0);
        for one in many {
            lost += as_f64(one.elements) * one.noise_to_signal();
            elements += one.elements;
        }
        if elements == 0 { 0.0 } else { lost / as_f64(elements) }
    }

    /// What is lost, as a share of what is there.
    pub fn noise_to_signal(&self) -> f64 {
        if self.squared_error == 0.0 { 0.0 } else { self.squared_error / self.squares }
    }
}

/// Exact below 2^53.
#[expect(clippy::cast_precision_loss, reason = "counts of bits and elements")]
pub(crate) fn as_f64(count: u64) -> f64 {
    count as f64
}
