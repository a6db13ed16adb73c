//! A session as arrays `PARAMETER/QUANTITY`, stacked over steps: one look says how large they are, a second fills them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use quantviz_core::{ArrayElement, Arrays, Plan, Quantity, RankSnapshot, Series, Statistics};

use super::about::About;
use super::arrays::{ArrayFile, Container, Specs, Type};
use super::kept::{Forms, KINDS};
use super::pieces::{Pieces, PlanOf, What};
use super::told::Probes;
use super::{Export, Exported, Hear, Result, WriteSeek, told};

pub(super) fn write(
    export: &Export,
    pieces: &Pieces<'_>,
    container: &mut dyn Container,
    out: &mut dyn WriteSeek,
    hear: Hear<'_>,
) -> Result<Exported> {
    pieces.expect(2);
    let mut sizes = Sizes::default();
    pieces.each(What::Statistics, hear, &mut |piece| {
        for (name, series) in &piece.scalars {
            *sizes.scalars.entry(name.clone()).or_default() += series.len() as u64;
        }
        for taken in &piece.snapshots {
            sizes.ranks.entry(taken.record.id.rank).or_default().see(export, taken);
        }
        Ok(())
    })?;
    let plans = pieces.plans();
    let (notes, without_room) = told::notes(pieces.run, &export.steps)?;
    let about = About::of(pieces.run, pieces, &plans, &notes).to_json()?;
    let mut layout = Layout::of(&sizes, pieces.run.timeline().ranks() > 1, &plans);
    let mut probes = Probes::of(pieces.run, &export.steps)?;
    probes.place(&mut layout.specs);
    let about_at =
        (!container.has_metadata()).then(|| layout.specs.add("quantviz", Type::U8, &[about.len() as u64]));
    let Layout { specs, scalars, ranks, plan_arrays } = layout;
    let mut exported = sizes.exported(specs.all.len() as u64);
    exported.left_out.extend(told::without("note", without_room, "there is no room: choose some steps"));

    let mut file = ArrayFile::new(out, container, specs.all, &about)?;
    if let Some(array) = about_at {
        file.push(array, about.as_bytes());
    }
    for (plan, name, array) in plan_arrays {
        file.push(array, &plan_bytes(plans[plan].plan.arrays(), &name).map(|it| it.1).unwrap_or_default());
    }
    pieces.each(What::All, hear, &mut |piece| {
        for (name, series) in &piece.scalars {
            if let Some(places) = scalars.get(name) {
                push_scalars(&mut file, *places, series);
            }
        }
        for taken in &piece.snapshots {
            let rank = taken.record.id.rank;
            if let (Some(sizes), Some(places)) = (sizes.ranks.get_mut(&rank), ranks.get(&rank)) {
                sizes.push(export, taken, places, &mut file);
            }
        }
        file.flush()
    })?;
    probes.write(pieces.run, &mut file)?;
    file.finish()?;
    Ok(exported)
}

/// How much there is of everything.
#[derive(Default)]
struct Sizes {
    scalars: BTreeMap<String, u64>,
    ranks: BTreeMap<u32, RankSizes>,
}

/// What one rank has.
#[derive(Default)]
struct RankSizes {
    parameters: Vec<Named>,
    /// The places of parameters of this name: more than one, where a plan has a name twice.
    by_name: HashMap<String, Vec<usize>>,
    /// Of the plan that was last met, the place here of each of its parameters.
    met: Option<(Arc<Plan>, Vec<Option<usize>>)>,
    steps: u64,
    kept: u64,
    forms: Forms,
}

struct Named {
    name: String,
    /// Which quantities there are at some step, by their places among all.
    seen: BTreeSet<usize>,
}

impl RankSizes {
    fn see(&mut self, export: &Export, taken: &RankSnapshot) {
        self.meet(export, &taken.plan);
        let statistics = Statistics::of(&taken.snapshot, taken.plan.header());
        let places: Vec<(usize, usize)> = self.places().collect();
        self.steps += 1;
        for &(at, parameter) in &places {
            let seen = &mut self.parameters[parameter].seen;
            let is_there = |it: &(usize, &Quantity)| statistics.value(*it.1, at).is_some();
            let new = Quantity::ALL.iter().enumerate().filter(|it| !seen.contains(&it.0)).filter(is_there);
            let new: Vec<usize> = new.map(|it| it.0).collect();
            seen.extend(new);
        }
        if !taken.record.is_thinned {
            self.kept += 1;
            self.forms.see(taken, places.into_iter());
        }
    }

