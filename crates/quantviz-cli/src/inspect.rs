//! `quantviz inspect`: a table, or JSON.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use quantviz::view::{GroupHeading, Inspection, ParameterTable, Request};
use quantviz::{Error, ErrorKind, Limits, format_of};

use crate::Exit;
use crate::args::InspectOptions;
use crate::models::{self, Chosen, chosen, exit_after};
use crate::progress::ScanProgress;
use crate::stream::Terminal;
use crate::table;
use crate::threads;
use crate::trouble::Trouble;

pub(crate) fn run(options: &InspectOptions, terminal: &mut Terminal<'_>) -> Result<Exit, Trouble> {
    let request = Request {
        parameters: options.parameters.clone(),
        layers: options.layers.clone(),
        bins: options.bins.map(|bins| bins as usize),
        threads: threads::within_memory(options.threads.map(usize::from)),
    };
    let limits = options.limits.limits().map_err(|error| Trouble::with(&options.path, error))?;
    let is_folder = options.path.is_dir();
    let mut exit = Exit::Done;
    let mut inspections = Vec::new();
    let mut unknown_name = None;
    for Chosen { path, place } in chosen(&options.path)?.into_iter().flatten() {
        let placed = |mut inspection: Inspection| {
            inspection.model.place = place.clone();
            inspection
        };
        match inspect(&path, &request, &limits, terminal) {
            Ok(inspection) => inspections.push(placed(inspection)),
            Err(error) if !is_folder => return Err(Trouble::with(&path, error)),
            // A name that one model lacks, another may have; a missing file is another matter, and names the file.
            Err(error) if error.kind() == ErrorKind::NotFound && error.file().is_none() => {
                unknown_name = unknown_name.or(Some((path, error)))
            }
            // One model that cannot be read does not hide the others.
            Err(error) => {
                exit = exit.worse(exit_after(&error));
                let format = format_of(&path).ok().map(|entry| entry.format);
                inspections.push(placed(Inspection::unreadable(path.to_string_lossy(), format, &error)));
            }
        }
    }
    if inspections.iter().all(|inspection| inspection.model.file_bytes.is_none()) {
        exit = Exit::Trouble;
    }
    if let Some((path, error)) = unknown_name
        && inspections.iter().all(|inspection| inspection.layers.is_empty())
    {
        return Err(Trouble::with(&path, error));
    }
    match (options.json, &mut inspections[..]) {
        (true, [inspection]) if !is_folder => print_json(&*inspection, terminal)?,
        (true, _) => {
            inspections.sort_by(|one, other| Path::new(&one.model.path).cmp(Path::new(&other.model.path)));
            print_json(&inspections, terminal)?;
        }
        (false, _) => print_tables(&inspections, options.all || !options.parameters.is_empty(), terminal)?,
    }
    Ok(exit)
}

fn inspect(
    path: &Path,
    request: &Request,
    limits: &Limits,
    terminal: &Terminal<'_>,
) -> Result<Inspection, Error> {
    let source = quantviz::open_with(path, limits)?;
    let progress = ScanProgress::new(terminal.err.columns().is_some(), path.display().to_string());
    Inspection::of(&*source, path.to_string_lossy(), request, &|step| progress.report(step))
}

/// Written as it is made: the text of a model of many tensors takes more memory than all that is known of it.
fn print_json(value: &impl serde::Serialize, terminal: &mut Terminal<'_>) -> Result<(), Trouble> {
    let mut out = BufWriter::with_capacity(1 << 16, &mut terminal.out);
    serde_json::to_writer(&mut out, value).map_err(io::Error::from)?;
    out.write_all(b"\n")?;
    Ok(out.flush()?)
}

fn print_tables(inspections: &[Inspection], all: bool, terminal: &mut Terminal<'_>) -> Result<(), Trouble> {
    let paint = terminal.paint();
    let mut gap = "";
    for group in inspections.chunk_by(|one, other| one.model.place.group == other.model.place.group) {
        let models = group.iter().map(|inspection| &inspection.model);
        let variants: Vec<_> = models.map(|model| (model.path.as_str(), &model.place)).collect();
        if let Some(heading) = GroupHeading::of(&variants) {
            write!(terminal.out, "{gap}{}", models::heading(&heading, paint))?;
            gap = "\n";
        }
        for inspection in group {
            let view = ParameterTable::of(inspection, all);
            // Of a model that cannot be read there is nothing but the reason.
            if inspection.model.file_bytes.is_some() {
                let text = table::render(&view, terminal.out.columns(), paint);
                write!(terminal.out, "{gap}{text}")?;
                gap = "\n";
                terminal.out.flush()?;
            }
            terminal.warn(&view.header.title, &view.warnings)?;
        }
    }
    Ok(())
}
