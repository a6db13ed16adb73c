//! Packings that are recognised, so that nobody takes their words for numbers, and not read.

use quantviz_core::DTypeClass;

use super::catalogue::{Catalogue, Tensor};
use super::{Misfit, Quantized};

struct Named {
    packing: &'static str,
    /// The tensors that hold packed words.
    words: &'static [&'static str],
    /// What else its modules have.
    witness: Option<&'static str>,
}

const NAMED: &[Named] = &[
    Named { packing: "EXL2", words: &["q_weight", "q_scale"], witness: Some("q_groups") },
    Named { packing: "EXL3", words: &["trellis"], witness: None },
    Named { packing: "AQLM", words: &["codes"], witness: Some("codebooks") },
    Named { packing: "QuIP#", words: &["Qidxs"], witness: None },
    Named { packing: "VPTQ", words: &["indices"], witness: Some("centroids.weight") },
    Named { packing: "Marlin", words: &["B"], witness: Some("s") },
    Named { packing: "torchao", words: &["_weight_qdata"], witness: None },
    Named { packing: "qweight of another type than i32", words: &["qweight"], witness: None },
];

pub(super) fn describe(catalogue: &Catalogue<'_>, words: Tensor<'_>) -> Option<Result<Quantized, Misfit>> {
    if !matches!(words.dtype().class(), DTypeClass::Signed | DTypeClass::Unsigned) {
        return None;
    }
    let is_it = |named: &&Named| {
        named.words.iter().any(|last| words.is_called(last))
            && named.witness.is_none_or(|witness| catalogue.beside(words, witness).is_some())
    };
    NAMED.iter().find(is_it).map(|named| Err(Misfit::unsupported(named.packing)))
}
