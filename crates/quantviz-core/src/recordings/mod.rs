//! What networks made of their inputs, as somebody recorded it: the tensors of one beside those of the other.

mod ends;
mod meaning;

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::thread::available_parallelism;

use crate::dequantize::add_values;
use crate::fidelity::{ErrorSums, Fidelity};
use crate::parallel::for_each_job;
use crate::{Claim, Error, Model, ParameterId, ParameterSource, Part, Progress, Result};

use ends::Ends;
pub use meaning::EarlierValue;
use meaning::{Meaning, Meanings, dequantized, plain_value};

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
    /// All tensors together, each as much as it has elements; without those that mean something else in both.
    pub claim: Claim,
    /// The same of what the model gives out, where that is known and was recorded.
    pub outputs: Option<Claim>,
}

/// A tensor that both have recorded.
#[derive(Debug)]
#[non_exhaustive]
pub struct ComparedTensor {
    /// Its name.
    pub name: String,
    /// What the quantized model's recordings call it, where that is another name.
    pub counterpart: Option<String>,
    /// Whether it is what the model gives out.
    pub is_output: bool,
    /// How far one is from the other; or why that is not known. Nothing is said of codes.
    pub fidelity: Result<Fidelity>,
    /// Where this name means an earlier value in the quantized model: nothing is to be judged by the distance then.
    pub earlier: Option<EarlierValue>,
}

impl ComparedTensor {
    /// How far one is from the other, where both are the same value.
    pub fn judged(&self) -> Option<&Fidelity> {
        self.fidelity.as_ref().ok().filter(|_| self.earlier.is_none())
    }
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
/// The models, reference first, say what they give out. They and the values say where a name means something else in both:
/// quantizers leave a Relu or a Clip to the codes behind it, which end where it would, and give its name to what comes
/// before it. Where the value behind the codes was recorded too (`relu_DequantizeLinear_Output`), that is compared.
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
/// let compared = compare_recordings(&reference, &quantized, None, Some(1), &|_| ControlFlow::Continue(()))?;
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
    models: Option<[&Model; 2]>,
    threads: Option<usize>,
    progress: &(dyn Fn(Progress) -> ControlFlow<()> + Sync),
) -> Result<ComparedActivations> {
    let (from, of) = (by_name(reference), by_name(quantized));
    let others: HashMap<&str, &Vec<Place<'_>>> = of.iter().map(|(name, places)| (*name, places)).collect();
    let meanings = Meanings::of(models);
    let (mut jobs, mut unmatched_reference, mut found) = (Vec::new(), Vec::new(), HashSet::new());
    for (name, places) in &from {
        let meaning = meanings.of_value(name);
        let behind = || others.get_key_value(&*dequantized(name));
        let same = || others.get_key_value(name);
        let counterpart = match meaning {
            Meaning::Earlier(_) => behind().or_else(same),
            _ => same().or_else(behind),
        };
        match counterpart {
            Some((other, others)) => {
                found.insert(*name);
                found.insert(*other);
                let batches = batches(places, others);
                let meaning = if other == name { meaning } else { Meaning::Same };
                jobs.push(Job { name, counterpart: other, batches, meaning, bounds: None });
            }
            None => unmatched_reference.push(UnmatchedTensor::of(name, "the quantized model's recordings")),
        }
    }
    if jobs.is_empty() {
        return Err(nothing_in_common(&from, &of));
    }
    // What codes make of a value that was compared is no value of its own.
    let left = of.iter().filter(|(name, _)| !found.contains(name) && !found.contains(plain_value(name)));
    let unmatched_quantized =
        left.map(|(name, _)| UnmatchedTensor::of(name, "the reference's recordings")).collect();
    let threads = threads.unwrap_or_else(|| available_parallelism().map_or(1, usize::from));
    let total = jobs.iter().map(Job::elements).fold(0, u64::saturating_add);
    let report = |done: u64| progress(Progress { done, total });
    let sums = for_each_job(threads, &jobs, Job::elements, &report, Job::run)?;
    let clipped: Vec<Job<'_>> =
        jobs.iter().zip(&sums).filter_map(|(job, sums)| job.clipped(sums.as_ref().ok()?)).collect();
    let stay = |_: u64| progress(Progress { done: total, total });
    let mut again =
        clipped.iter().zip(for_each_job(threads, &clipped, Job::elements, &stay, Job::run)?).peekable();
    let tensors: Vec<ComparedTensor> = jobs
        .iter()
        .zip(sums)
        .map(|(job, sums)| {
            let fidelity = sums.map(|(sums, _)| Fidelity::of_values(&sums));
            let clipped = again.next_if(|(clipped, _)| clipped.name == job.name);
            let clipped = clipped.and_then(|(_, sums)| Some(Fidelity::of_values(&sums.ok()?.0)));
            let earlier = fidelity.as_ref().ok().zip(clipped);
            ComparedTensor {
                name: job.name.to_owned(),
                counterpart: (job.counterpart != job.name).then(|| job.counterpart.to_owned()),
                is_output: meanings.is_output(job.name),
                earlier: earlier.and_then(|(fidelity, clipped)| job.meaning.earlier(fidelity, clipped)),
                fidelity,
            }
        })
        .collect();
    let has_outputs = tensors.iter().any(|it| it.is_output);
    let outputs = has_outputs.then(|| claim(tensors.iter().filter(|it| it.is_output)));
    let outputs = outputs.map(|claim| Claim { at_outputs: true, ..claim });
    let claim = claim(&tensors);
    Ok(ComparedActivations { tensors, unmatched_reference, unmatched_quantized, claim, outputs })
}

