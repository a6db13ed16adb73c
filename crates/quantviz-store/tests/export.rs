//! Exports have the values that went in, in bounded memory, whatever parameters are called.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor as Memory;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quantviz_core::{
    ArrayWriter, Arrays, Budget, Cursor, DType, Entry, MemorySource, Opening, ParameterId, ParameterSource,
    Plan, PlanHeader, PlannedEmbedding, Quantity, Rank, Record, RecordId, RecordKind, Result, Run, RunNote,
    ScalarBatch, SessionId, SessionInfo, SnapshotHeader, SnapshotStore, Track, Writer,
};
use quantviz_store::{Export, ExportError, ExportFormat, Exported, MemoryStore};
use quantviz_testkit::SmallGpt;

fn id(name: &str) -> SessionId {
    name.parse().expect("a name")
}

fn store() -> MemoryStore {
    MemoryStore::within(Budget::ALL)
}

fn export(store: &dyn SnapshotStore, name: &str, export: &Export) -> (Vec<u8>, Exported) {
    let run = Run::open(store, &id(name)).expect("a session");
    let mut out = Memory::new(Vec::new());
    let exported = export.write(&run, &mut out, &|_| ControlFlow::Continue(())).expect("written");
    (out.into_inner(), exported)
}

fn text(store: &dyn SnapshotStore, name: &str, export: &Export) -> String {
    String::from_utf8(self::export(store, name, export).0).expect("UTF-8")
}

/// Cells by step, rank (if there is one) and parameter, and then by column.
fn cells(csv: &str) -> BTreeMap<Vec<String>, BTreeMap<String, String>> {
    let mut lines = csv.lines().map(|line| line.split(',').map(str::to_owned).collect::<Vec<String>>());
    let head = lines.next().expect("a head");
    let keys = head.iter().position(|it| it == "parameter").expect("a column") + 1;
    lines
        .map(|line| {
            assert_eq!(line.len(), head.len());
            (line[..keys].to_vec(), head.iter().cloned().zip(line.iter().cloned()).skip(keys).collect())
        })
        .collect()
}

#[test]
fn rows_have_what_went_in() {
    let (store, gpt) = (store(), SmallGpt { nan_from: Some(150), steps: 200, ..SmallGpt::default() });
    gpt.write(&store, &id("run")).expect("written");
    let (csv, exported) = export(&store, "run", &Export::new(ExportFormat::Csv));
    let rows = cells(&String::from_utf8(csv).expect("UTF-8"));
    let model = gpt.model();
    assert_eq!((exported.snapshots, exported.scalars), (5, 3));
    assert_eq!(exported.parameters, model.parameters.len() as u64);
    assert_eq!((exported.rows, rows.len() as u64), (5 * exported.parameters + 201, exported.rows));
    let mut matrix = 0;
    for (at, parameter) in model.parameters.iter().enumerate() {
        let is_matrix = parameter.shape.dims().len() > 1;
        for step in [0, 50, 200] {
            let row = &rows[&vec![step.to_string(), parameter.name.clone()]];
            for &quantity in Quantity::ALL {
                let place = if quantity.is_of_matrices() { matrix } else { at };
                let expected = gpt.value(quantity, place, step);
                match &*row[&quantity.field()] {
                    "" => assert!(quantity.is_of_matrices() && !is_matrix, "{quantity}"),
                    cell => assert_eq!(cell.parse::<f32>().expect("a number"), expected, "{quantity} {step}"),
                }
            }
            assert_eq!(row["loss"], "");
        }
        matrix += usize::from(is_matrix);
    }
    let scalars = &rows[&vec!["7".to_owned(), String::new()]];
    assert_eq!((scalars["loss"].parse::<f64>().expect("a number"), &*scalars["std"]), (gpt.loss(7), ""));
    assert_eq!(rows[&vec!["150".to_owned(), String::new()]]["loss"], "NaN");
}

