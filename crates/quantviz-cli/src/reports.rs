//! How a judgement is written: for people, for programs, for continuous integration.

use quantviz::insight::{Code, Failure, Gate, Judgement, RULES};
use quantviz::{Basis, one_line};
use serde_json::{Map, Value, json};

use crate::check::Judged;
use crate::stream::Paint;

pub(crate) fn text(all: &[Judged], paint: Paint) -> String {
    let mut text = String::new();
    for Judged { path, judgement } in all {
        let verdict = match (judgement.failures.len(), judgement.undecided.len()) {
            (0, 0) => paint.badge("holds"),
            (0, _) => paint.alarm("could not be told"),
            (1, _) => paint.alarm("falls short of 1 limit"),
            (several, _) => paint.alarm(&format!("falls short of {several} limits")),
        };
        let basis = paint.quiet(&format!("({})", basis(judgement)));
        let warnings = match judgement.warnings.len() {
            0 => String::new(),
            1 => ", 1 warning".to_owned(),
            several => format!(", {several} warnings"),
        };
        text.push_str(&format!("{}: {verdict} {basis}{warnings}\n", paint.strong(&one_line(path))));
        for failure in &judgement.failures {
            text.push_str(&format!("  {} {}\n", paint.strong(&failure.limit), told(failure)));
        }
        for line in &judgement.undecided {
            text.push_str(&format!("  {} {}\n", paint.strong("?"), one_line(line)));
        }
        for line in &judgement.warnings {
            text.push_str(&format!("  {} {}\n", paint.strong("warning"), one_line(line)));
        }
    }
    text
}

/// What decibels are said by.
fn basis(judgement: &Judgement) -> String {
    let Judgement { counted, of, .. } = judgement;
    match judgement.basis {
        Basis::Importance => format!("by importance of {counted} of {of} weights"),
        Basis::Activations => format!("by {counted} of {of} recorded activations"),
        _ => "weights only".to_owned(),
    }
}

fn told(failure: &Failure) -> String {
    match &failure.parameter {
        Some(parameter) => one_line(&format!("{parameter}: {}", failure.message)),
        None => one_line(&failure.message),
    }
}

pub(crate) fn json(reference: &str, gate: &Gate, all: &[Judged]) -> serde_json::Result<String> {
    let variants: Vec<Value> = all
        .iter()
        .map(|Judged { path, judgement }| {
            json!({
                "path": path,
                "holds": judgement.holds(),
                "basis": judgement.basis,
                "counted": judgement.counted,
                "of": judgement.of,
                "failures": judgement.failures,
                "undecided": judgement.undecided,
                "warnings": judgement.warnings,
            })
        })
        .collect();
    let failures: Vec<&Failure> = all.iter().flat_map(|it| &it.judgement.failures).collect();
    let document = json!({
        "schema": "quantviz.check/1",
        "reference": reference,
        "holds": all.iter().all(|it| it.judgement.holds()),
        "limits": gate,
        "failures": failures,
        "variants": variants,
    });
    Ok(serde_json::to_string(&document)? + "\n")
}

/// A test for every model: a failure says everything that it falls short of, an error what could not be told.
pub(crate) fn junit(all: &[Judged]) -> String {
    let count = |of: fn(&Judged) -> bool| all.iter().filter(|it| of(it)).count();
    let errors = count(|it| !it.judgement.undecided.is_empty());
    let failures = count(|it| it.judgement.undecided.is_empty() && !it.judgement.failures.is_empty());
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"quantviz check\" tests=\"{}\" failures=\"{failures}\" errors=\"{errors}\">\n",
        all.len()
    );
    for Judged { path, judgement } in all {
        xml.push_str(&format!("  <testcase classname=\"quantviz.check\" name=\"{}\">\n", escaped(path)));
        let basis = escaped(&basis(judgement));
        xml.push_str(&format!("    <properties><property name=\"basis\" value=\"{basis}\"/></properties>\n"));
        let lines: Vec<String> =
            judgement.failures.iter().map(|it| format!("{} {}", it.limit, told(it))).collect();
        let element = |name: &str, lines: &[String]| {
            let first = lines.first().map(String::as_str).unwrap_or_default();
            format!("    <{name} message=\"{}\">{}</{name}>\n", escaped(first), escaped(&lines.join("\n")))
        };
        if !judgement.undecided.is_empty() {
            xml.push_str(&element("error", &judgement.undecided));
        } else if !lines.is_empty() {
            xml.push_str(&element("failure", &lines));
        }
        xml.push_str("  </testcase>\n");
    }
    xml + "</testsuite>\n"
}

/// XML has no place for control characters, escaped or not.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars().filter(|c| !c.is_control() || *c == '\n') {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c => escaped.push(c),
        }
    }
    escaped
}

pub(crate) fn sarif(all: &[Judged]) -> serde_json::Result<String> {
    let result = |path: &str, rule: &str, level: &str, message: String| {
        json!({
            "ruleId": rule,
            "level": level,
            "message": { "text": message },
            "locations": [{ "physicalLocation": { "artifactLocation": { "uri": path } } }],
        })
    };
    let results: Vec<Value> = all
        .iter()
        .flat_map(|Judged { path, judgement }| {
            let failures = judgement.failures.iter().map(|it| result(path, &it.limit, "error", told(it)));
            let undecided =
                judgement.undecided.iter().map(|it| result(path, "undecided", "warning", one_line(it)));
            let warnings = judgement.warnings.iter().map(|it| result(path, "warning", "note", one_line(it)));
            failures.chain(undecided).chain(warnings).collect::<Vec<_>>()
        })
        .collect();
    let limits =
        ["min-sqnr", "max-clipped", "max-headroom", "max-clip-noise", "finite", "undecided", "warning"];
    let of_limits = limits.iter().map(|id| json!({ "id": id }));
    let of_findings = RULES.iter().map(|rule| {
        let code: Code = rule.code;
        json!({ "id": code.to_string(), "shortDescription": { "text": rule.title } })
    });
    let bases: Map<String, Value> =
        all.iter().map(|it| (it.path.clone(), basis(&it.judgement).into())).collect();
    let document = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "quantviz",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": of_limits.chain(of_findings).collect::<Vec<_>>(),
            } },
            "results": results,
            "properties": { "bases": bases },
        }],
    });
    Ok(serde_json::to_string(&document)? + "\n")
}
