//! What recording costs: figures with the command that prints each.
//!
//! `cargo run --release -p quantviz-benches --bin record -- [snapshot] [look] [overhead] [stalled] [endless]`
#![allow(clippy::print_stdout, reason = "it prints figures")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use quantviz::record::{MatrixFeatures, MatrixLook, Recorder};
use quantviz::store::MemoryStore;
use quantviz::{
    Budget, Entry, Plan, Quantity, Record, RecordId, RecordKind, Result, Run, SessionId, Snapshot,
    SnapshotStore, Writer,
};
use quantviz_benches::{GPT2, Training, Transformer};
use quantviz_testkit::{Behaving, Behaviour, Rounds};

const NAMES: [&str; 5] = ["snapshot", "look", "overhead", "stalled", "endless"];
/// About a million numbers.
const SMALL: Transformer = Transformer { layers: 4, width: 128, vocabulary: 256, positions: 64 };

fn main() {
    let asked: Vec<String> = std::env::args().skip(1).collect();
    for name in NAMES.iter().filter(|name| asked.is_empty() || asked.iter().any(|it| it == *name)) {
        println!("\n# cargo run --release -p quantviz-benches --bin record -- {name}");
        match *name {
            "snapshot" => snapshot(),
            "look" => look(),
            "overhead" => overhead(),
            "stalled" => stalled(),
            _ => endless(),
        }
    }
}

fn recorder(store: impl SnapshotStore + 'static, every: u64, share: f64) -> Recorder {
    let recorder = Recorder::builder("bench").every_steps(every).share(share).to(store).start();
    recorder.unwrap_or_else(|error| panic!("{error}"))
}

fn id() -> SessionId {
    "bench".parse().unwrap_or_else(|error| panic!("{error}"))
}

/// Figure 3: what a snapshot of a GPT-2-small is.
fn snapshot() {
    let mut training = Training::new(&GPT2);
    let store = MemoryStore::within(Budget::ALL);
    let mut recording = recorder(store.clone(), 1, 0.05);
    for step in 0..40 {
        training.step(Duration::from_millis(500));
        recording.record(step, &training, &[("loss", 1.0)]);
    }
    recording.finish();
    let run = Run::open(&store, &id()).unwrap_or_else(|error| panic!("{error}"));
    let last = run.snapshots().last().map(|it| it.id).unwrap_or_else(|| panic!("no snapshot"));
    let bytes = bytes_of(&store, last);
    let begun = Instant::now();
    const TIMES: u32 = 200;
    let mut sum = 0.0f32;
    for _ in 0..TIMES {
        let snapshot = Snapshot::parse(bytes.clone()).unwrap_or_else(|error| panic!("{error}"));
        for name in snapshot.arrays().names() {
            // What a page does: views of what is there.
            sum += snapshot.arrays().number(name, 0).unwrap_or(0.0);
        }
    }
    std::hint::black_box(sum);
    let decode = begun.elapsed() / TIMES;
    let snapshot = Snapshot::parse(bytes.clone()).unwrap_or_else(|error| panic!("{error}"));
    let header = u64::from_le_bytes(*bytes.first_chunk().unwrap_or(&[0; 8])) + 8;
    let plan = run.timeline().alive().filter(|it| it.kind == RecordKind::Plan).map(|it| it.id).max();
    let plan_bytes = plan.map_or(0, |id| bytes_of(&store, id).len());
    println!("arrays           {:>9}   (at most 64)", snapshot.arrays().names().count());
    println!("bytes            {:>9}   (at most 262144)", bytes.len());
    println!("header           {:>8.2}%   (under 4 % of 256 KiB)", 100.0 * header as f64 / 262_144.0);
    println!("light track      {:>9}   bytes", run.snapshots().last().map_or(0, |it| it.summary_bytes));
    println!("plan             {plan_bytes:>9}   bytes, {} of them", run.plans().count());
    println!("decode           {:>9.3}   ms", decode.as_secs_f64() * 1e3);
    println!("left out         {:?}", snapshot.header().left_out);
    let plan = plan.and_then(|id| Plan::parse(bytes_of(&store, id)).ok());
    let count = plan.map_or(0, |plan| plan.header().parameters.len());
    let ages = (0..count).filter_map(|at| snapshot.quantity(Quantity::AsOf, at)).map(|as_of| 39.0 - as_of);
    let coverage = (0..count).filter_map(|at| snapshot.quantity(Quantity::Coverage, at));
    println!("oldest exact     {:>9}   captures ago", ages.fold(0.0f32, f32::max));
    println!("least coverage   {:>9.3}", coverage.fold(1.0f32, f32::min));
}

