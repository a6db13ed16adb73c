//! What raises the claim above weights: importance and recorded activations; and where outputs lie.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::error::ErrorKind;
use quantviz::{
    AxisRule, Compare, ComparedActivations, Error, Importance, Limits, Model, Recording, compare_recordings,
    open_importance, open_recordings,
};

use crate::progress::ScanProgress;
use crate::stream::Terminal;
use crate::threads;
use crate::trouble::Trouble;

/// What `compare` and `check` have in common.
#[derive(clap::Args)]
pub(crate) struct ClaimOptions {
    /// Weigh errors by how much inputs matter: an imatrix of llama.cpp, or safetensors
    ///
    /// FILE has the mean square of each input of weights: an importance matrix of llama.cpp (GGUF, or the older form), or a
    /// safetensors file with a tensor for each weight, named like it, with a number for each of its inputs.
    #[arg(long, value_name = "FILE")]
    importance: Option<PathBuf>,

    /// Compare recorded activations of both models too: files or folders of .npz, .npy, .safetensors
    ///
    /// Tensors of one name are compared, those that several files have (batches, say) by the names of the files; what the
    /// model gives out comes first. Quantizers leave a Relu or a Clip to the codes behind it, and give its name to what
    /// comes before: that is noticed, and not judged. Of one quantized model only.
    #[arg(long, num_args = 2, value_names = ["REF_DIR", "QUANT_DIR"])]
    activations: Vec<PathBuf>,

    /// The axis of the outputs of the reference's weights whose names fit PATTERN; may be given several times
    #[arg(long = "axis", value_name = "PATTERN=N", allow_hyphen_values = true)]
    axes: Vec<String>,
}

/// What the options name, opened.
pub(crate) struct Claims {
    axes: Vec<AxisRule>,
    importance: Option<Arc<Importance>>,
    recordings: Option<Recordings>,
}

struct Recordings {
    reference: Vec<Recording>,
    quantized: Vec<Recording>,
    /// Where those of the quantized model are.
    path: PathBuf,
}

impl ClaimOptions {
    /// Whether anything is asked for.
    pub(crate) fn are_any(&self) -> bool {
        self.importance.is_some() || !self.activations.is_empty() || !self.axes.is_empty()
    }

    /// Opens what is named, for so many quantized models.
    pub(crate) fn open(&self, models: usize, limits: &Limits) -> Result<Claims, Trouble> {
        let axes = axes(&self.axes)?;
        let importance = match &self.importance {
            Some(path) => Some(open_importance(path, limits).map_err(|error| Trouble::with(path, error))?),
            None => None,
        };
        let open = |path: &Path| open_recordings(path, limits).map_err(|error| Trouble::with(path, error));
        let recordings = match &self.activations[..] {
            [reference, quantized] if models == 1 => Some(Recordings {
                reference: open(reference)?,
                quantized: open(quantized)?,
                path: quantized.clone(),
            }),
            [_, _] => {
                let message = format!("--activations are of one quantized model, but there are {models}");
                return Err(usage(&message));
            }
            _ => None,
        };
        Ok(Claims { axes, importance: importance.map(Arc::new), recordings })
    }
}

/// The rules of `--axis`.
pub(crate) fn axes(rules: &[String]) -> Result<Vec<AxisRule>, Trouble> {
    rules.iter().map(|rule| rule.parse().map_err(|error: Error| usage(error.message()))).collect()
}

/// One line: what is wrong says already what would be right.
pub(crate) fn usage(message: &str) -> Trouble {
    Trouble::Usage(clap::Error::raw(ErrorKind::InvalidValue, format!("{message}\n")))
}

impl Claims {
    /// The same comparison, with what is known of axes and of importance.
    pub(crate) fn add_to(&self, compare: Compare) -> Compare {
        let compare = compare.axes(self.axes.iter().cloned());
        match &self.importance {
            Some(importance) => compare.importance(Arc::clone(importance)),
            None => compare,
        }
    }

    /// What was recorded of both models, compared.
    pub(crate) fn compare_recorded(
        &self,
        models: [&Model; 2],
        threads: Option<u16>,
        terminal: &mut Terminal<'_>,
    ) -> Result<Option<ComparedActivations>, Trouble> {
        let Some(Recordings { reference, quantized, path }) = &self.recordings else { return Ok(None) };
        let name = path.to_string_lossy();
        let progress = ScanProgress::new(terminal.err, &name);
        let threads = threads::within_memory(threads.map(usize::from));
        let compared =
            compare_recordings(reference, quantized, Some(models), threads, &|step| progress.report(step));
        compared.map(Some).map_err(|error| Trouble::with(path, error))
    }
}
