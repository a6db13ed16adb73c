//! How far a long measurement has come, for a cell that runs.

use std::ops::ControlFlow;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use quantviz_core::{Progress, one_line};

use crate::show::inert;

/// What takes less is not worth a word.
const PATIENCE: Duration = Duration::from_secs(2);

/// Tells how far a measurement has come, a line at a time: evcxr passes on lines and nothing that overwrites them. The
/// lines come ever later, so that hours take no more than a dozen of them.
pub(crate) struct Told<'a> {
    what: &'a str,
    started: Instant,
    next: Mutex<Duration>,
    tell: &'a (dyn Fn(&str) + Sync),
}

impl<'a> Told<'a> {
    pub(crate) fn new(what: &'a str, tell: &'a (dyn Fn(&str) + Sync)) -> Self {
        Told { what, started: Instant::now(), next: Mutex::new(PATIENCE), tell }
    }

    pub(crate) fn report(&self, progress: Progress) -> ControlFlow<()> {
        self.report_after(self.started.elapsed(), progress);
        ControlFlow::Continue(())
    }

    fn report_after(&self, elapsed: Duration, progress: Progress) {
        // Whoever measures never waits for whoever tells.
        let Ok(mut next) = self.next.try_lock() else { return };
        if elapsed < *next || progress.done >= progress.total {
            return;
        }
        *next = elapsed * 2;
        let share = progress.done as f64 / progress.total.max(1) as f64;
        let left = elapsed.as_secs_f64() * (1.0 - share) / share.max(1e-9);
        let left = if share > 0.0 { format!(", {left:.0} s left") } else { String::new() };
        (self.tell)(&inert(&format!("{}: {:.0} % read{left}", one_line(self.what), share * 100.0)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(done: u64) -> Progress {
        let mut progress = Progress::default();
        (progress.done, progress.total) = (done, 1000);
        progress
    }

    #[test]
    fn a_minute_takes_a_few_lines_and_an_instant_none() {
        let lines = Mutex::new(Vec::new());
        let tell = |line: &str| lines.lock().expect("one thread").push(line.to_owned());
        let told = Told::new("m\nodd.onnx", &tell);
        (0..1000).for_each(|step| told.report_after(Duration::from_millis(step), progress(step)));
        assert_eq!(lines.lock().expect("one thread").len(), 0);
        (0..1000).for_each(|step| told.report_after(Duration::from_millis(60 * step), progress(step)));
        let lines = lines.lock().expect("one thread");
        assert_eq!(lines.len(), 5, "{lines:?}");
        assert_eq!(lines[0], "m\\nodd.onnx: 3 % read, 58 s left");
    }
}
