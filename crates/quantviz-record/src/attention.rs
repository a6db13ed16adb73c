//! The queries and keys of attentions, in which heads can be told apart.

use quantviz_core::{
    ParameterSource, Part, PlanHeader, PlannedParameter, Result, TransformerPart, head_similarity,
};

use crate::capture::Capturer;
use crate::captured::Captured;
use crate::reading::{Clock, read};
use crate::watched::{MOST_KEPT, PART};

/// Names of queries, with those of the keys beside them.
const PAIRS: [(&str, &str); 5] = [
    ("q_proj", "k_proj"),
    ("query", "key"),
    ("attn_q", "attn_k"),
    ("wq", "wk"),
    ("SelfAttention.q", "SelfAttention.k"),
];
/// In these, queries, keys and values are not one after the other but mixed, head by head.
const MIXED: &str = "query_key_value";

/// So many captures pass from one attention to the next.
const CAPTURES_BETWEEN: u64 = 4;

/// Where the queries and keys of an attention are.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Attention {
    heads: usize,
    width: usize,
    query: usize,
    layout: Layout,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Layout {
    /// In one matrix: queries, then keys, then values, as rows.
    Rows,
    /// The same as columns.
    Columns,
    /// Keys are rows of another parameter.
    Apart { key: usize },
}

/// Queries and keys as they were.
#[derive(Clone, Debug)]
pub(crate) struct Heads {
    attention: Attention,
    query: Vec<f32>,
    /// Where they are apart.
    key: Vec<f32>,
}

impl Heads {
    /// The parameter that has the queries.
    pub(crate) fn parameter(&self) -> usize {
        self.attention.query
    }

    /// How alike the two heads are that are the most alike.
    pub(crate) fn similarity(&self) -> Option<f32> {
        let Attention { heads, width, layout, .. } = self.attention;
        let square = width * width;
        match layout {
            Layout::Apart { .. } => head_similarity(&self.query, &self.key, heads, width),
            Layout::Rows => {
                head_similarity(self.query.get(..square)?, self.query.get(square..2 * square)?, heads, width)
            }
            Layout::Columns => {
                let outputs = |begin: usize| -> Vec<f32> {
                    let column = |at: usize| self.query.iter().skip(at).step_by(3 * width).copied();
                    (begin..begin + width).flat_map(column).collect()
                };
                head_similarity(&outputs(0), &outputs(width), heads, width)
            }
        }
    }
}

impl Attention {
    /// All of a catalogue that can be divided into so many heads.
    pub(crate) fn all(header: &PlanHeader, heads: usize) -> Vec<Attention> {
        let all = header.parameters.iter().enumerate();
        all.filter_map(|(query, planned)| Attention::of(header, query, planned, heads)).collect()
    }

    fn of(header: &PlanHeader, query: usize, planned: &PlannedParameter, heads: usize) -> Option<Self> {
        if planned.part != Some(TransformerPart::QueryKeyValue) || planned.elements() > MOST_KEPT {
            return None;
        }
        let &[rows, columns] = &planned.shape[..] else { return None };
        let with = |layout, outputs: u64, width: u64| {
            let is_divided = heads > 1 && outputs.is_multiple_of(heads as u64);
            let width = usize::try_from(width).ok()?;
            is_divided.then_some(Attention { heads, width, query, layout })
        };
        let pair = PAIRS.iter().find(|(query, _)| has_module(&planned.name, query));
        if let Some((of_query, of_key)) = pair {
            let key = header.parameter_named(&planned.name.replace(of_query, of_key))?;
            // Keys that several heads share are fewer.
            let is_alike = header.parameters[key].shape == planned.shape;
            return if is_alike { with(Layout::Apart { key }, rows, columns) } else { None };
        }
        if planned.name.contains(MIXED) {
            return None;
        }
        if rows == 3 * columns {
            return with(Layout::Rows, columns, columns);
        }
        if columns == 3 * rows { with(Layout::Columns, rows, rows) } else { None }
    }
}

fn has_module(name: &str, module: &str) -> bool {
    name.strip_suffix(".weight").is_some_and(|it| {
        it.strip_suffix(module).is_some_and(|rest| rest.is_empty() || rest.ends_with(['.', '/', '_']))
    })
}

impl Capturer {
    /// Queries and keys of one attention after another, where they can be read within the part of a capture for that.
    pub(crate) fn watch_heads(
        &mut self,
        source: &dyn ParameterSource,
        clock: &Clock,
        captured: &mut Captured,
    ) {
        if self.captures % CAPTURES_BETWEEN != 1 {
            return;
        }
        let selection = self.selection.clone();
        let count = selection.attentions.len();
        let Some(at) = self.watched.next_attention.checked_rem(count) else { return };
        self.watched.next_attention = at + 1;
        let attention = &selection.attentions[at];
        let elements = selection.header.parameters[attention.query].elements();
        let needed = self.time_for(2 * elements);
        if clock.budget.is_some_and(|budget| needed > budget / PART) || needed > clock.left() {
            return;
        }
        // What cannot be read is told where parameters are looked at.
        captured.heads = self.heads_of(attention, source, clock).unwrap_or(None);
    }

    fn heads_of(
        &mut self,
        attention: &Attention,
        source: &dyn ParameterSource,
        clock: &Clock,
    ) -> Result<Option<Heads>> {
        let mut whole = |parameter: usize| -> Result<Option<Vec<f32>>> {
            let elements = self.selection.header.parameters[parameter].elements();
            let mut values = Vec::with_capacity(usize::try_from(elements).unwrap_or(0));
            let id = self.selection.ids[parameter];
            let is_whole =
                read(source, id, Part::Stored, 0..elements, Some(clock), &mut self.buffer, &mut |it| {
                    values.extend_from_slice(it);
                })?;
            Ok((is_whole && values.len() as u64 == elements).then_some(values))
        };
        let Some(query) = whole(attention.query)? else { return Ok(None) };
        let key = match attention.layout {
            Layout::Apart { key } => whole(key)?,
            Layout::Rows | Layout::Columns => Some(Vec::new()),
        };
        Ok(key.map(|key| Heads { attention: attention.clone(), query, key }))
    }
}
