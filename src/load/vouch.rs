//! Who says that a value counts, and whether they are to be believed.

use super::shelf::Shelf;
use crate::{
    model::Trust,
    observe::Decision,
    remote::{RemoteError, Server},
};

/// Whether no tag of an entry was bumped since its load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Verdict {
    pub(crate) current: bool,
    /// Who said so, where Redis was asked.
    pub(crate) asked: Option<Server>,
}

impl Verdict {
    pub(super) const OLD: Self = Self {
        current: false,
        asked: None,
    };
    pub(super) const KNOWN: Self = Self {
        current: true,
        asked: None,
    };
}

impl<V: Send + Sync + 'static> Shelf<V> {
    /// Whether those who gave an answer about an entity of the bucket, and `asked` about its tags, are to be believed.
    pub(crate) async fn vouched(
        &self,
        bucket: u16,
        by: Server,
        asked: Option<Server>,
    ) -> Result<(), RemoteError> {
        match self.reach.trust {
            Trust::AtOnce => Ok(()),
            // On the heap, so that reads of other levels need not carry the room for it.
            trust => Box::pin(self.vouch_for(bucket, by, asked, trust)).await,
        }
    }

    async fn vouch_for(
        &self,
        bucket: u16,
        by: Server,
        asked: Option<Server>,
        trust: Trust,
    ) -> Result<(), RemoteError> {
        let entity = self.remote.vouch(bucket, by, trust);
        let vouched = match asked {
            // Side by side, so that one beat may answer for both.
            Some(asked) => {
                let tags = self.remote.vouch(self.buckets, asked, trust);
                tokio::try_join!(entity, tags).map(|_| ())
            }
            None => entity.await,
        };
        if vouched.is_err() {
            self.observer.note(Decision::Unconfirmed);
        }
        vouched
    }
}
