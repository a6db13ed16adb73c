//! Quantized models beside their reference: the whole of it, and what `quantviz compare --json` prints.

use quantviz_core::{
    Basis, ChannelScales, ComparedPair, Comparison, DType, Encoding, Fidelity, Gain, MatchedBy, Model,
    PairHistograms, Parameter, ParameterId, ParameterSource, Role, Split, Unmatched, expected_sqnr_db,
};
use quantviz_insight::Finding;
use serde::Serialize;

use crate::channels_view::ChannelsView;
use crate::inspection::ActivationView;
use crate::recorded::RecordedView;
use crate::words;

/// Variants of a model beside their reference.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ComparisonView {
    /// The version of these data.
    pub schema: String,
    /// The path of the reference.
    pub reference: String,
    /// The quantized models, in the order that they were named.
    pub variants: Vec<VariantView>,
}

/// A quantized model beside its reference.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct VariantView {
    /// The path.
    pub path: String,
    /// Every quantized parameter that the reference explains, those first that suffer most.
    pub pairs: Vec<PairView>,
    /// What has no counterpart.
    pub unmatched: UnmatchedView,
    /// The activations whose quantization the file fixes.
    pub activations: Vec<ActivationView>,
    /// What was recorded of activations, where it was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recorded: Option<RecordedView>,
    /// The model in one line.
    pub model: ModelFidelityView,
    /// What is worth knowing, with advice.
    pub findings: Vec<Finding>,
}

/// A quantized parameter, and what it cost.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the measures are those of quantviz_core::Fidelity, by their names")]
pub struct PairView {
    pub reference: String,
    pub quantized: String,
    pub role: Role,
    pub shape: Vec<u64>,
    /// What the numbers of the reference are stored as.
    pub reference_dtype: DType,
    pub encoding: Encoding,
    pub bits_per_weight: f64,
    pub matched_by: MatchedBy,
    pub alignment: AlignmentView,
    pub elements: u64,
    pub sqnr_db: Option<f64>,
    pub exact: bool,
    pub rtn_sqnr_db: Option<f64>,
    pub headroom_db: Option<f64>,
    /// What such codes keep of weights that are normally distributed.
    pub expected_sqnr_db: Option<f64>,
    pub mse: Option<f64>,
    pub max_abs_error: Option<f64>,
    pub mean_error: Option<f64>,
    pub cosine: Option<f64>,
    pub relative_error: Option<f64>,
    pub clipped: Option<f64>,
    pub clip_noise: Option<f64>,
    pub rounding_share: Option<f64>,
    pub at_ends: Option<f64>,
    pub off_grid: Option<f64>,
    pub common_factor: Option<f64>,
    pub levels: Option<u64>,
    pub levels_used: Option<u64>,
    pub dead: Option<u64>,
    pub reach: Option<f64>,
    pub outlier_gain_db: Option<f64>,
    pub importance_sqnr_db: Option<f64>,
    pub non_finite: u64,
    pub reference_range: Option<[f64; 2]>,
    pub quantized_range: Option<[f64; 2]>,
    pub channel_axis: Option<usize>,
    pub channels: Option<ChannelsView>,
    /// Why nothing was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What people call the type of its codes: `INT8`.
    #[serde(skip)]
    pub label: String,
    /// How often each code occurs, for pictures.
    #[serde(skip)]
    pub codes: Option<CodeUse>,
    /// How both are spread, for pictures, where that was asked for.
    #[serde(skip)]
    pub histograms: Option<PairHistograms>,
}

/// How often each code occurs.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct CodeUse {
    /// The smallest and the largest code that the type has.
    pub range: [f64; 2],
    /// Every code that occurs, in ascending order, and how often.
    pub counts: Vec<(f64, u64)>,
}

/// How the reference lies beside the codes.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct AlignmentView {
    /// Whether rows of one are columns of the other.
    pub transposed: bool,
    /// `none`, `batchnorm:` and the name of the layer, `output` or `input`: what channels were multiplied with.
    pub gain: String,
    /// The part of the reference that was quantized.
    pub split: Option<SplitView>,
    /// Whether rows of each head are in another order.
    pub permuted: bool,
    /// Further parameters of the reference, where several were laid behind each other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub merged: Vec<String>,
}

/// A part of a reference.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SplitView {
    /// The axis that it was divided along.
    pub axis: usize,
    /// The first position of the part.
    pub start: u64,
    /// The position behind its last.
    pub end: u64,
}

