//! The last step of an invalidation: the edge, once nothing behind it is old.
//!
//! What Redis has taken is handed over with the note that its bump has left there. What is pending is handed over without one, at
//! once: the page at the edge is old, and this node already renders a new one. Another node may still render the old one, so
//! it is handed over again, with a note, when Redis has taken it.

use super::{
    journal::OldTag,
    send::{Invalidated, Sender, Sent, entity_tag_of},
};
use crate::{
    model::{Address, EdgeSubject, PurgeNote, Strength},
    remote::Order,
};

impl Sender {
    pub(super) fn tell_edge(&self, at: &Address, sent: Sent, strength: Strength) -> Invalidated {
        // Where a later commit was told already, its purge speaks for this one, too.
        if self.errands.is_none() || matches!(sent, Sent::Acknowledged(_, Order::Older)) {
            return Invalidated { sent, edge: None };
        }
        self.hand_over(EdgeSubject::of_entity(at.name()), sent, strength)
    }

    pub(super) fn tell_edge_of_tag(
        &self,
        tag: &OldTag,
        sent: Sent,
        strength: Strength,
    ) -> Invalidated {
        match &tag.edge {
            Some(subject) if tag.purges => self.hand_over(subject.clone(), sent, strength),
            _ => Invalidated { sent, edge: None },
        }
    }

    /// The tag of whatever shows the entity. The entity's own purge reaches the pages of that, too, unless it comes too early.
    pub(super) fn dependents_of(&self, at: &Address) -> OldTag {
        let told = self.errands.is_some() || self.record.is_some();
        OldTag {
            hash: entity_tag_of(at.id),
            edge: told.then(|| EdgeSubject::of_entity(at.name())),
            purges: false,
        }
    }

    fn hand_over(&self, subject: EdgeSubject, sent: Sent, strength: Strength) -> Invalidated {
        let Some(errands) = &self.errands else {
            return Invalidated { sent, edge: None };
        };
        let note = match (&sent, self.record) {
            (Sent::Acknowledged(stamp, _), Some(recording)) => {
                let wish = recording.wish(strength);
                vec![PurgeNote::of_bump(&subject, stamp, wish)]
            }
            _ => Vec::new(),
        };
        let edge = Some(errands.hand_over(subject, strength, note));
        Invalidated { sent, edge }
    }
}
