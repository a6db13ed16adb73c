//! A training run that never happened, the same every time: for tests of what is shown of runs.

use quantviz_core::{
    ArrayWriter, CaptureCost, DType, Entry, Layer, LayerKind, Model, Opening, Parameter, ParameterId, Plan,
    PlanHeader, Quantity, Rank, RecordKind, Result, RunNote, Scalar, ScalarBatch, SessionId, Shape,
    SnapshotHeader, SnapshotStore, StateMessage, Track, bf16, role_from_name,
};

use crate::random::Random;

/// A small GPT that learns: what is written of it, through the real types.
///
/// ```no_run
/// # let store: Box<dyn quantviz_core::SnapshotStore> = unimplemented!();
/// use quantviz_testkit::SmallGpt;
///
/// SmallGpt::default().write(&*store, &"shakespeare".parse()?)?;
/// # Ok::<(), quantviz_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SmallGpt {
    /// The first step, and the last.
    pub from: u64,
    /// See `from`.
    pub steps: u64,
    /// Steps between two snapshots.
    pub every: u64,
    /// Blocks of attention and MLP.
    pub layers: u64,
    /// Who writes.
    pub rank: Rank,
    /// Whether it goes on from `from`, instead of beginning.
    pub resumes: bool,
    /// A parameter that is not trained.
    pub frozen: Option<String>,
    /// The step from which on the loss is not a number.
    pub nan_from: Option<u64>,
    /// How it ends; `None`, when nobody said.
    pub end: Option<StateMessage>,
    /// When it began, in milliseconds since 1970, by the headers.
    pub begun_ms: u64,
}

impl Default for SmallGpt {
    fn default() -> Self {
        SmallGpt {
            from: 0,
            steps: 2000,
            every: 50,
            layers: 2,
            rank: Rank::ONLY,
            resumes: false,
            frozen: None,
            nan_from: None,
            end: Some(StateMessage::finished()),
            begun_ms: 1_795_000_000_000,
        }
    }
}

const WIDTH: u64 = 64;
const TOKENS: u64 = 65;
const CONTEXT: u64 = 32;
const SAMPLES: usize = 16;
/// Scalars of so many steps are written together.
const BATCH: usize = 100;

impl SmallGpt {
    /// A model of these shapes, without values.
    pub fn model(&self) -> Model {
        let mut model = Model::new(quantviz_core::Format::Memory);
        let mut add = |name: String, dims: &[u64]| {
            let shape = Shape::new(dims).unwrap_or_else(|_| unreachable!("small"));
            let role = role_from_name(&name, &shape).unwrap_or(quantviz_core::Role::Other);
            model.parameters.push(Parameter::new(name, DType::F32, shape, role));
        };
        add("transformer.wte.weight".into(), &[TOKENS, WIDTH]);
        add("transformer.wpe.weight".into(), &[CONTEXT, WIDTH]);
        for layer in 0..self.layers {
            for (name, dims) in [
                ("ln_1.weight", &[WIDTH][..]),
                ("attn.c_attn.weight", &[3 * WIDTH, WIDTH]),
                ("attn.c_proj.weight", &[WIDTH, WIDTH]),
                ("ln_2.weight", &[WIDTH]),
                ("mlp.c_fc.weight", &[4 * WIDTH, WIDTH]),
                ("mlp.c_proj.weight", &[WIDTH, 4 * WIDTH]),
            ] {
                add(format!("transformer.h.{layer}.{name}"), dims);
            }
        }
        add("transformer.ln_f.weight".into(), &[WIDTH]);
        add("lm_head.weight".into(), &[TOKENS, WIDTH]);
        model.layers.push(Layer::new("transformer", None, LayerKind::Parameter));
        model
    }

    /// The loss at a step.
    pub fn loss(&self, step: u64) -> f64 {
        if self.nan_from.is_some_and(|from| step >= from) {
            return f64::NAN;
        }
        let noise = (Random::new(step).next() >> 40) as f64 / (1u64 << 24) as f64 - 0.5;
        1.6 + 2.6 * (-(step as f64) / 500.0).exp() + 0.06 * noise
    }

    /// A quantity of a parameter, or of a matrix, at a step.
    pub fn value(&self, quantity: Quantity, at: usize, step: u64) -> f32 {
        let (place, time) = (at as f32, step as f32);
        let std = 0.02 * (1.0 + 0.1 * place) * (1.0 + time / (time + 500.0));
        let ratio = 1e-2 / (1.0 + time / 200.0) * (1.0 + place % 5.0);
        match quantity {
            Quantity::Min => -4.0 * std,
            Quantity::Max => 4.1 * std,
            Quantity::Mean => 0.01 * std,
            Quantity::Std => std,
            Quantity::Kurtosis => 3.0 + 0.1 * place,
            Quantity::UpdateRatio if self.is_frozen(at) => 0.0,
            Quantity::UpdateRatio => ratio,
            Quantity::Change => ratio * std * 5.0,
            Quantity::Coverage if at == 0 => 0.03,
            Quantity::Coverage | Quantity::GradientCoverage => 1.0,
            #[expect(clippy::cast_precision_loss, reason = "small")]
            Quantity::AsOf | Quantity::GradientAsOf | Quantity::FeaturesAsOf => {
                (step - if at == 1 { self.every.min(step) } else { 0 }) as f32
            }
            Quantity::GradientMin => -ratio,
            Quantity::GradientMax => ratio,
            Quantity::GradientStd => 0.3 * ratio,
            Quantity::GradientState if self.is_frozen(at) => 1.0,
            Quantity::GradientState => 3.0,
            Quantity::StableRank => 10.0 + place,
            Quantity::EffectiveRank => 40.0 + place,
            _ => 0.0,
        }
    }

