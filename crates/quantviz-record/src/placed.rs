//! Where the rows of an embedding are shown, from capture to capture.

use quantviz_core::{EmbeddingState, Frame, PlannedEmbedding, Principal, bf16, dot};

use crate::allowance::Allowance;
use crate::captured::ReadRows;
use crate::selection::Embedding;

/// Below this share of what the best three directions show, the frame turns at once.
const POOR: f32 = 0.9;
/// Below this share, it turns when that lasts.
const FAIR: f32 = 0.95;
const LASTS: u32 = 3;
/// How much further than they are rows may go before the frame is scaled.
const ROOM: f32 = 4.0;
/// Iterations on directions that are known, and on unknown ones.
const WARM: usize = 2;
const COLD: usize = 24;
/// Rows whose neighbours are told, and how many of each.
pub(crate) const TOLD: usize = 256;
pub(crate) const NEIGHBOURS: usize = 8;
/// Multiplications that neighbours may take in one capture.
const WORK: usize = 16_000_000;
/// In place of a neighbour that is not known.
pub(crate) const UNKNOWN: u16 = u16::MAX;

/// An embedding in space.
#[derive(Debug, Default)]
pub(crate) struct Placed {
    frame: Option<Frame>,
    principal: Option<Principal>,
    scale: f32,
    basis_step: u64,
    turns: u32,
    because: Option<String>,
    short: u32,
    before: Vec<f32>,
    pub(crate) state: EmbeddingState,
    pub(crate) positions: Vec<[i16; 3]>,
    pub(crate) norms: Vec<bf16>,
    pub(crate) changes: Vec<bf16>,
    pub(crate) gradients: Vec<bf16>,
    pub(crate) guests: Vec<u64>,
    pub(crate) guest_positions: Vec<[i16; 3]>,
    pub(crate) guest_norms: Vec<f32>,
    pub(crate) neighbours: Vec<u16>,
    next_told: usize,
}

impl Placed {
    /// Takes rows as they are now. `true` where the frame is another from here on.
    pub(crate) fn take(
        &mut self,
        embedding: &Embedding,
        read: &ReadRows,
        step: u64,
        allowed: Allowance,
    ) -> bool {
        let (width, rows) = (embedding.width, &read.rows[..]);
        if rows.len() != embedding.rows.len() * width {
            // It was taken before other rows were chosen.
            return false;
        }
        if rows.iter().any(|it| !it.is_finite()) {
            // The last places stay; that there are numbers which are none, statistics tell.
            return false;
        }
        let is_first = self.frame.is_none();
        if is_first || allowed.is_left() {
            let iterations = if is_first { COLD } else { WARM };
            self.principal = Some(Principal::of(rows, width, self.principal.as_ref(), iterations));
        }
        let Some(principal) = &self.principal else { return false };
        let best = principal.best_share();
        let mut has_changed = false;
        let shares = self.frame.as_ref().map_or([0.0; 3], |frame| frame.shares(rows));
        let kept = if best > 0.0 { shares.iter().sum::<f32>() / best } else { 1.0 };
        self.short = if kept < FAIR { self.short + 1 } else { 0 };
        if is_first || kept < POOR || self.short >= LASTS {
            let frame = Frame::of(principal, self.frame.as_ref());
            if !is_first {
                self.turns += 1;
                self.because =
                    Some(format!("the view showed {:.0} % of what three directions can show", kept * 100.0));
            }
            (self.frame, self.basis_step, self.short, has_changed) = (Some(frame), step, 0, true);
        }
        let Some(frame) = &self.frame else { return false };
        let shares = if has_changed { frame.shares(rows) } else { shares };
        let places: Vec<[f32; 3]> = rows.chunks_exact(width.max(1)).map(|row| frame.place(row)).collect();
        let furthest = places.iter().flatten().fold(0.0f32, |furthest, it| furthest.max(it.abs()));
        if has_changed || furthest > self.scale {
            if !has_changed {
                self.because = Some("rows have left the frame, which is wider now".to_owned());
            }
            self.scale = (ROOM * furthest).max(f32::MIN_POSITIVE);
            has_changed = true;
        }
        let scale = self.scale;
        let steps = |it: f32| (it / scale * f32::from(i16::MAX)).round() as i16;
        self.positions = places.iter().map(|place| place.map(steps)).collect();
        self.norms = rows.chunks_exact(width.max(1)).map(|row| bf16::from_f32(norm(row))).collect();
        self.changes = match self.before.len() == rows.len() {
            true => rows
                .chunks_exact(width.max(1))
                .zip(self.before.chunks_exact(width.max(1)))
                .map(|(row, before)| bf16::from_f32(distance(row, before)))
                .collect(),
            false => vec![bf16::NAN; embedding.rows.len()],
        };
        self.before.clear();
        self.before.extend_from_slice(rows);
        let drift = distance(&principal.mean, &frame.center);
        self.state = EmbeddingState::new(shares, best, drift, step);
        self.take_guests(embedding, read, steps);
        if is_first || allowed.is_left() {
            self.find_neighbours(rows, width);
        }
        has_changed
    }

