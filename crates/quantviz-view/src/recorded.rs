//! Recorded activations of two networks: what JSON says of them, and rows of text.

use quantviz_core::{
    ComparedActivations, ComparedTensor, EarlierValue, Fidelity, UnmatchedTensor, number, one_line,
};
use serde::Serialize;

use crate::comparison::{UnmatchedParameter, UnmatchedView};

/// Everything that was recorded of both networks.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RecordedView {
    /// What both have: first what the model gives out, last what is not the same value in both, each by what suffers most.
    pub tensors: Vec<RecordedTensorView>,
    /// What only one of them has.
    pub unmatched: UnmatchedView,
}

/// A tensor that was recorded of both.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the measures are those of quantviz_core::Fidelity, by their names")]
pub struct RecordedTensorView {
    pub tensor: String,
    /// What the quantized model's recordings call it, where that is another name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counterpart: Option<String>,
    /// Whether it is what the model gives out.
    pub is_output: bool,
    pub elements: u64,
    pub sqnr_db: Option<f64>,
    pub exact: bool,
    pub mse: Option<f64>,
    pub max_abs_error: Option<f64>,
    pub mean_error: Option<f64>,
    pub cosine: Option<f64>,
    pub relative_error: Option<f64>,
    pub non_finite: u64,
    pub reference_range: Option<[f64; 2]>,
    pub quantized_range: Option<[f64; 2]>,
    /// Where the name means an earlier value in the quantized model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub earlier: Option<EarlierView>,
    /// Why nothing was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What stands before the names of those that a model gives out.
pub(crate) const OUTPUT: char = '▸';

/// A name that means the value before it is clipped in the quantized model, which leaves that to the codes behind it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct EarlierView {
    /// The operator that makes it in the reference, where graphs say so.
    pub reference_op: Option<String>,
    /// The operator that makes it in the quantized model.
    pub quantized_op: Option<String>,
    /// The decibels that it keeps once it is clipped as the reference is.
    pub clipped_sqnr_db: Option<f64>,
    /// All of that in a line.
    pub why: String,
}

/// A recorded tensor as a line of text.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RecordedRow {
    /// Its name, behind a `▸` where the model gives it out.
    pub tensor: String,
    /// The decibels that it keeps: `39.6`, `exact`, `>120`, `–`.
    pub sqnr: String,
    /// The mean of the errors as they are: what quantization adds.
    pub mean_error: String,
    /// The largest error.
    pub max_error: String,
    /// The range of the reference.
    pub reference_range: String,
    /// The range of the other.
    pub quantized_range: String,
    /// Why nothing was measured, or what was left out.
    pub remark: Option<String>,
}

impl RecordedView {
    pub(crate) fn of(compared: &ComparedActivations) -> Self {
        let rank =
            |tensor: &ComparedTensor| tensor.fidelity.as_ref().map_or(f64::NEG_INFINITY, Fidelity::rank);
        let place = |tensor: &ComparedTensor| (!tensor.is_output, tensor.earlier.is_some());
        let mut tensors: Vec<&ComparedTensor> = compared.tensors.iter().collect();
        tensors.sort_by(|one, other| {
            place(one).cmp(&place(other)).then_with(|| rank(one).total_cmp(&rank(other)))
        });
        let unmatched = |all: &[UnmatchedTensor]| {
            let view =
                |it: &UnmatchedTensor| UnmatchedParameter { parameter: it.name.clone(), why: it.why.clone() };
            all.iter().map(view).collect()
        };
        RecordedView {
            tensors: tensors.into_iter().map(RecordedTensorView::of).collect(),
            unmatched: UnmatchedView {
                reference: unmatched(&compared.unmatched_reference),
                quantized: unmatched(&compared.unmatched_quantized),
            },
        }
    }

    /// A line for each, worst first.
    pub fn rows(&self) -> Vec<RecordedRow> {
        self.tensors.iter().map(RecordedRow::of).collect()
    }
}

impl RecordedTensorView {
    fn of(tensor: &ComparedTensor) -> Self {
        let fidelity = tensor.fidelity.as_ref().ok();
        let of = |measure: fn(&Fidelity) -> Option<f64>| fidelity.and_then(measure);
        let range = |range: fn(&Fidelity) -> Option<(f64, f64)>| {
            fidelity.and_then(range).map(|(low, high)| [low, high])
        };
        RecordedTensorView {
            tensor: tensor.name.clone(),
            counterpart: tensor.counterpart.clone(),
            is_output: tensor.is_output,
            elements: fidelity.map_or(0, |it| it.elements),
            sqnr_db: of(|it| it.sqnr_db),
            exact: fidelity.is_some_and(|it| it.exact),
            mse: of(|it| it.mse),
            max_abs_error: of(|it| it.max_abs_error),
            mean_error: of(|it| it.mean_error),
            cosine: of(|it| it.cosine),
            relative_error: of(|it| it.relative_error),
            non_finite: fidelity.map_or(0, |it| it.non_finite),
            reference_range: range(|it| it.reference_range),
            quantized_range: range(|it| it.quantized_range),
            earlier: tensor.earlier.as_ref().map(|it| EarlierView::of(&tensor.name, it)),
            error: tensor.fidelity.as_ref().err().map(|error| error.line_within(None, Some(&tensor.name))),
        }
    }
}

impl EarlierView {
    fn of(name: &str, earlier: &EarlierValue) -> Self {
        let [reference_op, quantized_op] = match &earlier.made_by {
            Some(operators) => operators.clone().map(Some),
            None => [None, None],
        };
        EarlierView {
            reference_op,
            quantized_op,
            clipped_sqnr_db: earlier.clipped.sqnr_db,
            why: earlier.why(name),
        }
    }
}

impl RecordedRow {
    fn of(tensor: &RecordedTensorView) -> Self {
        let text = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), number);
        let range = |range: Option<[f64; 2]>| {
            range.map_or_else(|| "–".to_owned(), |[low, high]| format!("{} … {}", number(low), number(high)))
        };
        let left_out = (tensor.non_finite > 0).then(|| format!("{} not finite, left out", tensor.non_finite));
        let mark = if tensor.is_output { format!("{OUTPUT} ") } else { String::new() };
        let earlier = tensor.earlier.as_ref().map(|it| it.why.clone());
        let renamed = tensor.counterpart.as_ref().map(|it| one_line(&format!("beside {it}")));
        RecordedRow {
            tensor: mark + &tensor.tensor,
            sqnr: match &tensor.earlier {
                Some(_) => "–".to_owned(),
                None => crate::fidelity_table::sqnr(tensor.sqnr_db, tensor.exact),
            },
            mean_error: text(tensor.mean_error),
            max_error: text(tensor.max_abs_error),
            reference_range: range(tensor.reference_range),
            quantized_range: range(tensor.quantized_range),
            remark: tensor.error.as_deref().map(one_line).or(earlier).or(left_out).or(renamed),
        }
    }
}