fn bytes_of(store: &dyn SnapshotStore, id: RecordId) -> Arc<[u8]> {
    let read = store.read(&self::id(), &[id]).unwrap_or_else(|error| panic!("{error}")).pop();
    read.unwrap_or_else(|| panic!("no record")).unwrap_or_else(|error| panic!("{error}"))
}

/// Nanoseconds for an element, on one core, against reading and adding.
fn look() {
    let values: Vec<f32> =
        (0..768 * 3072 * 8).map(|at| ((at * 2_654_435_761u64 as usize) % 1000) as f32 - 500.0).collect();
    let mut looking = MatrixLook::default();
    let (mut best, mut sum) = (f64::MAX, f64::MAX);
    for _ in 0..9 {
        let begun = Instant::now();
        looking.begin(768 * 8, 3072);
        looking.add(&values);
        std::hint::black_box(looking.finish());
        best = best.min(begun.elapsed().as_secs_f64() * 1e9 / values.len() as f64);
        let begun = Instant::now();
        let mut lanes = [0.0f32; 32];
        for chunk in values.as_chunks::<32>().0 {
            (0..32).for_each(|lane| lanes[lane] += chunk[lane]);
        }
        std::hint::black_box(lanes);
        sum = sum.min(begun.elapsed().as_secs_f64() * 1e9 / values.len() as f64);
    }
    let rows = &values[..128 * 3072];
    let mut closer = f64::MAX;
    for _ in 0..9 {
        let begun = Instant::now();
        std::hint::black_box(MatrixFeatures::of(rows, 3072, 500.0));
        closer = closer.min(begun.elapsed().as_secs_f64() * 1e3);
    }
    println!("a closer look    {closer:>9.3}   ms for 128 rows of 3072: rank, and what eight bits cost");
    println!("a look           {best:>9.3}   ns an element (goal 0.7)");
    println!("adding up        {sum:>9.3}   ns an element: what memory gives");
}

/// Figure 1 on a loop of 124 million parameters, all cores busy.
fn overhead() {
    let mut training = Training::new(&GPT2);
    println!("{} numbers; steps of half a second, all cores busy", training.elements());
    for (every, share, turn, rounds, bound) in [(10, 0.01, 10, 7, 1.0), (1, 0.05, 3, 20, 5.0)] {
        let store = MemoryStore::new();
        let mut recording = recorder(store.clone(), every, share);
        let mut cost = Rounds::of(turn);
        let (begun, mut recorded) = (Instant::now(), 0);
        let steps = 4 * turn * rounds;
        for step in 0..steps {
            training.step(Duration::from_millis(400));
            if cost.is_with(step) {
                recording.record(recorded, &training, &[("loss", 1.0)]);
                recorded += 1;
            }
            cost.ended(step);
        }
        let took = begun.elapsed().as_secs_f64();
        let ours = processor_seconds_of_recorder();
        let state = recording.finish();
        println!(
            "every {every:>2} steps of {:.0} ms: {} (at most {bound} %); {} snapshots, {} lost",
            took / steps as f64 * 1e3,
            cost.cost(),
            state.snapshots,
            state.lost,
        );
        let cores = std::thread::available_parallelism().map_or(1, usize::from) as f64;
        println!(
            "  training thread {:.2} % of the recorded time, {:.1} ms at most; recorder's threads {:.2} % of all processors",
            state.spent.as_secs_f64() / (took / 2.0) * 100.0,
            state.longest.as_secs_f64() * 1e3,
            ours / (took / 2.0 * cores) * 100.0,
        );
        let run = Run::open(&store, &id()).unwrap_or_else(|error| panic!("{error}"));
        let Some(last) = run.snapshots().last().map(|it| it.id) else { continue };
        let Ok(snapshot) = run.summary(last) else { continue };
        let now = snapshot.step() as f32;
        let ages = (0..148).filter_map(|at| snapshot.quantity(Quantity::AsOf, at)).map(|as_of| now - as_of);
        println!("  the oldest exact value is {:.0} steps old", ages.fold(0.0f32, f32::max));
    }
}

/// What threads of the recorder have had of processors so far; nothing, where that is not told as on Linux.
fn processor_seconds_of_recorder() -> f64 {
    /// Of the kernel, for users.
    const TICKS_A_SECOND: f64 = 100.0;
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { return 0.0 };
    let ticks = tasks.flatten().filter_map(|task| {
        let stat = std::fs::read_to_string(task.path().join("stat")).ok()?;
        let (name, rest) = stat.split_once('(')?.1.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let time = |at: usize| fields.get(at).and_then(|it| it.parse::<f64>().ok()).unwrap_or(0.0);
        name.starts_with("quantviz").then(|| time(11) + time(12))
    });
    ticks.sum::<f64>() / TICKS_A_SECOND
}

