//! The range of every weight: a row for each, a panel for each model, on one scale.

use std::ops::Range;

use quantviz_view::{Axis, RangeBar, RangeBlock, RangeChart, RangeSeries, Tick, Verdict};

use crate::escape::escaped;
use crate::picture::{End, Picture, fitted, short};
use crate::row_name::RowName;
use crate::style::{STEPS, step};

/// How a chart of ranges is drawn.
///
/// Four models have room beside each other: the reference and its first three variants. A page may show others in their
/// places ([`Heatmap::choosing`]).
#[derive(Clone, Debug)]
pub struct Heatmap<'a> {
    chart: &'a RangeChart,
    links: Option<&'a [String]>,
    columns: Columns,
    chooses: bool,
}

/// The width of all.
const WIDTH: f64 = 960.0;
/// The height of a row.
const ROW: f64 = 20.0;
/// What the names of layers take.
const NAMES: f64 = 232.0;
/// What is left free at the right.
const RIGHT: f64 = 8.0;
/// Between panels.
const GAP: f64 = 20.0;
/// What the range of the first model takes in letters, and the decibels of the others: their ranges differ so little that
/// bars with room say more.
const RANGE_TEXT: f64 = 128.0;
const SQNR_TEXT: f64 = 56.0;
/// More panels than this would have no room for bars.
const MOST_PANELS: usize = 4;
/// The height of a heading above a block.
const HEADING: f64 = 26.0;

#[derive(Clone, Debug)]
struct Columns {
    panels: usize,
    bars: f64,
}

impl Columns {
    fn of(chart: &RangeChart) -> Self {
        let panels = chart.series.len().min(MOST_PANELS);
        let others = (panels - 1) as f64;
        let texts = RANGE_TEXT + (GAP + SQNR_TEXT) * others;
        Columns { panels, bars: (WIDTH - NAMES - RIGHT - texts) / panels as f64 }
    }

    fn start(&self, panel: usize) -> f64 {
        let before = if panel == 0 { 0.0 } else { RANGE_TEXT - SQNR_TEXT };
        NAMES + before + (self.bars + SQNR_TEXT + GAP) * panel as f64
    }

    fn place(&self, panel: usize, share: f64) -> f64 {
        self.start(panel) + share * self.bars
    }

    fn right(&self, panel: usize) -> f64 {
        self.start(panel) + self.bars + if panel == 0 { RANGE_TEXT } else { SQNR_TEXT }
    }
}

impl<'a> Heatmap<'a> {
    /// Of a chart.
    pub fn of(chart: &'a RangeChart) -> Self {
        Heatmap { chart, links: None, columns: Columns::of(chart), chooses: false }
    }

    /// Draws all models, each in groups of the class `qv-p` and its number; a style puts some of them
    /// where panels begin ([`Heatmap::starts`]) and hides the others. Nothing changes where all have room.
    #[must_use]
    pub fn choosing(self) -> Self {
        let chooses = self.chart.series.len() > MOST_PANELS;
        Heatmap { chooses, ..self }
    }