#[test]
fn steps_and_parameters_that_are_chosen() {
    let store = store();
    SmallGpt { steps: 300, ..SmallGpt::default() }.write(&store, &id("run")).expect("written");
    let chosen = Export::new(ExportFormat::Csv).steps(100..=200).parameters("*.mlp.c_fc.*");
    let rows = cells(&text(&store, "run", &chosen));
    let parameters: BTreeSet<&str> = rows.keys().map(|key| &*key[1]).collect();
    let named = |layer| format!("transformer.h.{layer}.mlp.c_fc.weight");
    assert_eq!(parameters, BTreeSet::from(["", &named(0), &named(1)]));
    let steps: BTreeSet<u64> = rows.keys().map(|key| key[0].parse().expect("a step")).collect();
    assert_eq!((steps.first(), steps.last(), steps.len()), (Some(&100), Some(&200), 101));
    let fails = |export: Export| {
        let run = Run::open(&store, &id("run")).expect("a session");
        match export.write(&run, &mut Memory::new(Vec::new()), &|_| ControlFlow::Continue(())) {
            Err(ExportError::Session(error)) => error.to_string(),
            other => panic!("{other:?}"),
        }
    };
    let line = fails(Export::new(ExportFormat::Npz).parameters("nothing*"));
    assert_eq!(line, "no parameter has a name like \"nothing*\"; the first is \"transformer.wte.weight\"");
    let line = fails(Export::new(ExportFormat::Json).steps(400..=500));
    assert_eq!(line, "session run: nothing was recorded from step 400 to 500; there are steps 0 to 300");
}

#[test]
fn json_is_one_document() {
    let store = store();
    SmallGpt { nan_from: Some(60), steps: 100, ..SmallGpt::default() }
        .write(&store, &id("run"))
        .expect("written");
    let json: serde_json::Value =
        serde_json::from_str(&text(&store, "run", &Export::new(ExportFormat::Json))).expect("JSON");
    assert_eq!((&json["schema"], &json["session"]), (&"quantviz.session_export/1".into(), &"run".into()));
    assert_eq!(
        (&json["first_step"], &json["last_step"], &json["ranks"]),
        (&0.into(), &100.into(), &1.into())
    );
    assert_eq!(json["plans"][0]["plan"]["parameters"][0]["name"], "transformer.wte.weight");
    let rows = json["rows"].as_array().expect("rows");
    let last = rows.last().expect("rows");
    assert_eq!((&last["step"], &last["parameter"]), (&100.into(), &"lm_head.weight".into()));
    assert_eq!(last["values"]["as_of"], 100);
    let nan = rows.iter().find(|it| it["step"] == 60 && it["parameter"] == "").expect("scalars");
    assert_eq!(nan["values"]["loss"], "nan");
    let vector = rows.iter().find(|it| it["parameter"] == "transformer.ln_f.weight").expect("a vector");
    assert!(vector["values"]["stable_rank"].is_null() && vector["values"]["std"].is_number());
}

/// The numbers of a safetensors file of the export.
fn numbers(arrays: &Arrays, name: &str) -> Vec<f32> {
    arrays.numbers(name).unwrap_or_else(|| panic!("no {name}"))
}

#[test]
fn arrays_have_what_went_in() {
    let (store, gpt) = (store(), SmallGpt { steps: 200, ..SmallGpt::default() });
    gpt.write(&store, &id("run")).expect("written");
    let summaries: Vec<RecordId> = store
        .records(&id("run"), &Cursor::default())
        .expect("records")
        .iter()
        .filter(|it| it.kind == RecordKind::Snapshot && it.step == 50)
        .map(|it| it.id)
        .collect();
    store.thin(&id("run"), &summaries).expect("thinned");
    let (bytes, exported) = export(&store, "run", &Export::new(ExportFormat::Safetensors));
    let arrays = Arrays::parse(bytes).expect("safetensors");
    assert_eq!(arrays.get::<u64>("steps").expect("steps")[..], [0, 50, 100, 150, 200]);
    assert_eq!(arrays.get::<u64>("kept_steps").expect("steps")[..], [0, 100, 150, 200]);
    for (at, parameter) in gpt.model().parameters.iter().enumerate() {
        let expected: Vec<f32> =
            [0, 50, 100, 150, 200].map(|step| gpt.value(Quantity::Std, at, step)).to_vec();
        assert_eq!(numbers(&arrays, &format!("{}/std", parameter.name)), expected);
        let histogram = arrays.slot(&format!("{}/histogram", parameter.name)).expect("it was kept");
        assert_eq!((&*histogram.dtype, &histogram.shape), ("F32", &vec![4, 64]));
    }
    assert!(arrays.slot("transformer.ln_f.weight/stable_rank").is_none(), "it is no matrix");
    assert_eq!(arrays.slot("scalars/loss").map(|it| it.shape.clone()), Some(vec![201]));
    assert_eq!(arrays.get::<u64>("scalars/loss/steps").expect("steps").len(), 201);
    assert!(arrays.slot("plan/0/w.hist_low").is_some());
    let about: serde_json::Value = arrays.metadata().expect("metadata");
    assert_eq!(about["plans"][0]["plan"]["parameters"].as_array().map(Vec::len), Some(16));
    assert_eq!(exported.left_out, ["what 1 of 5 snapshots had beside statistics, which was pruned"]);
    assert!(exported.arrays > 400);
}

