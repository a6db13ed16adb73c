//! The rules: what each of them means, why it matters and what to try. This is the one place that says it.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::Level;
use Level::{Error, Info, Warning};

/// What is to be known of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rule {
    /// Its number.
    pub code: Code,
    /// What it finds, in a few words.
    pub title: &'static str,
    /// How bad that is, unless a finding says otherwise.
    pub level: Level,
    /// When it is found.
    pub means: &'static str,
    /// Why it matters.
    pub matters: &'static str,
    /// What to try.
    pub advice: &'static str,
}

/// The number of a rule: `QV001`. Numbers are never given anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Code {
    /// Scale NaN, infinite, or zero.
    BadScale = 1,
    /// Negative scale.
    NegativeScale = 2,
    /// Scale with few bits left.
    SubnormalScale = 3,
    /// Scales do not fit.
    ScaleMisfit = 4,
    /// Zero-point of another type or out of range.
    BadZeroPoint = 5,
    /// uint8 that ends at 254.
    Symmetric254 = 6,
    /// Channels with the same scale.
    EqualChannels = 7,
    /// One channel stretches the range.
    OutlierChannel = 8,
    /// Less than half of the codes' range is used.
    ShortReach = 9,
    /// Values are cut off.
    Clipped = 10,
    /// Negative values in an unsigned type.
    NegativesLost = 11,
    /// Bias scale is not input scale times weight scale.
    BiasScale = 12,
    /// int32 bias is saturated.
    SaturatedBias = 13,
    /// Activation scale that no data set.
    Uncalibrated = 14,
    /// Float weight behind a quantized input.
    FloatWeight = 15,
    /// Type of codes is newer than the operator set.
    CodesTooNew = 16,
    /// NaN among float8 codes.
    NanCodes = 17,
    /// Not rounded to nearest.
    OffGrid = 18,
    /// Does not belong, or is rotated.
    NotItsReference = 19,
    /// May saturate on processors without VNNI.
    Saturating = 20,
    /// int8 without zero-point before Reshape.
    NoZeroPoint = 21,
    /// Not signed around zero.
    NotSymmetric = 22,
}

impl Code {
    /// What is to be known of it.
    pub fn rule(self) -> &'static Rule {
        &RULES[self as usize - 1]
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("QV{:03}", *self as u8))
    }
}