#[expect(clippy::cast_precision_loss, reason = "no tensor has 2^53 elements")]
fn claim<'a>(tensors: impl IntoIterator<Item = &'a ComparedTensor>) -> Claim {
    Claim::of(tensors.into_iter().map(|it| match it.judged() {
        Some(fidelity) => (fidelity.elements as f64, fidelity.noise_to_signal),
        None => (0.0, None),
    }))
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
    if let Some(place) = repeated(places).or_else(|| repeated(others)) {
        let name = &place.recording.name;
        let message = format!("it is recorded more than once under {name}: nothing tells which is which");
        return Err(Error::malformed(message));
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

/// A place whose recording has the name of an earlier one: files that differ by their ends alone, an archive with two arrays
/// of one name.
fn repeated<'a>(places: &[Place<'a>]) -> Option<Place<'a>> {
    let mut names = HashSet::new();
    places.iter().copied().find(|place| !names.insert(&*place.recording.name))
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
    /// What the others call it.
    counterpart: &'a str,
    batches: Result<Vec<[Place<'a>; 2]>>,
    meaning: Meaning<'a>,
    /// What the quantized is clipped to before it is compared.
    bounds: Option<(f64, f64)>,
}

impl Job<'_> {
    fn elements(&self) -> u64 {
        let batches = self.batches.as_ref().map_or(&[][..], Vec::as_slice);
        batches.iter().map(|[place, _]| place.elements()).fold(0, u64::saturating_add)
    }

    fn run(&self) -> Result<(ErrorSums, Ends)> {
        let mut sums = (ErrorSums::default(), Ends::default());
        for [reference, quantized] in self.batches.as_ref().map_err(Error::clone)? {
            add(&mut sums, self.bounds, reference, quantized)?;
        }
        Ok(sums)
    }

    /// The same once more with the quantized clipped as the reference is, where it may be that it was not.
    fn clipped(&self, (sums, ends): &(ErrorSums, Ends)) -> Option<Self> {
        let bounds = self.meaning.bounds(ends, sums.quantized_range?)?;
        Some(Job { batches: self.batches.clone(), bounds: Some(bounds), ..*self })
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
fn add(
    (sums, ends): &mut (ErrorSums, Ends),
    bounds: Option<(f64, f64)>,
    reference: &Place<'_>,
    quantized: &Place<'_>,
) -> Result<()> {
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
        if let Some((low, high)) = bounds {
            values.iter_mut().for_each(|value| *value = value.max(low).min(high));
        }
        ends.add(&numbers);
        let mut piece = ErrorSums::default();
        numbers.iter().zip(&values).for_each(|(&r, &q)| piece.add(r, q));
        sums.merge(&piece);
        start = range.end;
    }
    Ok(())
}
