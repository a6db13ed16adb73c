//! Names in a pickle of what no model needs, and what could do harm where it is called. Nothing here is ever imported or
//! called, whatever its name: the list is there to inform, and what is not on it is no safer.

use std::borrow::Cow;

use quantviz_core::one_line;

/// Modules, and which of their names; all of them, if none is listed.
const HARMFUL: &[(&str, &[&str])] = &[
    ("os", &[]),
    ("posix", &[]),
    ("nt", &[]),
    ("subprocess", &[]),
    ("_posixsubprocess", &[]),
    ("pty", &[]),
    ("sys", &[]),
    ("builtins", CALLABLES),
    ("__builtin__", CALLABLES),
    ("importlib", &[]),
    ("runpy", &[]),
    ("code", &[]),
    ("codeop", &[]),
    ("marshal", &[]),
    ("ctypes", &[]),
    ("_ctypes", &[]),
    ("shutil", &[]),
    ("socket", &[]),
    ("_socket", &[]),
    ("webbrowser", &[]),
    ("urllib", &[]),
    ("http", &[]),
    ("ftplib", &[]),
    ("smtplib", &[]),
    ("pdb", &[]),
    ("bdb", &[]),
    ("timeit", &[]),
    ("pip", &[]),
    ("types", &["CodeType", "FunctionType"]),
    ("operator", &["attrgetter", "methodcaller"]),
    ("_operator", &["attrgetter", "methodcaller"]),
];

const CALLABLES: &[&str] =
    &["__import__", "apply", "breakpoint", "compile", "eval", "exec", "execfile", "getattr", "input", "open"];

/// Whether this name is on the list. A name with dots leads through what is in a module, to modules too.
fn is_harmful(module: &str, name: &str) -> bool {
    let package = module.split('.').next().unwrap_or_default();
    let is_listed = |package: &str, name: &str| {
        HARMFUL.iter().any(|(of, names)| *of == package && (names.is_empty() || names.contains(&name)))
    };
    let (path, last) = name.rsplit_once('.').unwrap_or((package, name));
    is_listed(package, name) || is_listed(path.rsplit('.').next().unwrap_or_default(), last)
}

/// The harmful names of a file.
#[derive(Clone, Debug, Default)]
pub(super) struct Harmful {
    names: Vec<String>,
}

impl Harmful {
    /// So many are told.
    const TOLD: usize = 3;
    /// What is longer is not looked at: a pickle may name it a million times.
    const LONGEST: usize = 100;

    pub(super) fn note(&mut self, module: &str, name: &str) {
        let is_short = module.len() + name.len() <= Harmful::LONGEST;
        if self.names.len() > Harmful::TOLD || !is_short || !is_harmful(module, name) {
            return;
        }
        let name = one_line(&format!("{module}.{name}"));
        if !self.names.contains(&name) {
            self.names.push(name);
        }
    }

    /// What there is to say of them, if there are any.
    pub(super) fn warning(&self) -> Option<String> {
        let told = &self.names[..self.names.len().min(Harmful::TOLD)];
        let (last, before) = told.split_last()?;
        let names: Cow<'_, str> = match before {
            _ if self.names.len() > Harmful::TOLD => format!("{} and others", told.join(", ")).into(),
            [] => last.into(),
            before => format!("{} and {last}", before.join(", ")).into(),
        };
        let (is, it) = if before.is_empty() { ("is", "it") } else { ("are", "they") };
        Some(format!("names {names}, which {is} not run here; {it} may be where the file is loaded"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_on_the_list() {
        for (module, name) in [
            ("posix", "system"),
            ("os.path", "os.system"),
            ("builtins", "eval"),
            ("__builtin__", "getattr"),
            ("importlib.util", "spec_from_file_location"),
            ("torch", "serialization.os.system"),
            ("collections", "sys.modules"),
        ] {
            assert!(is_harmful(module, name), "{module} {name}");
        }
        for (module, name) in [
            ("torch._utils", "_rebuild_tensor_v2"),
            ("collections", "OrderedDict"),
            ("builtins", "set"),
            ("models.os", "Net"),
            ("model.code", "Outer.Inner"),
            ("__main__", "system"),
            ("", ""),
        ] {
            assert!(!is_harmful(module, name), "{module} {name}");
        }
    }

    #[test]
    fn few_names_are_told() {
        let mut harmful = Harmful::default();
        let mut after = |module: &str, name: &str| {
            harmful.note(module, name);
            harmful.warning()
        };
        let told = |text: &str| Some(text.to_owned());
        assert_eq!(after("torch", "load"), None);
        let one = told("names os.system, which is not run here; it may be where the file is loaded");
        assert_eq!(after("os", "system"), one);
        assert_eq!(after("os", "system"), one);
        let two =
            "names os.system and sys.exit, which are not run here; they may be where the file is loaded";
        assert_eq!(after("sys", "exit"), told(two));
        assert_eq!(after("nt", &"x".repeat(100)), told(two), "too long");
        assert!(after("nt", "\n").is_some_and(|it| it.contains("nt.\\n, which are")));
        let many = |it: String| {
            it.starts_with("names os.system, sys.exit, nt.") && it.contains(" and others, which are")
        };
        assert!(after("runpy", "run_path").is_some_and(many));
        assert!(after("pty", "spawn").is_some_and(many));
    }
}
