//! `quantviz compare`: what quantization cost, as a table or as JSON.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use quantviz::insight::{Finding, Lint, Target, findings_of_comparison};
use quantviz::view::{ComparisonView, FidelityTable, VariantView};
use quantviz::{
    BoxedSource, Compare, Comparison, Error, ErrorKind, Limits, ModelGroup, ParameterSource, model_groups,
};

use crate::Exit;
use crate::args::{CompareOptions, Show};
use crate::fidelity;
use crate::progress::ScanProgress;
use crate::stream::{Terminal, write_json};
use crate::threads;
use crate::trouble::Trouble;

pub(crate) fn run(options: &CompareOptions, terminal: &mut Terminal<'_>) -> Result<Exit, Trouble> {
    let limits = options.limits.limits();
    let asked = Asked::of(&options.reference, &options.quantized)?;
    let reference = Side::open(&asked.reference, &limits)?;
    let how = How { threads: options.threads, target: options.target };
    let all_channels = options.channels == Some(Show::All);
    let mut variants = Vec::new();
    for path in &asked.quantized {
        let quantized = Side::open(path, &limits)?;
        let (comparison, findings) = how.look(&reference, &quantized, terminal)?;
        let (from, of) = (&*reference.source, &*quantized.source);
        variants.push(VariantView::of(path.to_string_lossy(), from, of, &comparison, findings, all_channels));
    }
    let view = ComparisonView::of(asked.reference.to_string_lossy(), variants);
    if options.json {
        write_json(&view, terminal.out)?;
        terminal.out.write_all(b"\n")?;
        return Ok(Exit::Done);
    }
    for (index, variant) in view.variants.iter().enumerate() {
        let gap = if index == 0 { "" } else { "\n" };
        let table = FidelityTable::of(variant);
        let text = fidelity::render(&table, &view.reference, terminal.out.columns(), terminal.paint());
        write!(terminal.out, "{gap}{text}")?;
    }
    Ok(Exit::Done)
}

/// A model that is compared.
pub(crate) struct Side {
    path: PathBuf,
    pub(crate) source: BoxedSource,
}

impl Side {
    pub(crate) fn open(path: &Path, limits: &Limits) -> Result<Self, Trouble> {
        let source = quantviz::open_with(path, limits).map_err(|error| Trouble::with(path, error))?;
        Ok(Side { path: path.to_owned(), source })
    }
}

/// How models are compared, and judged.
pub(crate) struct How {
    pub(crate) threads: Option<u16>,
    pub(crate) target: Option<Target>,
}

impl How {
    /// What a quantized model cost, and what else is worth knowing of it.
    pub(crate) fn look(
        &self,
        reference: &Side,
        quantized: &Side,
        terminal: &mut Terminal<'_>,
    ) -> Result<(Comparison, Vec<Finding>), Trouble> {
        let (path, source) = (&quantized.path, &*quantized.source);
        let has_codes = source.model().parameters.iter().any(|it| it.quantization.is_some());
        if !has_codes {
            let message = "nothing in it is quantized: name the reference first, then what was made of it";
            return Err(Trouble::with(path, Error::new(ErrorKind::Unsupported, message)));
        }
        let name = path.to_string_lossy();
        let progress = ScanProgress::new(terminal.err, &name);
        let (mut compare, mut lint) = (Compare::new(), Lint::new());
        if let Some(threads) = threads::within_memory(self.threads.map(usize::from)) {
            (compare, lint) = (compare.threads(threads), lint.threads(threads));
        }
        if let Some(target) = self.target {
            lint = lint.target(target);
        }
        let comparison = compare.run(&*reference.source, source, &|step| progress.report(step));
        let comparison = comparison.map_err(|error| Trouble::with(path, error))?;
        let linted =
            lint.run(source, &|step| progress.report(step)).map_err(|error| Trouble::with(path, error))?;
        let mut findings = findings_of_comparison(source.model(), &comparison);
        findings.extend(linted.findings);
        // What a reference shows, the file alone may show too: the first is told, which has more to go by.
        let mut told = HashSet::new();
        findings.retain(|finding| told.insert((finding.code, finding.parameter.clone())));
        findings.sort_by_key(|finding| (finding.level, finding.code));
        Ok((comparison, findings))
    }
}

/// The files that the arguments mean.
pub(crate) struct Asked {
    pub(crate) reference: PathBuf,
    pub(crate) quantized: Vec<PathBuf>,
}

impl Asked {
    pub(crate) fn of(reference: &Path, named: &[PathBuf]) -> Result<Self, Trouble> {
        if reference.is_dir() && named.is_empty() {
            return Asked::in_folder(reference);
        }
        let mut quantized = Vec::new();
        for path in named {
            if path.is_dir() {
                let groups = groups(path)?;
                let others = groups.into_iter().flat_map(|group| group.variants).map(|it| it.path);
                quantized.extend(others.filter(|other| other != reference));
            } else {
                quantized.push(path.clone());
            }
        }
        if quantized.is_empty() {
            let message = "there is nothing to compare it with: name the quantized models behind it";
            return Err(Trouble::with(reference, Error::not_found(message)));
        }
        Ok(Asked { reference: reference.to_owned(), quantized })
    }

    /// The one model of a folder that has a reference and variants beside it.
    fn in_folder(folder: &Path) -> Result<Self, Trouble> {
        let groups = groups(folder)?;
        let whole = groups.into_iter().filter(|group| group.reference.is_some() && group.variants.len() > 1);
        let whole: Vec<ModelGroup> = whole.collect();
        let several = |count: usize| format!("{count} models in it have variants: name the files of one");
        match &whole[..] {
            [] => {
                let message = "no model in it has a float reference with variants beside it: name both files";
                Err(Trouble::with(folder, Error::not_found(message)))
            }
            [group] => {
                let reference = group.reference.clone().unwrap_or_default();
                let others = group.variants.iter().map(|it| it.path.clone());
                let quantized = others.filter(|path| *path != reference && is_quantized(path)).collect();
                Ok(Asked { reference, quantized })
            }
            several_groups => Err(Trouble::with(folder, Error::unsupported(several(several_groups.len())))),
        }
    }
}

fn groups(folder: &Path) -> Result<Vec<ModelGroup>, Trouble> {
    model_groups(folder).map_err(|error| Trouble::with(folder, error))
}

/// Other float variants are no quantized models, and what cannot be opened is told when it is compared.
fn is_quantized(path: &Path) -> bool {
    quantviz::open(path)
        .map_or(true, |source| source.model().parameters.iter().any(|it| it.quantization.is_some()))
}
