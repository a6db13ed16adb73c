//! How many threads there is room for.

/// Address space that the C library may set aside for the heap and the stack of a thread, with what a scan needs.
#[cfg(target_os = "linux")]
const BYTES_OF_A_THREAD: u64 = 256 << 20;

/// No more threads than the limit on address space lets run; `None` where there is none, and nobody asked for any.
pub(crate) fn within_memory(asked: Option<usize>) -> Option<usize> {
    match room() {
        Some(room) => Some(asked.unwrap_or_else(available).min(room).max(1)),
        None => asked,
    }
}

fn available() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(target_os = "linux")]
fn room() -> Option<usize> {
    let most = rustix::process::getrlimit(rustix::process::Resource::As).current?;
    usize::try_from(most / BYTES_OF_A_THREAD).ok()
}

#[cfg(not(target_os = "linux"))]
fn room() -> Option<usize> {
    None
}
