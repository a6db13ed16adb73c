//! What a rule says of a model.

use quantviz_core::one_line;
use serde::Serialize;

use crate::{Code, Evidence};

/// How bad it is. The worst comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The file is wrong: some runtime refuses it, or computes something else than was meant.
    Error,
    /// Accuracy is lost that need not be.
    Warning,
    /// Good to know.
    Info,
}

impl Level {
    /// Every level, the worst first.
    pub const ALL: &[Level] = &[Level::Error, Level::Warning, Level::Info];

    /// The name in texts and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Info => "info",
        }
    }
}

/// Something worth knowing about a model.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// The rule that found it.
    pub code: Code,
    /// How bad it is.
    pub level: Level,
    /// The parameter or the activation it is about; `None` where it is about the model.
    pub parameter: Option<String>,
    /// What is so, in one line with its numbers.
    pub message: String,
    /// The numbers, for programs.
    pub evidence: Evidence,
    /// Why it matters, and what to try.
    pub advice: String,
}

impl Finding {
    /// A finding about one parameter or activation, with the rule's own level and advice.
    pub(crate) fn about(code: Code, parameter: &str, message: String, evidence: Evidence) -> Self {
        Finding { parameter: Some(parameter.to_owned()), ..Finding::of_model(code, message, evidence) }
    }

    /// The same about the whole model. Messages quote names, which may hold anything.
    pub(crate) fn of_model(code: Code, message: String, evidence: Evidence) -> Self {
        let rule = code.rule();
        Finding {
            code,
            level: rule.level,
            parameter: None,
            message: one_line(&message),
            evidence,
            advice: format!("{} {}", rule.matters, rule.advice),
        }
    }

    /// The same with other advice than the rule's own.
    pub(crate) fn advising(self, advice: &str) -> Self {
        Finding { advice: advice.to_owned(), ..self }
    }

    /// The same at another level than the rule's own.
    pub(crate) fn at(self, level: Level) -> Self {
        Finding { level, ..self }
    }
}
