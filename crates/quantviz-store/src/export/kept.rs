//! What snapshots that were kept whole have beside statistics: samples, histograms, small pictures, places of rows.

use std::borrow::Cow;
use std::collections::BTreeMap;

use quantviz_core::{Plan, RankSnapshot, Snapshot, bf16, index_name};

use super::arrays::{Type, floats};

/// What an array has a row for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Over {
    Parameters,
    Matrices,
    Sample,
    Embedding,
}

/// An array of snapshots, and what becomes of it.
pub(super) struct Kind {
    array: &'static str,
    pub(super) field: &'static str,
    over: Over,
    /// A number beside each row, from the snapshot or from the plan.
    beside: &'static [(&'static str, &'static str)],
    /// What the indices of its elements are called.
    pub(super) index: Option<&'static str>,
}

pub(super) const KINDS: &[Kind] = &[
    Kind {
        array: "w.hist",
        field: "histogram",
        over: Over::Parameters,
        beside: &[("w.hist_low", "histogram_low"), ("w.hist_width", "histogram_width")],
        index: None,
    },
    Kind {
        array: "g.hist",
        field: "grad_histogram",
        over: Over::Parameters,
        beside: &[("g.hist_low", "grad_histogram_low"), ("g.hist_width", "grad_histogram_width")],
        index: None,
    },
    Kind {
        array: "t.rms",
        field: "picture_rms",
        over: Over::Matrices,
        beside: &[("t.rms_scale", "picture_rms_scale")],
        index: None,
    },
    Kind {
        array: "t.peak",
        field: "picture_peak",
        over: Over::Matrices,
        beside: &[("t.peak_scale", "picture_peak_scale")],
        index: None,
    },
    Kind {
        array: "t.grad",
        field: "picture_grad",
        over: Over::Matrices,
        beside: &[("t.grad_scale", "picture_grad_scale")],
        index: None,
    },
    Kind {
        array: "t.change",
        field: "picture_change",
        over: Over::Matrices,
        beside: &[("t.change_scale", "picture_change_scale")],
        index: None,
    },
    Kind { array: "s.value", field: "sample", over: Over::Sample, beside: &[], index: Some("sample_index") },
    Kind {
        array: "s.grad",
        field: "grad_sample",
        over: Over::Sample,
        beside: &[],
        index: Some("grad_sample_index"),
    },
    Kind {
        array: "position",
        field: "position",
        over: Over::Embedding,
        beside: &[],
        index: Some("position_row"),
    },
    Kind {
        array: "norm",
        field: "row_norm",
        over: Over::Embedding,
        beside: &[],
        index: Some("row_norm_row"),
    },
    Kind {
        array: "change",
        field: "row_change",
        over: Over::Embedding,
        beside: &[],
        index: Some("row_change_row"),
    },
    Kind {
        array: "grad",
        field: "row_grad",
        over: Over::Embedding,
        beside: &[],
        index: Some("row_grad_row"),
    },
    Kind {
        array: NEIGHBOURS,
        field: "neighbours",
        over: Over::Embedding,
        beside: &[],
        index: Some("neighbours_row"),
    },
];

/// Of the first rows that are shown, those that are nearest to each.
const NEIGHBOURS: &str = "neighbours";

/// What a parameter has of a kind, without its numbers: the same in all snapshots, or it cannot be stacked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Form {
    pub(super) of: Type,
    /// Of one snapshot.
    pub(super) shape: Vec<u64>,
    /// Where its elements are in the parameter, or which rows they are of.
    pub(super) index: Vec<u64>,
    /// The names of the numbers beside it.
    pub(super) beside: Vec<&'static str>,
}

/// Where the numbers of a parameter are.
struct Found {
    array: String,
    begin: usize,
    step: usize,
    len: usize,
    shape: Vec<u64>,
    index: Vec<u64>,
    /// What a number stands for.
    scale: f32,
}

impl Kind {
    /// What a snapshot has of it for the parameter at a place in the plan.
    pub(super) fn form(&self, taken: &RankSnapshot, at: usize) -> Option<Form> {
        let (snapshot, plan) = (&taken.snapshot, &*taken.plan);
        let found = self.find(snapshot, plan, at)?;
        let of = match &*snapshot.arrays().slot(&found.array)?.dtype {
            "U8" => Type::U8,
            "U16" => Type::U32,
            "F32" | "BF16" | "I16" => Type::F32,
            _ => return None,
        };
        let has = |(array, _): &&(&str, &str)| {
            snapshot.arrays().slot(array).is_some() || plan.arrays().slot(array).is_some()
        };
        let beside = self.beside.iter().filter(has).map(|(_, field)| *field).collect();
        Some(Form { of, shape: found.shape, index: found.index, beside })
    }

