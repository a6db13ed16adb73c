//! Waiting for what the library below does without waiting.

use std::future::Future;
use std::sync::OnceLock;
use std::sync::mpsc;

use quantviz_core::{Error, ErrorKind, Result};
use tokio::runtime::{Builder, Runtime};

/// One for all stores of the process, from when it is first needed.
static RUNTIME: OnceLock<Result<Runtime>> = OnceLock::new();
const WORKERS: usize = 2;

/// Does some work elsewhere and waits for it on a channel: so this works from any thread, also from one that belongs to
/// another runtime.
pub(super) fn wait<T: Send + 'static>(work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    let runtime = RUNTIME.get_or_init(start).as_ref().map_err(Clone::clone)?;
    let (sender, receiver) = mpsc::sync_channel(1);
    runtime.spawn(async move {
        // Whoever waits is there until this comes.
        let _ = sender.send(work.await);
    });
    receiver
        .recv()
        .unwrap_or_else(|_| Err(broke_off("a store's own work broke off; this is a bug of quantviz")))
}

fn start() -> Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(WORKERS).thread_name("quantviz-store").enable_all();
    builder.build().map_err(|error| broke_off(format!("a store's threads cannot be started: {error}")))
}

fn broke_off(why: impl Into<String>) -> Error {
    Error::new(ErrorKind::Io, why)
}
