//! The tasks of one `Tiers` that do something for a caller: loads, refreshes, writes.
//!
//! They are counted, so that a shutdown can wait for them and end what is left. A caller that goes away stops none.

use std::{future::Future, time::Duration};
use tokio::{runtime::Handle, task::JoinHandle, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Spawns tasks and remembers which still run. Cloning it shares it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tasks {
    running: TaskTracker,
    ended: CancellationToken,
}

impl Tasks {
    /// Spawns a task whose result somebody may wait for; `None`: it was ended by a shutdown.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<Option<T>> {
        let ended = self.ended.clone();
        self.running
            .spawn(async move { ended.run_until_cancelled_owned(task).await })
    }

    /// Spawns a task that nobody waits for.
    pub(crate) fn spawn(
        &self,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> JoinHandle<Option<()>> {
        self.run(task)
    }

    /// The same from where no runtime is entered.
    pub(crate) fn spawn_on(
        &self,
        runtime: &Handle,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let ended = self.ended.clone();
        let task = async move {
            ended.run_until_cancelled_owned(task).await;
        };
        self.running.spawn_on(task, runtime);
    }

    /// Waits until none is left.
    ///
    /// # Cancel safety
    /// Nothing is lost: another waiting may begin at any time.
    pub(crate) async fn finished(&self) {
        self.running.close();
        self.running.wait().await;
    }

    /// Waits until none is left, and lets others begin as before.
    #[cfg(feature = "test-util")]
    pub(crate) async fn idle(&self) {
        self.finished().await;
        self.running.reopen();
    }

    /// How many there are.
    #[cfg(feature = "test-util")]
    pub(crate) fn running(&self) -> usize {
        self.running.len()
    }

    /// Ends those that are left, and answers how many. One that does not yield ends when it does.
    pub(crate) async fn end(&self) -> usize {
        let left = self.running.len();
        self.ended.cancel();
        let _ = timeout(YIELD, self.finished()).await;
        left
    }

    /// Whether a shutdown waits for them.
    pub(crate) fn is_closing(&self) -> bool {
        self.running.is_closed()
    }

    /// Whether a shutdown has ended them: what would be spawned now does not run.
    pub(crate) fn is_ended(&self) -> bool {
        self.ended.is_cancelled()
    }
}

/// How long a shutdown waits for a task to yield.
const YIELD: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;

    #[tokio::test]
    async fn what_is_left_is_ended_and_counted() {
        let tasks = Tasks::default();
        let left = tasks.run(pending::<()>());
        let done = tasks.run(async { 7 });
        assert_eq!(done.await.unwrap(), Some(7));

        assert_eq!(tasks.end().await, 1);

        assert_eq!(left.await.unwrap(), None);
        assert!(tasks.is_ended());
        assert_eq!(tasks.run(async { 7 }).await.unwrap(), None);
    }
}
