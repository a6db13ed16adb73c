//! What was compared with which library.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use quantviz_core::{DType, Format, Parameter};
use serde_json::Value;

use crate::cells::Cell;
use crate::notes::Truth;

/// Which libraries agreed about each sort of tensor.
const LIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/python/oracles.json");

/// What was compared, so that comparing nothing is no success.
#[derive(Default)]
pub(crate) struct Seen {
    cases: usize,
    dtypes: BTreeSet<String>,
    histograms: usize,
    quantized: usize,
    oracles: BTreeMap<String, BTreeSet<String>>,
}

impl Seen {
    pub(crate) fn add(&mut self, truth: &Truth) {
        self.cases += 1;
        self.dtypes.extend(truth.tensors.iter().map(|tensor| tensor.dtype.clone()));
        self.histograms += truth.tensors.iter().filter(|tensor| tensor.histogram.is_some()).count();
        self.quantized += truth.quantized.len();
    }

    /// Its numbers were compared with those of a library, or only with a formula of ours.
    pub(crate) fn compared(&mut self, format: Format, parameter: &Parameter, oracle: Option<&str>) {
        let key = Cell::of(format, parameter).key();
        self.oracles.entry(key).or_default().extend(oracle.map(str::to_owned));
    }

    /// Whether the list says what was compared; it is made to, where that is asked for.
    pub(crate) fn check_list(&self) -> Option<String> {
        if std::env::var_os("QUANTVIZ_RENEW").is_some() {
            let line = |(key, oracles)| format!("  {}: {}", Value::from(key), Value::from_iter(oracles));
            let lines: Vec<String> = self.oracles.clone().into_iter().map(line).collect();
            fs::write(LIST, format!("{{\n{}\n}}\n", lines.join(",\n"))).expect("the list can be written");
            return None;
        }
        let listed = fs::read_to_string(LIST).unwrap_or_default();
        let listed: BTreeMap<String, BTreeSet<String>> = serde_json::from_str(&listed).unwrap_or_default();
        let differs = |key: &&String| self.oracles.get(*key) != listed.get(*key);
        let keys: BTreeSet<&String> = self.oracles.keys().chain(listed.keys()).collect();
        let different: Vec<&str> = keys.into_iter().filter(differs).map(String::as_str).collect();
        (!different.is_empty()).then(|| {
            let different = different.join("\n  ");
            format!("{LIST} is not what was compared; renew it with QUANTVIZ_RENEW=1:\n  {different}")
        })
    }

    pub(crate) fn gaps(&self) -> Vec<String> {
        let mut gaps = Vec::new();
        for (what, count, least) in [
            ("cases", self.cases, 200),
            ("histograms", self.histograms, 1000),
            ("quantized tensors", self.quantized, 450),
        ] {
            if count < least {
                gaps.push(format!("only {count} {what}, there should be {least} at least"));
            }
        }
        // No library writes complex numbers of two halves.
        let in_files = |dtype: &DType| !matches!(dtype, DType::C32 | DType::Unknown);
        let dtypes = DType::ALL.iter().filter(|dtype| in_files(dtype));
        let missing = dtypes.filter(|dtype| !self.dtypes.contains(dtype.name()));
        gaps.extend(missing.map(|dtype| format!("no tensor of {dtype}")));
        gaps
    }
}
