//! Small arrays that somebody computed on the way.

use serde::Deserialize;

use super::arrays::Arrays;
use super::plan::with_schema;
use crate::{Error, Result};

/// A small array that somebody computed at a step.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Probe {
    /// The step.
    pub step: u64,
    /// What it is called.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its numbers, in row-major order.
    pub values: Vec<f32>,
}

impl Probe {
    /// The version that is known.
    const SCHEMA: u32 = 1;

    /// What a record of a probe says.
    ///
    /// ```
    /// use quantviz_core::{ArrayWriter, Probe, Track};
    ///
    /// let mut arrays = ArrayWriter::default();
    /// arrays.push(Track::Light, "value", &[2, 2], &[0.1f32, 0.9, 0.5, 0.5]);
    /// let written = arrays.finish(&serde_json::json!({ "schema": 1, "name": "attention" }))?;
    /// let probe = Probe::parse(100, written.bytes)?;
    /// assert_eq!((&*probe.name, &probe.shape[..], probe.values[1]), ("attention", &[2, 2][..], 0.9));
    /// # Ok::<(), quantviz_core::Error>(())
    /// ```
    pub fn parse(step: u64, bytes: impl Into<std::sync::Arc<[u8]>>) -> Result<Self> {
        #[derive(Deserialize)]
        struct Named {
            name: String,
        }
        let arrays = Arrays::parse(bytes)?;
        let Named { name } = with_schema(&arrays, Self::SCHEMA)?;
        let nothing = || Error::malformed(format!("the probe {name:?} has no numbers"));
        let shape = arrays.slot("value").ok_or_else(nothing)?.shape.clone();
        let values = arrays.get::<f32>("value").ok_or_else(nothing)?.into_owned();
        Ok(Probe { step, name, shape, values })
    }
}
