//! `quantviz inspect`: a table, or JSON.

use std::io;
use std::ops::ControlFlow;
use std::path::Path;

use quantviz::view::{GroupHeading, Inspection, ParameterTable, Place, Request, SnapshotView};
use quantviz::{Error, Limits, format_of};

use crate::Exit;
use crate::args::InspectOptions;
use crate::models::{self, Choice, Chosen};
use crate::named::{Found, Names};
use crate::outcome::Outcome;
use crate::progress::ScanProgress;
use crate::snapshots;
use crate::stores::Stores;
use crate::stream::{Terminal, write_json};
use crate::table;
use crate::threads;
use crate::trouble::Trouble;

pub(crate) fn run(
    options: &InspectOptions,
    stores: &dyn Stores,
    terminal: &mut Terminal<'_>,
) -> Result<Exit, Trouble> {
    let request = Request {
        parameters: options.parameters.clone(),
        layers: options.layers.clone(),
        bins: options.bins.map(|bins| bins as usize),
        threads: threads::within_memory(options.threads.map(usize::from)),
    };
    let names = Names { place: &options.store, stores };
    let (mut paths, mut sessions) = (Vec::new(), Vec::new());
    for path in &options.paths {
        match names.find(path)? {
            Found::Path(path) => paths.push(path),
            Found::Session(session) => sessions.push(session),
        }
    }
    let recorded = snapshots::views(&sessions, &request)?;
    if paths.is_empty() && !recorded.is_empty() {
        return snapshots::show(&recorded, &request, options, terminal);
    }
    let inspector = Inspector { request, limits: options.limits.limits() };
    let groups = match Choice::of(&paths)? {
        Choice::One(path) if recorded.is_empty() => return inspector.print_one(&path, options, terminal),
        Choice::One(path) => vec![vec![Chosen { path, place: Place::default() }]],
        Choice::Several(groups) => groups,
    };
    let groups = inspector.with_the_names(groups)?;
    if options.json {
        return inspector.print_array(groups, &recorded, terminal);
    }
    let exit = inspector.print_all(&groups, options, terminal)?;
    snapshots::print(&recorded, &inspector.request, "\n", terminal)?;
    Ok(exit)
}

struct Inspector {
    request: Request,
    limits: Limits,
}

impl Inspector {
    fn inspect(&self, path: &Path, terminal: &mut Terminal<'_>) -> Result<Inspection, Error> {
        let source = quantviz::open_with(path, &self.limits)?;
        let name = path.to_string_lossy();
        let progress = ScanProgress::new(terminal.err, &name);
        Inspection::of(&*source, &*name, &self.request, &|step| progress.report(step))
    }

    fn print_one(
        &self,
        path: &Path,
        options: &InspectOptions,
        terminal: &mut Terminal<'_>,
    ) -> Result<Exit, Trouble> {
        if options.json {
            let written = self.write_json_of(path, &Place::default(), terminal);
            written.map_err(|error| Trouble::with(path, error))??;
            terminal.out.write_all(b"\n")?;
        } else {
            let inspection = self.inspect(path, terminal).map_err(|error| Trouble::with(path, error))?;
            print_table(&inspection, options, "", terminal)?;
        }
        Ok(Exit::Done)
    }

    /// Writes a model as JSON, while it is measured. The outer error is there before a byte is written.
    fn write_json_of(
        &self,
        path: &Path,
        place: &Place,
        terminal: &mut Terminal<'_>,
    ) -> Result<io::Result<()>, Error> {
        if !self.request.parameters.is_empty() {
            // One that cannot be read is an error, and nothing is written before that is known.
            let mut inspection = self.inspect(path, terminal)?;
            inspection.model.place = place.clone();
            return Ok(write_json(&inspection, terminal.out));
        }
        let source = quantviz::open_with(path, &self.limits)?;
        let name = path.to_string_lossy();
        // A bar in the midst of what is written would hide it.
        let is_shown = terminal.out.columns().is_none();
        let progress = ScanProgress::new(terminal.err, &name);
        let report = |step| if is_shown { progress.report(step) } else { ControlFlow::Continue(()) };
        let mut stream = Inspection::stream(&*source, &*name, &self.request, &report)?;
        stream.model.place = place.clone();
        Ok(write_json(&stream, terminal.out))
    }

