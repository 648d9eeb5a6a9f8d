//! A place where a render waits until the test lets it through.

use std::sync::Arc;

use tokio::sync::Semaphore;

/// Where renders wait until it is opened; from then on nobody waits.
#[derive(Clone)]
pub(crate) struct Gate {
    reached: Arc<Semaphore>,
    open: Arc<Semaphore>,
}

impl Gate {
    /// A gate that is shut.
    pub(crate) fn shut() -> Self {
        Self {
            reached: Arc::new(Semaphore::new(0)),
            open: Arc::new(Semaphore::new(0)),
        }
    }

    /// A gate that holds nobody.
    pub(crate) fn opened() -> Self {
        let gate = Self::shut();
        gate.open();
        gate
    }

    /// Waits until one more render has come to it.
    pub(crate) async fn reached(&self) {
        self.reached.acquire().await.unwrap().forget();
    }

    pub(crate) fn open(&self) {
        self.open.close();
    }

    pub(crate) async fn pass(&self) {
        self.reached.add_permits(1);
        // Open is closed: nobody waits for it any more.
        let _ = self.open.acquire().await;
    }
}