    fn is_frozen(&self, at: usize) -> bool {
        let model = self.model();
        self.frozen.as_ref().is_some_and(|name| model.parameters.get(at).is_some_and(|it| it.name == *name))
    }

    /// Writes all of it.
    pub fn write(&self, store: &dyn SnapshotStore, session: &SessionId) -> Result<()> {
        let opening = if self.resumes { Opening::Resume { step: self.from } } else { Opening::New };
        let writer = store.open(session, self.rank, opening)?;
        let model = self.model();
        let chosen: Vec<ParameterId> = model.parameter_ids().collect();
        let mut header = PlanHeader::new("small GPT on shakespeare", &model, &chosen);
        header.every = format!("{} steps", self.every);
        header.tags.insert("data".into(), "shakespeare".into());
        let matrices = header.matrices();
        let (plan, written) = Plan::write(header, self.grids(chosen.len()))?;
        let mut seq = 1;
        let mut append = |mut entry: Entry| {
            entry.seq = seq;
            let appended = store.append(&writer, &entry);
            seq += 1;
            appended
        };
        append(Entry::new(RecordKind::Plan, self.from, 0, written.bytes))?;
        let mut rows: Vec<(u64, Vec<(String, f64)>)> = Vec::new();
        for step in self.from..=self.steps {
            rows.push((step, self.scalars(step)));
            if rows.len() == BATCH || step == self.steps {
                let first = rows.first().map_or(step, |row| row.0);
                let bytes = ScalarBatch::of(&rows).to_bytes()?;
                append(Entry::new(RecordKind::Scalars, step, 0, bytes).from_step(first))?;
                rows.clear();
            }
            if step % self.every == 0 {
                let (bytes, summary_len) = self.snapshot(&plan, session, writer.epoch, step, matrices)?;
                append(Entry::snapshot(step, 0, bytes, summary_len))?;
            }
            if step > self.from && step % (self.every * 20) == 0 {
                let note = RunNote::new(step, "sample", format!("KING: what say you at {step}, my lord?"));
                append(Entry::new(RecordKind::Note, step, 0, json(&note)))?;
            }
        }
        if let Some(end) = &self.end {
            append(Entry::new(RecordKind::State, self.steps, 0, json(end)))?;
        }
        Ok(())
    }

    fn scalars(&self, step: u64) -> Vec<(String, f64)> {
        let gradient = 2.0 / (1.0 + step as f64 / 300.0);
        vec![("grad_norm".into(), gradient), ("loss".into(), self.loss(step)), ("lr".into(), 1e-3)]
    }

    fn grids(&self, parameters: usize) -> ArrayWriter {
        let mut arrays = ArrayWriter::default();
        arrays.push(Track::Light, "w.hist_low", &[parameters], &vec![-0.5f32; parameters]);
        arrays.push(Track::Light, "w.hist_width", &[parameters], &vec![1.0f32 / 64.0; parameters]);
        arrays
    }

    fn snapshot(
        &self,
        plan: &Plan,
        session: &SessionId,
        epoch: u32,
        step: u64,
        matrices: usize,
    ) -> Result<(Vec<u8>, u64)> {
        let parameters = plan.header().parameters.len();
        let mut arrays = ArrayWriter::default();
        for &quantity in Quantity::ALL {
            let len = if quantity.is_of_matrices() { matrices } else { parameters };
            let values: Vec<f32> = (0..len).map(|at| self.value(quantity, at, step)).collect();
            if quantity.is_count() {
                let counts: Vec<u32> = values.iter().map(|&value| value as u32).collect();
                arrays.push(Track::Light, quantity.name(), &[len], &counts);
            } else if quantity == Quantity::GradientState {
                let states: Vec<u16> = values.iter().map(|&value| value as u16).collect();
                arrays.push(Track::Light, quantity.name(), &[len], &states);
            } else {
                arrays.push(Track::Light, quantity.name(), &[len], &values);
            }
        }
        let bell = |bin: usize| bf16::from_f32((-((bin as f32 - 31.5) / 8.0).powi(2)).exp());
        let bins: Vec<bf16> = (0..parameters * 64).map(|at| bell(at % 64)).collect();
        arrays.push(Track::Heavy, "w.hist", &[parameters, 64], &bins);
        arrays.push(Track::Heavy, "g.hist", &[parameters, 64], &bins);
        let sample = |at: usize| {
            let mut random = Random::new(step ^ ((at as u64) << 32));
            let share = (random.next() >> 40) as f32 / (1u64 << 23) as f32 - 1.0;
            bf16::from_f32(share * self.value(Quantity::Std, at / SAMPLES, step))
        };
        let samples: Vec<bf16> = (0..parameters * SAMPLES).map(sample).collect();
        arrays.push(Track::Heavy, "s.value", &[parameters, SAMPLES], &samples);

        let mut header = SnapshotHeader::new(session.as_str(), self.rank, step, plan.id());
        header.epoch = epoch;
        header.time_ms = self.begun_ms + step * 120;
        header.scalars = self.scalars(step).into_iter().map(|(name, it)| (name, Scalar(it))).collect();
        header.cost = CaptureCost::new(0.8, 2.0, 0.004);
        header.left_out = vec!["thumbnails of 3 matrices: the budget of bytes".into()];
        let written = header.write(arrays)?;
        Ok((written.bytes, written.summary_len))
    }
}

fn json(value: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_else(|_| unreachable!("plain"))
}
