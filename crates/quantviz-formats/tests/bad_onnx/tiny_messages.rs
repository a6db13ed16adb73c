//! Files of a few megabytes that are made of tiny messages, or of names that are repeated: they are refused, or they
//! cost little time. What they cost in memory is the subject of `memory.rs`.

use std::time::{Duration, Instant};

use quantviz_core::ErrorKind::{Limit, Malformed};

use crate::common::{Folder, check_refusal, scan};

#[path = "../samples/hostile.rs"]
mod hostile;

#[test]
fn four_megabytes_are_read_or_refused_in_seconds() {
    let folder = Folder::in_memory();
    for (what, bytes) in hostile::FILES {
        let path = folder.put("model.onnx", bytes(4 << 20));
        let start = Instant::now();
        match quantviz_formats::open(&path) {
            Ok(source) => drop(scan(&source)),
            Err(error) => {
                check_refusal(&error, &path);
                assert!(matches!(error.kind(), Limit | Malformed), "{what}: {error}");
            }
        }
        // A second at most, on one slow core; whatever is quadratic takes minutes.
        let time = start.elapsed();
        assert!(time < Duration::from_secs(10), "{what} took {time:?}");
    }
}
