//! A vendor that answers what a test says, and notes what it was asked for.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::sync::Semaphore;
use tricache_middleware::purge::{
    Answer, Batch, Limits, Mode, Purge, PurgeFuture, Purger, PurgerBuilder,
};

/// Shared by the test and the purger.
#[derive(Clone)]
pub(crate) struct Scripted(Arc<Inner>);

struct Inner {
    name: String,
    limits: Limits,
    answers: Mutex<VecDeque<Answer>>,
    calls: Mutex<Vec<String>>,
    /// Each call takes one; a test that holds calls back starts with none.
    go: Semaphore,
}

impl Scripted {
    /// Takes ten keys in a call, soft ones too, and answers at once.
    pub(crate) fn edge() -> Self {
        Self::new("edge", Limits::new(10).soft())
    }

    pub(crate) fn new(name: &str, limits: Limits) -> Self {
        Self::with(name, limits, Semaphore::MAX_PERMITS)
    }

    /// Answers only as many calls as the test lets go.
    pub(crate) fn held(name: &str) -> Self {
        Self::with(name, Limits::new(10).soft(), 0)
    }

    /// The same with other limits.
    pub(crate) fn held_with(name: &str, limits: Limits) -> Self {
        Self::with(name, limits, 0)
    }

    fn with(name: &str, limits: Limits, permits: usize) -> Self {
        Self(Arc::new(Inner {
            name: name.to_owned(),
            limits,
            answers: Mutex::default(),
            calls: Mutex::default(),
            go: Semaphore::new(permits),
        }))
    }

    /// The next calls answer these, and all later ones that they are done.
    pub(crate) fn answering(self, answers: impl IntoIterator<Item = Answer>) -> Self {
        self.0.answers.lock().unwrap().extend(answers);
        self
    }

    pub(crate) fn let_go(&self, calls: usize) {
        self.0.go.add_permits(calls);
    }

    /// What each call named, in words.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.0.calls.lock().unwrap().clone()
    }
}

impl Purge for Scripted {
    fn name(&self) -> &str {
        &self.0.name
    }

    fn limits(&self) -> Limits {
        self.0.limits
    }

    fn purge<'a>(&'a self, batch: &'a Batch) -> PurgeFuture<'a> {
        self.0.calls.lock().unwrap().push(words(batch));
        Box::pin(async move {
            self.0.go.acquire().await.unwrap().forget();
            self.0
                .answers
                .lock()
                .unwrap()
                .pop_front()
                .unwrap_or_else(Answer::done)
        })
    }
}

fn words(batch: &Batch) -> String {
    if batch.is_everything() {
        return "everything".to_owned();
    }
    let mode = if batch.mode() == Mode::Hard {
        "hard"
    } else {
        "soft"
    };
    let keys: Vec<_> = batch.keys().collect();
    format!("{mode} {}", keys.join(" "))
}

/// A purger of this vendor that purges once.
pub(crate) fn once(vendor: &Scripted) -> PurgerBuilder {
    Purger::builder(Duration::ZERO).vendor(vendor.clone())
}

/// Runs everything else until it waits for time or for the test.
pub(crate) async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}
