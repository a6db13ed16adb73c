//! What networks made of their inputs, as somebody recorded it: the tensors of one beside those of the other.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::thread::available_parallelism;

use crate::dequantize::add_values;
use crate::fidelity::{ErrorSums, Fidelity};
use crate::parallel::for_each_job;
use crate::{Claim, Error, ParameterId, ParameterSource, Part, Progress, Result};

/// Recorded tensors that lie together: a file of them.
pub struct Recording {
    /// What it is called: of a tensor that is recorded again and again, those from recordings of one name belong together.
    pub name: String,
    /// The tensors, as if they were parameters.
    pub source: Box<dyn ParameterSource + Send + Sync>,
}

/// What a quantized network makes of its inputs, beside what the reference does.
#[derive(Debug)]
#[non_exhaustive]
pub struct ComparedActivations {
    /// Every tensor that both have, in the order of the reference.
    pub tensors: Vec<ComparedTensor>,
    /// What only the reference's recordings have.
    pub unmatched_reference: Vec<UnmatchedTensor>,
    /// What only the others have.
    pub unmatched_quantized: Vec<UnmatchedTensor>,
    /// All tensors together, each as much as it has elements.
    pub claim: Claim,
}

/// A tensor that both have recorded.
#[derive(Debug)]
#[non_exhaustive]
pub struct ComparedTensor {
    /// Its name.
    pub name: String,
    /// How far one is from the other; or why that is not known. Nothing is said of codes.
    pub fidelity: Result<Fidelity>,
}

/// A tensor that only one of both has.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct UnmatchedTensor {
    /// Its name.
    pub name: String,
    /// Why it has no counterpart.
    pub why: String,
}

/// Compares recordings of a reference with those of what was made of it. Tensors of one name are compared; where several
/// recordings have it, such as one for each batch, they are paired by their own names and measured together.
///
/// ```
/// use std::ops::ControlFlow;
/// use ndarray::arr1;
/// use quantviz_core::{MemorySource, Recording, compare_recordings};
///
/// let recording = |values: [f32; 2]| {
///     let source = Box::new(MemorySource::new().with("relu1", arr1(&values)));
///     vec![Recording { name: "batch0".to_owned(), source }]
/// };
/// let (reference, quantized) = (recording([3.0, 4.0]), recording([3.0, 4.5]));
/// let compared = compare_recordings(&reference, &quantized, Some(1), &|_| ControlFlow::Continue(()))?;
/// let relu = compared.tensors[0].fidelity.as_ref().expect("they can be read");
/// assert_eq!((relu.mse, relu.sqnr_db), (Some(0.125), Some(20.0)));
/// # Ok::<(), quantviz_core::Error>(())
/// ```
///
/// # Errors
/// When `progress` breaks, or no name is in both.
pub fn compare_recordings(
    reference: &[Recording],
    quantized: &[Recording],
    threads: Option<usize>,
    progress: &(dyn Fn(Progress) -> ControlFlow<()> + Sync),
) -> Result<ComparedActivations> {
    let (from, of) = (by_name(reference), by_name(quantized));
    let (mut jobs, mut unmatched_reference, mut unmatched_quantized) = (Vec::new(), Vec::new(), Vec::new());
    let others: HashMap<&str, &Vec<Place<'_>>> = of.iter().map(|(name, places)| (*name, places)).collect();
    let mut found = HashSet::new();
    for (name, places) in &from {
        match others.get(name) {
            Some(others) => {
                found.insert(*name);
                jobs.push(Job { name, batches: batches(places, others) });
            }
            None => unmatched_reference.push(UnmatchedTensor::of(name, "the quantized model's recordings")),
        }
    }
    for (name, _) in of.iter().filter(|(name, _)| !found.contains(name)) {
        unmatched_quantized.push(UnmatchedTensor::of(name, "the reference's recordings"));
    }
    if jobs.is_empty() {
        return Err(nothing_in_common(&from, &of));
    }
    let threads = threads.unwrap_or_else(|| available_parallelism().map_or(1, usize::from));
    let total = jobs.iter().map(Job::elements).fold(0, u64::saturating_add);
    let report = |done: u64| progress(Progress { done, total });
    let sums = for_each_job(threads, &jobs, Job::elements, &report, Job::run)?;
    let tensors: Vec<ComparedTensor> = jobs
        .iter()
        .zip(sums)
        .map(|(job, sums)| {
            let fidelity = sums.map(|sums| Fidelity::of_values(&sums));
            ComparedTensor { name: job.name.to_owned(), fidelity }
        })
        .collect();
    #[expect(clippy::cast_precision_loss, reason = "no tensor has 2^53 elements")]
    let measured = tensors.iter().map(|it| match &it.fidelity {
        Ok(fidelity) => (fidelity.elements as f64, fidelity.noise_to_signal),
        Err(_) => (0.0, None),
    });
    let claim = Claim::of(measured);
    Ok(ComparedActivations { tensors, unmatched_reference, unmatched_quantized, claim })
}

