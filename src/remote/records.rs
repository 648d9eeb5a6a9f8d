//! One bucket's records in memory, and the scripts' steps on them.
//!
//! Written beside `scripts/*.lua`, step for step: the protocol's tests run on both.

use super::{
    Bump, Discard, Filled, Order, Turn,
    layout::Name,
    order::{Done, bare, learned, ordered},
    purge_records::PurgeRecords,
    tag_records::TagRecords,
};
use crate::model::{Event, EventKind, Generation, Head, Nonce, Pointer, Seal, Strength, Version};
use std::collections::{HashMap, VecDeque};

/// What Redis would hold for one bucket. Times are in Redis ms.
#[derive(Clone, Debug, Default)]
pub(super) struct Records {
    pub(super) control: Option<Head>,
    /// The server that the epoch began on; in Redis a part of the control record.
    pub(super) owner: u64,
    /// The server that holds the records.
    pub(super) server: u64,
    /// Whether a value was stored that shows an entity of the bucket; in Redis a part of the control record.
    pub(super) nested: bool,
    pub(super) log: VecDeque<Event>,
    pub(super) tags: TagRecords,
    pub(super) purges: PurgeRecords,
    pointers: HashMap<Box<[u8]>, Timed<Pointer>>,
    values: HashMap<Box<[u8]>, Timed<Vec<u8>>>,
    leases: HashMap<Box<[u8]>, Timed<Lease>>,
    value_bytes: usize,
}

#[derive(Clone, Debug)]
struct Timed<T> {
    until: u64,
    it: T,
}

#[derive(Clone, Debug)]
struct Lease {
    version: Version,
    token: u64,
    awaited: bool,
}

/// The keys of one entity.
pub(super) struct Keys {
    pub(super) pointer: Name,
    pub(super) value: Name,
    pub(super) lease: Name,
}

/// Where the check stands in a payload.
const CHECK: std::ops::Range<usize> = 56..64;

/// Server time in microseconds, which also issues the versions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now(pub(super) u64);

impl Now {
    pub(super) fn millis(self) -> u64 {
        self.0 / 1000
    }
}

impl Records {
    pub(super) fn pointer(&self, key: &[u8], now: Now) -> Option<Pointer> {
        live(&self.pointers, key, now).copied()
    }

    pub(super) fn value(&self, key: &[u8], now: Now) -> Option<&Vec<u8>> {
        live(&self.values, key, now)
    }

    /// The control record; where there is none, a new epoch begins. Answers the fence to be told, if any.
    pub(super) fn control(&mut self, now: Now) -> (Head, Option<Event>) {
        match self.control {
            Some(head) => (head, None),
            None => {
                let (head, fence) = self.begin(now);
                (head, Some(fence))
            }
        }
    }

    /// The current version of an entity; a missing pointer takes a new one, without an event.
    pub(super) fn version(
        &mut self,
        head: &mut Head,
        key: &[u8],
        pointer_ttl: u64,
        now: Now,
    ) -> Version {
        if let Some(pointer) = self.pointer(key, now) {
            // A pointer that outlived its control record: nothing may be issued below it.
            head.high = head.high.max(pointer.version.0);
            self.control = Some(*head);
            return pointer.version;
        }
        let version = next_version(head, None, now);
        head.high = version.0;
        self.control = Some(*head);
        let pointer = Pointer {
            flags: self.forgotten(),
            ..bare(version)
        };
        self.set_pointer(key, pointer, pointer_ttl, now);
        version
    }

