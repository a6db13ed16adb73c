//! Findings as they are shown: the worst first, those of one rule together, with what it advises once.

use quantviz_core::{Model, count, one_line};
use quantviz_insight::{Finding, Level};
use serde::Serialize;

/// What was found in one model.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Findings {
    /// The path of the model, or what else stands for it.
    pub title: String,
    /// How many there are of each level, or that there are none; and how much nothing can be said of.
    pub verdict: String,
    /// The findings of each rule and level, the worst first.
    pub groups: Vec<FindingGroup>,
}

/// What one rule found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FindingGroup {
    /// `QV001`.
    pub code: String,
    /// `error`.
    pub level: Level,
    /// Every finding.
    pub lines: Vec<FindingLine>,
    /// Why it matters and what to try.
    pub advice: String,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FindingLine {
    /// The parameter or the activation; empty where it is about the model.
    pub parameter: String,
    /// What is so.
    pub message: String,
}

impl Findings {
    /// The view of the findings of one model, in any order, of which so many tensors could not be judged.
    ///
    /// ```
    /// use quantviz_view::Findings;
    ///
    /// let view = Findings::of("model_int8.onnx", &[], 0);
    /// assert_eq!(view.verdict, "no findings");
    /// ```
    pub fn of(title: &str, findings: &[Finding], unread: usize) -> Self {
        let mut sorted: Vec<&Finding> = findings.iter().collect();
        sorted.sort_by_key(|finding| (finding.level, finding.code));
        let groups = sorted.chunk_by(|one, other| (one.level, one.code) == (other.level, other.code));
        Findings {
            title: one_line(title),
            verdict: verdict(findings, unread),
            groups: groups.filter_map(FindingGroup::of).collect(),
        }
    }

    /// The view of a model that was looked at. Of one in which nothing is quantized, no findings say nothing.
    pub fn of_model(model: &LintedModel) -> Self {
        let mut view = Findings::of(&model.path, &model.findings, model.unread.len());
        if model.quantized == 0 && model.findings.is_empty() && model.unread.is_empty() {
            view.verdict = "nothing in it is quantized".to_owned();
        }
        view
    }
}

impl FindingGroup {
    fn of(findings: &[&Finding]) -> Option<Self> {
        let first = findings.first()?;
        let line = |finding: &&Finding| FindingLine {
            parameter: one_line(finding.parameter.as_deref().unwrap_or_default()),
            message: finding.message.clone(),
        };
        Some(FindingGroup {
            code: first.code.to_string(),
            level: first.level,
            lines: findings.iter().map(line).collect(),
            advice: first.advice.clone(),
        })
    }
}

/// `2 errors`
pub(crate) fn level_count(level: Level, times: u64) -> String {
    let plural = if times == 1 || level == Level::Info { "" } else { "s" };
    format!("{} {}{plural}", count(times), level.name())
}

fn verdict(findings: &[Finding], unread: usize) -> String {
    let counted = Level::ALL.iter().filter_map(|&level| {
        let times = findings.iter().filter(|finding| finding.level == level).count() as u64;
        (times > 0).then(|| level_count(level, times))
    });
    let counted: Vec<String> = counted.collect();
    let unjudged = match unread {
        1 => "1 tensor cannot be judged".to_owned(),
        many => format!("{} tensors cannot be judged", count(many as u64)),
    };
    match (counted.is_empty(), unread) {
        (true, 0) => "no findings".to_owned(),
        (true, _) => format!("no findings, but {unjudged}"),
        (false, 0) => counted.join(", "),
        (false, _) => format!("{}; {unjudged}", counted.join(", ")),
    }
}

/// What `quantviz lint --json` prints.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct LintReport {
    /// `quantviz.lint/1`.
    pub schema: &'static str,
    /// Every model, in the order in which it was asked for.
    pub models: Vec<LintedModel>,
}

/// A model and what was found in it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct LintedModel {
    /// Where it is.
    pub path: String,
    /// How many of its parameters and activations are quantized.
    pub quantized: usize,
    /// What was found, the worst first.
    pub findings: Vec<Finding>,
    /// What of it could not be read, a line each: nothing is said of that.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<String>,
    /// Why nothing of it can be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl LintReport {
    /// The report of some models.
    pub fn of(models: Vec<LintedModel>) -> Self {
        LintReport { schema: "quantviz.lint/1", models }
    }
}

impl LintedModel {
    /// A model that was looked at.
    pub fn new(path: impl Into<String>, model: &Model, findings: Vec<Finding>, unread: Vec<String>) -> Self {
        let parameters = model.parameters.iter().filter(|it| it.quantization.is_some()).count();
        let activations: usize = model.layers.iter().map(|layer| layer.activations.len()).sum();
        LintedModel { path: path.into(), quantized: parameters + activations, findings, unread, error: None }
    }

    /// A model of a folder that cannot be read at all.
    pub fn unreadable(path: impl Into<String>, error: impl Into<String>) -> Self {
        LintedModel {
            path: path.into(),
            quantized: 0,
            findings: Vec::new(),
            unread: Vec::new(),
            error: Some(error.into()),
        }
    }
}
