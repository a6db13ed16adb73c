//! What other people's packages must satisfy before we build on them.

use super::{manifest, spdx};
use crate::Result;
use crate::metadata::{Metadata, Package};
use crate::process::read;

/// The same list that cargo-deny reads, so there is one place to think about a licence.
pub(super) fn licences(metadata: &Metadata) -> Result<Vec<String>> {
    let allowed = manifest::strings(&read("deny.toml")?, "[licenses]", "allow");
    if allowed.is_empty() {
        return Err("deny.toml: [licenses] has no `allow = [...]`".into());
    }
    let shipped = metadata.packages.iter().filter(|package| !package.is_private());
    Ok(shipped.filter_map(|package| licence_problem(package, &allowed)).collect())
}

fn licence_problem(package: &Package, allowed: &[String]) -> Option<String> {
    let place = format!("{} {}", package.name, package.version);
    let Some(expression) = &package.license else {
        return Some(format!("{place} names no licence in its manifest: read its files, or do without it"));
    };
    match spdx::accepts(allowed, expression) {
        Ok(true) => None,
        Ok(false) => Some(format!(
            "{place} is licensed `{expression}`: \
             add the licence to deny.toml if it is fine, or do without the package"
        )),
        Err(error) => Some(format!("{place} has a licence we cannot read, `{expression}`: {error}")),
    }
}

/// A dependency that wants a newer Rust than we promise breaks that promise for us.
pub(super) fn rust_versions(metadata: &Metadata) -> Result<Vec<String>> {
    let promised = metadata
        .crates()
        .find_map(|package| package.rust_version.as_deref())
        .ok_or("no crate under crates/ has a rust-version")?;
    let too_new = |package: &&Package| {
        package.rust_version.as_deref().is_some_and(|wanted| parsed(wanted) > parsed(promised))
    };
    Ok(metadata.packages.iter().filter(too_new).map(|package| too_new_problem(package, promised)).collect())
}

fn too_new_problem(package: &Package, promised: &str) -> String {
    format!(
        "{} {} needs Rust {}, the workspace promises {promised}: \
         take an older version of it, or raise rust-version in Cargo.toml",
        package.name,
        package.version,
        package.rust_version.as_deref().unwrap_or_default(),
    )
}

/// A version as three numbers; what is not said is zero, as in `1.95`.
fn parsed(version: &str) -> [u64; 3] {
    let mut numbers = [0; 3];
    let release = version.split(['-', '+']).next().unwrap_or(version);
    for (number, text) in numbers.iter_mut().zip(release.split('.')) {
        *number = text.parse().unwrap_or(0);
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number() {
        assert!(parsed("1.100") > parsed("1.95"));
        assert!(parsed("1.95.1") > parsed("1.95"));
        assert_eq!(parsed("1.95"), parsed("1.95.0"));
        assert!(parsed("1.9") < parsed("1.10"));
        assert!(parsed("1.31.0") < parsed("1.95"));
        assert_eq!(parsed("1.95.0-nightly"), [1, 95, 0]);
    }
}
