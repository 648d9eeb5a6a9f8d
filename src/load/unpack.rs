//! From bytes in Redis to a value: whether they count, and whether they are past their TTL.

use super::shelf::{Shelf, weight};
use crate::{
    codec,
    model::{Address, Content, Entry, Epoch, Generation, Place, Version},
    observe::Decision,
    remote::{Discard, RemoteError, Server, Snapshot},
};
use std::sync::Arc;

/// What bytes of the current version are.
pub(crate) enum Unpacked<V> {
    /// To be served.
    Fresh(Arc<Entry<V>>),
    /// Past its TTL, inside a stale window.
    Stale(Arc<Entry<V>>),
    /// Nothing: this does not count of what is there.
    Refused(Discard),
}

impl<V: Send + Sync + 'static> Shelf<V> {
    /// The value of a snapshot, if it is the current one.
    ///
    /// `live`: the tag feed is, so that this node's table can judge the tags.
    pub(crate) async fn accept(
        &self,
        at: &Address,
        snapshot: &Snapshot,
        live: bool,
    ) -> Result<Unpacked<V>, RemoteError> {
        let (Some(current), Some(bytes)) = (snapshot.generation(), &snapshot.value) else {
            return Ok(Unpacked::Refused(Discard::Nothing));
        };
        self.note_size(bytes.len());
        // The version first: an old value that also is of another format is nobody's fault.
        match codec::generation(bytes) {
            Some(found) if found == (current.epoch.0, current.version.0) => {
                self.unpack(at, bytes, None, live, snapshot.by).await
            }
            Some((epoch, version)) => {
                let found = Generation {
                    epoch: Epoch(epoch),
                    version: Version(version),
                };
                match snapshot.expired_at(found) {
                    Some(expired) => {
                        self.unpack(at, bytes, Some(expired), live, snapshot.by)
                            .await
                    }
                    None => Ok(Unpacked::Refused(Discard::Nothing)),
                }
            }
            None => Ok(Unpacked::Refused(self.bad(at, "not_ours", bytes))),
        }
    }

    /// The value in these bytes, which are of the current version or, where it was softly invalidated at `expired_at`, of one
    /// before. `by`: who has answered with them.
    pub(crate) async fn unpack(
        &self,
        at: &Address,
        bytes: &[u8],
        expired_at: Option<u64>,
        live: bool,
        by: Server,
    ) -> Result<Unpacked<V>, RemoteError> {
        let entry = match self.open(at, bytes, expired_at) {
            Ok(Some(entry)) => entry,
            Ok(None) => return Ok(Unpacked::Refused(refused(bytes))),
            Err(reason) => return Ok(Unpacked::Refused(self.bad(at, reason, bytes))),
        };
        let verdict = self.is_current(&entry, live).await?;
        if !verdict.current {
            return Ok(Unpacked::Refused(refused(bytes)));
        }
        self.vouched(at.id.bucket, by, verdict.asked).await?;
        let entry = Arc::new(entry);
        Ok(if entry.is_over(self.now()) {
            Unpacked::Stale(entry)
        } else {
            Unpacked::Fresh(entry)
        })
    }

    /// `None`: the value is dead already. `Err` says what is wrong with the bytes.
    fn open(
        &self,
        at: &Address,
        bytes: &[u8],
        expired_at: Option<u64>,
    ) -> Result<Option<Entry<V>>, &'static str> {
        // Truncation is meant: the whole fingerprint stands in the key.
        let expected = codec::Expected {
            schema: self.schema as u32,
            max_value_bytes: self.limits.max_value_bytes,
        };
        let opened = match codec::open(bytes, at.key.bytes(), expected) {
            Ok(opened) => opened,
            Err(error) => return Err(error.as_str()),
        };
        let header = &opened.header;
        let Some(lifetime) = self.lifetime(at.id.bucket, header.birth, header.deadline) else {
            return Ok(None);
        };
        let now = self.now();
        // A version may be ahead of the clock.
        let expired_at = expired_at.and_then(|expired| {
            let local = self.server_time.to_local(at.id.bucket, expired)?;
            Some(local.min(now))
        });
        let stale_from = expired_at.map_or(lifetime.deadline, |at| at.min(lifetime.deadline));
        if now >= stale_from + self.stale_for(header.absent) {
            return Ok(None);
        }
        let content = if header.absent {
            Content::Absent
        } else {
            match self.codec.decode(header.codec, &opened.body) {
                Ok(value) => Content::Own(value),
                Err(error) if error.is_other_codec() => return Err("other_codec"),
                Err(_) => return Err("undecodable"),
            }
        };
        let generation = Generation {
            epoch: Epoch(header.epoch),
            version: Version(header.version),
        };
        let place = Place {
            position: Some(header.position),
            generation: 0,
        };
        let labels = opened.labels;
        let weight = weight(at, opened.body.len() + labels.weight());
        let mut entry = Entry::new(at.key.bytes(), content, Some(generation), lifetime, place);
        entry.seal = Some(opened.seal);
        entry.visibility = header.visibility;
        entry.weight = weight;
        let early = self.policy.earliest_refresh(header.load_micros);
        if let Some(at) = expired_at {
            entry.expire(at);
        }
        Ok(Some(
            entry.labelled(labels).loaded_in(header.load_micros, early),
        ))
    }

    fn bad(&self, at: &Address, reason: &str, bytes: &[u8]) -> Discard {
        self.observer.note(Decision::BadPayload);
        tracing::debug!(entity = %at.name(), reason, "a payload was refused");
        refused(bytes)
    }
}

/// These very bytes, or whatever is there if they are not even whole.
fn refused(bytes: &[u8]) -> Discard {
    codec::check_of(bytes).map_or(Discard::Anything, Discard::Refused)
}
