//! Models for a page or a picture: looked into, and compared where there are several.

use std::path::{Path, PathBuf};

use quantviz::insight::{Finding, Lint, Target};
use quantviz::view::{ComparisonView, Inspection, ModelPage, RangeChart, Request, VariantView};
use quantviz::{ErrorKind, group_models, models_among};

use crate::claims::{ClaimOptions, usage};
use crate::compare::{Asked, How, Side};
use crate::limits::LimitOptions;
use crate::outcome::Outcome;
use crate::progress::ScanProgress;
use crate::stream::Terminal;
use crate::threads;
use crate::trouble::Trouble;

/// Which models, and how they are looked at.
#[derive(clap::Args)]
pub(crate) struct ModelOptions {
    /// A model; a float model and its variants behind it; or a folder with them
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,

    /// What the models are to run on: adds findings
    #[arg(long, value_name = "TARGET", value_parser = crate::lint::target_parser())]
    target: Option<Target>,

    #[command(flatten)]
    claims: ClaimOptions,

    /// Use N threads; the result does not depend on it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,

    #[command(flatten)]
    limits: LimitOptions,
}

impl ModelOptions {
    /// What was named, where that is one thing: it may be a session.
    pub(crate) fn the_only_one(&self) -> Option<&Path> {
        match &self.paths[..] {
            [one] => Some(one),
            _ => None,
        }
    }
}

/// Bins of every histogram: as many as can be told apart in a third of a page.
pub(crate) const BINS: usize = 64;

/// All that is known of a model and of its variants.
pub(crate) struct Gathered {
    title: String,
    pub(crate) reference: Inspection,
    found: Option<Vec<Finding>>,
    variants: Vec<Inspection>,
    pub(crate) comparison: ComparisonView,
    /// Variants that cannot be read, and why.
    missing: Vec<(PathBuf, String)>,
    /// What that means for the whole.
    pub(crate) outcome: Outcome,
}

impl Gathered {
    /// Of the models that options name; none of them may be `output`.
    pub(crate) fn of(
        options: &ModelOptions,
        bins: usize,
        output: &Path,
        terminal: &mut Terminal<'_>,
    ) -> Result<Self, Trouble> {
        match single(&options.paths)? {
            Some(path) => {
                protect(output, &path)?;
                alone(&path, options, bins, terminal)
            }
            None => compared(options, bins, output, terminal),
        }
    }

    /// All of it on one page.
    pub(crate) fn page(&self) -> ModelPage {
        let found = self.found.as_deref();
        let page = ModelPage::of(&self.title, &self.reference, found, &self.variants, &self.comparison);
        self.missing.iter().fold(page, |page, (path, why)| page.without(&path.to_string_lossy(), why))
    }

    /// The ranges of all weights.
    pub(crate) fn ranges(&self) -> RangeChart {
        let chart = RangeChart::of(&self.reference, &self.comparison);
        self.missing.iter().fold(chart, |chart, (path, _)| chart.without(&path.to_string_lossy()))
    }
}

/// The one model, where there is no other to compare it with.
fn single(paths: &[PathBuf]) -> Result<Option<PathBuf>, Trouble> {
    let [path] = paths else { return Ok(None) };
    if !path.is_dir() {
        return Ok(Some(path.clone()));
    }
    let models = models_among([path.clone()]).map_err(|error| Trouble::with(path, error))?;
    Ok(match &models[..] {
        [one] => Some(one.clone()),
        _ => None,
    })
}

fn alone(
    path: &Path,
    options: &ModelOptions,
    bins: usize,
    terminal: &mut Terminal<'_>,
) -> Result<Gathered, Trouble> {
    let side = Side::open(path, &options.limits.limits())?;
    Ok(Gathered {
        title: title([path]),
        reference: inspect(&side, Some(bins), options, terminal)?,
        found: side.is_quantized().then(|| lint(&side, options, terminal)).transpose()?,
        variants: Vec::new(),
        comparison: ComparisonView::of(path.to_string_lossy(), Vec::new()),
        missing: Vec::new(),
        outcome: Outcome::of_one(),
    })
}