    /// The models that have no place beside the others.
    pub fn left_out(&self) -> &'a [RangeSeries] {
        &self.chart.series[self.columns.panels..]
    }

    /// Where panels begin, in their order.
    pub fn starts(&self) -> Vec<f64> {
        (0..self.columns.panels).map(|panel| self.columns.start(panel)).collect()
    }

    /// Makes every row a link: to `links`, in the order of the rows.
    #[must_use]
    pub fn linking(self, links: &'a [String]) -> Self {
        Heatmap { links: Some(links), ..self }
    }

    /// All of it: scale, rows, block by block, what the colours mean, notes.
    pub fn picture(&self) -> Picture {
        let mut all = self.head();
        for block in self.chart.blocks() {
            if let Some(name) = &block.name {
                let mut heading = Picture::new(WIDTH, HEADING, name);
                heading.text("qv-strong", 8.0, 18.0, &fitted(name, 60, End::Last));
                heading.text("qv-end", WIDTH - RIGHT, 18.0, &block.caption);
                all = all.below(&heading);
            }
            all = all.below(&self.some_rows(
                block.rows.clone(),
                String::new(),
                RowName::in_block(&block, false),
            ));
        }
        all = all.below(&self.foot());
        if let left_out @ [_, ..] = self.left_out() {
            let names: Vec<&str> = left_out.iter().map(|it| it.label.as_str()).collect();
            let line = format!("no room for {}", names.join(", "));
            all.text("qv-quiet", 8.0, all.height + 6.0, &fitted(&line, 140, End::First));
            all.height += 16.0;
        }
        all.title = self.title();
        all.from_files(self.chart.series.iter().take(self.columns.panels).map(|series| series.model.as_str()))
    }

    fn title(&self) -> String {
        let file = self.chart.title.rsplit(['/', '\\']).next().unwrap_or(&self.chart.title);
        format!("Ranges of the weights of {file}")
    }

    /// What stands above the rows, and stays there when they scroll: whose panel each is, and the scale.
    pub fn head(&self) -> Picture {
        let mut head = Picture::new(WIDTH, 36.0, "Scale of the ranges");
        for panel in 0..self.columns.panels {
            for tick in &self.chart.axis.ticks {
                let x = self.columns.place(panel, tick.at);
                if self.has_room(tick.at) {
                    head.text("qv-mid", x, 30.0, &tick.label);
                }
            }
            let at = |tick: &Tick| self.columns.place(panel, tick.at);
            let ticks = self.chart.axis.ticks.iter().map(|it| ([at(it), 33.0], [at(it), 36.0]));
            head.lines("qv-grid", ticks);
        }
        self.each_panel(&mut head, |head, panel, start, right| {
            let series = &self.chart.series[panel];
            let label = if series.label.is_empty() { &series.model } else { &series.label };
            head.add(format_args!(
                "<text class=\"qv-strong\" x=\"{}\" y=\"12\">{}<title>{}</title></text>",
                short(start),
                escaped(&fitted(label, 24, End::Last)),
                escaped(&series.model)
            ));
            let what = if panel == 0 { "min … max" } else { "dB" };
            head.text("qv-end", right, 12.0, what);
        });
        head.text("qv-quiet", 8.0, 12.0, "layer");
        head
    }

    /// Whether the number of a tick does not run into its neighbours: in narrow panels the ends and zero are told.
    fn has_room(&self, at: f64) -> bool {
        let ticks = &self.chart.axis.ticks;
        let is_end =
            ticks.first().is_some_and(|it| it.at == at) || ticks.last().is_some_and(|it| it.at == at);
        is_end || at == zero(&self.chart.axis) || self.columns.bars / ticks.len() as f64 >= 44.0
    }

    /// The height of a row, for those who move rows.
    pub fn row_height(&self) -> f64 {
        ROW
    }

    /// Draws every panel, from where it begins to where it ends: in its place, or in a group that a style puts there.
    fn each_panel(&self, picture: &mut Picture, draw: impl Fn(&mut Picture, usize, f64, f64)) {
        if !self.chooses {
            let places =
                (0..self.columns.panels).map(|it| (it, self.columns.start(it), self.columns.right(it)));
            return places.for_each(|(panel, start, right)| draw(picture, panel, start, right));
        }
        for panel in 0..self.chart.series.len() {
            let place = panel.min(1);
            let right = self.columns.right(place) - self.columns.start(place);
            picture.add(format_args!("<g class=\"qv-p{panel}\">"));
            draw(picture, panel, 0.0, right);
            picture.add(format_args!("</g>"));
        }
    }

    /// The rows alone, all of them.
    pub fn rows(&self) -> Picture {
        self.some_rows(0..self.chart.rows.len(), self.title(), RowName::Whole)
    }

    /// The rows of one block. What their names begin with as its heading does is of the class `qv-in`: a page hides it
    /// below the heading, and shows it where rows stand elsewhere.
    pub fn block(&self, block: &RangeBlock) -> Picture {
        let title = block.name.as_ref().map_or_else(|| self.title(), |name| format!("Ranges of {name}"));
        self.some_rows(block.rows.clone(), title, RowName::in_block(block, true))
    }

    /// As high as all rows, without any: for those who move rows there.
    pub fn ground(&self) -> Picture {
        self.grid(self.chart.rows.len(), self.title())
    }

    fn grid(&self, many: usize, title: String) -> Picture {
        let height = ROW * many as f64 + 4.0;
        let mut rows = Picture::new(WIDTH, height, title);
        let upright = |panel, at| {
            let x = self.columns.place(panel, at);
            ([x, 0.0], [x, height])
        };
        let places = || {
            (0..self.columns.panels).flat_map(|it| self.chart.axis.ticks.iter().map(move |tick| (it, tick)))
        };
        rows.lines("qv-grid", places().map(|(panel, tick)| upright(panel, tick.at)));
        let zero = zero(&self.chart.axis);
        rows.lines("qv-zero", (0..self.columns.panels).map(|panel| upright(panel, zero)));
        rows
    }

    fn some_rows(&self, range: Range<usize>, title: String, name: RowName<'_>) -> Picture {
        let mut rows = self.grid(range.len(), title);
        let (widest, worst) = (self.chart.widest(), self.chart.worst());
        for (place, index) in range.enumerate() {
            let mark = match (widest == Some(index), worst == Some(index)) {
                (true, true) => "widest, worst",
                (true, false) => "widest",
                (false, true) => "worst",
                _ => "",
            };
            self.row(&mut rows, place, index, mark, name);
        }
        rows
    }

    fn row(&self, rows: &mut Picture, place: usize, index: usize, mark: &str, named: RowName<'_>) {
        let row = &self.chart.rows[index];
        let transform = format!("translate(0 {})", ROW * place as f64);
        let name = if row.layer.is_empty() { &row.parameter } else { &row.layer };
        let link = self.links.and_then(|links| links.get(index)).filter(|link| !link.is_empty());
        match link {
            Some(link) => rows.add(format_args!(
                "<a class=\"qv-row\" href=\"{}\" data-row=\"{index}\" transform=\"{transform}\">",
                escaped(link)
            )),
            None => rows.add(format_args!("<g transform=\"{transform}\">")),
        }
        rows.add(format_args!("<title>{}</title>", escaped(&row.tooltip())));
        rows.add(format_args!("<rect class=\"qv-hit\" width=\"{WIDTH}\" height=\"{ROW}\"/>"));
        let room = match mark.len() {
            0 => 30,
            1..=6 => 20,
            _ => 15,
        };
        let class = if mark.is_empty() { "qv-text" } else { "qv-strong" };
        let (hidden, short_name) = named.parts(row);
        let shown = fitted(short_name, room, End::Last);
        // Elsewhere than below its heading, as much of the rest is told as there is room for.
        let hidden = match room - shown.chars().count() {
            0 | 1 => String::new(),
            left => fitted(hidden, left, End::Last),
        };
        let hidden_part = match hidden.as_str() {
            "" => String::new(),
            hidden => format!("<tspan class=\"qv-in\">{}</tspan>", escaped(hidden)),
        };
        rows.add(format_args!(
            "<text class=\"{class}\" x=\"8\" y=\"14\">{hidden_part}{}</text>",
            escaped(&shown)
        ));
        // What the name does not tell: the weight, where that is called otherwise; else the operator.
        let weight = row.parameter.strip_suffix(".weight").unwrap_or(&row.parameter);
        let is_told = row.parameter.starts_with(name.as_str()) || row.short != *name;
        let beside = if is_told { &row.op } else { weight };
        let taken = hidden.chars().count() + shown.chars().count();
        if !mark.is_empty() {
            rows.text("qv-end", NAMES - 12.0, 14.0, mark);
        } else {
            let letters = ((NAMES - 20.0 - 7.6 * taken as f64) / 6.8).max(0.0) as usize;
            if letters > 3 {
                rows.text("qv-end", NAMES - 12.0, 14.0, &fitted(beside, letters, End::First));
            }
        }
        self.each_panel(rows, |rows, panel, start, right| match &row.bars[panel] {
            Some(bar) => self.bar(rows, panel == 0, bar, start, right),
            None => {
                rows.line("qv-none", [start, ROW - 3.0], [start + self.columns.bars, ROW - 3.0]);
                let why = row.remark.as_deref().unwrap_or("nothing of it");
                let letters = (self.columns.bars / 6.5) as usize;
                rows.text("qv-none-text", start + 6.0, 14.0, &fitted(why, letters, End::First));
            }
        });
        rows.add(format_args!("{}", if link.is_some() { "</a>" } else { "</g>" }));
    }

    fn bar(&self, rows: &mut Picture, is_reference: bool, bar: &RangeBar, start: f64, right: f64) {
        let (from, to) = (start + bar.from * self.columns.bars, start + bar.to * self.columns.bars);
        let width = (to - from).max(1.5);
        rows.add(format_args!(
            "<path class=\"qv-m{}\" d=\"M{} 4h{}v12h-{}z\"/>",
            step(bar.magnitude),
            short(from),
            short(width),
            short(width)
        ));
        if is_reference {
            rows.text("qv-end", right, 14.0, &fitted(&bar.text, 20, End::First));
        }
        let (class, sign) = match bar.verdict {
            Some(Verdict::Poor) => ("qv-poor", "▲ "),
            Some(Verdict::Improvable) => ("qv-look", "◆ "),
            _ => ("qv-end", ""),
        };
        if let Some(sqnr) = &bar.sqnr {
            rows.text(class, right, 14.0, &format!("{sign}{sqnr}"));
        }
    }

    /// What stands below the rows: what the colours and the signs mean, and notes.
    pub fn foot(&self) -> Picture {
        let notes = self.chart.notes.len() as f64;
        let mut foot = Picture::new(WIDTH, 34.0 + 16.0 * notes + 6.0, "What the colours mean");
        for index in 0..STEPS {
            foot.add(format_args!(
                "<rect class=\"qv-m{index}\" x=\"{}\" y=\"10\" width=\"18\" height=\"12\"/>",
                8.0 + 18.0 * f64::from(index)
            ));
        }
        foot.text("qv-quiet", 144.0, 20.0, &self.chart.magnitude);
        let is_judged = self.chart.rows.iter().flat_map(|row| &row.bars).flatten();
        if is_judged.into_iter().any(|bar| bar.sqnr.is_some()) {
            foot.text("qv-end", WIDTH - RIGHT, 20.0, "▲ much is lost that need not be · ◆ worth a look");
        }
        for (index, note) in self.chart.notes.iter().enumerate() {
            foot.text("qv-quiet", 8.0, 42.0 + 16.0 * index as f64, note);
        }
        foot
    }
}

fn zero(axis: &Axis) -> f64 {
    axis.place(0.0)
}
