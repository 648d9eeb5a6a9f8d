//! Where a cache keeps its values, and the two ways between a value and its bytes.

use super::{Circles, draft::Draft, gate::Gate, vouch::Verdict};
use crate::{
    codec::{self, EncodeError, Limits, ValueCodec},
    local::{Local, Ticket},
    model::{
        Address, CacheName, Clock, EntityId, Entry, Generation, Labels, Lifetime, Place, Policy,
        Position, Reach, RenderedKey, Seal, ServerTime, Visibility, millis,
    },
    observe::{Decision, Observer},
    remote::{LARGE, LARGE_FACTOR, Remote, RemoteError},
    tags::{Standing, TagTable},
    tasks::Tasks,
};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// One cache's tiers, with all that is needed to put a value into them.
pub(crate) struct Shelf<V> {
    pub(crate) name: Arc<CacheName>,
    pub(crate) policy: Policy,
    pub(crate) schema: u64,
    pub(crate) codec: Box<dyn ValueCodec<V>>,
    pub(crate) limits: Limits,
    /// Bytes of a value that could not be encoded, for the local capacity.
    pub(crate) weigh: fn(&V) -> Option<usize>,
    pub(crate) local: Local<V>,
    pub(crate) remote: Arc<Remote>,
    pub(crate) tags: Arc<TagTable>,
    /// The tags of every entry: its cache's, and that of everything.
    pub(crate) implied: [u64; 2],
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) server_time: Arc<ServerTime>,
    /// How long a call to Redis may take, in ms.
    pub(crate) remote_limit: u64,
    pub(crate) observer: Arc<Observer>,
    pub(crate) tasks: Tasks,
    pub(crate) circles: Arc<Circles>,
    pub(crate) gate: Gate,
    /// Whether some value was too big for the connection of the small ones.
    pub(crate) large: AtomicBool,
    /// Whether the log has told of a value that cannot be stored.
    pub(crate) told: AtomicBool,
    /// Whether the log has told of a value that is too large.
    pub(crate) told_large: AtomicBool,
    /// Whether the log has told of a batch's loader that answers keys that it was not asked for.
    pub(crate) told_of_foreign: AtomicBool,
    /// Always true, but in tests that prove what the check of a fill is good for.
    pub(crate) guarded: bool,
    /// What the level asks of proofs and answers.
    pub(crate) reach: Reach,
    pub(crate) buckets: u16,
}

/// A loaded value as bytes, with the times that stand in them.
pub(crate) struct Sealed {
    pub(crate) bytes: Vec<u8>,
    pub(crate) seal: Seal,
    /// Of a payload whose body goes behind these bytes.
    pub(crate) held: Option<Seal>,
    pub(crate) body_len: usize,
    /// In Redis ms.
    pub(crate) deadline: u64,
    /// When no stale window is left either, in Redis ms.
    pub(crate) until: u64,
    pub(crate) load_micros: u32,
}

/// What goes into an envelope.
struct Parcel<'a, V> {
    value: Option<&'a V>,
    labels: &'a Labels,
    visibility: Visibility,
    /// In Redis ms.
    deadline: u64,
}

/// Under what a value is stored: its generation, the start of its load, and where that stood in the tag feed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    pub(crate) generation: Generation,
    /// In Redis ms.
    pub(crate) birth: u64,
    pub(crate) position: Position,
    pub(crate) load_micros: u32,
}