/// What has no counterpart.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct UnmatchedView {
    /// Weights of the reference.
    pub reference: Vec<UnmatchedParameter>,
    /// Quantized parameters.
    pub quantized: Vec<UnmatchedParameter>,
}

/// A parameter without counterpart.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct UnmatchedParameter {
    /// Its name.
    pub parameter: String,
    /// Why it has none.
    pub why: String,
}

/// A model in one line.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ModelFidelityView {
    /// The whole model, in decibels.
    pub sqnr_db: Option<f64>,
    /// What that is said by: `weights`, as long as nothing more was given.
    pub basis: Basis,
    /// The same by everything that is known, weights first.
    pub claims: Vec<ClaimView>,
    /// The bytes of the reference's files.
    pub reference_bytes: u64,
    /// The bytes of the quantized model's files.
    pub quantized_bytes: u64,
    /// The bits that a weight takes, with scales and zero-points.
    pub bits_per_weight: Option<f64>,
}

/// What is said of a whole model, and by what.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ClaimView {
    /// By what.
    pub basis: Basis,
    /// All tensors together, in decibels.
    pub sqnr_db: Option<f64>,
    /// How many weights or activations it is said of.
    pub counted: usize,
    /// How many there are.
    pub of: usize,
    /// Whether it is said of what the model gives out, and of nothing in between.
    pub at_outputs: bool,
}

impl ComparisonView {
    /// The version of the data that this serializes to.
    pub const SCHEMA: &str = "quantviz.compare/1";

    /// Variants beside a reference.
    pub fn of(reference: impl Into<String>, variants: Vec<VariantView>) -> Self {
        ComparisonView { schema: Self::SCHEMA.to_owned(), reference: reference.into(), variants }
    }
}

impl VariantView {
    /// What a comparison found out, and what was found in the quantized model, with every channel where `all_channels` asks for them.
    pub fn of(
        path: impl Into<String>,
        reference: &dyn ParameterSource,
        quantized: &dyn ParameterSource,
        comparison: &Comparison,
        findings: Vec<Finding>,
        all_channels: bool,
    ) -> Self {
        let (from, of) = (reference.model(), quantized.model());
        let mut pairs: Vec<(f64, PairView)> = comparison
            .pairs
            .iter()
            .map(|pair| {
                let rank = pair.fidelity.as_ref().map_or(f64::NEG_INFINITY, Fidelity::rank);
                let mut view = PairView::of(from, of, pair, all_channels);
                if all_channels {
                    view.add_scales(quantized, pair.pair.quantized);
                }
                (rank, view)
            })
            .collect();
        pairs.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        let activations = of.layers.iter().flat_map(|layer| &layer.activations);
        let unmatched = |model: &Model, all: &[Unmatched]| {
            all.iter()
                .map(|it| UnmatchedParameter { parameter: name(model, it.parameter), why: it.why.clone() })
                .collect()
        };
        let claims = comparison.claims().into_iter().map(|(basis, claim)| ClaimView {
            basis,
            sqnr_db: claim.sqnr_db,
            counted: claim.counted,
            of: claim.of,
            at_outputs: claim.at_outputs,
        });
        VariantView {
            path: path.into(),
            pairs: pairs.into_iter().map(|(_, pair)| pair).collect(),
            unmatched: UnmatchedView {
                reference: unmatched(from, &comparison.unmatched_reference),
                quantized: unmatched(of, &comparison.unmatched_quantized),
            },
            activations: activations.map(|it| ActivationView::of(of, it)).collect(),
            recorded: comparison.activations.as_ref().map(RecordedView::of),
            model: ModelFidelityView {
                sqnr_db: comparison.basis().1.sqnr_db,
                basis: comparison.basis().0,
                claims: claims.collect(),
                reference_bytes: from.file_bytes,
                quantized_bytes: of.file_bytes,
                bits_per_weight: comparison.bits_per_weight,
            },
            findings,
        }
    }
}

pub(crate) fn name(model: &Model, id: ParameterId) -> String {
    model.parameter(id).name.clone()
}

