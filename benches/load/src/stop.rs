//! The wish that a run ends early, and the signals that express it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// A flag that is raised once; clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// A flag that is not raised.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Raises the flag.
    pub(crate) fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the flag was raised.
    pub(crate) fn is_stopped(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Returns when the process is asked to end: ctrl-c, or a termination signal where there is one.
///
/// Never returns if signals cannot be watched; then they end the process as they always do.
pub(crate) async fn interrupted() {
    tokio::select! {
        () = control_c() => {}
        () = terminated() => {}
    }
}

async fn control_c() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

#[cfg(unix)]
async fn terminated() {
    use tokio::signal::unix::{SignalKind, signal};

    let Ok(mut signals) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    signals.recv().await;
}

#[cfg(not(unix))]
async fn terminated() {
    std::future::pending().await
}