    /// Rows that stand out now: they are shown where the frame has them, and do not move it.
    fn take_guests(&mut self, embedding: &Embedding, read: &ReadRows, steps: impl Fn(f32) -> i16) {
        let Some(frame) = &self.frame else { return };
        let guests = || read.guest_rows.chunks_exact(embedding.width.max(1));
        self.guests = read.guests.clone();
        self.guest_positions = guests().map(|row| frame.place(row).map(&steps)).collect();
        self.guest_norms = guests().map(norm).collect();
    }

    /// The size of the gradient of each row that is shown.
    pub(crate) fn take_gradients(&mut self, embedding: &Embedding, row_rms: &[f32]) {
        let length = (embedding.width as f32).sqrt();
        let of_row = |row: u64| row_rms.get(row as usize).map_or(f32::NAN, |it| it * length);
        self.gradients = embedding.rows.iter().map(|&(row, _)| bf16::from_f32(of_row(row))).collect();
    }

    /// From here on, other rows are shown.
    pub(crate) fn forget_rows(&mut self) {
        self.before.clear();
        self.positions.clear();
        self.gradients.clear();
        self.neighbours.clear();
        self.next_told = 0;
    }

    /// The nearest rows by angle, in all dimensions: of some rows in this capture, of others in the next.
    fn find_neighbours(&mut self, rows: &[f32], width: usize) {
        let count = rows.len().checked_div(width).unwrap_or(0);
        let told = count.min(TOLD);
        self.neighbours.resize(told * NEIGHBOURS, UNKNOWN);
        let norms: Vec<f32> = rows.chunks_exact(width.max(1)).map(norm).collect();
        let at_once = (WORK / (count * width).max(1)).clamp(1, told.max(1));
        for _ in 0..at_once.min(told) {
            let at = self.next_told % told;
            self.next_told = at + 1;
            let row = &rows[at * width..(at + 1) * width];
            let mut nearest: Vec<(f32, usize)> = Vec::with_capacity(NEIGHBOURS + 1);
            for (other, of_other) in rows.chunks_exact(width).enumerate().filter(|&(other, _)| other != at) {
                let cosine = dot(row, of_other) as f32 / (norms[at] * norms[other]).max(f32::MIN_POSITIVE);
                if nearest.len() == NEIGHBOURS && nearest.last().is_some_and(|last| cosine <= last.0) {
                    continue;
                }
                let place = nearest.partition_point(|it| it.0 >= cosine);
                nearest.insert(place, (cosine, other));
                nearest.truncate(NEIGHBOURS);
            }
            let out = &mut self.neighbours[at * NEIGHBOURS..(at + 1) * NEIGHBOURS];
            out.fill(UNKNOWN);
            for (out, (_, other)) in out.iter_mut().zip(nearest) {
                *out = u16::try_from(other).unwrap_or(UNKNOWN);
            }
        }
    }