#[test]
fn ranks_are_told_apart() {
    let store = store();
    for at in [0, 2] {
        let rank = Rank::new(at, 4).expect("one of four");
        SmallGpt { rank, steps: 100 + 50 * u64::from(at), ..SmallGpt::default() }
            .write(&store, &id("run"))
            .expect("written");
    }
    let rows = cells(&text(&store, "run", &Export::new(ExportFormat::Csv)));
    let of_step =
        |step: u64| rows.keys().filter(|key| key[0] == step.to_string() && !key[1].is_empty()).count();
    assert_eq!(
        (of_step(50), of_step(200)),
        (16, 16),
        "one row for each step and parameter: both say the same"
    );
    let rows = cells(&text(&store, "run", &Export::new(ExportFormat::Csv).each_rank()));
    let key = |rank: &str| vec!["50".to_owned(), rank.to_owned(), "lm_head.weight".to_owned()];
    assert!(rows.contains_key(&key("0")) && rows.contains_key(&key("2")) && !rows.contains_key(&key("1")));
    let (bytes, _) = export(&store, "run", &Export::new(ExportFormat::Safetensors));
    let arrays = Arrays::parse(bytes).expect("safetensors");
    assert_eq!(arrays.get::<u64>("rank0/steps").expect("steps")[..], [0, 50, 100]);
    assert_eq!(arrays.get::<u64>("rank2/steps").expect("steps")[..], [0, 50, 100, 150, 200]);
    assert_eq!(numbers(&arrays, "rank2/lm_head.weight/std").len(), 5);
}

/// A session of parameters with these names, which have one number each: their place.
fn named(store: &dyn SnapshotStore, names: &[&str], scalars: &[&str]) {
    let writer = store.open(&id("named"), Rank::ONLY, Opening::New).expect("nobody has it");
    let mut source = MemorySource::new();
    for at in 0..names.len() {
        source = source.with(format!("p{at}"), ndarray::Array1::<f32>::zeros(3));
    }
    let chosen: Vec<ParameterId> = source.model().parameter_ids().collect();
    let mut header = PlanHeader::new("named", source.model(), &chosen);
    for (parameter, name) in header.parameters.iter_mut().zip(names) {
        assert_eq!(parameter.dtype, DType::F32);
        parameter.name = (*name).to_owned();
    }
    let (plan, written) = Plan::write(header, ArrayWriter::default()).expect("a plan");
    store.append(&writer, &Entry::new(RecordKind::Plan, 0, 1, written.bytes)).expect("kept");
    let mut arrays = ArrayWriter::default();
    let places: Vec<f32> = (0..names.len()).map(|at| at as f32).collect();
    arrays.push(Track::Light, "w.std", &[names.len()], &places);
    let written = SnapshotHeader::new("named", Rank::ONLY, 7, plan.id()).write(arrays).expect("a snapshot");
    store.append(&writer, &Entry::snapshot(7, 2, written.bytes, written.summary_len)).expect("kept");
    let said = scalars.iter().zip(0u32..).map(|(name, at)| ((*name).to_owned(), f64::from(at))).collect();
    let batch = ScalarBatch::of(&[(7, said)]).to_bytes().expect("scalars");
    store.append(&writer, &Entry::new(RecordKind::Scalars, 7, 3, batch)).expect("kept");
}

const HOSTILE: [&str; 12] = [
    "=cmd|'/C calc'!A0",
    "../../up",
    "/etc/passwd",
    "a,b\"c\nd",
    "twice",
    "twice",
    "scalars",
    "scalars/std",
    "C:\\x",
    "\u{1b}[31mred",
    "",
    "steps",
];

