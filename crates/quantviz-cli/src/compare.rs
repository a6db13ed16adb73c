//! `quantviz compare`: what quantization cost, as a table or as JSON.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use quantviz::insight::{Lint, Linted, Target};
use quantviz::view::{ActivationScales, ComparisonView, FidelityTable, Request, VariantView};
use quantviz::{
    BoxedSource, Compare, Comparison, Error, ErrorKind, Limits, ModelGroup, ParameterSource, model_groups,
};

use crate::Exit;
use crate::args::{CompareOptions, Show};
use crate::changes;
use crate::claims::Claims;
use crate::fidelity;
use crate::named::{Found, Names};
use crate::progress::ScanProgress;
use crate::recorded;
use crate::stores::Stores;
use crate::stream::{Terminal, write_json};
use crate::threads;
use crate::trouble::Trouble;

pub(crate) fn run(
    options: &CompareOptions,
    stores: &dyn Stores,
    terminal: &mut Terminal<'_>,
) -> Result<Exit, Trouble> {
    let names = Names { place: &options.store, stores };
    let found = [&options.reference].into_iter().chain(&options.quantized).map(|path| names.find(path));
    let found: Vec<Found> = found.collect::<Result<_, _>>()?;
    if found.iter().any(|it| matches!(it, Found::Session(_))) {
        return changes::run(found, options, terminal);
    }
    let limits = options.limits.limits();
    let asked = Asked::of(&options.reference, &options.quantized)?;
    let reference = Side::open(&asked.reference, &limits)?;
    // Nobody looks at histograms in a file.
    let bins = (!options.json && terminal.out.draws()).then_some(fidelity::BINS);
    let claims = options.claims.open(asked.models(), &limits)?;
    let how = How { threads: options.threads, target: options.target, bins, claims };
    let request = Request {
        parameters: options.parameters.clone(),
        layers: options.layers.clone(),
        ..Request::default()
    };
    let is_part = !request.parameters.is_empty() || !request.layers.is_empty();
    let all_channels = options.channels == Some(Show::All);
    let mut variants = Vec::new();
    asked.for_each(&limits, |quantized| {
        let (comparison, linted) = how.look(&reference, &quantized, terminal)?;
        let (path, from, of) = (quantized.path.to_string_lossy(), &*reference.source, &*quantized.source);
        let mut variant = VariantView::of(path, from, of, &comparison, linted.findings, all_channels);
        if is_part {
            variant
                .only(from.model(), of.model(), &request)
                .map_err(|error| Trouble::with(&quantized.path, error))?;
        }
        variants.push(variant);
        Ok(())
    })?;
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
    if let Some(scales) = ActivationScales::of(&view) {
        let width = terminal.out.columns().unwrap_or(fidelity::PIPE_WIDTH);
        write!(terminal.out, "\n{}", recorded::render_scales(&scales, width, terminal.paint()))?;
    }
    Ok(Exit::Done)
}

/// A model that is compared.
pub(crate) struct Side {
    pub(crate) path: PathBuf,
    pub(crate) source: BoxedSource,
}

impl Side {
    pub(crate) fn open(path: &Path, limits: &Limits) -> Result<Self, Trouble> {
        let source = quantviz::open_with(path, limits).map_err(|error| Trouble::with(path, error))?;
        Ok(Side { path: path.to_owned(), source })
    }

    pub(crate) fn is_quantized(&self) -> bool {
        self.source.model().parameters.iter().any(|it| it.quantization.is_some())
    }
}

/// How models are compared, and judged.
pub(crate) struct How {
    pub(crate) threads: Option<u16>,
    pub(crate) target: Option<Target>,
    /// The bins of histograms, where some are to be made.
    pub(crate) bins: Option<usize>,
    pub(crate) claims: Claims,
}