    /// Finds the parameters of a plan among those that are known.
    fn meet(&mut self, export: &Export, plan: &Arc<Plan>) {
        if self.met.as_ref().is_some_and(|(met, _)| Arc::ptr_eq(met, plan)) {
            return;
        }
        let mut occurred: HashMap<&str, usize> = HashMap::new();
        let mut places = Vec::new();
        for parameter in &plan.header().parameters {
            if !export.wants(&parameter.name) {
                places.push(None);
                continue;
            }
            let occurrence = occurred.entry(&parameter.name).or_default();
            let known = self.by_name.entry(parameter.name.clone()).or_default();
            if *occurrence == known.len() {
                known.push(self.parameters.len());
                self.parameters.push(Named { name: parameter.name.clone(), seen: BTreeSet::new() });
            }
            places.push(known.get(*occurrence).copied());
            *occurrence += 1;
        }
        self.met = Some((plan.clone(), places));
    }

    /// The place in the plan that was last met, and the place here, of every parameter that is wanted.
    fn places(&self) -> impl Iterator<Item = (usize, usize)> {
        let places = self.met.iter().flat_map(|(_, places)| places.iter().enumerate());
        places.filter_map(|(at, here)| Some((at, (*here)?)))
    }

    /// Adds a snapshot to the arrays.
    fn push(&mut self, export: &Export, taken: &RankSnapshot, places: &RankPlaces, file: &mut ArrayFile<'_>) {
        self.meet(export, &taken.plan);
        let statistics = Statistics::of(&taken.snapshot, taken.plan.header());
        file.push(places.steps, &taken.record.step.to_le_bytes());
        let mut at_plan = vec![None; self.parameters.len()];
        self.places().for_each(|(at, here)| at_plan[here] = Some(at));
        for &(parameter, quantity, array) in &places.quantities {
            let value = at_plan[parameter].and_then(|at| statistics.value(Quantity::ALL[quantity], at));
            let value = value.unwrap_or(f64::NAN);
            match type_of(Quantity::ALL[quantity]) {
                Type::F64 => file.push(array, &value.to_le_bytes()),
                #[expect(clippy::cast_possible_truncation, reason = "it was kept as such")]
                _ => file.push(array, &(value as f32).to_le_bytes()),
            }
        }
        let Some(kept) = places.kept.filter(|_| !taken.record.is_thinned) else { return };
        file.push(kept, &taken.record.step.to_le_bytes());
        for it in &places.stacked {
            let Some(at) = at_plan[it.parameter] else { continue };
            let kind = &KINDS[it.kind];
            // Nothing pushed is too little in the end, which is then told of.
            file.push(it.array, &kind.bytes(taken, at).unwrap_or_default());
            for (field, number) in kind.beside(taken, at) {
                if let Some((_, array)) = it.beside.iter().find(|(name, _)| *name == field) {
                    file.push(*array, &number.to_le_bytes());
                }
            }
            if let Some((array, bytes)) = &it.index
                && !file.is_begun(*array)
            {
                file.push(*array, bytes);
            }
        }
    }
}

impl Sizes {
    fn exported(&self, arrays: u64) -> Exported {
        let names = self.ranks.values().flat_map(|it| &it.parameters).map(|it| &it.name);
        let mut left_out: Vec<String> = self.ranks.values().flat_map(|it| it.forms.left_out()).collect();
        left_out.dedup();
        let (all, kept) =
            self.ranks.values().fold((0, 0), |(all, kept), it| (all + it.steps, kept + it.kept));
        if kept < all {
            left_out.push(format!(
                "what {} of {all} snapshots had beside statistics, which was pruned",
                all - kept
            ));
        }
        Exported {
            snapshots: self.ranks.values().map(|it| it.steps).max().unwrap_or(0),
            parameters: names.collect::<BTreeSet<_>>().len() as u64,
            scalars: self.scalars.len() as u64,
            rows: 0,
            arrays,
            left_out,
        }
    }
}

/// Which arrays there are.
#[derive(Default)]
struct Layout {
    specs: Specs,
    /// By name, the places of the values and of their steps.
    scalars: BTreeMap<String, (usize, usize)>,
    ranks: BTreeMap<u32, RankPlaces>,
    /// Which plan, the name in it, the place.
    plan_arrays: Vec<(usize, String, usize)>,
}

/// The places of what one rank has.
struct RankPlaces {
    steps: usize,
    /// Parameter, quantity, array.
    quantities: Vec<(usize, usize, usize)>,
    kept: Option<usize>,
    stacked: Vec<Stacked>,
}

