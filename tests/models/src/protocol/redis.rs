//! What Redis holds of one entity, and the scripts' steps on it: OPEN, FILL, BUMP, CHECK and REPLAY.
//!
//! Stands for `src/remote/scripts/{common,open,fill,bump}.lua` and `src/remote/records.rs`. Redis' clock stands still
//! here, which is the worst that it can do: versions grow by what is stored alone.

use super::Protection;

/// One bucket with one entity.
#[derive(Clone, Debug, Hash, PartialEq, Eq)]
pub(super) struct Redis {
    pub(super) control: Option<Control>,
    pub(super) pointer: Option<u8>,
    pub(super) value: Option<Value>,
    pub(super) log: Vec<Event>,
    /// Epochs that were ever begun: each is another one, as random ones are.
    epochs: u8,
}

/// The control record.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub(super) struct Control {
    pub(super) head: Head,
    high: u8,
}

/// The end of a feed. Position and nonce are one here: within an epoch a position is never given twice.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) epoch: u8,
    pub(super) n: u8,
}

#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub(super) struct Generation {
    pub(super) epoch: u8,
    pub(super) version: u8,
}

#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub(super) struct Value {
    pub(super) generation: Generation,
    pub(super) row: u8,
}

#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) at: Head,
    pub(super) previous: u8,
    /// The commit that it tells of; `None`: a new epoch.
    pub(super) row: Option<u8>,
}

/// What OPEN answers.
pub(super) enum Turn {
    Hit(Value),
    Load(Generation),
}

impl Redis {
    /// A bucket in use, without the entity.
    pub(super) fn new() -> Self {
        let head = Head { epoch: 1, n: 0 };
        Self {
            control: Some(Control { head, high: 0 }),
            pointer: None,
            value: None,
            log: Vec::new(),
            epochs: 1,
        }
    }

    /// What a reader takes for the entity's generation.
    pub(super) fn generation(&self) -> Option<Generation> {
        Some(Generation {
            epoch: self.control?.head.epoch,
            version: self.pointer?,
        })
    }

    /// `common.lua`, `control()`: a missing record begins a new epoch, and every node is told.
    fn control(&mut self, off: Option<Protection>) -> (Control, Option<Event>) {
        if let Some(control) = self.control {
            return (control, None);
        }
        if off != Some(Protection::FreshEpoch) {
            self.epochs += 1;
        }
        let head = Head {
            epoch: self.epochs,
            n: 0,
        };
        let control = Control { head, high: 0 };
        let fence = Event {
            at: head,
            previous: 0,
            row: None,
        };
        self.control = Some(control);
        self.log = vec![fence];
        (control, Some(fence))
    }

    fn issue(&mut self, mut control: Control, off: Option<Protection>) -> u8 {
        let next = self.pointer.unwrap_or(0) + 1;
        let version = match off {
            Some(Protection::VersionsNeverRepeat) => next,
            _ => next.max(control.high + 1),
        };
        control.high = version;
        self.control = Some(control);
        self.pointer = Some(version);
        version
    }

    /// `open.lua`. Leases carry no safety, so everybody who opens may load.
    pub(super) fn open(&mut self, off: Option<Protection>) -> (Turn, Option<Event>) {
        let (mut control, fence) = self.control(off);
        let version = match self.pointer {
            Some(version) => {
                control.high = control.high.max(version);
                self.control = Some(control);
                version
            }
            None => self.issue(control, off),
        };
        let generation = Generation {
            epoch: control.head.epoch,
            version,
        };
        let turn = match self.accepted(off) {
            Some(value) => Turn::Hit(value),
            None => Turn::Load(generation),
        };
        (turn, fence)
    }

    /// The value, if it counts.
    fn accepted(&self, off: Option<Protection>) -> Option<Value> {
        let any = off == Some(Protection::AcceptByEquality);
        self.value
            .filter(|value| any || Some(value.generation) == self.generation())
    }

    /// `fill.lua`: answers the generation under which it was stored, if it was.
    pub(super) fn fill(
        &mut self,
        value: Value,
        off: Option<Protection>,
    ) -> (Option<Generation>, Option<Event>) {
        let (_, fence) = self.control(off);
        let current = self.generation();
        let generation = match off {
            Some(Protection::FillUnderTheVersionFromBefore) => current,
            _ => current.filter(|current| *current == value.generation),
        };
        if let Some(generation) = generation {
            self.value = Some(Value {
                generation,
                ..value
            });
        }
        (generation, fence)
    }

    /// `bump.lua`: answers the generation that it gave, and what is published.
    pub(super) fn bump(
        &mut self,
        row: u8,
        off: Option<Protection>,
    ) -> (Generation, [Option<Event>; 2]) {
        let (control, fence) = self.control(off);
        let version = self.issue(control, off);
        let Head { epoch, n } = control.head;
        let event = Event {
            at: Head { epoch, n: version },
            previous: n,
            row: Some(row),
        };
        self.control = Some(Control {
            head: event.at,
            high: version,
        });
        self.log.push(event);
        (Generation { epoch, version }, [fence, Some(event)])
    }

    /// Everything is gone.
    pub(super) fn wipe(&mut self) {
        *self = Self {
            control: None,
            epochs: self.epochs,
            ..Self::new()
        };
    }

    /// The control record alone is gone.
    pub(super) fn lose_control(&mut self) {
        self.control = None;
    }
}
