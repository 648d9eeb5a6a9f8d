//! Purges that have begun, followed to their end; then their notes in Redis are forgotten.

use crate::{
    model::PurgeNote,
    observe::{Decision, Observer},
    purge::{Errand, Errands},
    remote::Remote,
};
use futures_util::{StreamExt, stream::FuturesUnordered};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Follows what is begun, as long as the `Tiers` runs.
pub(crate) async fn carry_out(
    errands: Arc<Errands>,
    begun: mpsc::UnboundedReceiver<Errand>,
    remote: Arc<Remote>,
    observer: Arc<Observer>,
) {
    let (done, are_done) = mpsc::unbounded_channel();
    tokio::join!(
        follow(errands, begun, done),
        forget(are_done, remote, observer)
    );
}

async fn follow(
    errands: Arc<Errands>,
    mut begun: mpsc::UnboundedReceiver<Errand>,
    done: mpsc::UnboundedSender<Vec<PurgeNote>>,
) {
    let mut under_way = FuturesUnordered::new();
    loop {
        tokio::select! {
            errand = begun.recv() => match errand {
                Some(errand) => under_way.push(errand.follow(Arc::clone(&errands))),
                None => return,
            },
            Some(notes) = under_way.next() => {
                if !notes.is_empty() {
                    // Its receiver ends with this task.
                    let _ = done.send(notes);
                }
            }
        }
    }
}

/// Apart from the following: a Redis that is slow must not hold up what the edge says.
async fn forget(
    mut done: mpsc::UnboundedReceiver<Vec<PurgeNote>>,
    remote: Arc<Remote>,
    observer: Arc<Observer>,
) {
    let mut some = Vec::new();
    while done.recv_many(&mut some, AT_ONCE).await > 0 {
        let notes: Vec<_> = some.drain(..).flatten().collect();
        if let Err(error) = remote.purges_done(&notes).await {
            // They are found by the next sweep, and purged once more.
            observer.note(Decision::RemoteError);
            tracing::debug!(%error, "purges that are done could not be forgotten");
        }
    }
}

/// Purges whose notes are forgotten together.
const AT_ONCE: usize = 1024;
