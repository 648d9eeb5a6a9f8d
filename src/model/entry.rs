//! A value in this process, with all that decides whether it may still be served.

use super::{Generation, Labels, Place, Position, Tag, Visibility};
use smallvec::SmallVec;
use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
};

/// When a value was born and when it is dead, in milliseconds of this node's clock.
///
/// Birth is the start of the load, so a slow load does not make a value live longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lifetime {
    pub(crate) born: u64,
    pub(crate) deadline: u64,
}

/// A value or its absence, immutable but for the marks that tell when it was last proven.
// What a hit reads comes first and is 48 bytes: with the counts of the `Arc` around it, one cache line.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Entry<V> {
    fresh_until: AtomicU64,
    gap: AtomicU32,
    /// Whether there is a value: a hit need not look at the value itself.
    present: bool,
    /// Generation of the tag table at the last check.
    checked: AtomicU64,
    /// The rendered key, short ones in place.
    key: SmallVec<[u8; 16]>,
    /// `None`: loaded while Redis could not be asked, so nothing can ever prove it.
    pub(crate) generation: Option<Generation>,
    pub(crate) lifetime: Lifetime,
    content: Content<V>,
    place: Place,
    /// Until when the last proof speaks for it, also past its TTL.
    proven_until: AtomicU64,
    /// From here on a read may ask for a load although it is served: the end of its life, or a little before.
    late_from: u64,
    /// When it was softly invalidated; the largest number if it was not.
    expired_at: AtomicU64,
    /// Until when nobody asks for a load in its place: one has failed.
    paused_until: AtomicU64,
    /// A load in its place is under way, begun by this process.
    replacing: AtomicBool,
    /// How long its load took, in µs.
    pub(crate) load_micros: u32,
    /// What its payload in Redis is known by, if there is one.
    pub(crate) seal: Option<Seal>,
    /// Up to where in the tag feed none of its tags is known to be bumped; at least the place's.
    judged_until: AtomicU64,
    names: Option<Box<Names>>,
    pub(crate) visibility: Visibility,
    /// Bytes to count against the local capacity.
    pub(crate) weight: u32,
}

/// What an entry holds.
#[derive(Debug)]
pub(crate) enum Content<V> {
    Own(V),
    /// The value of an entry before, which a load has confirmed.
    Of(Arc<Entry<V>>),
    /// The loader found no such value, and that is remembered.
    Absent,
}

impl<V> Content<V> {
    pub(crate) fn of(before: &Arc<Entry<V>>) -> Self {
        // Always the one that has it, so that no chain grows.
        match &before.content {
            Self::Of(owner) => Self::Of(Arc::clone(owner)),
            Self::Own(_) | Self::Absent => Self::Of(Arc::clone(before)),
        }
    }

    pub(crate) fn value(&self) -> Option<&V> {
        match self {
            Self::Own(value) => Some(value),
            Self::Of(owner) => match &owner.content {
                Self::Own(value) => Some(value),
                Self::Of(_) | Self::Absent => None,
            },
            Self::Absent => None,
        }
    }

    pub(crate) fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}

/// What is known of a payload in Redis: enough to tell it from any other, and to put another front before its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seal {
    /// As it stands in the header.
    pub(crate) check: [u8; 8],
    /// Hash of the encoded body.
    pub(crate) content_id: u64,
    /// Hash of the body as it is stored: another one if it is compressed.
    pub(crate) stored_id: u64,
    /// Bytes before the body.
    pub(crate) front: NonZeroU32,
    /// Who wrote the body.
    pub(crate) codec: u8,
}

/// The names by which an entry can be invalidated beside its own.
#[derive(Debug)]
struct Names {
    labels: Labels,
    /// Hashes of the tags, then the dependencies.
    hashes: Box<[u64]>,
}