/// A store stands still, as long as it is told to, and keeps nothing: what is measured is the recorder.
#[derive(Default)]
struct Standing(AtomicBool);

impl Behaviour for Standing {
    fn append(&self, writer: &Writer, entry: &Entry, _: &dyn Fn() -> Result<Record>) -> Result<Record> {
        while self.0.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(Record::of(entry, writer.rank, writer.epoch, 0))
    }
}

/// The time of each of 2,000 captures, beside a store that stands still.
fn stalled() {
    let standing = Arc::new(Standing(true.into()));
    let mut training = Training::new(&SMALL);
    let recording = Recorder::builder("bench")
        .every_steps(1)
        .share(0.05)
        .patience(Duration::from_millis(10))
        .on_trouble(|_| {})
        .to(Behaving::new(MemoryStore::new(), standing.clone()))
        .start();
    let mut recording = recording.unwrap_or_else(|error| panic!("{error}"));
    let compute = Duration::from_millis(15);
    let (mut times, mut noise) = (Vec::new(), Vec::new());
    for step in 0..u64::MAX {
        training.step(compute);
        // What the same time of plain work takes in the same place: the noise of the machine.
        let begun = Instant::now();
        quantviz_benches::work(Duration::from_micros(700));
        noise.push(begun.elapsed().as_secs_f64());
        std::thread::sleep(Duration::from_millis(1));
        let begun = Instant::now();
        recording.record(step, &training, &[("loss", 1.0)]);
        let took = begun.elapsed();
        // The first is the set-up, once.
        if let Some(budget) = recording.state().budget.filter(|_| step > 0) {
            times.push(took.as_secs_f64() / budget.as_secs_f64());
        }
        if times.len() == 2_000 {
            break;
        }
    }
    standing.0.store(false, Ordering::SeqCst);
    let state = recording.finish();
    times.sort_by(f64::total_cmp);
    noise.sort_by(f64::total_cmp);
    let (usual, noisiest) = (noise[noise.len() / 2], noise[noise.len() - 1]);
    println!(
        "plain work of {:.2} ms took {:.2} times as long once, and more than 1.5 times as long {} times of {}",
        usual * 1e3,
        noisiest / usual,
        noise.iter().filter(|&&it| it > 1.5 * usual).count(),
        noise.len()
    );
    println!("the time of {} captures by what each was allowed, {} snapshots lost:", times.len(), state.lost);
    for (low, high) in [
        (0.0, 0.25),
        (0.25, 0.5),
        (0.5, 0.75),
        (0.75, 1.0),
        (1.0, 1.5),
        (1.5, 2.0),
        (2.0, 4.0),
        (4.0, f64::MAX),
    ] {
        let count = times.iter().filter(|&&it| it >= low && it < high).count();
        println!(
            "  {low:>4} to {:<4} {count:>5} {}",
            if high > 100.0 { "…".into() } else { high.to_string() },
            "#".repeat(count.div_ceil(25))
        );
    }
    println!(
        "longest          {:>9.2}   of what it was allowed (at most 2)",
        times.last().copied().unwrap_or(0.0)
    );
}

/// Figure 2: 100,000 captures as fast as they come.
fn endless() {
    const CAPTURES: u64 = 100_000;
    let training = Training::new(&Transformer { layers: 2, width: 32, vocabulary: 65, positions: 32 });
    let mut recording = recorder(Behaving::new(MemoryStore::new(), Standing::default()), 1, 0.05);
    let mut tenths = Vec::new();
    let mut begun = Instant::now();
    for step in 0..CAPTURES {
        // A step takes as long as makes every one of them worth a capture, in accelerated time.
        recording.record(step * 1_000_000, &training, &[("loss", 1.0)]);
        if (step + 1).is_multiple_of(CAPTURES / 10) {
            tenths.push((begun.elapsed().as_secs_f64() / (CAPTURES / 10) as f64 * 1e6, resident_mb()));
            begun = Instant::now();
        }
    }
    let state = recording.finish();
    println!("{CAPTURES} calls, {} snapshots, {} lost", state.snapshots, state.lost);
    for (at, (micros, mb)) in tenths.iter().enumerate() {
        println!("  tenth {:>2}  {micros:>8.1} µs a call  {mb:>7.1} MB resident", at + 1);
    }
}

fn resident_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS"));
    let kb = line.and_then(|line| line.split_whitespace().nth(1)).and_then(|kb| kb.parse::<f64>().ok());
    kb.unwrap_or(0.0) / 1e3
}
