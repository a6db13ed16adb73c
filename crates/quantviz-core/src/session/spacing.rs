//! Steps that lie evenly on a logarithmic scale.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Steps on a logarithmic scale, of which those go first that leave the smallest gap.
pub(super) struct Spacing {
    steps: Vec<Spaced>,
    by_gap: BinaryHeap<Candidate>,
}

struct Spaced {
    step: u64,
    place: f64,
    before: Option<usize>,
    after: Option<usize>,
    is_gone: bool,
    stays: bool,
}

/// The smallest gap comes first; of equal ones, the latest step.
#[derive(PartialEq)]
struct Candidate {
    gap: f64,
    index: usize,
}

impl Eq for Candidate {}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        other.gap.total_cmp(&self.gap).then(self.index.cmp(&other.index))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Spacing {
    pub(super) fn of(steps: impl Iterator<Item = u64>, stays: impl Fn(&u64) -> bool) -> Self {
        let steps: Vec<u64> = steps.collect();
        let first = steps.first().copied().unwrap_or(0);
        #[expect(clippy::cast_precision_loss, reason = "a place on a scale")]
        let place = |step: u64| ((step - first) as f64).ln_1p();
        let len = steps.len();
        let spaced = |(index, step): (usize, u64)| Spaced {
            step,
            place: place(step),
            before: index.checked_sub(1),
            after: Some(index + 1).filter(|&after| after < len),
            is_gone: false,
            stays: stays(&step),
        };
        let steps = steps.into_iter().enumerate().map(spaced).collect();
        let mut spacing = Spacing { steps, by_gap: BinaryHeap::new() };
        (0..len).for_each(|index| spacing.put(index));
        spacing
    }

    /// The gap that a step would leave.
    fn gap(&self, index: usize) -> Option<f64> {
        let step = self.steps.get(index).filter(|step| !step.is_gone && !step.stays)?;
        Some(self.steps[step.after?].place - self.steps[step.before?].place)
    }

    fn put(&mut self, index: usize) {
        if let Some(gap) = self.gap(index) {
            self.by_gap.push(Candidate { gap, index });
        }
    }

    pub(super) fn remove_closest(&mut self) -> Option<u64> {
        loop {
            let Candidate { gap, index } = self.by_gap.pop()?;
            // Neighbours that went since have made the gap wider: then it stands further down as well.
            if self.gap(index) != Some(gap) {
                continue;
            }
            let Spaced { step, before, after, .. } = self.steps[index];
            self.steps[index].is_gone = true;
            for (here, is_before) in [(before, true), (after, false)] {
                let Some(here) = here else { continue };
                let link = if is_before { &mut self.steps[here].after } else { &mut self.steps[here].before };
                *link = if is_before { after } else { before };
                self.put(here);
            }
            return Some(step);
        }
    }
}
