//! What descriptors do not say of quantized tensors, for those who judge files.

use crate::DType;

/// Something about the quantization of a tensor that only the reader of its file could see: whoever reads values needs
/// none of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Note {
    /// Its zero-points are stored in another type than its codes.
    ZeroPointType {
        /// The parameter or the activation.
        tensor: String,
        /// The type of its codes.
        codes: DType,
        /// The type of its zero-points.
        zero_points: DType,
    },
    /// The operators that the file says it uses do not know its type of codes yet.
    CodesTooNew {
        /// The parameter or the activation.
        tensor: String,
        /// The type of its codes.
        codes: DType,
        /// The operator that reads or writes them.
        operator: String,
        /// The version of the operators in the file.
        version: i64,
        /// The first version that knows the type.
        since: i64,
    },
    /// It becomes real without a zero-point, and is reshaped then.
    ReshapedWithoutZeroPoint {
        /// The parameter or the activation.
        tensor: String,
        /// The type of its codes.
        codes: DType,
    },
}