impl<V: Send + Sync + 'static> Shelf<V> {
    pub(crate) fn now(&self) -> u64 {
        millis(self.clock.now())
    }

    pub(crate) fn address(&self, key: RenderedKey) -> Address {
        Address::new(&self.name, key, self.schema, self.buckets)
    }

    /// Encodes what was loaded; what a load has confirmed gets another front.
    pub(crate) fn pack(
        &self,
        at: &Address,
        draft: &Draft<V>,
        origin: &Origin,
    ) -> Result<Sealed, EncodeError> {
        let parcel = Parcel {
            value: draft.content.value(),
            labels: &draft.labels,
            visibility: draft.visibility,
            deadline: origin.birth + draft.ttl,
        };
        let Some(confirmed) = draft.confirmed else {
            return self.encode(at, &parcel, origin);
        };
        let envelope = self.envelope(at, &parcel, origin, confirmed.seal.codec);
        let (bytes, seal) = envelope.reseal(&confirmed.seal)?;
        Ok(Sealed {
            bytes,
            seal,
            held: Some(confirmed.seal),
            body_len: confirmed.body_len,
            deadline: parcel.deadline,
            until: parcel.deadline + self.stale_for(false),
            load_micros: origin.load_micros,
        })
    }

    /// The whole payload of an entry whose body Redis was thought to hold.
    pub(crate) fn pack_whole(
        &self,
        at: &Address,
        entry: &Entry<V>,
        deadline: u64,
        origin: &Origin,
    ) -> Result<Sealed, EncodeError> {
        let none = Labels::default();
        let parcel = Parcel {
            value: entry.value(),
            labels: entry.labels().unwrap_or(&none),
            visibility: entry.visibility,
            deadline,
        };
        self.encode(at, &parcel, origin)
    }

    fn encode(
        &self,
        at: &Address,
        parcel: &Parcel<'_, V>,
        origin: &Origin,
    ) -> Result<Sealed, EncodeError> {
        let envelope = self.envelope(at, parcel, origin, self.codec.id());
        let sealed = envelope.seal(|out| match parcel.value {
            Some(value) => self.codec.encode(value, self.limits.max_value_bytes, out),
            None => Ok(()),
        })?;
        self.note_size(sealed.bytes.len());
        Ok(Sealed {
            bytes: sealed.bytes,
            seal: sealed.seal,
            held: None,
            body_len: sealed.body_len,
            deadline: parcel.deadline,
            until: parcel.deadline + self.stale_for(parcel.value.is_none()),
            load_micros: origin.load_micros,
        })
    }

    fn envelope<'a>(
        &self,
        at: &'a Address,
        parcel: &Parcel<'a, V>,
        origin: &Origin,
        codec: u8,
    ) -> codec::Envelope<'a> {
        let header = codec::Header {
            codec,
            schema: self.schema as u32,
            epoch: origin.generation.epoch.0,
            version: origin.generation.version.0,
            position: origin.position,
            birth: origin.birth,
            deadline: parcel.deadline,
            load_micros: origin.load_micros,
            absent: parcel.value.is_none(),
            visibility: parcel.visibility,
        };
        codec::Envelope {
            header,
            key: at.key.bytes(),
            echo: at.key.is_long(),
            labels: parcel.labels,
            limits: self.limits,
        }
    }

    /// How long past its TTL a value is kept, in ms. What was created is to be found, so an absence is not.
    pub(super) fn stale_for(&self, absent: bool) -> u64 {
        if absent { 0 } else { self.policy.stale_for() }
    }

    /// Whether the entry is past its TTL and may still stand in for a load, for as long as `window` ms after it.
    pub(crate) fn is_stale_within(&self, entry: &Entry<V>, window: u64, now: u64) -> bool {
        let over = now.checked_sub(entry.stale_from());
        entry.is_present() && over.is_some_and(|over| over < window)
    }

    /// Whether no tag of the entry was bumped since its load, as far as this node knows.
    pub(crate) fn standing(&self, entry: &Entry<V>) -> Standing {
        // Before the table: what changes in between must be looked at again.
        let generation = self.tags.generation();
        if entry.checked() == generation {
            return Standing::Current;
        }
        let mut standing = self.tags.check(entry.place(), self.hashes(entry));
        if let Standing::Expired(n) = standing {
            self.expire(entry, n);
            standing = Standing::Current;
        }
        if standing == Standing::Current {
            entry.set_checked(generation);
        }
        standing
    }

    /// Whether no tag of the entry was bumped since its load; Redis is asked where this node cannot know.
    pub(crate) async fn is_current(
        &self,
        entry: &Entry<V>,
        live: bool,
    ) -> Result<Verdict, RemoteError> {
        let verdict = match self.standing(entry) {
            Standing::Refused => Verdict::OLD,
            Standing::Current if live => Verdict::KNOWN,
            _ => {
                let verdict = self.ask_tags(entry).await?;
                Verdict {
                    current: verdict.current && self.standing(entry) != Standing::Refused,
                    ..verdict
                }
            }
        };
        if !verdict.current {
            self.observer.note(Decision::TagRefusal);
        }
        Ok(verdict)
    }

    async fn ask_tags(&self, entry: &Entry<V>) -> Result<Verdict, RemoteError> {
        let Some(position) = entry.place().position else {
            return Ok(Verdict::OLD);
        };
        self.observer.note(Decision::TagLookup);
        let hashes: Vec<_> = self.hashes(entry).collect();
        let known = self.remote.tags(&hashes).await?;
        let Some(head) = known.head else {
            return Ok(Verdict::OLD);
        };
        let bumped = known.bumps.iter().any(|(_, bump)| bump.hard > position.n);
        let current = head.epoch == position.epoch && known.floor <= position.n && !bumped;
        let soft = known.bumps.iter().map(|(_, bump)| bump.n).max();
        if let Some(n) = soft.filter(|n| current && *n > position.n) {
            self.expire(entry, n);
        }
        if current {
            entry.judged_until(head.n);
        }
        Ok(Verdict {
            current,
            asked: Some(known.by),
        })
    }

    /// One of its tags was softly invalidated at this place of the feed, which is a time in µs or ahead of it.
    fn expire(&self, entry: &Entry<V>, n: u64) {
        let now = self.now();
        let at = self
            .server_time
            .to_local(self.tag_bucket(), n / 1000)
            .unwrap_or(now);
        entry.expire(at.min(now));
    }

    /// By which the tag table knows the entry.
    fn hashes(&self, entry: &Entry<V>) -> impl Iterator<Item = u64> + Clone {
        let own = entry.tag_hashes().iter().copied();
        self.implied.into_iter().chain(own)
    }

    /// Until when an answer to a question of now is of use, in Redis ms.
    pub(crate) fn open_until(&self, bucket: u16) -> u64 {
        self.of_use_for(bucket, self.remote_limit)
    }

    /// The same for a question about many keys.
    pub(crate) fn open_many_until(&self, bucket: u16) -> u64 {
        self.of_use_for(bucket, self.remote_limit * u64::from(LARGE_FACTOR))
    }

    /// Times of the bucket's server on this node's clock.
    pub(crate) fn lifetime(&self, bucket: u16, birth: u64, deadline: u64) -> Option<Lifetime> {
        Some(Lifetime {
            born: self.server_time.to_local(bucket, birth)?,
            deadline: self.server_time.to_local(bucket, deadline)?,
        })
    }

    /// Puts an entry that Redis proved at `proven`, unless its key was touched since the ticket.
    pub(crate) fn put(&self, id: EntityId, entry: &Arc<Entry<V>>, ticket: Ticket, proven: u64) {
        entry.prove(proven + self.policy.jittered_local_ttl(), ticket.gap);
        self.admit(id, entry, ticket);
    }

    /// Puts an entry that nothing proves: for at most a second, so that the store is not overrun while Redis is away.
    pub(crate) fn put_unproven(&self, id: EntityId, entry: &Arc<Entry<V>>, ticket: Ticket) {
        entry.keep_unproven();
        self.admit(id, entry, ticket);
    }

    /// Marks an entry as proven by Redis again, unless its key was touched since the ticket.
    pub(crate) fn renew(&self, id: EntityId, entry: &Entry<V>, ticket: Ticket, now: u64) {
        self.local
            .renew(id, entry, now + self.policy.jittered_local_ttl(), ticket);
    }

    /// The bucket of a key, without the rest of its address.
    pub(crate) fn bucket(&self, key: &RenderedKey) -> u16 {
        Address::bucket(key, self.buckets)
    }

    /// An entry for what Redis holds too.
    pub(crate) fn stored(
        &self,
        at: &Address,
        draft: Draft<V>,
        generation: Generation,
        lifetime: Lifetime,
        place: Place,
        sealed: &Sealed,
    ) -> Arc<Entry<V>> {
        let bytes = sealed.body_len;
        let mut entry = self.entry(at, draft, Some(generation), lifetime, place, bytes);
        entry.seal = Some(sealed.seal);
        let early = self.policy.earliest_refresh(sealed.load_micros);
        Arc::new(entry.loaded_in(sealed.load_micros, early))
    }

    /// An entry for what stays in this process.
    pub(crate) fn unstored(
        &self,
        at: &Address,
        draft: Draft<V>,
        generation: Option<Generation>,
        lifetime: Lifetime,
        place: Place,
    ) -> Arc<Entry<V>> {
        let weighed = draft.content.value().and_then(|value| (self.weigh)(value));
        let bytes = weighed.unwrap_or(size_of::<V>());
        Arc::new(self.entry(at, draft, generation, lifetime, place, bytes))
    }

    fn entry(
        &self,
        at: &Address,
        draft: Draft<V>,
        generation: Option<Generation>,
        lifetime: Lifetime,
        place: Place,
        bytes: usize,
    ) -> Entry<V> {
        let mut entry = Entry::new(at.key.bytes(), draft.content, generation, lifetime, place);
        entry.visibility = draft.visibility;
        entry.weight = weight(at, bytes + draft.labels.weight());
        entry.labelled(draft.labels)
    }

    /// Whether a value that stays in this process is not longer than one that Redis would take.
    pub(crate) fn fits(&self, at: &Address, entry: &Entry<V>) -> bool {
        let labels = entry.labels().map_or(0, Labels::weight);
        entry.weight <= weight(at, self.limits.max_value_bytes + labels)
    }

    /// Says once per cache that some value is kept nowhere, and what could be done.
    pub(crate) fn tell_of_too_large(&self) {
        self.observer.note(Decision::TooLarge);
        if !self.told_large.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                cache = self.name.as_str(),
                max_value_bytes = self.limits.max_value_bytes,
                ways_out = "cache a part of it, or parts under keys of their own, or raise `max_value_bytes`",
                "a value of this cache is too large to be kept"
            );
        }
    }

    /// Says once per cache that its values do not reach Redis, and how they could.
    pub(crate) fn tell_of_unstorable(&self, error: &EncodeError) {
        if error.is_too_large() {
            return self.tell_of_too_large();
        }
        self.observer.note(Decision::NotStored);
        if !self.told.swap(true, Ordering::Relaxed) {
            let ways_out = if error.is_skipped_field() {
                "remove `skip_serializing_if` from the type, or choose a codec that writes field names"
            } else if error.is_irreversible() {
                "write and read the same fields, or choose a codec that writes field names"
            } else if error.is_too_nested() {
                "keep what is nested under keys of its own, or choose another codec"
            } else if error.is_too_many_labels() {
                "name fewer tags: a tag is for many values, not a value for many tags"
            } else {
                "choose another type or another codec"
            };
            tracing::warn!(cache = self.name.as_str(), %error, ways_out, "values of this cache stay in this process");
        }
    }

    /// A batch's loader answered a key that it was not asked for: counted, and said once per cache.
    pub(crate) fn tell_of_foreign(&self) {
        self.observer.note(Decision::ForeignKey);
        if !self.told_of_foreign.swap(true, Ordering::Relaxed) {
            let cache = self.name.as_str();
            tracing::warn!(cache, "a loader answered a key that it was not asked for");
        }
    }

    /// Whether values of this cache are known to be big.
    pub(crate) fn is_large(&self) -> bool {
        self.large.load(Ordering::Relaxed)
    }

    /// The bucket of all tags comes after those of the entities.
    fn tag_bucket(&self) -> u16 {
        self.buckets
    }

    fn of_use_for(&self, bucket: u16, limit: u64) -> u64 {
        let until = self.now() + limit;
        self.server_time
            .to_server(bucket, until)
            .unwrap_or(u64::MAX >> 12)
    }

    fn admit(&self, id: EntityId, entry: &Arc<Entry<V>>, ticket: Ticket) {
        if !self.local.put(id, Arc::clone(entry), ticket) {
            self.observer.note(Decision::StalePut);
        }
    }

    pub(super) fn note_size(&self, bytes: usize) {
        if bytes > LARGE && !self.is_large() {
            self.large.store(true, Ordering::Relaxed);
        }
    }
}

pub(super) fn weight(at: &Address, body: usize) -> u32 {
    u32::try_from(body + at.key.bytes().len() + OVERHEAD).unwrap_or(u32::MAX)
}

/// The length of its encoded value.
pub(super) fn body_len<V>(entry: &Entry<V>) -> usize {
    let beside = OVERHEAD + entry.key_len() + entry.labels().map_or(0, Labels::weight);
    (entry.weight as usize).saturating_sub(beside)
}

/// What an entry costs beside its value and key, in bytes, moka's bookkeeping included.
const OVERHEAD: usize = 240;
