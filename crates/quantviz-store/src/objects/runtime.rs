//! Waiting for what the library below does without waiting.

use std::cell::Cell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::mpsc;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Wake};
use std::thread::{self, Thread};

use quantviz_core::{Error, ErrorKind, Result};
use tokio::runtime::{Builder, Runtime};

/// One for all stores of the process, from when it is first needed.
static RUNTIME: OnceLock<Result<Runtime>> = OnceLock::new();
const WORKERS: usize = 2;
const BROKE_OFF: &str = "a store's own work broke off; this is a bug of quantviz";

/// Does some work elsewhere and waits for it on a channel: so this works from any thread, also from one that belongs to
/// another runtime.
pub(super) fn wait<T: Send + 'static>(work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    let (sender, receiver) = mpsc::sync_channel(1);
    in_background(async move {
        // Whoever waits is there until this comes.
        let _ = sender.send(work.await);
    })?;
    receiver.recv().unwrap_or_else(|_| Err(broke_off(BROKE_OFF)))
}

thread_local! {
    /// Whether this thread is that of somebody who waits, and nobody else has to wait for it.
    static IS_WAITING: Cell<bool> = const { Cell::new(false) };
}

/// Does some work on this very thread, from any thread too. What is quick to do saves the way to another one, which is long
/// where all processors are busy.
pub(super) fn wait_here<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let _runtime = RUNTIME.get_or_init(start).as_ref().map_err(Clone::clone)?.enter();
    let waker = Arc::new(Unpark(thread::current())).into();
    let mut work = pin!(work);
    loop {
        IS_WAITING.set(true);
        let polled = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(&mut Context::from_waker(&waker))));
        IS_WAITING.set(false);
        match polled {
            Ok(Poll::Ready(done)) => return done,
            // Somebody else's tokens may wake it too early; it looks, and goes on waiting.
            Ok(Poll::Pending) => thread::park(),
            Err(_) => return Err(broke_off(BROKE_OFF)),
        }
    }
}

/// Does what blocks for a moment: here, where this is the thread of whoever waits for it.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    if IS_WAITING.get() { work() } else { aside(work).await }
}

/// Does some work that nobody waits for. It may never come to its end: the process may.
pub(super) fn in_background(work: impl Future<Output = ()> + Send + 'static) -> Result<()> {
    RUNTIME.get_or_init(start).as_ref().map_err(Clone::clone)?.spawn(work);
    Ok(())
}

/// What a processor is busy with for a while, where no request waits behind it.
pub(super) async fn aside<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(broke_off(BROKE_OFF)))
}

fn start() -> Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(WORKERS).thread_name("quantviz-store").enable_all();
    builder.build().map_err(|error| broke_off(format!("a store's threads cannot be started: {error}")))
}

fn broke_off(why: impl Into<String>) -> Error {
    Error::new(ErrorKind::Io, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_waits_gets_what_was_done_here_or_elsewhere() {
        let caller = thread::current().id();
        let here = wait_here(blocking(|| Ok(thread::current().id())));
        assert_eq!(here.expect("done"), caller);
        let both = wait_here(async {
            let elsewhere = aside(|| Ok(thread::current().id())).await?;
            Ok((elsewhere, blocking(|| Ok(thread::current().id())).await?))
        });
        let (elsewhere, here) = both.expect("done");
        assert!(elsewhere != caller && here == caller);
        let spawned = wait(blocking(|| Ok(thread::current().id())));
        assert_ne!(spawned.expect("done"), caller);
    }

    #[test]
    fn work_that_panics_is_an_error() {
        let broken = || -> Result<()> { panic!("on purpose") };
        for error in [wait_here(blocking(broken)), wait_here(aside(broken)), wait(blocking(broken))] {
            assert!(error.expect_err("it broke off").to_string().contains("bug of quantviz"));
        }
        assert!(!IS_WAITING.get());
    }

    #[test]
    fn inside_of_another_runtime() {
        let runtime = Builder::new_current_thread().build().expect("a runtime");
        let done = runtime.block_on(async { wait_here(async { aside(|| Ok(7)).await }) });
        assert_eq!(done.expect("done"), 7);
    }
}
