//! Scoped threads over a list of jobs, with the results in the order of the jobs.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::{Error, Result};

/// Runs `work` on every job, with fewer threads where the system grants no more; what comes of them is in their order.
/// `report` hears the sum of the sizes of the jobs done so far, at first nothing; where it breaks, no further job begins
/// and the result is an error.
///
/// ```
/// use std::ops::ControlFlow;
/// use quantviz_core::for_each_job;
///
/// let squares = for_each_job(2, &[1u64, 2, 3], |_| 1, &|_done| ControlFlow::Continue(()), |job| job * job)?;
/// assert_eq!(squares, [1, 4, 9]);
/// # Ok::<(), quantviz_core::Error>(())
/// ```
pub fn for_each_job<J: Sync, R: Send>(
    threads: usize,
    jobs: &[J],
    size: impl Fn(&J) -> u64 + Sync,
    report: &(dyn Fn(u64) -> ControlFlow<()> + Sync),
    work: impl Fn(&J) -> R + Sync,
) -> Result<Vec<R>> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(0);
    let cancelled = AtomicBool::new(report(0).is_break());
    let take_turns = || {
        let mut results = Vec::new();
        while !cancelled.load(Ordering::Relaxed) {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(job) = jobs.get(index) else { break };
            results.push((index, work(job)));
            // One report at a time, so that whoever hears them never sees progress go back.
            let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
            *done += size(job);
            if report(*done).is_break() {
                cancelled.store(true, Ordering::Relaxed);
            }
        }
        results
    };
    let mut results = thread::scope(|scope| {
        let spawn = |_| thread::Builder::new().spawn_scoped(scope, take_turns).ok();
        let helpers: Vec<_> = (1..threads.min(jobs.len())).map_while(spawn).collect();
        let mut results = take_turns();
        for helper in helpers {
            match helper.join() {
                Ok(more) => results.extend(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        results
    });
    if cancelled.into_inner() {
        return Err(Error::cancelled());
    }
    results.sort_unstable_by_key(|(index, _)| *index);
    Ok(results.into_iter().map(|(_, result)| result).collect())
}
