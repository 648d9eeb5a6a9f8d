//! One bucket's place in its feed. Pure: what an event or a head means, given what was applied.

use crate::model::{Event, EventKind, Head};

/// The last event applied; `None` before anything is known.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Chain(Option<Head>);

/// What an event means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    /// The next one: apply it.
    Next,
    /// Applied already.
    Known,
    /// A new epoch: nothing that was known counts any more.
    Fence,
    /// Something is missing before it.
    Broken,
}

/// What a head means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Everything up to it was applied.
    Current,
    /// It may be ahead of the push: look again in a moment.
    Ahead,
    /// Another incarnation, or another history.
    Other,
    /// Nothing is known to compare it with.
    First,
}

impl Chain {
    pub(super) fn link(&self, event: &Event) -> Link {
        if event.kind == EventKind::Fence {
            return if self.0.is_some_and(|at| at.epoch == event.epoch) {
                Link::Known
            } else {
                Link::Fence
            };
        }
        match self.0 {
            Some(at) if at.epoch != event.epoch => Link::Broken,
            Some(at) if event.n <= at.n => Link::Known,
            Some(at) if event.previous == at.nonce => Link::Next,
            _ => Link::Broken,
        }
    }

    pub(super) fn standing(&self, head: &Head) -> Standing {
        match self.0 {
            None => Standing::First,
            Some(at) if at.epoch != head.epoch => Standing::Other,
            Some(at) if head.n > at.n => Standing::Ahead,
            Some(at) if head.n == at.n && head.nonce != at.nonce => Standing::Other,
            Some(_) => Standing::Current,
        }
    }

    pub(super) fn at(&self) -> Option<Head> {
        self.0
    }

    /// The event was applied.
    pub(super) fn advance(&mut self, event: &Event) {
        self.0 = Some(Head {
            epoch: event.epoch,
            n: event.n,
            nonce: event.nonce,
            high: event.n,
        });
    }

    /// Goes on from this head, whatever lay before it.
    pub(super) fn adopt(&mut self, head: Option<Head>) {
        self.0 = head;
    }
}

/// The events that lead from the chain's place to `head` without a hole; `None` if there is a hole.
///
/// Events after the head are taken too: the log may have been read a moment later.
pub(super) fn links(chain: &Chain, events: &[Event], head: &Head) -> Option<usize> {
    let mut walker = *chain;
    let mut taken = 0;
    for event in events {
        match walker.link(event) {
            Link::Next => walker.advance(event),
            Link::Known => {}
            Link::Fence | Link::Broken => return None,
        }
        taken += 1;
    }
    (walker.standing(head) == Standing::Current).then_some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Epoch, Nonce, Strength};

    fn event(n: u64) -> Event {
        let kind = EventKind::Invalidated {
            cache: 0,
            entity: n,
            strength: Strength::Hard,
        };
        Event {
            epoch: Epoch(1),
            n: n * 10,
            previous: Nonce(n - 1),
            nonce: Nonce(n),
            kind,
        }
    }

    fn head(n: u64) -> Head {
        Head {
            epoch: Epoch(1),
            n: n * 10,
            nonce: Nonce(n),
            high: n * 10,
        }
    }

    fn chain(n: u64) -> Chain {
        Chain(Some(head(n)))
    }

    #[test]
    fn the_next_event_links_by_nonce() {
        assert_eq!(chain(1).link(&event(2)), Link::Next);
        assert_eq!(chain(1).link(&event(3)), Link::Broken);
        assert_eq!(chain(3).link(&event(2)), Link::Known);
        assert_eq!(Chain::default().link(&event(1)), Link::Broken);
    }

    #[test]
    fn another_epoch_breaks_and_a_fence_begins_one() {
        let other = Event {
            epoch: Epoch(2),
            ..event(2)
        };
        assert_eq!(chain(1).link(&other), Link::Broken);

        let fence = Event {
            kind: EventKind::Fence,
            ..other
        };
        assert_eq!(chain(1).link(&fence), Link::Fence);
        assert_eq!(
            Chain(Some(Head {
                epoch: Epoch(2),
                ..head(5)
            }))
            .link(&fence),
            Link::Known
        );
    }

    #[test]
    fn a_lost_tail_shows_although_the_numbers_went_on() {
        // After a failover new events carried higher numbers than the lost ones: only the nonce tells.
        let history = Head {
            nonce: Nonce(99),
            ..head(2)
        };

        assert_eq!(chain(2).standing(&history), Standing::Other);
        assert_eq!(
            chain(2).link(&Event {
                previous: Nonce(99),
                ..event(3)
            }),
            Link::Broken
        );
    }

    #[test]
    fn a_head_is_current_ahead_or_other() {
        assert_eq!(chain(2).standing(&head(2)), Standing::Current);
        assert_eq!(chain(2).standing(&head(1)), Standing::Current);
        assert_eq!(chain(2).standing(&head(3)), Standing::Ahead);
        assert_eq!(Chain::default().standing(&head(3)), Standing::First);
    }

    #[test]
    fn a_replay_counts_only_without_a_hole() {
        assert_eq!(links(&chain(1), &[event(2), event(3)], &head(3)), Some(2));
        assert_eq!(
            links(&chain(1), &[event(2), event(3), event(4)], &head(3)),
            Some(3)
        );
        assert_eq!(links(&chain(1), &[event(3)], &head(3)), None);
        assert_eq!(links(&chain(1), &[event(2)], &head(3)), None);
        assert_eq!(links(&chain(1), &[], &head(1)), Some(0));
    }
}