    /// Who may load: the value if it is there after all, the lead, or a place behind the leader.
    pub(super) fn turn(
        &mut self,
        keys: &Keys,
        current: Generation,
        token: u64,
        lease_ms: u64,
        discard: Discard,
        now: Now,
    ) -> Turn {
        if self.is_outlived(&keys.value, discard) {
            // It stays until the load replaces it: others may be served by it meanwhile.
        } else if self.is_refused(&keys.value, discard) {
            self.remove_value(&keys.value);
        } else if let Some(value) = self.value(&keys.value, now)
            && crate::codec::generation(value) == Some((current.epoch.0, current.version.0))
        {
            return Turn::Hit(value.clone());
        }
        if let Some(lease) = live_mut(&mut self.leases, &keys.lease, now)
            && lease.version == current.version
            && lease.token != token
        {
            lease.awaited = true;
            return Turn::Follow;
        }
        let lease = Lease {
            version: current.version,
            token,
            awaited: false,
        };
        self.leases.insert(
            (*keys.lease).into(),
            Timed {
                until: now.millis() + lease_ms,
                it: lease,
            },
        );
        Turn::Lead
    }

    fn is_refused(&self, key: &[u8], discard: Discard) -> bool {
        match discard {
            Discard::Nothing | Discard::Outlived(_) => false,
            Discard::Anything => true,
            Discard::Refused(check) => self.has_check(key, check),
        }
    }

    fn is_outlived(&self, key: &[u8], discard: Discard) -> bool {
        matches!(discard, Discard::Outlived(check) if self.has_check(key, check))
    }

    fn has_check(&self, key: &[u8], check: [u8; 8]) -> bool {
        let value = self.values.get(key).map(|value| &value.it[..]);
        value.and_then(crate::codec::check_of) == Some(check)
    }

    /// Ends a lease; answers whether somebody waits for it.
    pub(super) fn release(&mut self, key: &[u8], token: u64, now: Now) -> bool {
        let Some(lease) = live(&self.leases, key, now) else {
            return false;
        };
        let (own, awaited) = (lease.token == token, lease.awaited);
        if own {
            self.leases.remove(key);
        }
        own && awaited
    }

    pub(super) fn renew(&mut self, key: &[u8], token: u64, lease_ms: u64, now: Now) {
        if let Some(lease) = self.leases.get_mut(key)
            && lease.it.token == token
            && lease.until > now.millis()
        {
            lease.until = now.millis() + lease_ms;
        }
    }

    /// Stores a value under the generation that it was loaded under, if that is still the current one.
    pub(super) fn store(
        &mut self,
        keys: &Keys,
        filled: super::Fill,
        head: Head,
        now: Now,
    ) -> Filled {
        let Some(pointer) = self.pointer(&keys.pointer, now) else {
            return Filled::Stale;
        };
        let current = Generation {
            epoch: head.epoch,
            version: pointer.version,
        };
        // The second: a replica that lags behind what is known already.
        if filled.generation != current || filled.store.is_some() && filled.store < pointer.store {
            return Filled::Stale;
        }
        if filled.until <= now.millis() {
            return Filled::Expired;
        }
        let mut payload = filled.payload;
        if let Some(seal) = filled.held {
            let Some(body) = self.body(&keys.value, &seal, now) else {
                return Filled::Gone;
            };
            payload.extend_from_slice(body);
        }
        self.remove_value(&keys.value);
        self.make_room(payload.len(), now);
        self.value_bytes += payload.len();
        self.values.insert(
            (*keys.value).into(),
            Timed {
                until: filled.until,
                it: payload,
            },
        );
        self.set_pointer(
            &keys.pointer,
            learned(pointer, filled.store),
            filled.pointer_ttl,
            now,
        );
        Filled::Stored
    }

    /// The body of the payload with this seal.
    fn body(&self, key: &[u8], seal: &Seal, now: Now) -> Option<&[u8]> {
        let held = self.value(key, now)?;
        let whole = held.get(CHECK)? == seal.check;
        whole.then(|| held.get(seal.front.get() as usize..))?
    }

