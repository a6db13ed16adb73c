//! Runtimes that have their own mind about some things.

use std::fmt;
use std::str::FromStr;

/// What a model is to run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Target {
    /// onnxruntime on x86 processors with AVX2 or AVX-512 but without VNNI.
    OrtX86Avx2,
    /// NVIDIA's TensorRT.
    TensorRt,
    /// Qualcomm's QNN.
    Qnn,
}

impl Target {
    /// Every target there is.
    pub const ALL: &[Target] = &[Target::OrtX86Avx2, Target::TensorRt, Target::Qnn];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Target::OrtX86Avx2 => "ort-x86-avx2",
            Target::TensorRt => "tensorrt",
            Target::Qnn => "qnn",
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = Target::ALL.iter().copied().find(|target| target.name() == name);
        known.ok_or_else(|| {
            let names: Vec<_> = Target::ALL.iter().map(|target| target.name()).collect();
            format!("there is no target {name}; there are {}", names.join(", "))
        })
    }
}