struct Stacked {
    parameter: usize,
    kind: usize,
    array: usize,
    beside: Vec<(&'static str, usize)>,
    /// What is the same in all snapshots, with its bytes.
    index: Option<(usize, Vec<u8>)>,
}

impl Layout {
    fn of(sizes: &Sizes, has_ranks: bool, plans: &[PlanOf]) -> Self {
        let mut layout = Layout::default();
        for (&rank, of_rank) in &sizes.ranks {
            let before = if has_ranks { format!("rank{rank}/") } else { String::new() };
            let places = layout.rank(&before, of_rank);
            layout.ranks.insert(rank, places);
        }
        for (name, &count) in &sizes.scalars {
            let values = layout.specs.add(&format!("scalars/{name}"), Type::F64, &[count]);
            let steps = layout.specs.add(&format!("scalars/{name}/steps"), Type::U64, &[count]);
            layout.scalars.insert(name.clone(), (values, steps));
        }
        for (plan, it) in plans.iter().enumerate() {
            let arrays = it.plan.arrays();
            for name in arrays.names() {
                let (Some(slot), Some((of, _))) = (arrays.slot(name), plan_bytes(arrays, name)) else {
                    continue;
                };
                let shape: Vec<u64> = slot.shape.iter().map(|&it| it as u64).collect();
                let array = layout.specs.add(&format!("plan/{plan}/{name}"), of, &shape);
                layout.plan_arrays.push((plan, name.to_owned(), array));
            }
        }
        layout
    }

    fn rank(&mut self, before: &str, sizes: &RankSizes) -> RankPlaces {
        let mut add = |name: String, of, shape: &[u64]| self.specs.add(&name, of, shape);
        let steps = add(format!("{before}steps"), Type::U64, &[sizes.steps]);
        let mut quantities = Vec::new();
        for (parameter, it) in sizes.parameters.iter().enumerate() {
            for &quantity in &it.seen {
                let what = Quantity::ALL[quantity];
                let name = format!("{before}{}/{}", it.name, what.field());
                quantities.push((parameter, quantity, add(name, type_of(what), &[sizes.steps])));
            }
        }
        let kept = (sizes.kept > 0).then(|| add(format!("{before}kept_steps"), Type::U64, &[sizes.kept]));
        let mut stacked = Vec::new();
        for ((parameter, kind), form) in sizes.forms.stable() {
            let named = |field: &str| format!("{before}{}/{field}", sizes.parameters[parameter].name);
            let shape = [&[sizes.kept], &form.shape[..]].concat();
            let array = add(named(KINDS[kind].field), form.of, &shape);
            let beside =
                form.beside.iter().map(|field| (*field, add(named(field), Type::F32, &[sizes.kept])));
            let beside = beside.collect();
            let index = KINDS[kind].index.filter(|_| !form.index.is_empty()).map(|field| {
                let bytes = form.index.iter().flat_map(|it| it.to_le_bytes()).collect();
                (add(named(field), Type::U64, &[form.index.len() as u64]), bytes)
            });
            stacked.push(Stacked { parameter, kind, array, beside, index });
        }
        RankPlaces { steps, quantities, kept, stacked }
    }
}

/// Counts and steps need more digits than the rest.
fn type_of(quantity: Quantity) -> Type {
    if quantity.is_count() { Type::F64 } else { Type::F32 }
}

fn push_scalars(file: &mut ArrayFile<'_>, (values, steps): (usize, usize), series: &Series) {
    for (step, value) in series {
        file.push(values, &value.to_le_bytes());
        file.push(steps, &step.to_le_bytes());
    }
}

/// An array of a plan as it is written.
fn plan_bytes(arrays: &Arrays, name: &str) -> Option<(Type, Vec<u8>)> {
    fn bytes<T: ArrayElement>(arrays: &Arrays, name: &str, le: fn(&T) -> Vec<u8>) -> Option<Vec<u8>> {
        arrays.get::<T>(name).map(|numbers| numbers.iter().flat_map(le).collect())
    }
    match &*arrays.slot(name)?.dtype {
        "U64" => Some((Type::U64, bytes::<u64>(arrays, name, |it| it.to_le_bytes().to_vec())?)),
        "U32" => Some((Type::U32, bytes::<u32>(arrays, name, |it| it.to_le_bytes().to_vec())?)),
        "U8" => Some((Type::U8, bytes::<u8>(arrays, name, |it| vec![*it])?)),
        _ => Some((Type::F32, super::arrays::floats(&arrays.numbers(name)?))),
    }
}
