//! Orderings outside of a node: the store's versions, two masters, a pause.

use super::{Threads, deed, deed_when};

/// 6. What a pointer says of the store's version where it was bumped by somebody who knew none, or is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownStore {
    /// What it said before; a missing one lets any version in.
    IsIgnored,
    /// Nothing: then an insert is only a bump.
    StaysUnknown,
}

/// 6. What else happens to the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Other {
    /// A later commit is told by an invalidation that knows no version.
    Invalidation,
    /// A later commit is inserted too, and the pointer is evicted.
    InsertAndEviction,
}

#[derive(Clone, Debug, Default, Hash, PartialEq)]
#[doc(hidden)]
pub struct Insert {
    row: u8,
    /// The store's version in the pointer.
    pointer: Option<u8>,
    value: Option<u8>,
}

impl Insert {
    fn insert(&mut self, row: u8, unknown: UnknownStore) {
        let newer = match self.pointer {
            Some(known) => row > known,
            None if unknown == UnknownStore::StaysUnknown => {
                self.value = None;
                return;
            }
            None => true,
        };
        if newer {
            (self.value, self.pointer) = (Some(row), Some(row));
        }
    }
}

/// 6. An insert with the store's version among other writes.
pub fn insert(unknown: UnknownStore, other: Other) -> Threads<Insert> {
    let initial = Insert {
        row: 1,
        pointer: Some(1),
        value: Some(1),
    };
    let told = match other {
        Other::Invalidation => deed("invalidates without a version", move |it: &mut Insert| {
            it.value = None;
            if unknown == UnknownStore::StaysUnknown {
                it.pointer = None;
            }
        }),
        Other::InsertAndEviction => deed("inserts version 3", move |it: &mut Insert| {
            it.insert(3, unknown);
        }),
    };
    let threads = Threads::new(
        initial,
        "an older version than the store's is served",
        |it, done| done[..2] == [2, 2] && it.value.is_some_and(|value| value != it.row),
    )
    .thread(
        "first writer",
        [
            deed("commits version 2", |it: &mut Insert| it.row = 2),
            deed("inserts version 2", move |it: &mut Insert| {
                it.insert(2, unknown);
            }),
        ],
    )
    .thread(
        "second writer",
        [
            deed_when("commits version 3", |it: &mut Insert| {
                let after = it.row == 2;
                it.row = 3;
                after
            }),
            told,
        ],
    );
    match other {
        Other::Invalidation => threads,
        Other::InsertAndEviction => threads.thread(
            "redis",
            [deed(
                "evicts the pointer, and the value with it",
                |it: &mut Insert| {
                    (it.pointer, it.value) = (None, None);
                },
            )],
        ),
    }
}

/// 7. When a bump counts as acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acknowledged {
    /// When the server has done it.
    ByItsServer,
    /// When a replica has confirmed it.
    ByItsReplica,
}

#[derive(Clone, Debug, Default, Hash, PartialEq)]
#[doc(hidden)]
pub struct SplitBrain {
    row: u8,
    promoted: bool,
    acknowledged: bool,
    /// The pointer on the new master.
    pointer: u8,
    ticket: u8,
    loaded: u8,
    /// Row and version on the new master.
    value: Option<(u8, u8)>,
    least: u8,
    answer: Option<u8>,
}

