//! `quantviz plot`: one picture, drawn without a browser.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use quantviz::draw::{Counts, Heatmap, Picture, Values, histograms, strip};
use quantviz::view::{ChannelStrip, HistogramSet, RangeChart, bytes as bytes_text};
use quantviz::{Error, ErrorKind, one_line};

use crate::Exit;
use crate::gathered::{BINS, Gathered, ModelOptions};
use crate::stream::{Label, Terminal};
use crate::trouble::Trouble;
use crate::written::write_whole;

/// Draw a picture: the ranges of all weights, or one weight in histograms or channel by channel
///
/// The name of the file says what it becomes: SVG, for browsers, documents and drawing programs, light or dark as the reader's
/// system is; or PNG, light, for what shows nothing else.
///
/// Exit code 0: done. 2: bad input or usage, also where only a variant is damaged.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct PlotOptions {
    /// What to draw
    what: What,

    #[command(flatten)]
    models: ModelOptions,

    /// The weight of histograms or channels, by its name in the float model; the one that suffers most without
    #[arg(long = "param", value_name = "NAME")]
    parameter: Option<String>,

    /// Counts by their logarithm, which shows what is rare
    #[arg(long)]
    log: bool,

    /// Codes, where there are such, instead of the values that they stand for
    #[arg(long)]
    codes: bool,

    /// Bins of histograms
    #[arg(long, value_name = "N", default_value_t = BINS as u32, value_parser = clap::value_parser!(u32).range(1..=4096))]
    bins: u32,

    /// Where to write it: a file that ends in .svg or .png; '-' is the standard output, as SVG
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

/// A kind of picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// The range of every weight, all models side by side on one scale
    Heatmap,
    /// A weight beside what was made of it
    Histogram,
    /// What quantization cost each channel of a weight
    Channels,
}

const EXAMPLES: &str = "\
Examples:
  quantviz plot heatmap models/ -o ranges.svg
  quantviz plot histogram models/ --param fc.weight --log -o fc.svg
  quantviz plot channels model.onnx model_int8.onnx -o channels.png";

pub(crate) fn run(options: &PlotOptions, terminal: &mut Terminal<'_>) -> Result<Exit, Trouble> {
    let form = Form::of(&options.output)?;
    let gathered = Gathered::of(&options.models, options.bins as usize, &options.output, terminal)?;
    let picture = options.draw(&gathered).map_err(|error| {
        let path = PathBuf::from(&gathered.comparison.reference);
        Trouble::with(&path, error)
    })?;
    if options.what == What::Heatmap {
        tell_left_out(&gathered, terminal)?;
    }
    let output = &options.output;
    let bytes = form.of_picture(&picture).map_err(|error| Trouble::with(output, error))?;
    if output.as_os_str() == "-" {
        terminal.out.write_all(&bytes)?;
        return Ok(gathered.outcome.exit());
    }
    let written = write_whole(output, &bytes);
    written.map_err(|error| Trouble::with(output, Error::io(output, error)))?;
    let path = one_line(&output.to_string_lossy());
    writeln!(terminal.out, "{path}: {}, {}", bytes_text(bytes.len() as u64), one_line(&picture.title))?;
    Ok(gathered.outcome.exit())
}

/// Names the models that have no room beside the first.
fn tell_left_out(gathered: &Gathered, terminal: &mut Terminal<'_>) -> Result<(), Trouble> {
    let ranges = gathered.ranges();
    let left_out = Heatmap::of(&ranges).left_out();
    if !left_out.is_empty() {
        let labels: Vec<&str> = left_out.iter().map(|it| it.label.as_str()).collect();
        let line = format!("no room for {}: name the models that are to be drawn", labels.join(", "));
        terminal.tell(Label::Warning, &ranges.title, &line)?;
    }
    Ok(())
}

/// What a picture is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Svg,
    Png,
}

impl Form {
    /// What the end of the file's name says, which is asked before any work is done.
    fn of(output: &Path) -> Result<Self, Trouble> {
        let end = output.extension().map(|end| end.to_string_lossy().to_ascii_lowercase());
        match end.as_deref() {
            None if output.as_os_str() == "-" => Ok(Form::Svg),
            Some("svg") => Ok(Form::Svg),
            Some("png") => Ok(Form::Png),
            _ => Err(Trouble::with(
                output,
                Error::unsupported("pictures are SVG or PNG: end its name in .svg or .png"),
            )),
        }
    }

    fn of_picture(self, picture: &Picture) -> Result<Vec<u8>, Error> {
        match self {
            Form::Svg => Ok(picture.document().into_bytes()),
            Form::Png => picture.png().map_err(|error| Error::unsupported(error.to_string())),
        }
    }
}

impl PlotOptions {
    fn draw(&self, gathered: &Gathered) -> Result<Picture, Error> {
        let Gathered { reference, comparison, .. } = gathered;
        match self.what {
            What::Heatmap => Ok(Heatmap::of(&gathered.ranges()).picture()),
            What::Histogram => {
                let sets = if comparison.variants.is_empty() {
                    let chart = RangeChart::of(reference, comparison);
                    HistogramSet::of_one(reference, &chart.series[0].label)
                } else {
                    HistogramSet::all(comparison)
                };
                let set = self.chosen(&sets, |set| &set.title)?;
                let values = if self.codes { Values::Codes } else { Values::Real };
                Ok(histograms(set, values, if self.log { Counts::Log } else { Counts::Even }))
            }
            What::Channels => {
                let labels = gathered.ranges().series;
                let variants = comparison.variants.iter().zip(&labels[1..]);
                let strips = variants.flat_map(|(variant, series)| {
                    let of_pairs = variant.pairs.iter().filter_map(ChannelStrip::of);
                    of_pairs.map(|strip| strip.in_model(&series.label))
                });
                let strips: Vec<ChannelStrip> = strips.collect();
                let name = &self.chosen(&strips, |strip| &strip.parameter)?.parameter;
                let same = strips.iter().filter(|strip| strip.parameter == *name).map(strip);
                let variants = comparison.variants.iter().map(|variant| variant.path.as_str());
                let files: Vec<String> =
                    [comparison.reference.as_str()].into_iter().chain(variants).map(one_line).collect();
                let all = same.reduce(Picture::above);
                let mut all = all.ok_or_else(|| Error::not_found("nothing was compared"))?;
                all.title = format!("What quantization cost each channel of {name}");
                Ok(all.from_files(files.iter().map(String::as_str)))
            }
        }
    }

    /// What is asked for by name; the first else.
    fn chosen<'a, T>(&self, all: &'a [T], name: impl Fn(&T) -> &String) -> Result<&'a T, Error> {
        let Some(wanted) = &self.parameter else {
            let message = "there is nothing of it to draw: name a float model and what was made of it";
            return all.first().ok_or_else(|| Error::not_found(message));
        };
        let wanted = one_line(wanted);
        let unknown =
            || Error::new(ErrorKind::UnknownName, format!("there is no picture of a parameter {wanted:?}"));
        all.iter().find(|it| *name(it) == wanted).ok_or_else(unknown)
    }
}
