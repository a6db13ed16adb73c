//! A progress bar for scans that take long enough to wonder.

use std::ops::ControlFlow;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use quantviz::{Progress, one_line};

use crate::layout::shorten;
use crate::stream::Stream;

/// Shows how far a scan has come, where errors go if that is a terminal, once it has taken half a second.
pub(crate) struct ScanProgress<'a> {
    label: String,
    started: Instant,
    screen: Mutex<Screen<'a>>,
}

struct Screen<'a> {
    out: &'a mut dyn Stream,
    drawn: Option<Instant>,
}

const PATIENCE: Duration = Duration::from_millis(500);
const BETWEEN: Duration = Duration::from_millis(100);
const BAR: usize = 30;
/// Back to the first column, and nothing behind what comes.
const CLEAR: &str = "\r\x1b[K";

impl<'a> ScanProgress<'a> {
    pub(crate) fn new(out: &'a mut dyn Stream, label: &str) -> Self {
        let screen = Mutex::new(Screen { out, drawn: None });
        ScanProgress { label: one_line(label), started: Instant::now(), screen }
    }

    pub(crate) fn report(&self, progress: Progress) -> ControlFlow<()> {
        let elapsed = self.started.elapsed();
        // Whoever measures never waits for the screen.
        if elapsed > PATIENCE
            && let Ok(mut screen) = self.screen.try_lock()
        {
            screen.draw(&self.label, progress, elapsed);
        }
        ControlFlow::Continue(())
    }
}

impl Screen<'_> {
    fn draw(&mut self, label: &str, progress: Progress, elapsed: Duration) {
        let Some(columns) = self.out.columns() else { return };
        if self.drawn.is_some_and(|drawn| drawn.elapsed() < BETWEEN) {
            return;
        }
        self.drawn = Some(Instant::now());
        let share = progress.done as f64 / progress.total.max(1) as f64;
        let filled = (share * BAR as f64) as usize;
        let left = elapsed.as_secs_f64() * (1.0 - share) / share.max(1e-9);
        let bar = format!(
            "{}{} {:3.0}% ({left:.0} s left)",
            "█".repeat(filled),
            "░".repeat(BAR.saturating_sub(filled)),
            share * 100.0
        );
        let label = shorten(label, columns.saturating_sub(bar.chars().count() + 2));
        // A bar that cannot be drawn is no reason to stop.
        let _ = write!(self.out, "{CLEAR}{label} {bar}").and_then(|()| self.out.flush());
    }
}

impl Drop for ScanProgress<'_> {
    fn drop(&mut self) {
        if let Ok(screen) = self.screen.get_mut()
            && screen.drawn.is_some()
        {
            let _ = write!(screen.out, "{CLEAR}").and_then(|()| screen.out.flush());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};

    use super::*;

    struct Terminal(Vec<u8>);

    impl Write for Terminal {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Stream for Terminal {
        fn columns(&self) -> Option<usize> {
            Some(70)
        }
    }

    #[test]
    fn a_bar_fits_its_line_and_goes_away() {
        let mut terminal = Terminal(Vec::new());
        let mut progress = Progress::default();
        (progress.done, progress.total) = (1, 2);
        let label = "a name that is \x1b[31m much too long for a line of seventy columns";
        let mut bar = ScanProgress::new(&mut terminal, label);
        let _ = bar.report(progress);
        bar.started = Instant::now().checked_sub(Duration::from_secs(10)).expect("the machine is older");
        let _ = bar.report(progress);
        drop(bar);
        let text = String::from_utf8(terminal.0).expect("UTF-8");
        let line = text.strip_prefix(CLEAR).and_then(|text| text.strip_suffix(CLEAR)).expect("one bar");
        assert!(line.ends_with(&format!("{}{}  50% (10 s left)", "█".repeat(15), "░".repeat(15))), "{line}");
        assert!(line.chars().count() <= 70 && !line.contains('\x1b'), "{line}");
    }

    #[test]
    fn files_get_no_bar() {
        let mut file = Vec::new();
        let mut bar = ScanProgress::new(&mut file, "m");
        bar.started = Instant::now().checked_sub(Duration::from_secs(10)).expect("the machine is older");
        let _ = bar.report(Progress::default());
        drop(bar);
        assert_eq!(file, b"");
    }
}
