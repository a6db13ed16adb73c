//! How much a file may ask for before it is refused.

use quantviz_core::{Error, Result};

macro_rules! limits {
    ($($(#[doc = $doc:literal])+ $name:ident: $type:ty = $default:expr;)*) => {
        /// Bounds on what reading a file's catalogue may cost, so that a small hostile file cannot take a large machine
        /// down. The defaults let every real model through, and no file below 32 MB take more than 256 MB of memory, unless
        /// it comes with larger files that it names.
        ///
        /// ```no_run
        /// let mut limits = quantviz_formats::Limits::default();
        /// limits.tensors = 1_000_000;
        /// limits.set("rank", 8)?;
        /// let source = quantviz_formats::open_with("model.safetensors", &limits)?;
        /// # Ok::<(), quantviz_core::Error>(())
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Limits {
            $($(#[doc = $doc])+ pub $name: $type,)*
        }

        impl Default for Limits {
            fn default() -> Self {
                Limits { $($name: $default,)* }
            }
        }

        impl Limits {
            /// The names of all limits, and what each bounds.
            pub const ALL: &[(&str, &str)] = &[$((stringify!($name), concat!($($doc),+)),)*];

            /// The limit of this name.
            pub fn get(&self, name: &str) -> Option<u64> {
                match name {
                    $(stringify!($name) => u64::try_from(self.$name).ok(),)*
                    _ => None,
                }
            }

            /// Sets the limit of this name.
            ///
            /// # Errors
            /// Where there is none, or this machine cannot count so far.
            pub fn set(&mut self, name: &str, value: u64) -> Result<()> {
                match name {
                    $(stringify!($name) => {
                        self.$name = <$type>::try_from(value)
                            .map_err(|_| Error::limit(format!("{value} is more than this machine can count")))?;
                    })*
                    _ => return Err(unknown(name)),
                }
                Ok(())
            }
        }
    };
}

limits! {
    /// Tensors in one model, and one more for every 4096 bytes of it.
    tensors: usize = 1 << 15;
    /// Dimensions of one tensor.
    rank: usize = 64;
    /// Bytes that all tensors take, wherever they are.
    data_bytes: u64 = 1 << 42;
    /// Bytes of the names of all tensors, and one more for every 64 bytes of the model.
    name_bytes: usize = 4 << 20;
    /// Bytes of a safetensors header, of a sharded model's index, or of what precedes the data of a GGUF file.
    header_bytes: u64 = 100_000_000;
    /// Files of one model.
    files: usize = 1 << 12;
    /// Entries of the metadata of safetensors and GGUF.
    metadata: usize = 1 << 16;
    /// Bytes of what a model says of itself: its metadata and what wrote it, without the arrays of GGUF.
    metadata_bytes: usize = 16 << 20;
    /// Bytes of an ONNX graph without its weights.
    graph_bytes: usize = 64 << 20;
    /// Messages, strings and lists in an ONNX graph.
    graph_items: usize = 1 << 22;
    /// Bytes of memory that an ONNX graph may take, and one more for every byte of the model.
    graph_memory: u64 = 128 << 20;
    /// Bytes of all pickles of a PyTorch file, and of its archives' directories.
    pickle_bytes: u64 = 64 << 20;
    /// Values in the pickles of a PyTorch file, and references to them; and how many may be looked at, again and again.
    pickle_items: usize = 1 << 22;
    /// Values inside values in a pickle.
    pickle_depth: usize = 200;
    /// Bytes of a PyTorch file that may have to be kept in memory: compressed entries, and arrays inside a pickle.
    inflated_bytes: u64 = 64 << 20;
    /// Times that the tensors of a PyTorch file may cover its bytes, all together: views can share storages.
    view_repeats: u64 = 8;
    /// Bytes of a file that says how much inputs matter.
    importance_bytes: u64 = 1 << 30;
    /// Messages inside messages in an ONNX file, arrays inside arrays in GGUF's metadata.
    depth: usize = 100;
}

impl Limits {
    /// The limits of a model of so many bytes. The largest there are have two hundred thousand tensors, and a million
    /// bytes for each.
    pub(crate) fn of_model(&self, bytes: u64) -> Self {
        let more = |limit: usize, each: u64| {
            limit.saturating_add(usize::try_from(bytes / each).unwrap_or(usize::MAX))
        };
        Limits { tensors: more(self.tensors, 4096), name_bytes: more(self.name_bytes, 64), ..*self }
    }
}

fn unknown(name: &str) -> Error {
    let names: Vec<&str> = Limits::ALL.iter().map(|(name, _)| *name).collect();
    Error::not_found(format!("there is no limit {name:?}; there are {}", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use quantviz_core::ErrorKind;

    use super::*;

    #[test]
    fn every_limit_can_be_set_by_its_name() {
        for (name, what) in Limits::ALL {
            let mut limits = Limits::default();
            limits.set(name, 7).expect("it is in the list");
            assert_ne!(limits, Limits::default(), "{name}");
            assert_eq!(limits.get(name), Some(7), "{name}");
            assert!(what.trim().ends_with('.'), "{name}: {what}");
        }
        assert_eq!(Limits::default().get("patience"), None);
        let error = Limits::default().set("patience", 7).expect_err("there is no such limit");
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.message().contains("\"patience\"; there are tensors, rank"), "{error}");
    }

    #[test]
    fn large_models_may_have_more_tensors() {
        let limits = Limits::default();
        assert_eq!(limits.of_model(4095).tensors, 32_768);
        assert_eq!(limits.of_model(600 << 30).tensors, 32_768 + 150 * (1 << 20));
        assert_eq!(limits.of_model(32 << 20).name_bytes, (4 << 20) + (1 << 19));
    }
}
