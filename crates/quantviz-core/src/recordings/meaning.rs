//! Whether a name means the same value in both networks. What quantizers leave to codes is missing from their graphs:
//! onnxruntime drops a Relu or a Clip before a quantizer whose codes end where it would, and gives its name to what comes
//! before it.

use std::collections::{HashMap, HashSet};

use super::ends::Ends;
use crate::fidelity::Fidelity;
use crate::{LayerKind, Model, one_line};

/// What a recorded name means in the quantized network, where that is not what it means in the reference: the same before it is
/// clipped, which the codes behind it do.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EarlierValue {
    /// The operators that make it in the reference and in the quantized model, where graphs say so; else its values do.
    pub made_by: Option<[String; 2]>,
    /// How far it is from the reference once it is clipped as that is.
    pub clipped: Fidelity,
}

impl EarlierValue {
    /// What a value of this name is instead, and how it can be judged, in a line.
    pub fn why(&self, name: &str) -> String {
        let what = match &self.made_by {
            Some([from, of]) => format!("{from} makes it in the reference, but {of} in the quantized model"),
            None => "the quantized model's goes beyond where the reference's is clipped".to_owned(),
        };
        let clipped = match self.clipped.sqnr_db {
            Some(db) => format!("{db:.1} dB"),
            None => "all of it".to_owned(),
        };
        let record = dequantized(name);
        one_line(&format!(
            "not the same value: {what}, and the codes behind it do the clipping; clipped alike it keeps {clipped}; record \
             {record} too, and that is judged"
        ))
    }
}

/// What graphs say of a name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Meaning<'a> {
    /// One value in both.
    Same,
    /// In the quantized model what comes before it, made by the second operator.
    Earlier([&'a str; 2]),
    Unknown,
}

/// Decibels that clipping has to gain where graphs say that it is missing, and where only the values do: three quarters of
/// the error lie beyond the ends then.
const GAIN_DB: [f64; 2] = [1.0, 6.0];
/// How far beyond the ends values have to reach by themselves, as a share of what lies between them: rounding to the next code
/// may lead a little beyond.
const BEYOND: f64 = 0.05;

impl Meaning<'_> {
    /// What the quantized may have to be clipped to: ends that the reference piles up at, and the other goes beyond.
    pub(super) fn bounds(&self, reference: &Ends, (low, high): (f64, f64)) -> Option<(f64, f64)> {
        let (least, most) = reference.clipped_to();
        let beyond = match self {
            Meaning::Same => return None,
            Meaning::Earlier(_) => 0.0,
            Meaning::Unknown => BEYOND * reference.width(),
        };
        (low < least - beyond || high > most + beyond).then_some((least, most))
    }

    /// Whether clipping explains the difference.
    pub(super) fn earlier(&self, plain: &Fidelity, clipped: Fidelity) -> Option<EarlierValue> {
        let (least, made_by) = match self {
            Meaning::Same => return None,
            Meaning::Earlier(operators) => (GAIN_DB[0], Some(operators.map(str::to_owned))),
            Meaning::Unknown => (GAIN_DB[1], None),
        };
        let is_gain = clipped.exact
            || clipped.sqnr_db.zip(plain.sqnr_db).is_some_and(|(with, without)| with >= without + least);
        (is_gain && !plain.exact).then_some(EarlierValue { made_by, clipped })
    }
}

/// What the graphs of both models say of values.
#[derive(Default)]
pub(super) struct Meanings<'a> {
    outputs: HashSet<&'a str>,
    /// The operators that make values, of the reference and of the quantized model.
    makers: [HashMap<&'a str, &'a str>; 2],
}

impl<'a> Meanings<'a> {
    pub(super) fn of(models: Option<[&'a Model; 2]>) -> Self {
        let Some(models) = models else { return Meanings::default() };
        Meanings {
            outputs: models[0].outputs.iter().map(String::as_str).collect(),
            makers: models.map(makers),
        }
    }

    pub(super) fn is_output(&self, name: &str) -> bool {
        self.outputs.contains(name)
    }

    pub(super) fn of_value(&self, name: &str) -> Meaning<'a> {
        let [from, of] = [&self.makers[0], &self.makers[1]].map(|it| it.get(name).copied());
        match (from, of) {
            (Some(from), Some(of)) if CLIPPING.contains(&from) && !clips(of) => Meaning::Earlier([from, of]),
            (Some(_), Some(_)) => Meaning::Same,
            _ => Meaning::Unknown,
        }
    }
}

/// Operators that codes may stand in for.
const CLIPPING: [&str; 2] = ["Relu", "Clip"];

/// Whether an operator clips what it makes, as those do that one was fused into.
fn clips(op: &str) -> bool {
    op.starts_with("Fused") || CLIPPING.iter().any(|it| op.contains(it))
}

fn makers(model: &Model) -> HashMap<&str, &str> {
    let operations = model.layers.iter().filter(|layer| layer.kind == LayerKind::Operation);
    let made = operations.filter_map(|layer| Some((&layer.outputs, layer.op.as_deref()?)));
    made.flat_map(|(outputs, op)| outputs.iter().map(move |output| (output.as_str(), op))).collect()
}

/// What onnxruntime calls a value once it has been codes.
const DEQUANTIZED: &str = "_DequantizeLinear_Output";

pub(super) fn dequantized(name: &str) -> String {
    format!("{name}{DEQUANTIZED}")
}

/// The name of the value that was quantized.
pub(super) fn plain_value(name: &str) -> &str {
    name.strip_suffix(DEQUANTIZED).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Format, Layer};

    fn model(op: &str) -> Model {
        let mut layer = Layer::new("layer", Some(op.to_owned()), LayerKind::Operation);
        layer.outputs.push("value".to_owned());
        let mut model = Model::new(Format::Onnx);
        model.layers.push(layer);
        model.outputs.push("value".to_owned());
        model
    }

    #[test]
    fn what_graphs_say() {
        for (from, of, expected) in [
            ("Relu", "Conv", Meaning::Earlier(["Relu", "Conv"])),
            ("Clip", "Add", Meaning::Earlier(["Clip", "Add"])),
            ("Relu", "Relu", Meaning::Same),
            ("Relu", "FusedConv", Meaning::Same),
            ("Sigmoid", "QLinearSigmoid", Meaning::Same),
        ] {
            let (one, other) = (model(from), model(of));
            let meanings = Meanings::of(Some([&one, &other]));
            assert_eq!(meanings.of_value("value"), expected, "{from}, {of}");
            assert_eq!(meanings.of_value("other"), Meaning::Unknown);
            assert!(meanings.is_output("value") && !meanings.is_output("other"));
        }
        assert_eq!(Meanings::of(None).of_value("value"), Meaning::Unknown);
    }
}