fn compared(
    options: &ModelOptions,
    bins: usize,
    output: &Path,
    terminal: &mut Terminal<'_>,
) -> Result<Gathered, Trouble> {
    let limits = options.limits.limits();
    let asked = Asked::of(&options.paths[0], &options.paths[1..])?;
    protect(output, &asked.reference)?;
    let reference = Side::open(&asked.reference, &limits)?;
    let claims = options.claims.open(asked.models(), &limits)?;
    let how = How { threads: options.threads, target: options.target, bins: Some(bins), claims };
    let (mut inspections, mut variants, mut missing) = (Vec::new(), Vec::new(), Vec::new());
    let mut outcome = Outcome::of_one();
    let mut paths = vec![asked.reference.clone()];
    asked.for_each_opened(&limits, |path, quantized| {
        protect(output, path)?;
        paths.push(path.to_owned());
        let is_open = quantized.is_ok();
        let looked = quantized.and_then(|quantized| {
            let (comparison, linted) = how.look(&reference, &quantized, terminal)?;
            let (name, from, of) = (path.to_string_lossy(), &*reference.source, &*quantized.source);
            let variant = VariantView::of(name, from, of, &comparison, linted.findings, true);
            Ok((variant, inspect(&quantized, None, options, terminal)?))
        });
        match looked {
            Ok((variant, inspection)) => {
                variants.push(variant);
                inspections.push(inspection);
            }
            Err(trouble) => {
                let error = trouble.of_model(path)?;
                if is_open && error.kind() == ErrorKind::Unsupported {
                    // It can be read, and is none of a reference's variants.
                    return Err(Trouble::with(path, error));
                }
                outcome.tell_unreadable(path, &error, terminal)?;
                missing.push((path.to_owned(), error.line_within(Some(path), None)));
            }
        }
        Ok(())
    })?;
    // Without variants, the reference is shown as it would be alone.
    let bins = variants.is_empty().then_some(bins);
    Ok(Gathered {
        title: title(paths.iter().map(PathBuf::as_path)),
        reference: inspect(&reference, bins, options, terminal)?,
        found: None,
        variants: inspections,
        comparison: ComparisonView::of(asked.reference.to_string_lossy(), variants),
        missing,
        outcome,
    })
}

fn inspect(
    side: &Side,
    bins: Option<usize>,
    options: &ModelOptions,
    terminal: &mut Terminal<'_>,
) -> Result<Inspection, Trouble> {
    let name = side.path.to_string_lossy();
    let progress = ScanProgress::new(terminal.err, &name);
    let threads = threads::within_memory(options.threads.map(usize::from));
    let request = Request { bins, threads, ..Request::default() };
    let inspection = Inspection::of(&*side.source, &*name, &request, &|step| progress.report(step));
    inspection.map_err(|error| Trouble::with(&side.path, error))
}

fn lint(side: &Side, options: &ModelOptions, terminal: &mut Terminal<'_>) -> Result<Vec<Finding>, Trouble> {
    let name = side.path.to_string_lossy();
    let progress = ScanProgress::new(terminal.err, &name);
    let mut lint = Lint::new();
    if let Some(threads) = threads::within_memory(options.threads.map(usize::from)) {
        lint = lint.threads(threads);
    }
    if let Some(target) = options.target {
        lint = lint.target(target);
    }
    let linted = lint.run(&*side.source, &|step| progress.report(step));
    linted.map(|it| it.findings).map_err(|error| Trouble::with(&side.path, error))
}

/// What the names of all have in common; that of the first, where they have nothing.
fn title<'a>(paths: impl IntoIterator<Item = &'a Path>) -> String {
    let paths: Vec<PathBuf> = paths.into_iter().map(Path::to_owned).collect();
    let first = paths.first().and_then(|path| path.file_name()).unwrap_or_default();
    let first = first.to_string_lossy().into_owned();
    let several = paths.len() > 1;
    match &group_models(paths)[..] {
        [group] if several => group.stem.clone(),
        _ => first,
    }
}

/// What is written never takes the place of a model that it is made of.
fn protect(output: &Path, model: &Path) -> Result<(), Trouble> {
    let is_model = output.canonicalize().ok().zip(model.canonicalize().ok()).is_some_and(|(a, b)| a == b);
    if is_model { Err(usage("--output would take the place of a model: name another file")) } else { Ok(()) }
}