impl UnmatchedTensor {
    fn of(name: &str, elsewhere: &str) -> Self {
        UnmatchedTensor { name: name.to_owned(), why: format!("nothing of this name is in {elsewhere}") }
    }
}

/// Where a tensor was recorded.
#[derive(Clone, Copy)]
struct Place<'a> {
    recording: &'a Recording,
    id: ParameterId,
}

/// Every name with where it was recorded, in the order of the first of these.
fn by_name(recordings: &[Recording]) -> Vec<(&str, Vec<Place<'_>>)> {
    let mut order: Vec<(&str, Vec<Place<'_>>)> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for recording in recordings {
        let model = recording.source.model();
        for id in model.parameter_ids() {
            let name = &*model.parameter(id).name;
            let at = *places.entry(name).or_insert_with(|| {
                order.push((name, Vec::new()));
                order.len() - 1
            });
            order[at].1.push(Place { recording, id });
        }
    }
    order
}

/// One that was recorded once belongs to the other, whatever the files are called; of several, those of files of one name.
fn batches<'a>(places: &[Place<'a>], others: &[Place<'a>]) -> Result<Vec<[Place<'a>; 2]>> {
    if let ([one], [other]) = (places, others) {
        return Ok(vec![[*one, *other]]);
    }
    let by_file: HashMap<&str, Place<'a>> = others.iter().map(|it| (&*it.recording.name, *it)).collect();
    let pairs: Vec<[Place<'a>; 2]> =
        places.iter().filter_map(|place| Some([*place, *by_file.get(&*place.recording.name)?])).collect();
    if pairs.len() == places.len() && pairs.len() == others.len() {
        return Ok(pairs);
    }
    let files = |all: &[Place<'_>]| {
        let names: Vec<&str> = all.iter().take(3).map(|it| &*it.recording.name).collect();
        format!("{}{}", names.join(", "), if all.len() > 3 { ", …" } else { "" })
    };
    let times = |many: usize| if many == 1 { "1 file".to_owned() } else { format!("{many} files") };
    Err(Error::malformed(format!(
        "it is in {} of the reference's recordings ({}) and in {} of the others ({}): give files of the same inputs the \
         same name",
        times(places.len()),
        files(places),
        times(others.len()),
        files(others)
    )))
}

fn nothing_in_common(from: &[(&str, Vec<Place<'_>>)], of: &[(&str, Vec<Place<'_>>)]) -> Error {
    let first = |all: &[(&str, Vec<Place<'_>>)]| {
        all.first().map_or_else(|| "nothing".to_owned(), |(name, _)| format!("{name:?}"))
    };
    Error::not_found(format!(
        "no tensor is recorded under one name of both models: one has {} first, the other {}",
        first(from),
        first(of)
    ))
}

/// A tensor of both.
struct Job<'a> {
    name: &'a str,
    batches: Result<Vec<[Place<'a>; 2]>>,
}

impl Job<'_> {
    fn elements(&self) -> u64 {
        let batches = self.batches.as_ref().map_or(&[][..], Vec::as_slice);
        batches.iter().map(|[place, _]| place.elements()).fold(0, u64::saturating_add)
    }

    fn run(&self) -> Result<ErrorSums> {
        let mut sums = ErrorSums::default();
        for [reference, quantized] in self.batches.as_ref().map_err(Error::clone)? {
            add(&mut sums, reference, quantized)?;
        }
        Ok(sums)
    }
}

impl Place<'_> {
    fn elements(&self) -> u64 {
        self.recording.source.model().parameter(self.id).shape.elements()
    }

    /// Whether it can be read, which counts more than what shape it has.
    fn check(&self) -> Result<()> {
        add_values(&*self.recording.source, self.id, Part::Stored, 0..0, &mut Vec::new())
    }
}

/// Adds the errors of one recording, piece by piece.
fn add(sums: &mut ErrorSums, reference: &Place<'_>, quantized: &Place<'_>) -> Result<()> {
    const AT_ONCE: u64 = 1 << 16;
    reference.check()?;
    quantized.check()?;
    let shape = |place: &Place<'_>| place.recording.source.model().parameter(place.id).shape.clone();
    let (one, other) = (shape(reference), shape(quantized));
    if one != other {
        return Err(Error::malformed(format!(
            "its shape is {one} in the reference, but {other} in the other"
        )));
    }
    let elements = one.elements();
    let (mut numbers, mut values) = (Vec::new(), Vec::new());
    let mut start = 0;
    while start < elements {
        let range = start..elements.min(start + AT_ONCE);
        for (place, into) in [(reference, &mut numbers), (quantized, &mut values)] {
            into.clear();
            add_values(&*place.recording.source, place.id, Part::Stored, range.clone(), into)?;
        }
        let mut piece = ErrorSums::default();
        numbers.iter().zip(&values).for_each(|(&r, &q)| piece.add(r, q));
        sums.merge(&piece);
        start = range.end;
    }
    Ok(())
}