    /// The models that have what the request names, and those that cannot be read. A name that one model lacks, another
    /// may have. Nothing is measured for that.
    fn with_the_names(&self, groups: Vec<Vec<Chosen>>) -> Result<Vec<Vec<Chosen>>, Trouble> {
        if self.request.parameters.is_empty() && self.request.layers.is_empty() {
            return Ok(groups);
        }
        let mut is_found = false;
        let mut unknown = None;
        let mut keep = |chosen: &Chosen| {
            let Ok(source) = quantviz::open_with(&chosen.path, &self.limits) else { return true };
            match self.request.check(source.model()) {
                Ok(()) => is_found = true,
                Err(error) => {
                    unknown.get_or_insert_with(|| Trouble::with(&chosen.path, error));
                    return false;
                }
            }
            true
        };
        let groups: Vec<Vec<Chosen>> =
            groups.into_iter().map(|group| group.into_iter().filter(&mut keep).collect()).collect();
        match unknown {
            Some(unknown) if !is_found => Err(unknown),
            _ => Ok(groups),
        }
    }

    /// An array in the order of the paths, behind which sessions stand; each model is written while it is measured.
    fn print_array(
        &self,
        groups: Vec<Vec<Chosen>>,
        recorded: &[SnapshotView],
        terminal: &mut Terminal<'_>,
    ) -> Result<Exit, Trouble> {
        let mut models: Vec<Chosen> = groups.into_iter().flatten().collect();
        models.sort_by(|one, other| one.path.cmp(&other.path));
        let mut outcome = Outcome::default();
        for (index, chosen) in models.iter().enumerate() {
            terminal.out.write_all(if index == 0 { b"[" } else { b"," })?;
            let Chosen { path, place } = chosen;
            match self.write_json_of(path, place, terminal) {
                Ok(written) => {
                    written?;
                    outcome.read();
                }
                Err(error) => {
                    outcome.could_not_read(&error);
                    let mut inspection = unreadable(path, &error);
                    inspection.model.place = place.clone();
                    write_json(&inspection, terminal.out)?;
                }
            }
        }
        for (index, view) in (models.len()..).zip(recorded) {
            terminal.out.write_all(if index == 0 { b"[" } else { b"," })?;
            write_json(view, terminal.out)?;
        }
        terminal.out.write_all(if models.is_empty() && recorded.is_empty() { b"[]\n" } else { b"]\n" })?;
        Ok(outcome.exit())
    }

    fn print_all(
        &self,
        groups: &[Vec<Chosen>],
        options: &InspectOptions,
        terminal: &mut Terminal<'_>,
    ) -> Result<Exit, Trouble> {
        let paint = terminal.paint();
        let mut outcome = Outcome::default();
        let mut gap = "";
        for group in groups {
            let paths: Vec<_> = group.iter().map(|it| it.path.to_string_lossy()).collect();
            let places = group.iter().map(|it| &it.place);
            let variants: Vec<_> = paths.iter().map(|path| &**path).zip(places).collect();
            if let Some(heading) = GroupHeading::of(&variants) {
                write!(terminal.out, "{gap}{}", models::heading(&heading, paint))?;
                gap = "\n";
            }
            for Chosen { path, .. } in group {
                match self.inspect(path, terminal) {
                    Ok(inspection) => {
                        outcome.read();
                        print_table(&inspection, options, gap, terminal)?;
                        gap = "\n";
                    }
                    Err(error) => outcome.tell_unreadable(path, &error, terminal)?,
                }
            }
        }
        Ok(outcome.end(terminal)?)
    }
}

/// The table of a model, with its warnings.
fn print_table(
    inspection: &Inspection,
    options: &InspectOptions,
    gap: &str,
    terminal: &mut Terminal<'_>,
) -> Result<(), Trouble> {
    let by_name = !options.parameters.is_empty();
    let mut view = ParameterTable::of(inspection, options.all || by_name);
    if by_name && options.layers.is_empty() {
        // Whoever names a tensor asks for nothing else of its layer.
        view.activations.clear();
    }
    let text = table::render(&view, terminal.out.columns(), terminal.paint());
    write!(terminal.out, "{gap}{text}")?;
    terminal.out.flush()?;
    Ok(terminal.warn(&view.header.title, &view.warnings)?)
}

/// A file of a folder that cannot be read, and why.
fn unreadable(path: &Path, error: &Error) -> Inspection {
    let format = format_of(path).ok().map(|entry| entry.format);
    Inspection::unreadable(path.to_string_lossy(), format, error)
}