impl How {
    /// What a quantized model cost, and what else is worth knowing of it.
    pub(crate) fn look(
        &self,
        reference: &Side,
        quantized: &Side,
        terminal: &mut Terminal<'_>,
    ) -> Result<(Comparison, Linted), Trouble> {
        let (path, source) = (&quantized.path, &*quantized.source);
        if !quantized.is_quantized() {
            let message = "nothing in it is quantized: name the reference first, then what was made of it";
            return Err(Trouble::with(path, Error::new(ErrorKind::Unsupported, message)));
        }
        let name = path.to_string_lossy();
        let progress = ScanProgress::new(terminal.err, &name);
        let (mut compare, mut lint) = (Compare::new(), Lint::new());
        if let Some(threads) = threads::within_memory(self.threads.map(usize::from)) {
            (compare, lint) = (compare.threads(threads), lint.threads(threads));
        }
        if let Some(bins) = self.bins {
            compare = compare.bins(bins);
        }
        if let Some(target) = self.target {
            lint = lint.target(target);
        }
        let compare = self.claims.add_to(compare);
        let comparison = compare.run(&*reference.source, source, &|step| progress.report(step));
        let mut comparison = comparison.map_err(|error| Trouble::with(path, error))?;
        let has_weights =
            comparison.pairs.iter().any(|it| source.model().parameter(it.pair.quantized).is_weight());
        if !has_weights && reference.is_quantized() {
            let message = "it is quantized itself: name the float model first";
            return Err(Trouble::with(&reference.path, Error::new(ErrorKind::Unsupported, message)));
        }
        let linted = lint
            .run_compared(source, &comparison, &|step| progress.report(step))
            .map_err(|error| Trouble::with(path, error))?;
        drop(progress);
        comparison.activations = self.claims.compare_recorded(
            [reference.source.model(), source.model()],
            self.threads,
            terminal,
        )?;
        Ok((comparison, linted))
    }
}

/// The files that the arguments mean.
pub(crate) struct Asked {
    pub(crate) reference: PathBuf,
    /// In the order of the arguments.
    others: Vec<Other>,
}

/// A model that is to be compared with the reference.
struct Other {
    path: PathBuf,
    /// Whether it was named, and not found in a folder, where float variants may be too.
    is_named: bool,
}

impl Other {
    fn named(path: &Path) -> Self {
        Other { path: path.to_owned(), is_named: true }
    }

    /// The models of a group, without the reference.
    fn found<'a>(group: ModelGroup, reference: &'a Path) -> impl Iterator<Item = Self> + use<'a> {
        let others = group.variants.into_iter().map(|variant| variant.path);
        others.filter(move |path| path != reference).map(|path| Other { path, is_named: false })
    }
}

impl Asked {
    pub(crate) fn of(reference: &Path, named: &[PathBuf]) -> Result<Self, Trouble> {
        if reference.is_dir() && named.is_empty() {
            return Asked::in_folder(reference);
        }
        let mut others: Vec<Other> = Vec::new();
        for path in named {
            if path.is_dir() {
                others.extend(groups(path)?.into_iter().flat_map(|group| Other::found(group, reference)));
            } else {
                others.push(Other::named(path));
            }
        }
        // What is named twice, or also found, is looked at once.
        let mut seen = HashSet::new();
        others.retain(|other| seen.insert(other.path.clone()));
        Ok(Asked { reference: reference.to_owned(), others })
    }

    /// The one model of a folder that has a reference and variants beside it.
    fn in_folder(folder: &Path) -> Result<Self, Trouble> {
        let whole = groups(folder)?.into_iter().filter(|group| group.variants.len() > 1);
        let whole = whole.filter_map(|group| Some((group.reference.clone()?, group)));
        let mut whole: Vec<(PathBuf, ModelGroup)> = whole.collect();
        match (whole.pop(), whole.len()) {
            (None, _) => {
                let message = "no model in it has a float reference with variants beside it: name both files";
                Err(Trouble::with(folder, Error::not_found(message)))
            }
            (Some((reference, group)), 0) => {
                let others = Other::found(group, &reference).collect();
                Ok(Asked { reference, others })
            }
            (Some(_), others) => {
                let message = format!("{} models in it have variants: name the files of one", others + 1);
                Err(Trouble::with(folder, Error::unsupported(message)))
            }
        }
    }

    /// How many there may be.
    pub(crate) fn models(&self) -> usize {
        self.others.len()
    }

    /// Opens one after the other. That nothing is compared is an error: nothing would look as if all were well.
    pub(crate) fn for_each(
        &self,
        limits: &Limits,
        mut each: impl FnMut(Side) -> Result<(), Trouble>,
    ) -> Result<(), Trouble> {
        self.for_each_opened(limits, |_, side| each(side?))
    }

    /// The same for those who go on where one cannot be opened.
    pub(crate) fn for_each_opened(
        &self,
        limits: &Limits,
        mut each: impl FnMut(&Path, Result<Side, Trouble>) -> Result<(), Trouble>,
    ) -> Result<(), Trouble> {
        let mut is_any = false;
        for Other { path, is_named } in &self.others {
            let side = Side::open(path, limits);
            if *is_named || side.as_ref().map_or(true, Side::is_quantized) {
                is_any = true;
                each(path, side)?;
            }
        }
        if is_any {
            return Ok(());
        }
        let message = "there is nothing to compare it with: name the quantized models behind it";
        Err(Trouble::with(&self.reference, Error::not_found(message)))
    }
}

fn groups(folder: &Path) -> Result<Vec<ModelGroup>, Trouble> {
    model_groups(folder).map_err(|error| Trouble::with(folder, error))
}
