//! A safetensors file: what is known of the session is its metadata `quantviz`.

use std::io::SeekFrom;

use quantviz_core::Error;
use serde_json::json;

use super::arrays::{Container, Spec, Type};
use super::{Result, WriteSeek};

/// The length of the header comes first; numbers begin at a multiple of it.
const ALIGNMENT: usize = 8;
/// Readers take no larger header.
const LARGEST_HEADER: usize = 100_000_000;

#[derive(Default)]
pub(super) struct Safetensors {
    header: Vec<u8>,
}

impl Container for Safetensors {
    fn has_metadata(&self) -> bool {
        true
    }

    fn place(&mut self, specs: &[Spec], about: &str) -> Result<Vec<u64>> {
        // The widest first, so that every array is aligned.
        let mut order: Vec<usize> = (0..specs.len()).collect();
        order.sort_by_key(|&at| std::cmp::Reverse(specs[at].of.width()));
        let mut places = vec![0; specs.len()];
        let mut header = serde_json::Map::new();
        header.insert("__metadata__".into(), json!({ "quantviz": about }));
        let mut end = 0u64;
        for at in order {
            let spec = &specs[at];
            places[at] = end;
            let too_large = || Error::limit("the arrays are larger than any file");
            end = end.checked_add(spec.len()?).ok_or_else(too_large)?;
            let slot =
                json!({ "dtype": name(spec.of), "shape": spec.shape, "data_offsets": [places[at], end] });
            header.insert(spec.name.clone(), slot);
        }
        let odd = |error| Error::malformed(format!("its header cannot be written: {error}"));
        let mut text = serde_json::to_vec(&header).map_err(odd)?;
        text.resize(text.len().next_multiple_of(ALIGNMENT), b' ');
        if text.len() > LARGEST_HEADER {
            let message =
                "safetensors has no room for the names of so many arrays; npz has, or choose --parameters";
            return Err(Error::limit(message).into());
        }
        self.header = (text.len() as u64).to_le_bytes().to_vec();
        self.header.append(&mut text);
        let data = self.header.len() as u64;
        Ok(places.into_iter().map(|place| data + place).collect())
    }

    fn finish(&mut self, _: &[Spec], out: &mut dyn WriteSeek) -> Result<()> {
        out.seek(SeekFrom::Start(0))?;
        Ok(out.write_all(&self.header)?)
    }
}

fn name(of: Type) -> &'static str {
    match of {
        Type::U64 => "U64",
        Type::F64 => "F64",
        Type::F32 => "F32",
        Type::U32 => "U32",
        Type::U8 => "U8",
    }
}