impl FromStr for Code {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = RULES.iter().map(|rule| rule.code).find(|code| code.to_string() == text);
        let last = RULES.len();
        known.ok_or_else(|| format!("there is no rule {text}; there are QV001 to QV{last:03}"))
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Every rule, by its number.
pub const RULES: &[Rule] = &[
    Rule {
        code: Code::BadScale,
        title: "Scale NaN, infinite, or zero",
        level: Error,
        means: "A scale is not a number, is infinite, or is zero although what it scales is not all zero. Zero with \
            nothing but zeros behind it is an info.",
        matters: "Every value of its group becomes NaN, infinite or zero, and so does what is computed with them.",
        advice: "Quantize this tensor again from its float original; give the quantizer a smallest scale, or leave \
            the tensor in float.",
    },
    Rule {
        code: Code::NegativeScale,
        title: "Negative scale",
        level: Warning,
        means: "A scale of QuantizeLinear, DequantizeLinear or a QLinear operator is negative. In MatMulNBits and \
            GGUF blocks that is normal and no finding.",
        matters: "The specifications ask for positive scales: some runtimes refuse the file, others clamp as if the \
            sign were positive.",
        advice: "Negate the scale and the codes (mirrored at the zero-point), or quantize again; for TensorRT it is \
            an error.",
    },
    Rule {
        code: Code::SubnormalScale,
        title: "Scale with few bits left",
        level: Warning,
        means: "A scale is so small that its type holds fewer than six significant bits of it.",
        matters: "The scale itself is rounded by up to several percent, and processors that flush subnormal numbers \
            make it zero.",
        advice: "Store scales in a wider type, or scale the tensor up and divide where its result is used.",
    },
    Rule {
        code: Code::ScaleMisfit,
        title: "Scales do not fit",
        level: Error,
        means: "The scales or zero-points are not as many, or not along the axis or in the blocks, that the shape of \
            the tensor asks for.",
        matters: "It cannot be said which values the codes stand for; runtimes refuse such a file.",
        advice: "Write axis, block_size and the shape of the scales anew; for ONNX the default axis is 1.",
    },
    Rule {
        code: Code::BadZeroPoint,
        title: "Zero-point of another type or out of range",
        level: Error,
        means: "A zero-point is stored in another type than the codes, lies outside of their range, or is not zero \
            where codes are int32.",
        matters: "Runtimes refuse the file, or add an offset that no code can undo.",
        advice: "Store the zero-point in the type of the codes and within their range; that of an int32 bias is zero.",
    },
    Rule {
        code: Code::Symmetric254,
        title: "uint8 that ends at 254",
        level: Info,
        means: "All zero-points are 127 and the code 255 is never used: the quantization is symmetric over 0 to 254.",
        matters: "One level of 256 is given away, which costs little; some accelerators expect 128 as the middle of \
            symmetric uint8.",
        advice: "Use zero-point 128, or int8 with zero-point 0; for QNN it is a warning.",
    },
    Rule {
        code: Code::EqualChannels,
        title: "Channels with the same scale",
        level: Info,
        means: "Eight or more channels have exactly the same scale.",
        matters: "Scales per channel cost what they cost because channels differ; here they are per channel in name \
            only.",
        advice: "If no per-channel calibration was meant, use one scale; if it was, see whether the quantizer really \
            looked at channels.",
    },
    Rule {
        code: Code::OutlierChannel,
        title: "One channel stretches the range",
        level: Warning,
        means: "With scales per channel the error would be at least 6 dB smaller: few channels are much larger than \
            the others, which share their scale.",
        matters: "All other channels are rounded to a grid that is far too coarse for them.",
        advice: "Quantize this tensor per channel, or equalize its channels with those of the layer before.",
    },
    Rule {
        code: Code::ShortReach,
        title: "Less than half of the codes' range is used",
        level: Info,
        means: "The distance from the smallest to the largest code is less than half of what the type has.",
        matters: "At least one bit of precision is not used.",
        advice: "If reduced range was not asked for (it helps processors without VNNI), quantize without it, or \
            calibrate by the largest value.",
    },
    Rule {
        code: Code::Clipped,
        title: "Values are cut off",
        level: Warning,
        means: "The error comes to a good part from values beyond the last code; without a reference: codes pile up \
            at an end.",
        matters: "Cut-off values are usually the large ones, which matter most to what a layer computes.",
        advice: "Calibrate with a wider range (a higher percentile, or the largest value), or give outliers channels \
            or blocks of their own.",
    },
    Rule {
        code: Code::NegativesLost,
        title: "Negative values in an unsigned type",
        level: Error,
        means: "The reference has negative values, and the smallest value that the codes can stand for is zero.",
        matters: "All negative values became zero: a weight lost about half of itself.",
        advice: "Quantize with a signed type, or with a zero-point that leaves room below.",
    },
    Rule {
        code: Code::BiasScale,
        title: "Bias scale is not input scale times weight scale",
        level: Error,
        means: "The scale of an int32 bias differs by more than 1 % from the product of the input's and the weight's \
            scale, or one bias is shared by nodes whose products differ.",
        matters: "Integer kernels add the bias to sums of products without rescaling it: the bias that is added is off \
            by this factor.",
        advice: "Quantize the bias with input scale times weight scale, for each channel; give nodes that share it a \
            bias of their own.",
    },
    Rule {
        code: Code::SaturatedBias,
        title: "int32 bias is saturated",
        level: Error,
        means: "A code of an int32 bias is the smallest or the largest that there is.",
        matters: "The bias did not fit: its scale, input times weight, is so small that the sum overflows.",
        advice: "Widen the weight's scale of that channel (quantizers have an option for it), or leave the layer in \
            float.",
    },
    Rule {
        code: Code::Uncalibrated,
        title: "Activation scale that no data set",
        level: Warning,
        means: "An activation has scale exactly 1 with zero-point 0, or the scale 1.1920929e-07: what quantizers \
            write when they saw no data, or only zeros.",
        matters: "Real values are rounded to whole numbers, or all of them cut off.",
        advice: "Run the calibration with data that reaches this layer; if it is always zero, remove the layer. \
            Integers from 0 to 255 as input are fine.",
    },
    Rule {
        code: Code::FloatWeight,
        title: "Float weight behind a quantized input",
        level: Warning,
        means: "The input of a layer is quantized and its weight is not. Heads, tied weights and weights of fewer \
            than 1,024 elements are an info.",
        matters: "The layer runs in float: the quantization of its input costs accuracy and time and saves nothing.",
        advice: "Quantize the weight too, or exclude the layer from quantization altogether.",
    },
    Rule {
        code: Code::CodesTooNew,
        title: "Type of codes is newer than the operator set",
        level: Error,
        means: "QuantizeLinear or DequantizeLinear is used with a type that this version of ONNX's operators does \
            not have: float8 since 19, 4 and 16 bits since 21, float4 since 23, 2 bits since 25, float6 since \
            28.",
        matters: "Runtimes check types against the version that the file names, and refuse it.",
        advice: "Raise the opset_import of the model (a version converter does it), or use the com.microsoft \
            operators.",
    },
    Rule {
        code: Code::NanCodes,
        title: "NaN among float8 codes",
        level: Error,
        means: "Codes of a float8 tensor are NaN.",
        matters: "Every sum that such a weight goes into is NaN.",
        advice: "Quantize again with saturation; look for NaN or overflow in the original.",
    },
    Rule {
        code: Code::OffGrid,
        title: "Not rounded to nearest",
        level: Info,
        means: "More than a thousandth of the values are not what rounding this reference to the nearest code gives. A \
            warning where all of them are multiples of it by one factor.",
        matters: "Another method chose the codes, or the reference is not what was quantized; distances to it then say \
            little about quality.",
        advice: "Do nothing if a method such as GPTQ or a folded gain is behind it; else compare with the checkpoint \
            that was quantized. Where one factor explains it, look for the scale that is wrong, or for the layer that the \
            factor was moved to.",
    },
    Rule {
        code: Code::NotItsReference,
        title: "Does not belong, or is rotated",
        level: Error,
        means: "Half of the aligned parameters are closer than 3 dB to nothing in the reference.",
        matters: "The two files are different models or checkpoints, or weights were rotated; no measure between them \
            means anything.",
        advice: "Compare with the checkpoint that was quantized, before any rotation was fused into it.",
    },
    Rule {
        code: Code::Saturating,
        title: "May saturate on processors without VNNI",
        level: Warning,
        means: "For the target ort-x86-avx2: uint8 inputs meet int8 weights with codes beyond 64.",
        matters: "Pairs of products are added in 16 bits there, and sums beyond 32,767 are cut off without a word.",
        advice: "Quantize weights with reduce_range, or use uint8 weights (or int8 for both).",
    },
    Rule {
        code: Code::NoZeroPoint,
        title: "int8 without zero-point before Reshape",
        level: Info,
        means: "DequantizeLinear of int8 codes has no zero-point input, and Reshape reads its output.",
        matters: "Some optimizers move Reshape across it and then assume uint8, because a missing zero-point says no \
            type.",
        advice: "Write the zero-point 0 of type int8 explicitly.",
    },
    Rule {
        code: Code::NotSymmetric,
        title: "Not signed around zero",
        level: Error,
        means: "For the target tensorrt: QuantizeLinear or DequantizeLinear has a zero-point other than zero, or unsigned \
            codes.",
        matters: "TensorRT refuses zero-points that are not zero, and takes uint8 for int8: what is beyond 127 is cut off.",
        advice: "Quantize weights and activations as symmetric int8; onnxruntime's quantizer does with QInt8 for both and \
            ActivationSymmetric and WeightSymmetric among its extra_options.",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_places_in_the_table() {
        for (index, rule) in RULES.iter().enumerate() {
            assert_eq!(rule.code.to_string(), format!("QV{:03}", index + 1));
            assert_eq!(rule.code.to_string().parse(), Ok(rule.code));
            assert_eq!(rule.code.rule(), rule);
        }
        assert_eq!(RULES.len(), 22);
        let unknown = "there is no rule QV023; there are QV001 to QV022";
        assert_eq!("QV023".parse::<Code>(), Err(unknown.to_owned()));
    }

    #[test]
    fn texts_are_sentences_of_one_line() {
        for rule in RULES {
            for text in [rule.means, rule.matters, rule.advice] {
                assert!(
                    text.ends_with('.') && !text.contains(['\n', '\r']) && !text.contains("  "),
                    "{text}"
                );
            }
            assert!(!rule.title.ends_with('.'), "{}", rule.title);
        }
    }
}
