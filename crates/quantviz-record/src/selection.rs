//! What of a model is recorded: which parameters, and which elements and rows of them.

use std::collections::BTreeMap;

use quantviz_core::{DTypeClass, Model, ParameterId, PlanHeader, PlannedEmbedding, Role, Seeded, shown_rows};

use crate::attention::Attention;
use crate::builder::Options;

/// Elements of a matrix in the sample.
const SAMPLE: usize = 128;
/// Elements of a vector in the sample.
const VECTOR_SAMPLE: usize = 32;
/// Elements of all samples together: models of very many parameters have fewer of each.
const MOST_SAMPLED: usize = 1 << 15;
/// Rows of an embedding that are shown.
const ROWS: usize = 4_096;
/// The stratum of rows that come often: see [`shown_rows`].
const OFTEN: u8 = 1;
/// Elements that are counted for a histogram, in runs that lie in one or two cache lines each.
const COUNTED: u64 = 8_192;
const RUN: u64 = 64;

/// What is recorded of a model.
#[derive(Clone, Debug)]
pub(crate) struct Selection {
    pub(crate) header: PlanHeader,
    pub(crate) ids: Vec<ParameterId>,
    /// The elements of each parameter that are sampled.
    pub(crate) sample: Vec<Vec<u64>>,
    /// The places of runs of elements that are counted for histograms, of each parameter.
    pub(crate) runs: Vec<Vec<(u64, u64)>>,
    pub(crate) embeddings: Vec<Embedding>,
    pub(crate) attentions: Vec<Attention>,
}

/// Which rows of an embedding are shown.
#[derive(Clone, Debug)]
pub(crate) struct Embedding {
    pub(crate) parameter: usize,
    pub(crate) width: usize,
    pub(crate) rows: Vec<(u64, u8)>,
    /// Whether these are all, in order.
    pub(crate) is_whole: bool,
    pub(crate) labels: Vec<String>,
}

impl Embedding {
    /// Whether a row is one of those that are shown.
    pub(crate) fn shows(&self, row: u64) -> bool {
        self.is_whole || self.rows.binary_search_by_key(&row, |it| it.0).is_ok()
    }
}

impl Selection {
    pub(crate) fn of(model: &Model, options: &Options) -> Self {
        let is_recorded = |id: &ParameterId| {
            let it = model.parameter(*id);
            it.shares.is_none()
                && it.role.is_learnt()
                && it.dtype.class() == DTypeClass::Float
                && it.quantization.is_none()
                && it.shape.elements() > 0
                && options.wants(&it.name)
        };
        let ids: Vec<ParameterId> = model.parameter_ids().filter(is_recorded).collect();
        let mut header = PlanHeader::new(options.name.clone(), model, &ids);
        header.tags = options.tags.clone();
        header.every = options.every.words();
        header.counted = Some(COUNTED);
        header.parameters.iter_mut().for_each(|it| it.shard = options.shard_of(&it.name));
        let most = (MOST_SAMPLED / header.parameters.len().max(1)).max(1);
        let sample = header.parameters.iter().map(|it| {
            let count = if it.matrix.is_some() { SAMPLE } else { VECTOR_SAMPLE }.min(most);
            Seeded::new(options.seed, &it.name).several(count, it.elements())
        });
        let runs = header
            .parameters
            .iter()
            .map(|it| runs_of(it.elements(), &mut Seeded::new(options.seed ^ 1, &it.name)));
        let embeddings =
            (0..).zip(&header.parameters).filter(|(_, it)| it.role == Role::Embedding && it.shape.len() == 2);
        let embeddings = embeddings.map(|(parameter, it)| {
            let (rows, width) = it.rows_and_columns();
            let shown = shown_rows(rows, ROWS, &options.rows, &mut Seeded::new(options.seed ^ 2, &it.name));
            Embedding {
                parameter,
                width: usize::try_from(width).unwrap_or(0),
                is_whole: shown.len() as u64 == rows,
                labels: labels(options.labels_of(&it.name, it.part), &shown),
                rows: shown,
            }
        });
        let (sample, runs, embeddings) = (sample.collect(), runs.collect(), embeddings.collect());
        let attentions = options.heads.map_or_else(Vec::new, |heads| Attention::all(&header, heads));
        let mut selection = Selection { header, ids, sample, runs, embeddings, attentions };
        for at in 0..selection.embeddings.len() {
            let it = &selection.embeddings[at];
            let counts = options.frequencies.get(&selection.header.parameters[it.parameter].name);
            let Some(counts) = counts.filter(|_| !it.is_whole) else { continue };
            let (rows, _) = selection.header.parameters[it.parameter].rows_and_columns();
            let mut order: Vec<u64> = (0..rows.min(counts.len() as u64)).collect();
            order.sort_by_key(|&row| std::cmp::Reverse(counts[row as usize]));
            selection = selection.with_frequent(at, &order, options);
        }
        selection
    }