impl<V> Entry<V> {
    pub(crate) fn new(
        key: &[u8],
        content: Content<V>,
        generation: Option<Generation>,
        lifetime: Lifetime,
        place: Place,
    ) -> Self {
        Self {
            fresh_until: AtomicU64::new(0),
            gap: AtomicU32::new(0),
            present: !content.is_absent(),
            checked: AtomicU64::new(0),
            key: SmallVec::from_slice(key),
            generation,
            lifetime,
            content,
            place,
            proven_until: AtomicU64::new(0),
            late_from: lifetime.deadline,
            expired_at: AtomicU64::new(u64::MAX),
            paused_until: AtomicU64::new(0),
            replacing: AtomicBool::new(false),
            load_micros: 0,
            seal: None,
            judged_until: AtomicU64::new(place.position.map_or(0, |position| position.n)),
            names: None,
            visibility: Visibility::Public,
            weight: 0,
        }
    }

    /// The same entry under these names.
    pub(crate) fn labelled(mut self, labels: Labels) -> Self {
        if !labels.is_empty() {
            let hashes = labels.hashes().collect();
            self.names = Some(Box::new(Names { labels, hashes }));
        }
        self
    }

    pub(crate) fn is_of(&self, key: &[u8]) -> bool {
        *self.key == *key
    }

    /// The rendered key, which is ASCII by construction.
    pub(crate) fn key(&self) -> &str {
        std::str::from_utf8(&self.key).unwrap_or_default()
    }

    pub(crate) fn key_len(&self) -> usize {
        self.key.len()
    }

    pub(crate) fn is_present(&self) -> bool {
        self.present
    }

    /// `None`: it is the memory of an absence.
    pub(crate) fn value(&self) -> Option<&V> {
        self.content.value()
    }

    /// Hash of the encoded body, where it was encoded.
    pub(crate) fn content_id(&self) -> Option<u64> {
        self.seal.map(|seal| seal.content_id)
    }

    /// Whether a load may confirm it: Redis holds it, and it shows nothing of other entities, which a load that reads none of
    /// them would go on showing unwatched.
    pub(crate) fn may_be_confirmed(&self) -> bool {
        let shows_none = (self.labels()).is_none_or(|labels| labels.dependencies.is_empty());
        self.present && self.seal.is_some() && shows_none
    }

    /// The content id, but for an absence, whose body is empty, one that no empty value has.
    pub(crate) fn content_id_of_what_is_read(&self) -> Option<u64> {
        let id = self.content_id()?;
        Some(if self.present { id } else { !id })
    }

    /// Lets an entry that nothing proves be served as such, for its short life.
    pub(crate) fn keep_unproven(&self) {
        self.prove(self.lifetime.deadline, UNPROVABLE);
    }

    /// Marks the entry as proven: servable until `fresh_until`, as long as its bucket sees no gap after `gap`.
    pub(crate) fn prove(&self, fresh_until: u64, gap: u32) {
        self.proven_until.store(fresh_until, Ordering::Relaxed);
        let late_from = self.late_from.min(self.expired_at.load(Ordering::Relaxed));
        self.fresh_until
            .store(fresh_until.min(late_from), Ordering::Relaxed);
        // The gap is what readers check last: they must not see it without the time that belongs to it.
        self.gap.store(gap, Ordering::Release);
    }

    /// The same entry, whose load took so long, and for which a read may ask for another one so long before the end of its life.
    pub(crate) fn loaded_in(mut self, micros: u32, early: u64) -> Self {
        let life = self.lifetime.deadline.saturating_sub(self.lifetime.born);
        self.load_micros = micros;
        self.late_from = self.lifetime.deadline - early.min(life / 2);
        self
    }

    /// Whether it may be served within its TTL, fresh or late.
    pub(crate) fn is_alive(&self, now: u64) -> bool {
        self.is_fresh(now) || (!self.is_over(now) && self.is_proven(now))
    }

    /// From this moment on it is past its TTL: it was softly invalidated.
    pub(crate) fn expire(&self, at: u64) {
        let earliest = self.expired_at.fetch_min(at, Ordering::Relaxed).min(at);
        self.fresh_until.fetch_min(earliest, Ordering::Relaxed);
        // What is loaded in its place may be of before this.
        self.set_replacing(false);
    }