    /// Gives an entity a version that was never issued, and links the event.
    pub(super) fn bump(
        &mut self,
        key: &[u8],
        (head, began): (Head, bool),
        kind: EventKind,
        bump: Bump,
        now: Now,
    ) -> Done {
        let before = self.pointer(key, now);
        let (store, flags, order) = match ordered(before, bump.store) {
            Ok(ordered) => ordered,
            Err(pointer) => {
                return Done {
                    version: pointer.version,
                    event: None,
                    depended: pointer.has(Pointer::DEPENDED),
                    order: Order::Older,
                };
            }
        };
        let marked = before.map_or(self.forgotten(), |before| before.flags & Pointer::DEPENDED);
        // Where an epoch begins, who was marked in the one before is unknown.
        let marked = if began { Pointer::DEPENDED } else { marked };
        let event = self.append(head, kind, before.map(|before| before.version), now);
        let version = Version(event.n);
        // Missing means unknown: below a pointer that is made anew nothing may be served.
        let soft = before.filter(|_| bump.strength == Strength::Soft);
        let pointer = Pointer {
            flags: flags | marked | Pointer::BUMPED,
            store,
            floor: soft.map_or(version, |before| before.floor),
            ..bare(version)
        };
        self.set_pointer(key, pointer, bump.pointer_ttl, now);
        Done {
            version,
            event: Some(event),
            depended: marked != 0,
            order,
        }
    }

    /// Links an event behind the head; its position is a version that was never issued.
    pub(super) fn append(
        &mut self,
        head: Head,
        kind: EventKind,
        previous: Option<Version>,
        now: Now,
    ) -> Event {
        let version = next_version(&head, previous, now);
        let event = Event {
            epoch: head.epoch,
            n: version.0,
            previous: head.nonce,
            nonce: Nonce::random(),
            kind,
        };
        self.log.push_back(event);
        if self.log.len() > LOG {
            self.log.pop_front();
        }
        self.control = Some(Head {
            n: version.0,
            high: version.0,
            nonce: event.nonce,
            ..head
        });
        event
    }

    pub(super) fn set_pointer(&mut self, key: &[u8], it: Pointer, ttl: u64, now: Now) {
        if self.pointers.len() >= POINTERS {
            self.evict_pointers(now);
        }
        let kept = self.pointers.get(key).map_or(0, |pointer| pointer.until);
        self.pointers.insert(
            key.into(),
            Timed {
                until: kept.max(now.millis() + ttl),
                it,
            },
        );
    }

    fn remove_value(&mut self, key: &[u8]) {
        if let Some(value) = self.values.remove(key) {
            self.value_bytes -= value.it.len();
        }
    }

    /// Evicts what is over, then whatever comes first: the order of a hash map is as good as random.
    fn make_room(&mut self, bytes: usize, now: Now) {
        if self.value_bytes + bytes <= VALUE_BYTES {
            return;
        }
        let mut room = 0;
        self.values.retain(|_, value| {
            let keep = value.until > now.millis() && room >= bytes + VALUE_BYTES / 16;
            if !keep {
                room += value.it.len();
            }
            keep
        });
        self.value_bytes -= room;
    }

    fn evict_pointers(&mut self, now: Now) {
        let mut evicted = 0;
        self.pointers.retain(|_, pointer| {
            let keep = pointer.until > now.millis() && evicted >= POINTERS / 16;
            evicted += usize::from(!keep);
            keep
        });
    }
}

fn next_version(head: &Head, previous: Option<Version>, now: Now) -> Version {
    let previous = previous.map_or(0, |version| version.0);
    Version((head.high + 1).max(now.0).max(previous + 1))
}

fn live<'a, T>(records: &'a HashMap<Box<[u8]>, Timed<T>>, key: &[u8], now: Now) -> Option<&'a T> {
    records
        .get(key)
        .filter(|timed| timed.until > now.millis())
        .map(|timed| &timed.it)
}

fn live_mut<'a, T>(
    records: &'a mut HashMap<Box<[u8]>, Timed<T>>,
    key: &[u8],
    now: Now,
) -> Option<&'a mut T> {
    records
        .get_mut(key)
        .filter(|timed| timed.until > now.millis())
        .map(|timed| &mut timed.it)
}

/// Events kept per bucket, as in Redis.
const LOG: usize = 10_000;
/// Bytes of values per bucket: 64 buckets hold 1 GiB.
const VALUE_BYTES: usize = 16 << 20;
/// Pointers per bucket: 64 buckets hold four million.
const POINTERS: usize = 1 << 16;

#[cfg(test)]
mod tests;