    /// The numbers themselves, of a snapshot that is there whole.
    pub(super) fn bytes(&self, taken: &RankSnapshot, at: usize) -> Option<Vec<u8>> {
        let (snapshot, plan) = (&taken.snapshot, &*taken.plan);
        let Found { array, begin, step, len, scale, .. } = self.find(snapshot, plan, at)?;
        let arrays = snapshot.arrays();
        let range = begin..begin.checked_add(len)?;
        // Of a sample of which every so manieth element is there, the first that belongs to the parameter.
        let range = range.start.div_ceil(step)..range.end.div_ceil(step);
        match &*arrays.slot(&array)?.dtype {
            "U8" => Some(arrays.get::<u8>(&array)?.get(range)?.to_vec()),
            "F32" => Some(floats(arrays.get::<f32>(&array)?.get(range)?)),
            "BF16" => {
                let numbers = arrays.get::<bf16>(&array)?;
                Some(floats(&numbers.get(range)?.iter().map(|it| it.to_f32()).collect::<Vec<f32>>()))
            }
            // Places among the rows that are shown, which become the rows themselves; none, where none is known.
            "U16" => {
                let rows = self.rows(plan, at)?;
                let row = |place: &u16| rows.get(usize::from(*place)).copied().unwrap_or(u32::MAX);
                let places = arrays.get::<u16>(&array)?;
                Some(places.get(range)?.iter().flat_map(|it| row(it).to_le_bytes()).collect())
            }
            "I16" => {
                let numbers = arrays.get::<i16>(&array)?;
                let numbers = numbers.get(range)?.iter().map(|&it| f32::from(it) * scale);
                Some(floats(&numbers.collect::<Vec<f32>>()))
            }
            _ => None,
        }
    }

    /// The numbers beside it.
    pub(super) fn beside(&self, taken: &RankSnapshot, at: usize) -> Vec<(&'static str, f32)> {
        let numbers = self.beside.iter().filter_map(|(array, field)| {
            let arrays = taken.snapshot.arrays();
            if arrays.slot(array).is_some() {
                let row = self.row(&taken.snapshot, &taken.plan, array, at)?;
                return Some((*field, arrays.number(array, row)?));
            }
            taken.plan.arrays().slot(array)?;
            Some((*field, taken.plan.arrays().number(array, at).unwrap_or(f32::NAN)))
        });
        numbers.collect()
    }

    /// The row of an array that belongs to a parameter.
    fn row(&self, snapshot: &Snapshot, plan: &Plan, array: &str, at: usize) -> Option<usize> {
        let place = match self.over {
            Over::Matrices => plan.header().parameters.get(at)?.matrix? as usize,
            _ => at,
        };
        let own = snapshot.arrays().get::<u32>(&index_name(array));
        match own.or_else(|| snapshot.arrays().get::<u32>(&index_name(self.array))) {
            Some(covered) => covered.iter().position(|&it| it as usize == place),
            None => Some(place),
        }
    }

    fn find(&self, snapshot: &Snapshot, plan: &Plan, at: usize) -> Option<Found> {
        let arrays = snapshot.arrays();
        let dims =
            |array: &str| Some(arrays.slot(array)?.shape.iter().map(|&it| it as u64).collect::<Vec<u64>>());
        if self.over == Over::Embedding {
            return self.find_rows(snapshot, plan, at);
        }
        let shape = dims(self.array)?;
        if self.over == Over::Sample && shape.len() == 1 {
            let starts = plan.arrays().get::<u32>("s.start")?;
            let index = plan.arrays().get::<u64>("s.index")?;
            let (begin, end) = (*starts.get(at)? as usize, *starts.get(at + 1)? as usize);
            let step = [1, 2, 4].into_iter().find(|&step| index.len().div_ceil(step) as u64 == shape[0])?;
            let own = index.get(begin..end)?.iter().enumerate();
            let own = own.filter(|(place, _)| (begin + place).is_multiple_of(step));
            let own: Vec<u64> = own.map(|(_, &element)| element).collect();
            let shape = vec![own.len() as u64];
            let array = self.array.to_owned();
            return Some(Found { array, begin, step, len: end - begin, shape, index: own, scale: 1.0 });
        }
        let row = self.row(snapshot, plan, self.array, at)?;
        let (rows, shape) = shape.split_first()?;
        let len = usize::try_from(shape.iter().product::<u64>()).ok()?;
        let begin = row.checked_mul(len).filter(|_| (row as u64) < *rows)?;
        let array = self.array.to_owned();
        Some(Found { array, begin, step: 1, len, shape: shape.to_vec(), index: Vec::new(), scale: 1.0 })
    }

