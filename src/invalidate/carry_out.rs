//! Purges that have begun, followed to their end; then their notes in Redis are forgotten.

use crate::{
    model::PurgeNote,
    observe::{Decision, Observer},
    purge::{Errand, Errands},
    remote::Remote,
};
use futures_util::{StreamExt, stream::FuturesUnordered};
use std::{sync::Arc, time::Duration};
use tokio::{sync::mpsc, time::sleep};

/// Follows what is begun, as long as the `Tiers` runs.
pub(crate) async fn carry_out(
    errands: Arc<Errands>,
    begun: mpsc::UnboundedReceiver<Errand>,
    remote: Arc<Remote>,
    observer: Arc<Observer>,
) {
    let (done, are_done) = mpsc::unbounded_channel();
    tokio::join!(
        follow(Arc::clone(&errands), begun, done),
        forget(errands, are_done, remote, observer)
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
///
/// It waits for others, so that a script finds several notes of its bucket: one script for each would cost Redis as much as the bumps.
async fn forget(
    errands: Arc<Errands>,
    mut done: mpsc::UnboundedReceiver<Vec<PurgeNote>>,
    remote: Arc<Remote>,
    observer: Arc<Observer>,
) {
    let mut some = Vec::new();
    while done.recv_many(&mut some, AT_ONCE).await > 0 {
        sleep(GATHER).await;
        while let Ok(more) = done.try_recv() {
            some.push(more);
        }
        let notes: Vec<_> = some.drain(..).flatten().collect();
        if let Err(error) = remote.purges_done(&notes).await {
            // They are found by the next sweep, and purged once more.
            observer.note(Decision::RemoteError);
            tracing::debug!(%error, "purges that are done could not be forgotten");
        }
        errands.forgotten(&notes);
    }
}

/// Purges that are taken out of the line at once, to begin with.
const AT_ONCE: usize = 1024;
/// How long done purges wait for others. Their notes are no wish any more, but for a node that dies in between.
const GATHER: Duration = Duration::from_millis(100);
