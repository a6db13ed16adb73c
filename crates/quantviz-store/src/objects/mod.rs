//! Sessions as objects that never change: in a folder, or wherever `object_store` can write.

mod bundles;
mod columns;
mod compaction;
mod epochs;
mod errors;
mod files;
mod keys;
mod leftovers;
mod listing;
mod log;
mod memory;
mod pack;
mod packs;
mod place;
mod runtime;
mod segments;
mod store;
mod upkeep;
mod url;

pub use store::SessionStore;