    pub(crate) fn is_expired(&self) -> bool {
        self.expired_at.load(Ordering::Relaxed) != u64::MAX
    }

    /// The end of its TTL, or when it was softly invalidated before that.
    pub(crate) fn stale_from(&self) -> u64 {
        self.lifetime
            .deadline
            .min(self.expired_at.load(Ordering::Relaxed))
    }

    /// Whether it is past its TTL.
    pub(crate) fn is_over(&self, now: u64) -> bool {
        now >= self.stale_from()
    }

    /// How long it may be served as fresh, in ms.
    pub(crate) fn remaining(&self, now: u64) -> u64 {
        self.stale_from().saturating_sub(now)
    }

    /// Whether the last proof still speaks for it, also past its TTL.
    pub(crate) fn is_proven(&self, now: u64) -> bool {
        now < self.proven_until.load(Ordering::Relaxed)
    }

    /// A load in its place has failed: nobody asks for another one until then.
    pub(crate) fn pause(&self, until: u64) {
        self.paused_until.fetch_max(until, Ordering::Relaxed);
    }

    pub(crate) fn is_paused(&self, now: u64) -> bool {
        now < self.paused_until.load(Ordering::Relaxed)
    }

    /// Whether a load in its place is under way. It only saves work: whoever does not know of one looks for a flight.
    pub(crate) fn set_replacing(&self, replacing: bool) {
        self.replacing.store(replacing, Ordering::Relaxed);
    }

    /// Whether a read of it may ask for a load: none is under way here, and none has just failed.
    pub(crate) fn wants_load(&self, now: u64) -> bool {
        !self.is_paused(now) && !self.replacing.load(Ordering::Relaxed)
    }

    /// Whether the local TTL still runs, and no read needs to think of a new load.
    pub(crate) fn is_fresh(&self, now: u64) -> bool {
        now < self.fresh_until.load(Ordering::Relaxed)
    }

    /// The gap generation under which the entry was last proven.
    pub(crate) fn gap(&self) -> u32 {
        self.gap.load(Ordering::Acquire)
    }

    /// The generation of the tag table at the last check.
    pub(crate) fn checked(&self) -> u64 {
        self.checked.load(Ordering::Relaxed)
    }

    /// The tag table of this generation did not refuse the entry.
    pub(crate) fn set_checked(&self, generation: u64) {
        self.checked.store(generation, Ordering::Relaxed);
    }

    /// Its place in the tag feed, as far as it was judged.
    pub(crate) fn place(&self) -> Place {
        let n = self.judged_until.load(Ordering::Relaxed);
        let position = self
            .place
            .position
            .map(|position| Position { n, ..position });
        Place {
            position,
            ..self.place
        }
    }

    /// Redis said that none of its tags was bumped up to `n`, in its epoch.
    pub(crate) fn judged_until(&self, n: u64) {
        self.judged_until.fetch_max(n, Ordering::Relaxed);
    }

    /// The names that its loader gave it, and those it took over.
    pub(crate) fn tags(&self) -> &[Tag] {
        self.names.as_ref().map_or(&[], |names| &names.labels.tags)
    }

    /// Tag hashes of what its load has read: entities, and their caches.
    pub(crate) fn shown(&self) -> &[u64] {
        (self.labels()).map_or(&[], |labels| &labels.dependencies)
    }

    pub(crate) fn labels(&self) -> Option<&Labels> {
        self.names.as_ref().map(|names| &names.labels)
    }

    /// Hashes of its tags and dependencies; those of its cache and of everything come beside them.
    pub(crate) fn tag_hashes(&self) -> &[u64] {
        self.names.as_ref().map_or(&[], |names| &names.hashes)
    }
}

/// A gap generation that no bucket ever has.
const UNPROVABLE: u32 = u32::MAX;