/// No name makes an array overwrite another.
#[test]
fn hostile_names() {
    let store = store();
    named(&store, &HOSTILE, &["std", "scalars/std", "=1+1", "step", "rank"]);
    let (bytes, exported) = export(&store, "named", &Export::new(ExportFormat::Safetensors));
    let arrays = Arrays::parse(bytes).expect("safetensors");
    assert_eq!(exported.arrays as usize, arrays.names().count());
    let found: BTreeSet<u64> = arrays
        .names()
        .filter(|name| name.ends_with("/std") || name.contains("/std~"))
        .filter(|name| arrays.slot(name).is_some_and(|it| it.dtype == "F32"))
        .map(|name| numbers(&arrays, name)[0] as u64)
        .collect();
    assert_eq!(found.len(), HOSTILE.len());
    let csv = text(&store, "named", &Export::new(ExportFormat::Csv));
    let head = csv.lines().next().expect("a head").split(',').map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(head.iter().collect::<BTreeSet<_>>().len(), head.len(), "{head:?}");
    assert!(head.contains(&"\"'=1+1\"".to_owned()) && head.contains(&"scalars/step".to_owned()), "{head:?}");
    assert!(csv.contains("\n7,\"'=cmd|'/C calc'!A0\",") && csv.contains("\n7,\"a,b\"\"c\nd\","), "{csv}");
    let json: serde_json::Value =
        serde_json::from_str(&text(&store, "named", &Export::new(ExportFormat::Json))).expect("JSON");
    let names: Vec<&str> =
        json["rows"].as_array().expect("rows").iter().filter_map(|it| it["parameter"].as_str()).collect();
    assert_eq!(names[1..], HOSTILE);
}

/// A session of two snapshots of an embedding of which rows 2, 5 and 9 are shown, with neighbours of the first two, notes, and
/// probes of which one has another shape.
fn told(store: &dyn SnapshotStore) {
    let writer = store.open(&id("told"), Rank::ONLY, Opening::New).expect("nobody has it");
    let source = MemorySource::new().with("wte", ndarray::Array2::<f32>::zeros((10, 4)));
    let chosen: Vec<ParameterId> = source.model().parameter_ids().collect();
    let mut header = PlanHeader::new("told", source.model(), &chosen);
    header.embeddings.push(PlannedEmbedding::new(0, 3, 4));
    let mut arrays = ArrayWriter::default();
    arrays.push(Track::Light, "e.0.row", &[3], &[2u32, 5, 9]);
    let (plan, written) = Plan::write(header, arrays).expect("a plan");
    let mut seq = 0;
    let mut append = |mut entry: Entry| {
        seq += 1;
        entry.seq = seq;
        store.append(&writer, &entry).expect("kept");
    };
    append(Entry::new(RecordKind::Plan, 0, 0, written.bytes));
    for (step, nearest) in [(0, [2u16, 1, 0, u16::MAX]), (10, [1, 2, 2, 0])] {
        let mut arrays = ArrayWriter::default();
        arrays.push(Track::Light, "w.std", &[1], &[0.5f32]);
        arrays.push(Track::Heavy, "e.0.position", &[3, 3], &[0i16; 9]);
        arrays.push(Track::Heavy, "e.0.neighbours", &[2, 2], &nearest);
        let written =
            SnapshotHeader::new("told", Rank::ONLY, step, plan.id()).write(arrays).expect("a snapshot");
        append(Entry::snapshot(step, 0, written.bytes, written.summary_len));
        let note = RunNote::new(step, "sample", format!("KING: \"{step}\",\nsaid he"));
        append(Entry::new(RecordKind::Note, step, 0, serde_json::to_vec(&note).expect("JSON")));
        for (name, shape) in [("attention", [2, 2]), ("odd", [1, 1 + usize::from(step > 0)])] {
            let mut arrays = ArrayWriter::default();
            let count: u8 = shape.iter().product::<usize>().try_into().expect("a few");
            let values: Vec<f32> = (0..count).map(|at| step as f32 + f32::from(at)).collect();
            arrays.push(Track::Light, "value", &shape, &values);
            let written = arrays.finish(&serde_json::json!({ "schema": 1, "name": name })).expect("a probe");
            append(Entry::new(RecordKind::Probe, step, 0, written.bytes));
        }
    }
}

