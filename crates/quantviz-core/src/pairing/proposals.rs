//! Which parameters of a reference could be the ones: by their place in the graph, by their names, by their size.

use super::aligned::Way;
use super::gguf_names::{heads, same_tensor};
use super::{MatchedBy, Split};
use crate::{LayerKind, Model, Parameter, ParameterId, Shape};

/// A parameter of the reference that has the right size.
pub(super) struct Proposal {
    pub(super) reference: ParameterId,
    pub(super) by: MatchedBy,
    /// Whether both are matrices that may lie the other way round.
    may_be_transposed: bool,
    is_straight: bool,
    splits: Vec<Split>,
    /// The heads whose rows may be in another order.
    heads: Option<u64>,
}

impl Proposal {
    /// The ways in which the reference may lie beside the codes.
    pub(super) fn ways(&self) -> Vec<Way> {
        let mut ways = Vec::new();
        let splits = || self.splits.iter().cloned().map(Some);
        let parts: Vec<Option<Split>> = if self.splits.is_empty() { vec![None] } else { splits().collect() };
        for part in parts {
            if self.is_straight {
                ways.push(Way { split: part.clone(), ..Way::default() });
            }
            if self.may_be_transposed {
                ways.push(Way { transposed: true, split: part, heads: None });
            }
        }
        if self.is_straight && self.splits.is_empty() && self.heads.is_some() {
            ways.push(Way { heads: self.heads, ..Way::default() });
        }
        ways
    }
}

/// Parts that a merged weight may have.
const MOST_PARTS: u64 = 64;

/// All parameters of the reference that codes could be made of.
pub(super) fn propose(from: &Model, of: &Model, id: ParameterId, numbers: &[ParameterId]) -> Vec<Proposal> {
    let parameter = of.parameter(id);
    let place = place(of, id);
    let name = plain_name(&parameter.name);
    let heads = heads(of, parameter);
    let mut proposals = Vec::new();
    for &reference in numbers {
        let other = from.parameter(reference);
        let Some((is_straight, may_be_transposed, splits)) = fit(&other.shape, parameter.logical_shape())
        else {
            continue;
        };
        let by = if place.is_some() && place == self::place(from, reference) {
            MatchedBy::Graph
        } else if name == plain_name(&other.name) || same_tensor(&other.name, &parameter.name) {
            MatchedBy::Name
        } else {
            MatchedBy::Value
        };
        proposals.push(Proposal { reference, by, may_be_transposed, is_straight, splits, heads });
    }
    proposals
}

/// Whether numbers of one shape can be codes of another: as they are, transposed, in equal parts.
fn fit(reference: &Shape, codes: &Shape) -> Option<(bool, bool, Vec<Split>)> {
    let (all, some) = (reference.elements(), codes.elements());
    if some == 0 || !all.is_multiple_of(some) || all / some > MOST_PARTS {
        return None;
    }
    let (from, of) = (reference.dims(), codes.dims());
    if all == some {
        let is_turned = matches!((from, of), (&[a, b], &[c, d]) if a == d && b == c);
        let squeezed = |dims: &[u64]| dims.iter().copied().filter(|&dim| dim != 1).collect::<Vec<_>>();
        let is_straight = squeezed(from) == squeezed(of) || (from.len() != of.len() && !is_turned);
        return (is_straight || is_turned).then_some((is_straight, is_turned, Vec::new()));
    }
    let (&[rows, columns], &[height, width]) = (from, of) else { return None };
    let parts = |axis: usize, size: u64, len: u64| {
        (0..len / size).map(|part| Split::new(axis, part * size..(part + 1) * size)).collect::<Vec<_>>()
    };
    let straight_rows = columns == width && rows.is_multiple_of(height);
    let straight_columns = rows == height && columns.is_multiple_of(width);
    let turned_columns = rows == width && columns.is_multiple_of(height);
    let turned_rows = columns == height && rows.is_multiple_of(width);
    match (straight_rows, straight_columns, turned_columns, turned_rows) {
        (true, ..) => Some((true, turned_rows, parts(0, height, rows))),
        (_, true, ..) => Some((true, turned_columns, parts(1, width, columns))),
        (_, _, true, _) => Some((false, true, parts(1, height, columns))),
        (_, _, _, true) => Some((false, true, parts(0, width, rows))),
        _ => None,
    }
}

