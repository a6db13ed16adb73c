//! The rows of a chart of ranges by the blocks that a network repeats: a heading for each, so that hundreds stay readable.

use std::ops::Range;

use crate::fidelity_table::Verdict;
use crate::range_chart::{RangeChart, RangeRow};

/// Rows of one block, or rows between blocks.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RangeBlock {
    /// What the layers of the block begin with: `transformer.h.0`. `None` of rows that stand in no block.
    pub name: Option<String>,
    /// Which rows of the chart.
    pub rows: Range<usize>,
    /// What is to be seen of it while it is closed: `4 weights, the worst 38.1 dB`.
    pub caption: String,
    /// How its worst row is to be taken.
    pub verdict: Option<Verdict>,
}

/// Fewer rows than this are seen at once, and need no headings.
const MANY: usize = 24;

impl RangeChart {
    /// All rows in their order, block by block. Charts of few rows, and of networks that repeat nothing, are one without a
    /// name.
    ///
    /// ```
    /// use std::ops::ControlFlow;
    /// use quantviz_core::MemorySource;
    /// use quantviz_view::{ComparisonView, Inspection, RangeChart, Request};
    ///
    /// let one = ndarray::arr2(&[[1.0f32]]);
    /// let named = (0..40).map(|index| format!("h.{}.mlp.{}.weight", index / 2, index % 2));
    /// let mut source = named.fold(MemorySource::new(), |source, name| source.with(name, one.clone()));
    /// source.model_mut().parameters.iter_mut().for_each(|it| it.role = quantviz_core::Role::Weight);
    /// let model = Inspection::of(&source, "m", &Request::default(), &|_| ControlFlow::Continue(()))?;
    /// let blocks = RangeChart::of(&model, &ComparisonView::of("m", Vec::new())).blocks();
    /// assert_eq!((blocks.len(), blocks[19].name.as_deref(), blocks[19].rows.clone()), (20, Some("h.19"), 38..40));
    /// # Ok::<(), quantviz_core::Error>(())
    /// ```
    pub fn blocks(&self) -> Vec<RangeBlock> {
        let names: Vec<Option<&str>> = self.rows.iter().map(|row| block_of(row.name())).collect();
        let mut blocks: Vec<(Option<&str>, Range<usize>)> = Vec::new();
        let mut start = 0;
        for run in names.chunk_by(|one, other| one == other) {
            let rows = start..start + run.len();
            start = rows.end;
            // A heading above a single row says nothing that the row does not.
            let name = run[0].filter(|_| run.len() > 1);
            match blocks.last_mut() {
                Some((None, before)) if name.is_none() => before.end = rows.end,
                _ => blocks.push((name, rows)),
            }
        }
        let is_repeated = blocks.iter().filter(|(name, _)| name.is_some()).count() > 1;
        if self.rows.len() < MANY || !is_repeated {
            blocks = vec![(None, 0..self.rows.len())];
        }
        let blocks = blocks.into_iter().filter(|(_, rows)| !rows.is_empty());
        blocks.map(|(name, rows)| self.block(name, rows)).collect()
    }

    fn block(&self, name: Option<&str>, range: Range<usize>) -> RangeBlock {
        let rows = &self.rows[range.clone()];
        let bars = || rows.iter().flat_map(|row| &row.bars).flatten();
        let judged = bars().filter(|bar| bar.ranks.is_some() && bar.sqnr.is_some());
        let worst = judged.min_by(|one, other| one.rank().total_cmp(&other.rank()));
        let worst = worst.and_then(|bar| bar.sqnr.as_deref()).map(|sqnr| match sqnr {
            "exact" => ", exact".to_owned(),
            sqnr => format!(", the worst {sqnr} dB"),
        });
        let verdicts = [Verdict::Poor, Verdict::Improvable, Verdict::Fine];
        RangeBlock {
            name: name.map(str::to_owned),
            caption: format!(
                "{} weight{}{}",
                rows.len(),
                if rows.len() == 1 { "" } else { "s" },
                worst.unwrap_or_default()
            ),
            verdict: verdicts.into_iter().find(|verdict| bars().any(|bar| bar.verdict == Some(*verdict))),
            rows: range,
        }
    }
}

impl RangeRow {
    fn name(&self) -> &str {
        if self.layer.is_empty() { &self.parameter } else { &self.layer }
    }
}

/// What a name begins with, up to the first part that counts something: a number, or else a word that ends in one. The last
/// part is the layer's own.
fn block_of(name: &str) -> Option<&str> {
    let ends = || name.char_indices().filter(|(_, c)| matches!(c, '.' | '/')).map(|(at, _)| at);
    let part = |end: usize| name[..end].rsplit(['.', '/']).next().unwrap_or_default();
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let counts = |part: &str| part.ends_with(|c: char| c.is_ascii_digit());
    let end = ends().find(|&end| is_number(part(end))).or_else(|| ends().find(|&end| counts(part(end))))?;
    Some(name[..end].trim_start_matches(['.', '/']))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::axis::Axis;

    fn chart(names: &[&str]) -> RangeChart {
        let row = |name: &&str| RangeRow {
            layer: name.to_string(),
            short: name.to_string(),
            layer_index: None,
            op: String::new(),
            parameter: String::new(),
            remark: None,
            bars: vec![None],
        };
        RangeChart {
            title: String::new(),
            axis: Axis::between(0.0, 1.0),
            series: Vec::new(),
            magnitude: String::new(),
            rows: names.iter().map(row).collect(),
            notes: Vec::new(),
        }
    }

    #[test]
    fn blocks_are_what_is_counted() {
        let cases = [
            ("transformer.h.0.attn.c_attn", Some("transformer.h.0")),
            ("/model/layers.12/mlp/up_proj/MatMul", Some("model/layers.12")),
            ("blk.3.attn_q", Some("blk.3")),
            ("bert/encoder/layer_0/output/dense", Some("bert/encoder/layer_0")),
            ("layer1.0.conv1", Some("layer1.0")),
            ("layer1.conv1", Some("layer1")),
            ("model.layers.4.mlp.experts.7.w1", Some("model.layers.4")),
            ("lm_head", None),
            ("conv.12", None),
            ("größe.層.1.x", Some("größe.層.1")),
            ("", None),
            ("..//", None),
        ];
        for (name, block) in cases {
            assert_eq!(block_of(name), block, "{name}");
        }
    }

    #[test]
    fn headings_stand_where_they_help() {
        let of = |names: &[&str]| -> Vec<(Option<String>, Range<usize>)> {
            chart(names).blocks().into_iter().map(|it| (it.name, it.rows)).collect()
        };
        let blocks =
            |many: usize| (0..many).flat_map(|block| [format!("h.{block}.a"), format!("h.{block}.b")]);
        let all: Vec<String> =
            ["wte", "x.0.y"].map(String::from).into_iter().chain(blocks(20)).chain(["head".into()]).collect();
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let found = of(&all);
        assert_eq!(found.len(), 22);
        // What stands alone is laid together.
        assert_eq!(found[0], (None, 0..2));
        assert_eq!(found[1], (Some("h.0".into()), 2..4));
        assert_eq!(found[21], (None, 42..43));
        assert_eq!(of(&all[..12]), [(None, 0..12)], "few rows need none");
        assert_eq!(of(&["x.0.a"; 40]), [(None, 0..40)], "one block is no repetition");
        assert_eq!(of(&[]), []);
    }
}