#[test]
fn notes_probes_and_neighbours() {
    let store = store();
    told(&store);
    let (bytes, exported) = export(&store, "told", &Export::new(ExportFormat::Safetensors));
    assert_eq!(exported.left_out, [""; 0]);
    let arrays = Arrays::parse(bytes).expect("safetensors");
    let shape = |name: &str| arrays.slot(name).unwrap_or_else(|| panic!("no {name}")).shape.clone();
    assert_eq!(arrays.get::<u64>("wte/neighbours_row").expect("of these")[..], [2, 5]);
    assert_eq!(shape("wte/neighbours"), [2, 2, 2]);
    assert_eq!(
        arrays.get::<u32>("wte/neighbours").expect("rows")[..],
        [9, 5, 2, u32::MAX, 5, 9, 9, 2],
        "rows, and not places among those that are shown"
    );
    assert_eq!((shape("probe/attention"), shape("probe/attention/steps")), (vec![2, 2, 2], vec![2]));
    assert_eq!(numbers(&arrays, "probe/attention"), [0.0, 1.0, 2.0, 3.0, 10.0, 11.0, 12.0, 13.0]);
    assert_eq!(arrays.get::<u64>("probe/attention/steps").expect("steps")[..], [0, 10]);
    assert_eq!(
        (numbers(&arrays, "probe/odd"), numbers(&arrays, "probe/odd~2")),
        (vec![0.0], vec![10.0, 11.0])
    );
    let about: serde_json::Value = arrays.metadata().expect("metadata");
    assert_eq!(about["notes"][1]["text"], "KING: \"10\",\nsaid he");

    let (json, exported) = export(&store, "told", &Export::new(ExportFormat::Json).steps(0..=5));
    let json: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
    assert_eq!(json["notes"].as_array().map(Vec::len), Some(1), "of the steps that were chosen");
    assert_eq!((&json["notes"][0]["name"], &json["notes"][0]["step"]), (&"sample".into(), &0.into()));
    assert_eq!(exported.left_out, ["2 probes, for which tables have no place: npz and safetensors have"]);
    let (_, exported) = export(&store, "told", &Export::new(ExportFormat::Csv));
    assert_eq!(exported.left_out[0], "2 notes, for which csv has no place: the other formats have");
}

/// A store that remembers the most that was read from it at once.
struct Counting {
    store: MemoryStore,
    most: AtomicU64,
    all: AtomicU64,
}

