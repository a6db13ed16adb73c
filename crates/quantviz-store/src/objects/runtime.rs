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
    let (sender, receiver) = mpsc::sync_channel(1);
    in_background(async move {
        // Whoever waits is there until this comes.
        let _ = sender.send(work.await);
    })?;
    receiver
        .recv()
        .unwrap_or_else(|_| Err(broke_off("a store's own work broke off; this is a bug of quantviz")))
}

/// Does some work that nobody waits for. It may never come to its end: the process may.
pub(super) fn in_background(work: impl Future<Output = ()> + Send + 'static) -> Result<()> {
    RUNTIME.get_or_init(start).as_ref().map_err(Clone::clone)?.spawn(work);
    Ok(())
}

/// What a processor is busy with for a while, where no request waits behind it.
pub(super) async fn aside<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(broke_off("a store's own work broke off; this is a bug of quantviz")))
}

fn start() -> Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(WORKERS).thread_name("quantviz-store").enable_all();
    builder.build().map_err(|error| broke_off(format!("a store's threads cannot be started: {error}")))
}

fn broke_off(why: impl Into<String>) -> Error {
    Error::new(ErrorKind::Io, why)
}
