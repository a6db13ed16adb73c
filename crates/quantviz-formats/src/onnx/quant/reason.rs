//! Why it cannot be said what the codes of a parameter stand for.

use quantviz_core::WarningKind;

use crate::onnx::graph::Graph;

/// A reason, in one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::onnx) struct Reason {
    pub(in crate::onnx) kind: WarningKind,
    pub(in crate::onnx) message: String,
}

impl Reason {
    /// The file contradicts itself: there are not as many scales or zero-points as there have to be.
    pub(super) fn misfit(message: impl Into<String>) -> Self {
        Reason { kind: WarningKind::Misfit, message: message.into() }
    }

    /// A value of this name has to be a constant and is none.
    pub(super) fn no_constant(graph: &Graph<'_>, what: &str, name: &str) -> Self {
        match graph.is_nowhere(name) {
            true => Reason { kind: WarningKind::Missing, message: format!("{what} is nowhere in the file") },
            false => format!("{what} is computed in the graph").into(),
        }
    }
}

/// What is only said in words is not supported here.
impl From<String> for Reason {
    fn from(message: String) -> Self {
        Reason { kind: WarningKind::Unsupported, message }
    }
}

impl From<&str> for Reason {
    fn from(message: &str) -> Self {
        message.to_owned().into()
    }
}
