//! A progress bar for scans that take long enough to wonder.

use std::ops::ControlFlow;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use quantviz::Progress;

/// Shows how far a scan has come, on standard error, once it has taken half a second.
pub(crate) struct ScanProgress {
    started: Instant,
    on_terminal: bool,
    bar: OnceLock<ProgressBar>,
    label: String,
}

const PATIENCE: Duration = Duration::from_millis(500);

impl ScanProgress {
    pub(crate) fn new(on_terminal: bool, label: impl Into<String>) -> Self {
        ScanProgress { started: Instant::now(), on_terminal, bar: OnceLock::new(), label: label.into() }
    }

    pub(crate) fn report(&self, progress: Progress) -> ControlFlow<()> {
        if self.on_terminal && self.started.elapsed() > PATIENCE {
            self.bar.get_or_init(|| self.new_bar(progress.total)).set_position(progress.done);
        }
        ControlFlow::Continue(())
    }

    fn new_bar(&self, total: u64) -> ProgressBar {
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template("{msg} {bar:30} {percent}% ({eta} left)") {
            bar.set_style(style);
        }
        bar.set_message(self.label.clone());
        bar
    }
}

impl Drop for ScanProgress {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.get() {
            bar.finish_and_clear();
        }
    }
}
