//! What can be said of a whole model, what it is said by, and of how much of it.

use crate::Comparison;
use crate::names::names;

names! {
    /// What a measure of a whole model goes by; the later ones say more of what the model does.
    Basis {
        /// The errors of weights.
        Weights "weights";
        /// The errors of weights, each as much as the input matters that it is multiplied with.
        Importance "importance";
        /// The errors of what the model makes of inputs.
        Activations "activations";
    }
}

/// A measure of a whole model: of all its weights, of those whose importance is known, of recorded activations.
///
/// ```
/// use quantviz_core::Claim;
///
/// // Of two tensors of 100 numbers one has a thousandth of its energy in errors; of a third nothing is known.
/// let claim = Claim::of([(100.0, Some(0.001)), (100.0, Some(0.0)), (50.0, None)]);
/// assert_eq!((claim.counted, claim.of), (2, 3));
/// assert!((claim.sqnr_db.expect("there are errors") - 33.01).abs() < 0.01);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Claim {
    /// The energy of all by that of their errors, in decibels, each as much as it has elements. `None` where there are no
    /// errors, or nothing to say it of.
    pub sqnr_db: Option<f64>,
    /// How many it is said of.
    pub counted: usize,
    /// How many there are.
    pub of: usize,
    /// Whether it is said of what a model gives out, and of nothing in between.
    pub at_outputs: bool,
}

impl Claim {
    /// Of tensors of so many elements, and the energy of their errors by their own, where that is known.
    pub fn of(tensors: impl IntoIterator<Item = (f64, Option<f64>)>) -> Self {
        let (mut elements, mut noise) = (0.0, 0.0);
        let mut claim = Claim::default();
        for (count, ratio) in tensors {
            claim.of += 1;
            // What is nothing but error has no place in a sum.
            if let Some(ratio) = ratio.filter(|ratio| ratio.is_finite()) {
                claim.counted += 1;
                (elements, noise) = (elements + count, noise + count * ratio);
            }
        }
        claim.sqnr_db = (noise > 0.0).then(|| -10.0 * (noise / elements).log10());
        claim
    }
}

impl Comparison {
    /// What can be said of the whole model, and what of that says most last.
    pub fn claims(&self) -> Vec<(Basis, Claim)> {
        let recorded = self.activations.as_ref();
        let activations = recorded.map(|it| (Basis::Activations, it.claim));
        let outputs = recorded.and_then(|it| it.outputs).map(|claim| (Basis::Activations, claim));
        let importance = self.importance.map(|claim| (Basis::Importance, claim));
        let weights = Some((Basis::Weights, self.weights));
        [weights, importance, activations, outputs].into_iter().flatten().collect()
    }

    /// What most is said by.
    pub fn basis(&self) -> (Basis, Claim) {
        self.claims().pop().unwrap_or((Basis::Weights, self.weights))
    }
}
