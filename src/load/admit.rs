//! The last step before the loader: a place at the store.
//!
//! It comes after the lease, so that whoever runs needs nothing more from anybody and gives its place back. A lease that queues is
//! kept alive, and given back if no load comes of it.
//!
//! A load that a running one asks for takes no place, in whatever cache: it runs within that of the running load, which waits
//! for it. Nor may it wait for one that queues: that one is hurried, and runs the same way.

use super::{
    batch::{Led, keep_leases},
    circle::is_loading,
    gate::Places,
    lease::release_many,
    run::AbortOnDrop,
    shelf::Shelf,
};
use crate::{error::Error, model::Address, observe::Decision};
use futures_util::{FutureExt, future::select_all};
use std::{mem::take, sync::Arc};
use tokio::{runtime::Handle, select};

/// That a load may run; `None`: within the place of the load that waits for it.
pub(crate) type Pass = Option<Places>;

/// Keys of a load that was shed, with their places in the batch.
pub(crate) type Shed = Vec<(usize, Address)>;

/// Lets a load run, if that needs no waiting.
pub(crate) fn admit<V>(shelf: &Shelf<V>) -> Option<Pass> {
    if is_loading() {
        return Some(None);
    }
    shelf.gate.try_enter().map(Some)
}

/// Waits in turn until the load of these keys may run. Where the queue is full their flights end in an error.
///
/// # Cancel safety
/// Dropped, it leaves the queue, gives the leases back, and hands the flights over.
pub(crate) async fn queue<V: Send + Sync + 'static>(
    shelf: &Arc<Shelf<V>>,
    led: Vec<Led<V>>,
) -> Result<(Vec<Led<V>>, Pass), Shed> {
    shelf.observer.note(Decision::QueuedLoad);
    let hurried: Vec<_> = led
        .iter()
        .map(|led| Arc::clone(led.permit.flight()))
        .map(|flight| async move { flight.hurried().await }.boxed())
        .collect();
    // Also where a flight is detached by now: whoever waits for its lease may be one that it has to make room for.
    let _asking: Vec<_> = led.iter().map(|led| led.permit.asks()).collect();
    let kept = keep_leases(shelf, &led);
    let mut queued = Queued {
        shelf,
        led,
        _kept: kept,
    };
    let entered = select! {
        biased;
        entered = shelf.gate.enter() => entered.map(Some),
        _ = select_all(hurried) => Ok(None),
    };
    if let Ok(pass) = entered {
        return Ok((take(&mut queued.led), pass));
    }
    shelf.observer.note(Decision::ShedLoad);
    queued.release();
    let led = take(&mut queued.led);
    Err(led.into_iter().map(shed).collect())
}

fn shed<V>(led: Led<V>) -> (usize, Address) {
    led.permit.complete(Err(Error::overloaded()));
    (led.index, led.at)
}

/// Gives up loads that may not begin now: their leases are given back, their flights handed over.
pub(crate) fn give_up<V: Send + Sync + 'static>(shelf: &Arc<Shelf<V>>, led: Vec<Led<V>>) {
    drop(Queued {
        shelf,
        led,
        _kept: None,
    });
}

/// Keys that wait for a place, with their leases.
struct Queued<'a, V: Send + Sync + 'static> {
    shelf: &'a Arc<Shelf<V>>,
    led: Vec<Led<V>>,
    _kept: Option<AbortOnDrop>,
}

impl<V: Send + Sync + 'static> Queued<'_, V> {
    fn release(&self) {
        let lease = |led: &Led<V>| Some((led.at.clone(), led.grant.token()?));
        let leases: Vec<_> = self.led.iter().filter_map(lease).collect();
        if leases.is_empty() {
            return;
        }
        // Outside of a runtime nothing can be sent, and the leases end by themselves.
        if let Ok(runtime) = Handle::try_current() {
            let shelf = Arc::clone(self.shelf);
            let tasks = shelf.tasks.clone();
            tasks.spawn_on(&runtime, async move {
                let leases: Vec<_> = leases.iter().map(|(at, token)| (at, *token)).collect();
                release_many(&shelf, &leases).await;
            });
        }
    }
}

impl<V: Send + Sync + 'static> Drop for Queued<'_, V> {
    fn drop(&mut self) {
        self.release();
    }
}