    /// What the plan says of it.
    pub(crate) fn planned(&self, plain: PlannedEmbedding) -> PlannedEmbedding {
        plain.shown_in(self.scale, self.basis_step, self.turns, self.because.clone())
    }

    pub(crate) fn frame(&self) -> Option<&Frame> {
        self.frame.as_ref()
    }
}

fn norm(row: &[f32]) -> f32 {
    dot(row, row).sqrt() as f32
}

fn distance(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f32>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use quantviz_core::Seeded;

    fn embedding(rows: u64, width: usize) -> Embedding {
        Embedding {
            parameter: 0,
            width,
            rows: (0..rows).map(|row| (row, 0)).collect(),
            is_whole: true,
            labels: Vec::new(),
        }
    }

    fn read(rows: &[f32]) -> ReadRows {
        ReadRows { rows: rows.to_vec(), ..ReadRows::default() }
    }

    fn noise(count: usize, seed: u64) -> Vec<f32> {
        let mut seeded = Seeded::new(seed, "noise");
        (0..count).map(|_| seeded.share() as f32 - 0.5).collect()
    }

    /// Rows that move within their three directions never move the frame; rows that leave them do, once.
    #[test]
    fn the_frame_turns_only_when_rows_leave_it() {
        let (embedding, width) = (embedding(50, 8), 8);
        let spread = |rows: &mut [f32], by: [f32; 8]| {
            rows.chunks_exact_mut(width)
                .for_each(|row| row.iter_mut().zip(by).for_each(|(it, by)| *it *= by));
        };
        let mut placed = Placed::default();
        let mut rows = noise(400, 1);
        spread(&mut rows, [9.0, 8.0, 7.0, 0.1, 0.1, 0.1, 0.1, 0.1]);
        assert!(placed.take(&embedding, &read(&rows), 0, Allowance::UNBOUNDED));
        for step in 1..20 {
            let mut moved = noise(400, step + 1);
            spread(&mut moved, [9.0, 8.0, 7.0, 0.1, 0.1, 0.1, 0.1, 0.1]);
            assert!(!placed.take(&embedding, &read(&moved), step, Allowance::UNBOUNDED), "step {step}");
        }
        assert_eq!(placed.turns, 0);
        let mut turned = 0;
        for step in 20..40 {
            let mut moved = noise(400, step + 1);
            spread(&mut moved, [0.1, 0.1, 0.1, 9.0, 8.0, 7.0, 0.1, 0.1]);
            turned += u32::from(placed.take(&embedding, &read(&moved), step, Allowance::UNBOUNDED));
        }
        assert!(turned >= 1 && placed.turns <= 2, "{turned} {}", placed.turns);
        assert!(placed.state.shares.iter().sum::<f32>() > 0.9 * placed.state.best);
    }

    /// Against looking at all pairs.
    #[test]
    fn the_nearest_are_told() {
        let (embedding, rows) = (embedding(40, 6), noise(240, 9));
        let mut placed = Placed::default();
        placed.take(&embedding, &read(&rows), 0, Allowance::UNBOUNDED);
        let row = |at: usize| &rows[at * 6..(at + 1) * 6];
        for at in 0..40 {
            let cosine = |other: usize| dot(row(at), row(other)) as f32 / norm(row(at)) / norm(row(other));
            let mut others: Vec<usize> = (0..40).filter(|&other| other != at).collect();
            others.sort_by(|&a, &b| cosine(b).total_cmp(&cosine(a)));
            let told: Vec<usize> =
                placed.neighbours[at * 8..(at + 1) * 8].iter().map(|&it| it.into()).collect();
            assert_eq!(told, others[..8], "row {at}");
        }
    }
}
