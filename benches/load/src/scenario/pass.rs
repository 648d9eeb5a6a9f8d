//! One pass: the world is started and warmed, callers call, something breaks and is mended, and what was seen is drawn together.

use std::{future::pending, sync::Arc};

use super::{
    callers, fault,
    plan::Plan,
    slow_store::Asked,
    stall,
    timeline::{Seen, Timeline},
    world::World,
};
use crate::{failure::Failure, stop::Stop};

/// What stands between the callers and the store.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Side {
    /// Nodes of tricache.
    With,
    /// Plain cache-aside.
    Without,
}

/// What a pass has shown.
#[derive(Clone, Debug)]
pub(super) struct Pass {
    /// By the callers.
    pub(super) seen: Seen,
    /// By the store.
    pub(super) asked: Asked,
}

impl Pass {
    /// Makes the pass.
    ///
    /// # Errors
    /// When the world cannot be started, or what was broken not be mended.
    ///
    /// # Cancel safety
    /// Dropping this future ends everything that belongs to the pass.
    pub(super) async fn make(plan: &Plan, side: Side, stop: &Stop) -> Result<Self, Failure> {
        let mut world = World::start(plan, side).await?;
        let timeline = Arc::new(Timeline::new(plan.lasts, plan.bounds().late_after()));
        world.store.count_from(timeline.origin);
        let readers = world.readers.clone();
        let broken = async {
            fault::strike(plan, &mut world, timeline.origin).await?;
            pending::<Result<(), Failure>>().await
        };
        tokio::select! {
            failed = broken => failed?,
            _ = stall::watch(&timeline) => {}
            () = callers::call(plan, &readers, &timeline, stop) => {}
        }
        let pass = Self {
            seen: timeline.seen(),
            asked: world.store.asked(),
        };
        world.shutdown().await;
        Ok(pass)
    }
}
