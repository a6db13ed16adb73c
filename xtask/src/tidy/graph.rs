//! Who may depend on whom.

use crate::Result;
use crate::metadata::{Dependency, Metadata, Package};
use crate::process::{cargo, output};

/// Our crates and which of our crates each may use. Dependencies point inward.
const EDGES: &[(&str, &[&str])] = &[
    (
        "quantviz",
        &[
            "quantviz-core",
            "quantviz-draw",
            "quantviz-formats",
            "quantviz-html",
            "quantviz-insight",
            "quantviz-record",
            "quantviz-store",
            "quantviz-view",
        ],
    ),
    ("quantviz-candle", &["quantviz-core"]),
    ("quantviz-cli", &["quantviz"]),
    ("quantviz-core", &[]),
    ("quantviz-draw", &["quantviz-core", "quantviz-view"]),
    (
        "quantviz-evcxr",
        &[
            "quantviz-core",
            "quantviz-draw",
            "quantviz-formats",
            "quantviz-html",
            "quantviz-insight",
            "quantviz-view",
        ],
    ),
    ("quantviz-formats", &["quantviz-core"]),
    ("quantviz-html", &["quantviz-core", "quantviz-draw", "quantviz-insight", "quantviz-view"]),
    ("quantviz-insight", &["quantviz-core"]),
    ("quantviz-record", &["quantviz-core"]),
    ("quantviz-store", &["quantviz-core"]),
    ("quantviz-testkit", &["quantviz-core"]),
    ("quantviz-view", &["quantviz-core", "quantviz-insight"]),
];

/// Everyone may test with it.
const TESTKIT: &str = "quantviz-testkit";

/// What else a crate may test with.
const IN_TESTS: &[(&str, &str)] = &[
    ("quantviz-record", "quantviz-store"),
    // Pages of runs are tested with runs that were recorded.
    ("quantviz-html", "quantviz-record"),
    ("quantviz-html", "quantviz-store"),
];

/// What must not be below a crate, however far down.
const FORBIDDEN: &[(&str, &[&str])] = &[
    ("quantviz-core", &["tokio", "axum", "eframe", "egui", "pyo3", "reqwest", "hyper"]),
    ("quantviz-formats", &["tokio", "axum", "egui", "pyo3"]),
    ("quantviz-insight", &["tokio", "axum", "egui", "pyo3"]),
    ("quantviz-candle", &["tokio", "axum", "egui", "pyo3"]),
    ("quantviz-record", &["tokio", "axum", "egui", "object_store", "pyo3"]),
    ("quantviz-store", &["axum", "egui", "pyo3"]),
    ("quantviz-draw", &["maud", "tokio", "axum", "egui", "pyo3"]),
    ("quantviz-evcxr", &["tokio", "axum", "clap", "egui", "object_store", "pyo3", "resvg"]),
    ("quantviz-html", &["tokio", "axum", "egui", "pyo3", "resvg"]),
];

pub(super) fn allowed_edges(metadata: &Metadata) -> Result<Vec<String>> {
    let packages: Vec<_> = metadata.crates().collect();
    Ok(packages.into_iter().flat_map(wrong_edges).collect())
}

fn wrong_edges(package: &Package) -> Vec<String> {
    let from = package.name.as_str();
    let name = from;
    let Some((_, allowed)) = EDGES.iter().find(|(package, _)| *package == name) else {
        return vec![format!(
            "{name}: not in the table of xtask/src/tidy/graph.rs; say there what it may use"
        )];
    };
    let is_allowed = |dependency: &Dependency| {
        let name = dependency.name.as_str();
        let in_tests = dependency.kind.as_deref() == Some("dev");
        allowed.contains(&name) || (in_tests && (name == TESTKIT || IN_TESTS.contains(&(from, name))))
    };
    let ours = package.dependencies.iter().filter(|dependency| dependency.path.is_some());
    ours.filter(|dependency| !is_allowed(dependency))
        .map(|dependency| {
            format!(
                "crates/{name}/Cargo.toml: {name} must not depend on {}; it may use {}",
                dependency.name,
                if allowed.is_empty() { "none of our crates".into() } else { allowed.join(", ") },
            )
        })
        .collect()
}

pub(super) fn must_not_know(metadata: &Metadata) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for (name, forbidden) in FORBIDDEN {
        if metadata.crates().any(|package| package.name == *name) {
            let below = packages_below(name)?;
            let found = forbidden.iter().filter(|unwanted| below.iter().any(|package| package == *unwanted));
            problems.extend(found.map(|unwanted| too_much_known(name, unwanted)));
        }
    }
    Ok(problems)
}

fn too_much_known(name: &str, unwanted: &str) -> String {
    format!(
        "{name} must not know {unwanted}: `cargo tree -p {name} -e normal -i {unwanted}` shows why it does"
    )
}

/// Asked of `cargo tree`, which unlike `cargo metadata` leaves out what only other crates, tests or other
/// platforms switch on: onnx-ir, for one, reaches tokio when built for the web.
fn packages_below(name: &str) -> Result<Vec<String>> {
    let mut tree = cargo(["tree", "--package", name, "--all-features", "--edges", "normal"]);
    let lines = output(tree.args(["--prefix", "none", "--format", "{p}"]))?;
    let lines = String::from_utf8_lossy(&lines);
    Ok(lines.lines().filter_map(|line| line.split(' ').next()).map(String::from).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(name: &str, dependencies: &str) -> Vec<String> {
        let json = format!(
            r#"{{"name": "{name}", "version": "0.1.0", "license": null, "rust_version": null, "source": null,
                "publish": null, "manifest_path": "Cargo.toml", "dependencies": [{dependencies}]}}"#
        );
        wrong_edges(&serde_json::from_str(&json).unwrap())
    }

    #[test]
    fn the_core_uses_none_of_our_crates_except_in_tests() {
        let formats = r#"{"name": "quantviz-formats", "kind": null, "path": "crates/quantviz-formats"}"#;
        let testkit = r#"{"name": "quantviz-testkit", "kind": "dev", "path": "crates/quantviz-testkit"}"#;
        let serde = r#"{"name": "serde", "kind": null, "path": null}"#;
        assert_eq!(problems("quantviz-core", &[testkit, serde].join(",")), Vec::<String>::new());
        let found = problems("quantviz-core", formats);
        assert_eq!(found.len(), 1);
        assert!(found[0].contains("must not depend on quantviz-formats"), "{found:?}");
    }

    #[test]
    fn a_new_crate_has_to_say_what_it_may_use() {
        assert_eq!(problems("quantviz-news", "").len(), 1);
    }
}
