//! Becoming coarser: many keys become few, when there are too many.
//!
//! Whoever waits for a key then waits for what stands in for it. What is under way stays as it is.

use tokio::time::Instant;

use super::{Queue, Target, entry::State};
use crate::purge::{batch::Mode, key};

impl Queue {
    /// By the user's rule; and if that leaves more than half of what may be, all becomes everything.
    pub(super) fn coarsen(&mut self, now: Instant) {
        if self.coarsest {
            return;
        }
        let before = self.entries.len();
        if self.rules.coarser.is_some() {
            self.replace(now, |queue, target| queue.coarser(target));
        }
        if self.entries.len() > self.rules.longest / 2 && self.rules.limits.knows_everything() {
            self.replace(now, |_, _| Some(Target::Everything));
        }
        self.coarsened += u64::from(self.entries.len() < before);
        self.coarsest = self.entries.len() >= self.rules.longest;
    }

    /// Asks for `coarse(target)` instead of each target that is not under way.
    fn replace(&mut self, now: Instant, coarse: impl Fn(&Self, &Target) -> Option<Target>) {
        let targets: Vec<_> = self.entries.keys().cloned().collect();
        for target in targets {
            let flying = matches!(self.entries[&target].state, State::Flying(_));
            let Some(coarse) = coarse(self, &target).filter(|coarse| !flying && *coarse != target)
            else {
                continue;
            };
            if let Some(entry) = self.entries.remove(&target) {
                self.leave(&target, &entry);
                let mode = if coarse == Target::Everything {
                    Mode::Hard
                } else {
                    entry.mode
                };
                self.put(coarse.clone(), mode, entry.waiters, now, now);
                if let Some(coarser) = self.entries.get_mut(&coarse) {
                    coarser.settling.join(entry.settling);
                }
            }
        }
    }

    /// A key that a vendor could not store is no coarser one.
    pub(super) fn coarser(&self, target: &Target) -> Option<Target> {
        let (Some(coarser), Target::Key(key)) = (&self.rules.coarser, target) else {
            return None;
        };
        let coarse = key::checked(&coarser(key)?).ok()?;
        self.rules
            .limits
            .fits_alone(&coarse)
            .then_some(Target::Key(coarse))
    }
}
