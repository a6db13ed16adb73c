//! Arrays on their way into a snapshot.

use quantviz_core::{ArrayElement, ArrayWriter, Quantity, THUMBNAIL, Track, bf16, index_name};

use crate::captured::Statistic;
use crate::picture::{CELLS, LastSeen, Merge, Picture};
use crate::placed::{NEIGHBOURS, Placed};
use crate::shape::{BINS, Shape};
use crate::watched::{FINE, Focused};

/// Arrays on their way into a snapshot.
pub(crate) struct Pushed<'a>(pub(crate) &'a mut ArrayWriter);

/// The rows of those whose turn it is, or all.
pub(crate) fn rows_of<'a, T>(of: Option<&[u32]>, all: &'a [T]) -> Vec<&'a T> {
    match of {
        Some(of) => of.iter().filter_map(|&it| all.get(it as usize)).collect(),
        None => all.iter().collect(),
    }
}

impl Pushed<'_> {
    pub(crate) fn light<T: ArrayElement>(&mut self, name: impl Into<String>, shape: &[usize], values: &[T]) {
        self.0.push(Track::Light, name, shape, values);
    }

    pub(crate) fn heavy<T: ArrayElement>(&mut self, name: impl Into<String>, shape: &[usize], values: &[T]) {
        self.0.push(Track::Heavy, name, shape, values);
    }

    /// Which are in the arrays of a group, where not all are.
    pub(crate) fn index(&mut self, group: &str, of: Option<&[u32]>) {
        if let Some(of) = of {
            self.light(index_name(group), &[of.len()], of);
        }
    }

    pub(crate) fn column(
        &mut self,
        quantity: Quantity,
        of: Option<&[u32]>,
        values: impl Iterator<Item = f32>,
    ) {
        self.counts(quantity.name(), of, values);
    }

    pub(crate) fn counts<T: ArrayElement>(
        &mut self,
        name: &str,
        of: Option<&[u32]>,
        values: impl Iterator<Item = T>,
    ) {
        let all: Vec<T> = values.collect();
        let chosen: Vec<T> = rows_of(of, &all).into_iter().copied().collect();
        self.light(name, &[chosen.len()], &chosen);
    }

    pub(crate) fn statistics(&mut self, group: &str, statistics: &[Statistic], of: Option<&[u32]>) {
        let each = |value: fn(&Statistic) -> f32| statistics.iter().map(value);
        self.counts(&format!("{group}.min"), of, each(|it| it.min));
        self.counts(&format!("{group}.max"), of, each(|it| it.max));
        self.counts(&format!("{group}.mean"), of, each(|it| it.mean));
        self.counts(&format!("{group}.std"), of, each(|it| it.std));
        self.counts(&format!("{group}.zeros"), of, each(|it| it.zeros));
        self.counts(&format!("{group}.coverage"), of, each(|it| it.coverage));
        self.counts(&format!("{group}.non_finite"), of, statistics.iter().map(|it| it.non_finite));
        self.counts(&format!("{group}.as_of"), of, statistics.iter().map(|it| it.as_of));
    }

    pub(crate) fn pictures<'a>(
        &mut self,
        name: &str,
        pictures: impl Iterator<Item = &'a Picture>,
        of: Option<&[u32]>,
        coarse: Option<Merge>,
    ) {
        let all: Vec<&Picture> = pictures.collect();
        let chosen = rows_of(of, &all);
        let halved: Option<Vec<Picture>> =
            coarse.map(|merge| chosen.iter().map(|it| it.halved(merge)).collect());
        let side = if halved.is_some() { THUMBNAIL / 2 } else { THUMBNAIL };
        let chosen =
            halved.as_ref().map_or_else(|| chosen.into_iter().copied().collect(), |it| it.iter().collect());
        let chosen: Vec<&Picture> = chosen;
        let scales: Vec<f32> = chosen.iter().map(|it| it.scale).collect();
        let nothing = vec![0; CELLS];
        let cells = |it: &&Picture| if it.cells.is_empty() { nothing.clone() } else { it.cells.clone() };
        let cells: Vec<u8> = chosen.iter().flat_map(cells).collect();
        self.light(format!("{name}_scale"), &[scales.len()], &scales);
        self.heavy(name, &[scales.len(), side, side], &cells);
        if let Some(of) = of {
            self.light(index_name(name), &[of.len()], of);
            self.light(index_name(&format!("{name}_scale")), &[of.len()], of);
        }
    }

    /// Pictures of some matrices, with which they are of.
    pub(crate) fn some_pictures(&mut self, name: &str, seen: &LastSeen) {
        let of = seen.matrices();
        if !of.is_empty() {
            self.pictures(name, seen.pictures(), None, None);
            self.light(index_name(name), &[of.len()], &of);
        }
    }

    /// More of one parameter.
    pub(crate) fn focus(&mut self, seen: &Focused) {
        let pictures = seen.fine_pictures();
        let cells: Vec<u8> = pictures.iter().flat_map(|it| it.cells.iter().copied()).collect();
        self.heavy("focus.picture", &[pictures.len(), FINE, FINE], &cells);
        for (name, sizes) in [("focus.row_rms", &seen.row_rms), ("focus.col_rms", &seen.column_rms)] {
            let sizes: Vec<bf16> = sizes.iter().map(|&it| bf16::from_f32(it)).collect();
            self.heavy(name, &[sizes.len()], &sizes);
        }
    }

    pub(crate) fn histograms(&mut self, name: &str, shapes: &[Shape], of: Option<&[u32]>) {
        let chosen = rows_of(of, shapes);
        let counts =
            |it: &&Shape| if it.counts.is_empty() { vec![bf16::NAN; BINS] } else { it.counts.clone() };
        let counts: Vec<bf16> = chosen.iter().flat_map(counts).collect();
        self.heavy(name, &[chosen.len(), BINS], &counts);
        if let Some(of) = of {
            self.light(index_name(name), &[of.len()], of);
        }
    }

    pub(crate) fn embedding(&mut self, at: usize, placed: &Placed, every: usize) {
        if placed.positions.is_empty() {
            return;
        }
        let name = |what: &str| format!("e.{at}.{what}");
        let positions: Vec<[i16; 3]> = placed.positions.iter().step_by(every).copied().collect();
        let some = |it: &[bf16]| -> Vec<bf16> { it.iter().step_by(every).copied().collect() };
        let count = positions.len();
        self.heavy(name("position"), &[count, 3], &positions.concat());
        self.heavy(name("norm"), &[count], &some(&placed.norms));
        self.heavy(name("change"), &[count], &some(&placed.changes));
        let has_gradients = placed.gradients.len() == placed.positions.len();
        if has_gradients {
            self.heavy(name("grad"), &[count], &some(&placed.gradients));
        }
        self.heavy(
            name("neighbours"),
            &[placed.neighbours.len() / NEIGHBOURS, NEIGHBOURS],
            &placed.neighbours,
        );
        if !placed.guests.is_empty() {
            let positions = &placed.guest_positions;
            self.heavy(name("guest_position"), &[positions.len(), 3], &positions.concat());
        }
        if every > 1 {
            let of: Vec<u32> = (0..placed.positions.len() as u32).step_by(every).collect();
            let grad = has_gradients.then_some("grad");
            for what in ["position", "norm", "change"].into_iter().chain(grad) {
                self.light(index_name(&name(what)), &[count], &of);
            }
        }
    }
}