    /// The same with other rows of an embedding in the place of those that were thought to come often.
    pub(crate) fn with_frequent(&self, embedding: usize, frequent: &[u64], options: &Options) -> Self {
        let mut changed = self.clone();
        let Some(it) = changed.embeddings.get_mut(embedding) else { return changed };
        let mut rows: BTreeMap<u64, u8> = it.rows.iter().copied().filter(|it| it.1 != OFTEN).collect();
        let room = it.rows.len() - rows.len();
        let new: Vec<u64> =
            frequent.iter().copied().filter(|row| !rows.contains_key(row)).take(room).collect();
        rows.extend(new.into_iter().map(|row| (row, OFTEN)));
        it.rows = rows.into_iter().collect();
        let planned = &self.header.parameters[it.parameter];
        it.labels = labels(options.labels_of(&planned.name, planned.part), &it.rows);
        changed
    }

    /// Whether a model is still the one that this was made of.
    pub(crate) fn fits(&self, model: &Model) -> bool {
        self.ids.iter().zip(&self.header.parameters).all(|(id, planned)| {
            let Some(it) = model.parameters.get(id.index()) else { return false };
            it.dtype == planned.dtype && it.shape.dims() == planned.shape && it.name == planned.name
        })
    }

    /// The plan's word for an embedding, with the frame as it is now.
    pub(crate) fn planned(&self, embedding: usize) -> PlannedEmbedding {
        let it = &self.embeddings[embedding];
        PlannedEmbedding::new(
            u32::try_from(it.parameter).unwrap_or(u32::MAX),
            u32::try_from(it.rows.len()).unwrap_or(u32::MAX),
            u32::try_from(it.width).unwrap_or(u32::MAX),
        )
        .with_labels(it.labels.clone())
    }
}

fn labels(all: Option<&Vec<String>>, rows: &[(u64, u8)]) -> Vec<String> {
    all.map_or_else(Vec::new, |all| rows.iter().map(|&(row, _)| label(all, row)).collect())
}

/// Runs of elements that are spread over a tensor.
fn runs_of(elements: u64, seeded: &mut Seeded) -> Vec<(u64, u64)> {
    if elements <= COUNTED {
        return vec![(0, elements)];
    }
    let begins = seeded.several(usize::try_from(COUNTED / RUN).unwrap_or(1), elements / RUN);
    begins.into_iter().map(|run| (run * RUN, RUN)).collect()
}

/// What a row is called: inert text, so that nothing in it can turn what is around it.
pub(crate) fn label(labels: &[String], row: u64) -> String {
    let label = usize::try_from(row).ok().and_then(|row| labels.get(row));
    let Some(label) = label else { return format!("#{row}") };
    let is_odd = |it: char| {
        it.is_control()
            || matches!(it, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    label
        .chars()
        .flat_map(|it| if is_odd(it) { it.escape_default().collect::<Vec<char>>() } else { vec![it] })
        .collect()
}