    /// The rows of an embedding that are shown.
    fn rows<'a>(&self, plan: &'a Plan, at: usize) -> Option<Cow<'a, [u32]>> {
        let mut embeddings = plan.header().embeddings.iter();
        let place = embeddings.position(|it| it.parameter as usize == at)?;
        plan.arrays().get::<u32>(&format!("e.{place}.row"))
    }

    /// Of an embedding, as many rows as are shown.
    fn find_rows(&self, snapshot: &Snapshot, plan: &Plan, at: usize) -> Option<Found> {
        let mut embeddings = plan.header().embeddings.iter().enumerate();
        let (place, embedding) = embeddings.find(|(_, it)| it.parameter as usize == at)?;
        let array = format!("e.{place}.{}", self.array);
        let shape: Vec<u64> = snapshot.arrays().slot(&array)?.shape.iter().map(|&it| it as u64).collect();
        let rows = self.rows(plan, at)?;
        let mut index: Vec<u64> = match snapshot.arrays().get::<u32>(&index_name(&array)) {
            Some(of) => {
                of.iter().map(|&it| rows.get(it as usize).map(|&it| it.into())).collect::<Option<_>>()?
            }
            None => rows.iter().map(|&it| it.into()).collect(),
        };
        if self.array == NEIGHBOURS {
            index.truncate(usize::try_from(*shape.first()?).ok()?);
        }
        let is_right = shape.first() == Some(&(index.len() as u64));
        let len = usize::try_from(shape.iter().product::<u64>()).ok().filter(|_| is_right)?;
        let scale = embedding.scale / f32::from(i16::MAX);
        Some(Found { array, begin: 0, step: 1, len, shape, index, scale })
    }
}

/// What is there of all kinds, over all snapshots that were kept whole.
#[derive(Default)]
pub(super) struct Forms {
    /// By parameter and kind; `None` where snapshots differ.
    forms: BTreeMap<(usize, usize), (u64, Option<Form>)>,
    snapshots: u64,
}

impl Forms {
    /// Notes a snapshot; `places` are those of parameters in its plan, with what they are called here.
    pub(super) fn see(&mut self, taken: &RankSnapshot, places: impl Iterator<Item = (usize, usize)>) {
        self.snapshots += 1;
        for (at, parameter) in places {
            for (kind, it) in KINDS.iter().enumerate() {
                let Some(form) = it.form(taken, at) else { continue };
                let first = self.forms.entry((parameter, kind)).or_insert_with(|| (0, Some(form.clone())));
                first.0 += 1;
                if first.1.as_ref() != Some(&form) {
                    first.1 = None;
                }
            }
        }
    }

    /// What can be stacked, by parameter and kind.
    pub(super) fn stable(&self) -> impl Iterator<Item = ((usize, usize), &Form)> {
        let in_all = self.forms.iter().filter(|(_, (count, _))| *count == self.snapshots);
        in_all.filter_map(|(&place, (_, form))| Some((place, form.as_ref()?)))
    }

    /// What cannot, and why.
    pub(super) fn left_out(&self) -> Vec<String> {
        let mut counts: BTreeMap<usize, [u64; 2]> = BTreeMap::new();
        for ((_, kind), (count, form)) in &self.forms {
            let [missing, differing] = counts.entry(*kind).or_default();
            *missing += u64::from(*count != self.snapshots);
            *differing += u64::from(*count == self.snapshots && form.is_none());
        }
        let mut lines = Vec::new();
        for (kind, [missing, differing]) in counts {
            let field = KINDS[kind].field;
            if missing > 0 {
                lines.push(format!("{field} of {missing} parameters: not every snapshot has it"));
            }
            if differing > 0 {
                lines.push(format!(
                    "{field} of {differing} parameters: snapshots have it in other places or shapes"
                ));
            }
        }
        lines
    }
}
