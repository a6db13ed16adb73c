//! Sessions as objects that never change: in a folder, or wherever `object_store` can write.

mod columns;
mod compaction;
mod epochs;
mod errors;
mod keys;
mod leftovers;
mod listing;
mod log;
mod memory;
mod place;
mod runtime;
mod segments;
mod store;
mod url;

pub use store::SessionStore;
