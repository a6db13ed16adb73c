//! Training comes first.

/// How much less than training a thread of ours counts: of a core that both want, it gets a tenth.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

/// Makes this thread wait for those of training. What computes on all cores waits for its slowest part, and each time that
/// we took a core away from it, all others stood still. Elsewhere than on Linux a thread alone cannot be made so.
pub(crate) fn give_way() {
    #[cfg(target_os = "linux")]
    // Where that is forbidden, all still works.
    let _ = rustix::process::nice(NICE);
}
