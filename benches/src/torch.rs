//! What nanoGPT saves while it trains: a model, and what AdamW remembers of each of its parameters.

use quantviz_testkit::pickle::Pickle;

use crate::noise::Record;
use crate::{Field, File, Piece, Tensor, Transformer};

/// The state of a model alone.
pub fn float32(model: &Transformer) -> File {
    let mut storages = Storages::default();
    let state = storages.state(Pickle::new(), "", &model.tensors());
    storages.archive(&state)
}

/// 594 tensors for GPT-2: the parameters and the head that shares one, three for each parameter in the optimizer, and the
/// best loss so far.
pub fn checkpoint(model: &Transformer) -> File {
    let tensors = model.tensors();
    let mut storages = Storages::default();
    let pickle = storages.state(Pickle::new().op(b"}(").text("model"), "transformer.", &tensors);
    let mut pickle = pickle.text("optimizer").op(b"}(").text("state").op(b"}(");
    for (tensor, index) in tensors.iter().zip(0..) {
        pickle = pickle.int(index).op(b"}(").text("step");
        pickle = storages.add(pickle, &[], &[(1, Field::Scale32)]).text("exp_avg");
        pickle = storages.add(pickle, &tensor.dims, FLOATS).text("exp_avg_sq");
        pickle = storages.add(pickle, &tensor.dims, &[(256, Field::Square)]).op(b"u");
    }
    // The lists that say which parameters decay.
    let groups = pickle.op(b"u").text("param_groups").op(b"]u");
    let best = storages.add(groups.text("iter_num").int(2000).text("best_val_loss"), &[], FLOATS);
    storages.archive(&best.op(b"u"))
}

const FLOATS: Record = &[(256, Field::F32)];
/// Where torch lets data begin.
const ALIGNMENT: usize = 64;

/// The storages of a file, one for each tensor.
#[derive(Default)]
struct Storages(Vec<Piece>);

impl Storages {
    /// A dictionary of parameters.
    fn state(&mut self, pickle: Pickle, prefix: &str, tensors: &[Tensor]) -> Pickle {
        let named = |pickle: Pickle, name: &str| pickle.text(&format!("{prefix}{name}"));
        let all = tensors.iter().fold(pickle.op(b"}("), |pickle, tensor| {
            self.add(named(pickle, &tensor.name), &tensor.dims, FLOATS)
        });
        let all =
            if prefix.is_empty() { all } else { tensor(all.text("lm_head.weight"), 0, &tensors[0].dims) };
        all.op(b"u")
    }

    fn add(&mut self, pickle: Pickle, dims: &[u64], record: Record) -> Pickle {
        let key = self.0.len();
        self.0.push(Piece::filled(&key.to_string(), record, 4 * dims.iter().product::<u64>()));
        tensor(pickle, key, dims)
    }

    /// A zip archive of what is stored, as torch writes it but for its checksums, which are zero.
    fn archive(self, pickle: &Pickle) -> File {
        let pickle = ("archive/data.pkl".to_owned(), Piece::Bytes(pickle.build()));
        let storages = self.0.into_iter().enumerate();
        let storages = storages.map(|(key, payload)| (format!("archive/data/{key}"), payload));
        let (mut file, mut directory, mut count) = (File::default(), Vec::new(), 0u16);
        for (name, payload) in [pickle].into_iter().chain(storages) {
            let offset = file.bytes() as u32;
            let data = offset as usize + 30 + name.len() + 4;
            let padding = data.next_multiple_of(ALIGNMENT) - data;
            // A field that readers skip.
            let extra = [&b"FB"[..], &(padding as u16).to_le_bytes(), &vec![b'Z'; padding]].concat();
            let head = head(payload.bytes() as u32, name.len() as u16, extra.len() as u16);
            file.push(Piece::Bytes([b"PK\x03\x04", &head[..], name.as_bytes(), &extra].concat()));
            file.push(payload);
            let here = [&[0; 10][..], &offset.to_le_bytes(), name.as_bytes(), &extra].concat();
            directory.extend([b"PK\x01\x02\x14\0", &head[..], &here].concat());
            count += 1;
        }
        let (start, len) = (file.bytes() as u32, directory.len() as u32);
        let counts = [count.to_le_bytes(), count.to_le_bytes()].concat();
        let place = [len.to_le_bytes(), start.to_le_bytes()].concat();
        file.push(Piece::Bytes([&directory[..], b"PK\x05\x06\0\0\0\0", &counts, &place, &[0; 2]].concat()));
        file
    }
}

fn tensor(pickle: Pickle, key: usize, dims: &[u64]) -> Pickle {
    let sizes: Vec<i64> = dims.iter().map(|dim| dim.cast_signed()).collect();
    let strides: Vec<i64> = (1..=sizes.len()).map(|axis| sizes[axis..].iter().product()).collect();
    let storage = ("FloatStorage", &*key.to_string(), sizes.iter().product());
    pickle.tensor(storage, 0, &sizes, &strides)
}

/// What the header before an entry and the directory say of it.
fn head(len: u32, name_len: u16, extra_len: u16) -> Vec<u8> {
    let sizes = [len.to_le_bytes(), len.to_le_bytes()].concat();
    let lens = [name_len.to_le_bytes(), extra_len.to_le_bytes()].concat();
    [&b"\x14\0\0\0\0\0"[..], &[0; 8], &sizes, &lens].concat()
}

#[cfg(test)]
mod tests {
    use quantviz::{ParameterSource, SourceExt};

    use super::*;

    #[test]
    fn a_checkpoint_has_what_training_remembers() {
        let model = Transformer { layers: 12, width: 8, vocabulary: 16, positions: 4 };
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("checkpoint.pt");
        checkpoint(&model).write(&path).expect("written");
        let source = quantviz::open(&path).expect("a checkpoint");
        assert_eq!(source.model().parameters.len(), 594);
        assert_eq!(source.model().parameter_count(), model.parameters());
        assert_eq!(source.model().warnings, []);
        let id = |name: &str| source.model().parameter_named(name).expect("is there");
        let squares = source.summary(id("optimizer.state.5.exp_avg_sq")).expect("readable");
        assert!(squares.min() >= Some(0.0) && squares.max() > Some(0.0));
    }
}