impl PairView {
    fn of(from: &Model, of: &Model, compared: &ComparedPair, all_channels: bool) -> Self {
        let pair = &compared.pair;
        let parameter = of.parameter(pair.quantized);
        let fidelity = compared.fidelity.as_ref().ok();
        let of = |measure: fn(&Fidelity) -> Option<f64>| fidelity.and_then(measure);
        let levels = fidelity.and_then(|it| it.levels);
        let channels = fidelity.and_then(|it| it.channels.as_ref());
        let range = |range: Option<(f64, f64)>| range.map(|(low, high)| [low, high]);
        PairView {
            reference: name(from, pair.reference),
            quantized: parameter.name.clone(),
            role: parameter.role,
            shape: parameter.logical_shape().dims().to_vec(),
            reference_dtype: from.parameter(pair.reference).dtype,
            encoding: parameter.quantization.as_ref().map_or(Encoding::Other, |it| it.encoding),
            bits_per_weight: compared.bits_per_weight,
            matched_by: pair.matched_by,
            alignment: AlignmentView {
                transposed: pair.alignment.transposed,
                gain: match &pair.alignment.gain {
                    Gain::BatchNorm { name, .. } => format!("batchnorm:{name}"),
                    Gain::Output(_) => "output".to_owned(),
                    Gain::Input(_) => "input".to_owned(),
                    _ => "none".to_owned(),
                },
                split: pair.alignment.split.as_ref().map(|Split { axis, range, .. }| SplitView {
                    axis: *axis,
                    start: range.start,
                    end: range.end,
                }),
                permuted: pair.alignment.heads.is_some(),
                merged: pair.alignment.merged.iter().map(|&id| name(from, id)).collect(),
            },
            elements: fidelity.map_or(parameter.logical_shape().elements(), |it| it.elements),
            sqnr_db: of(|it| it.sqnr_db),
            exact: fidelity.is_some_and(|it| it.exact),
            rtn_sqnr_db: of(|it| it.rtn_sqnr_db),
            headroom_db: of(|it| it.headroom_db),
            expected_sqnr_db: expected_sqnr_db(parameter),
            mse: of(|it| it.mse),
            max_abs_error: of(|it| it.max_abs_error),
            mean_error: of(|it| it.mean_error),
            cosine: of(|it| it.cosine),
            relative_error: of(|it| it.relative_error),
            clipped: of(|it| it.clipped),
            clip_noise: of(|it| it.clip_noise),
            rounding_share: of(|it| it.rounding_share),
            at_ends: of(|it| it.at_ends),
            off_grid: of(|it| it.off_grid),
            common_factor: of(|it| it.common_factor),
            levels: levels.map(|it| it.levels),
            levels_used: levels.map(|it| it.used),
            dead: levels.map(|it| it.dead),
            reach: levels.map(|it| it.reach),
            outlier_gain_db: of(|it| it.outlier_gain_db),
            importance_sqnr_db: of(|it| it.importance_sqnr_db),
            non_finite: fidelity.map_or(0, |it| it.non_finite),
            reference_range: range(fidelity.and_then(|it| it.reference_range)),
            quantized_range: range(fidelity.and_then(|it| it.quantized_range)),
            channel_axis: channels.map(|it| it.axis),
            channels: channels.map(|it| ChannelsView::of(it, all_channels)),
            error: compared.fidelity.as_ref().err().map(ToString::to_string),
            label: words::type_label(parameter),
            codes: CodeUse::of(parameter, compared),
            histograms: compared.histograms.clone(),
        }
    }
}

impl PairView {
    /// The scale and the zero-point of every channel, where channels have their own.
    fn add_scales(&mut self, quantized: &dyn ParameterSource, id: ParameterId) {
        // What cannot be read is told already: nothing was measured then.
        if let (Some(channels), Ok(Some(scales))) = (&mut self.channels, ChannelScales::of(quantized, id)) {
            channels.add(&scales);
        }
    }

    /// Worst first: nothing but errors, then by decibels, then what is exact.
    pub(crate) fn rank(&self) -> f64 {
        self.sqnr_db.unwrap_or(if self.exact { f64::INFINITY } else { f64::NEG_INFINITY })
    }
}

impl CodeUse {
    fn of(parameter: &Parameter, compared: &ComparedPair) -> Option<Self> {
        let (low, high) = parameter.quantization.as_ref()?.code_range;
        let counts = compared.codes.as_ref()?.iter().copied().filter(|(code, _)| code.is_finite());
        Some(CodeUse { range: [low, high], counts: counts.collect() })
    }
}
