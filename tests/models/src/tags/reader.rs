//! The way of a read: the entry, the table's generation, the table, Redis, the store.

use super::{
    Protection, State, Tagged,
    node::{Entry, Place, Standing},
};
use crate::explore::Steps;

/// A caller that reads again and again.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub(super) enum Reader {
    Idle,
    /// It has an entry, and has loaded the generation.
    Has(Entry, Read),
    /// The table does not refuse it, and is not enough to say more.
    Doubts(Entry, Read),
    /// It has looked at the table, and is about to remember the generation.
    Checked(Entry, Read),
    Missed(Read, Place),
    Loads(Place),
    Fills(u8, Place),
}

/// A read under way.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub(super) struct Read {
    /// What it must show.
    least: u8,
    /// Its node has a proof of the feed.
    live: bool,
    /// The generation that it has loaded is still the table's.
    fresh: bool,
    /// The entry is from Redis, and enters the memory if it is current.
    copies: bool,
    /// Redis was asked.
    asked: bool,
}

impl Reader {
    pub(super) fn generation_changes(&mut self) {
        if let Self::Has(_, read) | Self::Doubts(_, read) | Self::Checked(_, read) = self {
            read.fresh = false;
        }
    }
}

impl Tagged {
    pub(super) fn read(&self, state: &State, number: usize, steps: &mut Steps<State>) {
        let at = self.readers[number];
        let node = &state.nodes[at];
        let mut next = state.clone();
        let (then, does) = match state.readers[number] {
            Reader::Idle => {
                self.begin(state, number, true, steps);
                if !self.nested {
                    self.begin(state, number, false, steps);
                }
                return;
            }
            Reader::Has(entry, read) => {
                let standing = node.check(entry.place, self.off);
                let silent = !read.live && !self.is_off(Protection::SilenceAsksRedis);
                let asks = silent && !read.asked;
                match standing {
                    _ if entry.checked && !asks => (next.serve(entry, read), "finds it checked"),
                    // The table is locked while it is written.
                    _ if node.writing.is_some() => return,
                    Standing::Refused => {
                        next.drop_entry(at, entry);
                        (self.miss(&next, at, read), "finds it refused by the table")
                    }
                    Standing::Unknown if read.asked => {
                        (next.hit(at, entry, read), "serves it on Redis' word")
                    }
                    Standing::Unknown => {
                        (Reader::Doubts(entry, read), "finds it older than the table")
                    }
                    Standing::Current if asks => (
                        Reader::Doubts(entry, read),
                        "finds it current, without a proof of the feed",
                    ),
                    Standing::Current => (Reader::Checked(entry, read), "finds it current"),
                }
            }
            Reader::Doubts(entry, read) => match state.confirms(entry.place) {
                Some(head) => {
                    let entry = Entry {
                        place: head,
                        checked: false,
                        ..entry
                    };
                    let read = Read {
                        fresh: true,
                        asked: true,
                        ..read
                    };
                    (
                        Reader::Has(entry, read),
                        "is told by Redis that it is current",
                    )
                }
                None => {
                    next.drop_entry(at, entry);
                    (
                        self.miss(&next, at, read),
                        "is told by Redis that it is not",
                    )
                }
            },
            Reader::Checked(entry, read) => {
                let checked = read.fresh || self.is_off(Protection::GenerationBeforeTable);
                let entry = Entry { checked, ..entry };
                (next.hit(at, entry, read), "remembers the generation")
            }
            Reader::Missed(read, place) => match state.value {
                // What was refused here is not asked for again.
                Some((row, of)) if !read.copies => {
                    let entry = Entry {
                        row,
                        place: of,
                        checked: false,
                    };
                    let read = Read {
                        copies: true,
                        fresh: true,
                        asked: false,
                        ..read
                    };
                    (Reader::Has(entry, read), "finds a value in Redis")
                }
                _ => (Reader::Loads(place), "finds none in Redis that counts"),
            },
            Reader::Loads(_) if node.inner.is_some() && node.writing.is_some() => return,
            Reader::Loads(place) => {
                // It is judged after the outer load has begun, so that it shows whatever was applied by then.
                next.nodes[at].inner = state.inner(at, self.off);
                let row = next.nodes[at].inner.map_or(state.row, |inner| inner.0);
                (Reader::Fills(row, place), "loads")
            }
            // Until the feed begins anew nobody could judge it.
            Reader::Fills(_, Place { epoch: 0, .. })
                if self.off != Some(Protection::PlacelessIsNotKept) =>
            {
                (Reader::Idle, "keeps nothing without a place")
            }
            Reader::Fills(row, place) => {
                let place = match self.off {
                    Some(Protection::PlaceBeforeTheLoad) => node.place(),
                    _ => place,
                };
                next.value = Some((row, place));
                next.nodes[at].local = Some(Entry {
                    row,
                    place,
                    checked: false,
                });
                (Reader::Idle, "fills, and puts")
            }
        };
        next.readers[number] = then;
        steps.add("reader", number, does, next);
    }

    fn begin(&self, state: &State, number: usize, live: bool, steps: &mut Steps<State>) {
        let at = self.readers[number];
        let node = &state.nodes[at];
        let read = Read {
            least: if live { node.told } else { state.acknowledged },
            live,
            fresh: true,
            copies: false,
            asked: false,
        };
        let mut next = state.clone();
        next.readers[number] = match node.local {
            Some(entry) => Reader::Has(entry, read),
            None => self.miss(state, at, read),
        };
        let does = if live {
            "begins"
        } else {
            "begins without a proof of the feed"
        };
        steps.add("reader", number, does, next);
    }

    fn miss(&self, state: &State, at: usize, read: Read) -> Reader {
        let node = &state.nodes[at];
        let place = match (self.off, &state.redis) {
            (Some(Protection::PlaceIsWhatWasApplied), Some(redis)) => redis.head,
            _ => node.place(),
        };
        Reader::Missed(read, place)
    }
}

impl State {
    /// It is served, and stays or enters the node's memory.
    fn hit(&mut self, at: usize, entry: Entry, read: Read) -> Reader {
        let held = &mut self.nodes[at].local;
        if read.copies || held.is_some_and(|held| held.row == entry.row) {
            *held = Some(entry);
        }
        self.serve(entry, read)
    }

    fn serve(&mut self, entry: Entry, read: Read) -> Reader {
        self.stale |= entry.row < read.least;
        Reader::Idle
    }

    fn drop_entry(&mut self, at: usize, entry: Entry) {
        let node = &mut self.nodes[at];
        node.local = node.local.filter(|held| held.row != entry.row);
    }

    /// The value that a load reads here, if the table or Redis has nothing against it.
    fn inner(&self, at: usize, off: Option<Protection>) -> Option<(u8, Place)> {
        let node = &self.nodes[at];
        node.inner
            .filter(|(_, place)| match node.check(*place, off) {
                Standing::Current => true,
                Standing::Refused => false,
                Standing::Unknown => self.confirms(*place).is_some(),
            })
    }

    /// `ask_tags`: Redis knows of no bump after this place; answers where it stands.
    fn confirms(&self, place: Place) -> Option<Place> {
        let redis = self.redis.filter(|redis| {
            redis.head.epoch == place.epoch && redis.floor <= place.n && redis.bumped <= place.n
        });
        redis.map(|redis| redis.head)
    }
}
