//! The progress bar, shown at a terminal only.

use std::{sync::Arc, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::JoinHandle;

use crate::run::Fleet;

/// A bar on standard error; dropping it removes the bar.
pub(crate) struct Progress {
    bar: ProgressBar,
    task: JoinHandle<()>,
}

impl Progress {
    /// Shows how many of the `reads` were taken, or how much of the `time` has gone.
    pub(crate) fn start(reads: Option<u64>, time: Option<Duration>, fleet: Arc<Fleet>) -> Self {
        // Hidden by itself when standard error is not a terminal.
        let bar = ProgressBar::new(reads.unwrap_or_default());
        bar.set_style(style(reads, time));
        let task = tokio::spawn(follow(bar.clone(), fleet));
        Self { bar, task }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.task.abort();
        self.bar.finish_and_clear();
    }
}

async fn follow(bar: ProgressBar, fleet: Arc<Fleet>) {
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    loop {
        ticks.tick().await;
        bar.set_position(fleet.issued());
    }
}

fn style(reads: Option<u64>, time: Option<Duration>) -> ProgressStyle {
    let template = match (reads, time) {
        (_, Some(time)) => format!(
            "{{elapsed}} of {}s  {{human_pos}} reads  {{per_sec}}",
            time.as_secs_f64()
        ),
        (Some(_), None) => "{wide_bar} {human_pos}/{human_len} reads  {per_sec}  {eta}".to_owned(),
        (None, None) => "{human_pos} reads  {per_sec}".to_owned(),
    };
    ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
