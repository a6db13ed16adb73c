//! What a command needs and this machine lacks: installed where that is possible, named where it is not.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::process::{find_program, output, read, run as show, succeeds};

/// A Debian package, and what is there once it is installed: a program's name or a file's path.
pub(crate) struct Need {
    pub(crate) package: &'static str,
    pub(crate) sign: &'static str,
}

impl Need {
    fn is_met(&self) -> bool {
        Path::new(self.sign).is_absolute() && Path::new(self.sign).exists()
            || find_program(self.sign).is_some()
    }
}

/// Makes sure of these, through apt if they are missing.
pub(crate) fn programs(needs: &[Need]) -> Result {
    let mut missing: Vec<_> = needs.iter().filter(|need| !need.is_met()).map(|need| need.package).collect();
    missing.dedup();
    if missing.is_empty() { Ok(()) } else { apt(&missing) }
}

fn apt(packages: &[&str]) -> Result {
    if find_program("apt-get").is_none() || !is_root() {
        let packages = packages.join(" ");
        return Err(format!("this needs more programs; run: sudo apt-get install --yes {packages}"));
    }
    let apt_get = |args: &[&str]| {
        show(Command::new("apt-get").env("DEBIAN_FRONTEND", "noninteractive").arg("--quiet").args(args))
    };
    apt_get(&["update"])?;
    apt_get(&[&["install", "--yes", "--no-install-recommends"], packages].concat())
}

fn is_root() -> bool {
    output(Command::new("id").arg("--user")).is_ok_and(|id| id.trim_ascii() == b"0")
}

/// A Python that has the packages of a requirements file, from the cache or made now.
pub(crate) fn python(requirements: &str) -> Result<PathBuf> {
    let version = python_version()?;
    let hash = fnv1a(format!("{version}\n{}", read(requirements)?).as_bytes());
    let folder = cache()?.join("quantviz").join(format!("venv-{hash:016x}"));
    let python = folder.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
    // Written last: a folder without it was left by an installation that did not end well.
    let ready = folder.join("ready");
    if !ready.exists() {
        make_venv(&folder)?;
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", requirements];
        show(Command::new(&python).args(pip))?;
        std::fs::write(&ready, "").map_err(|error| format!("{}: {error}", ready.display()))?;
    }
    Ok(python)
}

fn make_venv(folder: &Path) -> Result {
    let can_make = || succeeds(system_python().args(["-c", "import venv, ensurepip"]));
    if !can_make() {
        apt(&["python3-venv"])?;
    }
    show(system_python().args(["-m", "venv", "--clear"]).arg(folder))
}

/// Part of what a venv depends on: it breaks when the Python below it changes.
fn python_version() -> Result<String> {
    let ask = || output(system_python().arg("--version"));
    let version = match ask() {
        Ok(version) => version,
        Err(_) => {
            apt(&["python3", "python3-venv"])?;
            ask()?
        }
    };
    Ok(String::from_utf8_lossy(&version).into_owned())
}

fn system_python() -> Command {
    Command::new(if cfg!(windows) { "python" } else { "python3" })
}

/// Where what is installed stays from clone to clone.
pub(crate) fn cache() -> Result<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    variable("XDG_CACHE_HOME")
        .or_else(|| variable("HOME").map(|home| home.join(".cache")))
        .or_else(|| variable("LOCALAPPDATA"))
        .ok_or_else(|| "there is no folder for caches: set XDG_CACHE_HOME".into())
}

/// A hash that every version of Rust agrees on, unlike the standard one.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_published_one() {
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
    }
}