/// Where the graph uses a parameter: the family of the operation, how many of that family come before, and the slot.
fn place(model: &Model, id: ParameterId) -> Option<(&'static str, usize, usize)> {
    let parameter = model.parameter(id);
    let layer_id = parameter.layer?;
    let layer = model.layer(layer_id);
    if layer.kind != LayerKind::Operation {
        return None;
    }
    let family = family(layer.op.as_deref()?)?;
    let weighted = |layer: &&crate::Layer| {
        let of_family = layer.op.as_deref().and_then(self::family) == Some(family);
        of_family && layer.parameters.iter().any(|&id| is_weight(model.parameter(id)))
    };
    let before = model.layers[..layer_id.index()].iter().filter(weighted).count();
    let slot = layer
        .parameters
        .iter()
        .filter(|&&other| is_weight(model.parameter(other)) == is_weight(parameter))
        .position(|&other| other == id)?;
    Some((family, before, slot * 2 + usize::from(is_weight(parameter))))
}

fn is_weight(parameter: &Parameter) -> bool {
    parameter.logical_shape().rank() > 1
}

/// Operations that do the same, quantized or not.
fn family(op: &str) -> Option<&'static str> {
    Some(match op {
        "Conv" | "ConvInteger" | "QLinearConv" | "FusedConv" => "conv",
        "ConvTranspose" => "conv_transpose",
        "MatMul"
        | "Gemm"
        | "MatMulInteger"
        | "QLinearMatMul"
        | "QGemm"
        | "MatMulNBits"
        | "FusedMatMul"
        | "DynamicQuantizeMatMul"
        | "MatMulIntegerToFloat"
        | "MatMulBnb4" => "matmul",
        "Gather" | "GatherBlockQuantized" => "gather",
        "LSTM" | "DynamicQuantizeLSTM" | "GRU" | "RNN" => "recurrent",
        "Attention" | "QAttention" => "attention",
        _ => return None,
    })
}

/// A name without what quantizers add to it.
///
/// ```
/// use quantviz_core::plain_name;
///
/// assert_eq!(plain_name("fc.weight_quantized"), plain_name("fc.weight"));
/// ```
pub fn plain_name(name: &str) -> &str {
    const ENDINGS: [&str; 16] = [
        "._packed_params._packed_params.0",
        "._packed_params._packed_weight",
        "_quantized",
        "_DQ_Q4",
        "_DQ_Q8",
        "_Q4",
        "_Q8",
        "_scaled",
        ".qweight",
        ".weight_packed",
        ".weight",
        "_weight",
        "_DequantizeLinear_Output",
        "_transposed",
        "_fp16",
        "_packed",
    ];
    let mut name = name;
    while let Some(shorter) =
        ENDINGS.iter().find_map(|ending| name.strip_suffix(ending)).filter(|it| !it.is_empty())
    {
        name = shorter;
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_what_quantizers_add() {
        assert_eq!(plain_name("conv1.weight_quantized"), plain_name("conv1.weight"));
        assert_eq!(plain_name("h.0.attn.qweight"), plain_name("h.0.attn.weight"));
        assert_eq!(plain_name("onnx::MatMul_12_Q4"), "onnx::MatMul_12");
        assert_eq!(plain_name("fc._packed_params._packed_params.0"), plain_name("fc.weight"));
        assert_eq!(plain_name("wte._packed_params._packed_weight"), plain_name("wte.weight"));
        assert_ne!(plain_name("fc.bias_quantized"), plain_name("fc.weight"));
        assert_eq!(plain_name(".weight"), ".weight");
    }

    #[test]
    fn shapes_fit_in_parts_and_the_other_way_round() {
        let shape = |dims: &[u64]| Shape::new(dims).expect("small");
        let fits =
            |one: &[u64], other: &[u64]| fit(&shape(one), &shape(other)).map(|(a, b, c)| (a, b, c.len()));
        assert_eq!(fits(&[4, 6], &[4, 6]), Some((true, false, 0)));
        assert_eq!(fits(&[4, 6], &[6, 4]), Some((false, true, 0)));
        assert_eq!(fits(&[4, 4], &[4, 4]), Some((true, true, 0)));
        assert_eq!(fits(&[4, 4, 1, 1], &[4, 4]), Some((true, false, 0)));
        assert_eq!(fits(&[768, 2304], &[768, 768]), Some((true, true, 3)));
        assert_eq!(fits(&[6, 4], &[3, 4]), Some((true, false, 2)));
        assert_eq!(fits(&[4, 6], &[3, 4]), Some((false, true, 2)));
        assert_eq!(fits(&[4, 6], &[5, 4]), None);
        assert_eq!(fits(&[6], &[3]), None);
    }
}