/// 7. A writer bumps on a master that was replaced, a reader asks the new one, whose fence is past.
pub fn split_brain_writer(acknowledged: Acknowledged) -> Threads<SplitBrain> {
    let initial = SplitBrain {
        row: 1,
        pointer: 1,
        ..SplitBrain::default()
    };
    Threads::new(
        initial,
        "the new master served what the old one had invalidated",
        |it, _| it.answer.is_some_and(|answer| answer < it.least),
    )
    .thread(
        "writer",
        [
            deed("commits", |it: &mut SplitBrain| it.row = 2),
            deed("bumps on the old master", move |it: &mut SplitBrain| {
                if !it.promoted {
                    it.pointer += 1;
                }
                it.acknowledged = !it.promoted || acknowledged == Acknowledged::ByItsServer;
            }),
        ],
    )
    .thread(
        "filler",
        [
            deed("sees the promotion", |it: &mut SplitBrain| {
                it.promoted = true;
            }),
            deed(
                "takes the version on the new master",
                |it: &mut SplitBrain| it.ticket = it.pointer,
            ),
            deed("loads", |it: &mut SplitBrain| it.loaded = it.row),
            deed("fills on the new master", |it: &mut SplitBrain| {
                it.value = Some((it.loaded, it.ticket));
            }),
        ],
    )
    .thread(
        "reader",
        [
            deed_when("begins on the new master", |it: &mut SplitBrain| {
                it.least = if it.acknowledged { 2 } else { 0 };
                it.value.is_some()
            }),
            deed(
                "is answered if owner and version are right",
                |it: &mut SplitBrain| {
                    let current = it.value.filter(|value| value.1 == it.pointer);
                    it.answer = current.map(|value| value.0);
                },
            ),
        ],
    )
}

/// 7b. Whom a reader asks while there are two masters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attached {
    /// The old one, which does not know.
    ToTheIsolatedMaster,
    /// The new one.
    ToTheNewMaster,
}

/// 7b. A reader is attached to the isolated old master while the new one takes writes.
pub fn split_brain_reader(attached: Attached) -> Threads<SplitBrain> {
    let initial = SplitBrain {
        row: 1,
        pointer: 1,
        value: Some((1, 1)),
        ..SplitBrain::default()
    };
    Threads::new(
        initial,
        "the isolated master served what was invalidated",
        |it, _| it.answer.is_some_and(|answer| answer < it.least),
    )
    .thread(
        "writer",
        [
            deed("sees the promotion", |it: &mut SplitBrain| {
                it.promoted = true;
            }),
            deed(
                "commits, bumps on the new master, and is acknowledged",
                |it: &mut SplitBrain| {
                    (it.row, it.pointer, it.acknowledged) = (2, 2, true);
                },
            ),
        ],
    )
    .thread(
        "reader",
        [
            deed("begins", |it: &mut SplitBrain| {
                it.least = if it.acknowledged { 2 } else { 0 }
            }),
            deed("is answered by its master", move |it: &mut SplitBrain| {
                // The old master's pointer never moved.
                let isolated = attached == Attached::ToTheIsolatedMaster;
                let pointer = if isolated { 1 } else { it.pointer };
                let current = it.value.filter(|value| value.1 == pointer);
                it.answer = current.map(|value| value.0);
            }),
        ],
    )
}

/// 8. What proves that a feed is live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LiveBy {
    /// Any event.
    AnEvent,
    /// A head that is not ahead of what was applied.
    TheHead,
}

#[derive(Clone, Debug, Default, Hash, PartialEq)]
#[doc(hidden)]
pub struct Pause {
    applied: u8,
    live: bool,
    hit: bool,
}

/// 8. A node wakes up after a long pause, and finds two events in its buffer: of another key, and of this one.
pub fn proof_after_a_pause(live_by: LiveBy) -> Threads<Pause> {
    let apply = move |it: &mut Pause| {
        it.applied += 1;
        it.live |= live_by == LiveBy::AnEvent;
    };
    Threads::new(
        Pause::default(),
        "a value was served that had been invalidated long ago",
        |it, _| it.hit,
    )
    .thread(
        "feed",
        [
            deed("applies the other key's event from its buffer", apply),
            deed("applies this key's event from its buffer", apply),
        ],
    )
    .thread(
        "heartbeat",
        [deed("compares the head", move |it: &mut Pause| {
            it.live |= it.applied == 2;
        })],
    )
    .thread(
        "reader",
        [deed("reads", |it: &mut Pause| {
            it.hit = it.live && it.applied < 2;
        })],
    )
}