impl Counting {
    fn count(&self, read: &[Result<Arc<[u8]>>]) {
        let bytes: u64 = read.iter().flatten().map(|it| it.len() as u64).sum();
        self.most.fetch_max(bytes, Ordering::Relaxed);
        self.all.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl SnapshotStore for Counting {
    fn sessions(&self) -> Result<Vec<SessionInfo>> {
        self.store.sessions()
    }

    fn open(&self, session: &SessionId, rank: Rank, opening: Opening) -> Result<Writer> {
        self.store.open(session, rank, opening)
    }

    fn append(&self, writer: &Writer, entry: &Entry) -> Result<Record> {
        self.store.append(writer, entry)
    }

    fn beat(&self, writer: &Writer) -> Result<()> {
        self.store.beat(writer)
    }

    fn records(&self, session: &SessionId, after: &Cursor) -> Result<Vec<Record>> {
        self.store.records(session, after)
    }

    fn read(&self, session: &SessionId, which: &[RecordId]) -> Result<Vec<Result<Arc<[u8]>>>> {
        self.store.read(session, which).inspect(|read| self.count(read))
    }

    fn summaries(&self, session: &SessionId, which: &[RecordId]) -> Result<Vec<Result<Arc<[u8]>>>> {
        self.store.summaries(session, which).inspect(|read| self.count(read))
    }

    fn thin(&self, session: &SessionId, which: &[RecordId]) -> Result<()> {
        self.store.thin(session, which)
    }

    fn remove(&self, session: &SessionId, which: &[RecordId]) -> Result<()> {
        self.store.remove(session, which)
    }

    fn remove_session(&self, session: &SessionId) -> Result<()> {
        self.store.remove_session(session)
    }
}

/// A run that is several times what is in memory at once is gone through in pieces, and twice, not once for every array.
#[test]
fn memory_is_bounded() {
    let store = store();
    let writer = store.open(&id("long"), Rank::ONLY, Opening::New).expect("nobody has it");
    let source = MemorySource::new().with("weight", ndarray::Array2::<f32>::zeros((8, 8)));
    let chosen: Vec<ParameterId> = source.model().parameter_ids().collect();
    let header = PlanHeader::new("long", source.model(), &chosen);
    let (plan, written) = Plan::write(header, ArrayWriter::default()).expect("a plan");
    store.append(&writer, &Entry::new(RecordKind::Plan, 0, 1, written.bytes)).expect("kept");
    const STEPS: u64 = 60;
    for step in 0..STEPS {
        let mut arrays = ArrayWriter::default();
        arrays.push(Track::Light, "w.std", &[1], &[step as f32]);
        // A quarter of a million numbers.
        arrays.push(Track::Heavy, "w.hist", &[1, 1 << 18], &vec![step as f32; 1 << 18]);
        let written =
            SnapshotHeader::new("long", Rank::ONLY, step, plan.id()).write(arrays).expect("a snapshot");
        store
            .append(&writer, &Entry::snapshot(step, step + 2, written.bytes, written.summary_len))
            .expect("kept");
    }
    const AT_ONCE: u64 = 16 << 20;
    let store = Counting { store, most: AtomicU64::new(0), all: AtomicU64::new(0) };
    let (bytes, _) = export(&store, "long", &Export::new(ExportFormat::Safetensors));
    let (most, all) = (store.most.load(Ordering::Relaxed), store.all.load(Ordering::Relaxed));
    assert!(most <= AT_ONCE && most > AT_ONCE / 2, "{most}");
    assert!(all > 3 * AT_ONCE && all < bytes.len() as u64 + AT_ONCE / 4, "{all} of {}", bytes.len());
    let arrays = Arrays::parse(bytes).expect("safetensors");
    let histogram = numbers(&arrays, "weight/histogram");
    assert!(
        histogram.chunks(1 << 18).zip(0u8..).all(|(row, step)| row.iter().all(|&it| it == f32::from(step)))
    );
    assert_eq!(numbers(&arrays, "weight/std").len() as u64, STEPS);
}

/// Whoever hears of the progress can end it.
#[test]
fn it_can_be_ended() {
    let store = store();
    SmallGpt { steps: 100, ..SmallGpt::default() }.write(&store, &id("run")).expect("written");
    let run = Run::open(&store, &id("run")).expect("a session");
    let ended = Export::new(ExportFormat::Csv).stream(&run, &mut Vec::new(), &|_| ControlFlow::Break(()));
    assert!(
        matches!(ended, Err(ExportError::Session(error)) if error.kind() == quantviz_core::ErrorKind::Cancelled)
    );
    let pipe = Export::new(ExportFormat::Npz).stream(&run, &mut Vec::new(), &|_| ControlFlow::Continue(()));
    assert!(matches!(pipe, Err(ExportError::Session(_))));
}

/// Writes sessions in every format, and what went in, for `fixtures/python/check_exports.py`.
#[test]
#[ignore = "needs a folder, for fixtures/python/check_exports.py"]
fn exports_for_python() {
    let folder = std::env::var_os("QUANTVIZ_EXPORTS").expect("QUANTVIZ_EXPORTS names a folder");
    let folder = Path::new(&folder);
    let (store, gpt) = (store(), SmallGpt { nan_from: Some(150), steps: 200, ..SmallGpt::default() });
    gpt.write(&store, &id("run")).expect("written");
    named(&store, &HOSTILE, &["std", "=1+1", "step"]);
    told(&store);
    for &format in ExportFormat::ALL {
        for name in ["run", "named", "told"] {
            let (bytes, _) = export(&store, name, &Export::new(format));
            std::fs::write(folder.join(format!("{name}.{}", format.name())), bytes).expect("written");
        }
    }
    let mut matrix = 0;
    let model = gpt.model();
    let parameters = model.parameters.iter().enumerate().map(|(at, parameter)| {
        let is_matrix = parameter.shape.dims().len() > 1;
        let values = Quantity::ALL.iter().filter(|it| is_matrix || !it.is_of_matrices()).map(|&quantity| {
            let place = if quantity.is_of_matrices() { matrix } else { at };
            let steps = [0, 50, 100, 150, 200].map(|step| gpt.value(quantity, place, step));
            (quantity.field(), serde_json::json!(steps))
        });
        let values: serde_json::Map<String, serde_json::Value> = values.collect();
        matrix += usize::from(is_matrix);
        (parameter.name.clone(), values.into())
    });
    let parameters: serde_json::Map<String, serde_json::Value> = parameters.collect();
    let loss: Vec<f64> = (0..150).map(|step| gpt.loss(step)).collect();
    let truth = serde_json::json!({ "parameters": parameters, "loss": loss, "hostile": HOSTILE });
    std::fs::write(folder.join("truth.json"), truth.to_string()).expect("written");
}
