//! What rules want to know of codes.

use quantviz_core::{ParameterId, ParameterSource, Part, Result, SourceExt};

use crate::scale_facts::for_each;

/// The codes of a parameter.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CodeFacts {
    pub(crate) count: u64,
    pub(crate) nan: u64,
    /// The smallest and the largest; infinite where there are none.
    pub(crate) min: f64,
    pub(crate) max: f64,
    /// Every code in ascending order and how often it occurs, where there are at most 256.
    pub(crate) counts: Option<Vec<(f64, u64)>>,
}

impl CodeFacts {
    pub(crate) fn read(
        source: &(dyn ParameterSource + Sync),
        id: ParameterId,
        counted: Option<&[(f64, u64)]>,
    ) -> Result<Self> {
        let mut facts =
            CodeFacts { count: 0, nan: 0, min: f64::INFINITY, max: f64::NEG_INFINITY, counts: None };
        let counted = counted.map(|counts| Ok(Some(counts.to_vec())));
        match counted.unwrap_or_else(|| source.code_counts(id))? {
            Some(counts) => {
                counts.iter().for_each(|&(code, times)| facts.add(code, times));
                facts.counts = Some(counts);
            }
            None => for_each(source, id, Part::Codes, &mut |code| facts.add(code, 1))?,
        }
        Ok(facts)
    }

    fn add(&mut self, code: f64, times: u64) {
        self.count += times;
        self.nan += if code.is_nan() { times } else { 0 };
        // `min` and `max` of floats pass over what is not a number.
        self.min = self.min.min(code);
        self.max = self.max.max(code);
    }

    /// How often a code occurs, where codes are counted.
    pub(crate) fn times(&self, code: f64) -> Option<u64> {
        let counts = self.counts.as_ref()?;
        Some(counts.iter().filter(|(known, _)| *known == code).map(|(_, times)| times).sum())
    }
}
