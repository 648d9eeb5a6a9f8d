//! The tag bucket: one tag, one value that carries it, two nodes with a table each, and a Redis with the whole table.
//!
//! A value stores its *place*: epoch and position of the tag feed that its node had applied before the load. What is
//! looked for is a read that returns what its node was told is old, or, where the node has no proof of the feed, what
//! anybody was told. Stands for `src/tags.rs`, `src/load/shelf.rs` (`standing`, `is_current`, `ask_tags`), the gap in
//! `src/feed/follower.rs` and `src/remote/scripts/tags_*.lua`.

mod node;
mod reader;

use self::{
    node::{Event, Node, Place},
    reader::Reader,
};
use crate::explore::{Steps, System};

/// Nodes, readers, writers and what happens to them.
#[derive(Clone, Copy, Debug)]
pub struct Tagged {
    /// What is missing.
    pub off: Option<Protection>,
    /// On which node each reader reads, again and again; two at most.
    pub readers: &'static [usize],
    /// On which node each writer writes, once; two at most.
    pub writers: &'static [usize],
    /// The first writer bumps another tag.
    pub other_tag: bool,
    /// Loads read another value of the tag, which each node holds.
    pub nested: bool,
    /// How many events are lost.
    pub losses: u8,
    /// How often the table is pruned, in Redis or on a node.
    pub prunings: u8,
    /// How often Redis loses the tag bucket.
    pub wipes: u8,
}

/// What keeps an outdated value from being served; each can be taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// The place is taken before the load.
    PlaceBeforeTheLoad,
    /// The place is what the feed has applied, not what Redis has said.
    PlaceIsWhatWasApplied,
    /// A node's own bump leaves its place where it is.
    OwnBumpLeavesThePlace,
    /// After a gap the table is complete from the head on only.
    GapRaisesTheBeginning,
    /// A value from before the table's beginning asks Redis.
    OlderAsksRedis,
    /// What a node forgets raises its table's beginning.
    ForgettingRaisesTheBeginning,
    /// What Redis forgets raises the floor there.
    ForgettingRaisesTheFloor,
    /// A value of another epoch is refused.
    EpochsAreCompared,
    /// What was loaded while the table knew no epoch is kept nowhere.
    PlacelessIsNotKept,
    /// The generation is loaded before the table is looked at.
    GenerationBeforeTable,
    /// Without a proof of the feed Redis is asked.
    SilenceAsksRedis,
    /// An invalidation enters its own node's table before it is acknowledged.
    OwnBumpBeforeTheAnswer,
}

impl Tagged {
    /// Without faults.
    pub fn built(readers: &'static [usize], writers: &'static [usize]) -> Self {
        Self {
            off: None,
            readers,
            writers,
            other_tag: false,
            nested: false,
            losses: 0,
            prunings: 0,
            wipes: 0,
        }
    }

    fn is_off(&self, protection: Protection) -> bool {
        self.off == Some(protection)
    }

    fn write(&self, state: &State, number: usize, steps: &mut Steps<State>) {
        let mut next = state.clone();
        let (then, does) = match state.writers[number] {
            Writer::Begin if self.other_tag && number == 0 => {
                let at = next.bump(None);
                (Writer::Bumped(0, at), "bumps another tag")
            }
            Writer::Begin => {
                next.row += 1;
                (Writer::Committed(next.row), "commits")
            }
            Writer::Committed(row) => {
                let at = next.bump(Some(row));
                (Writer::Bumped(row, at), "bumps the tag")
            }
            Writer::Bumped(row, at) => {
                let node = self.writers[number];
                if !self.is_off(Protection::OwnBumpBeforeTheAnswer) {
                    next.nodes[node].bumped_here(at, row > 0, self.off);
                    next.generation_changes(node, self.readers);
                }
                next.nodes[node].told = next.nodes[node].told.max(row);
                next.acknowledged = next.acknowledged.max(row);
                (
                    Writer::Done,
                    "enters it into its table, and is acknowledged",
                )
            }
            Writer::Done => return,
        };
        next.writers[number] = then;
        steps.add("writer", number, does, next);
    }

    fn follow(&self, state: &State, number: usize, steps: &mut Steps<State>) {
        let node = &state.nodes[number];
        let mut next = state.clone();
        if let Some(row) = node.writing {
            next.nodes[number].writing = None;
            next.nodes[number].told = node.told.max(row);
            next.generation_changes(number, self.readers);
            return steps.add("node", number, "writes the generation", next);
        }
        if node.incomplete && state.redis.is_some() {
            next.complete(number);
            next.generation_changes(number, self.readers);
            steps.add("node", number, "reads the whole table", next);
        }
        let mut next = state.clone();
        if node.is_behind(state.redis.as_ref()) {
            let head = next.head();
            next.nodes[number].lose(head, self.off);
            next.nodes[number].told = next.nodes[number].told.max(state.acknowledged);
            next.generation_changes(number, self.readers);
            steps.add("node", number, "notices a gap", next);
        } else if let Some(event) = node.feed.first().filter(|_| !node.lost) {
            let node = &mut next.nodes[number];
            node.feed.remove(0);
            if node.applies(event) {
                node.apply(event);
                steps.add("node", number, "writes an event's tag into its table", next);
            } else {
                // Of another epoch, or applied already: the heartbeat sees to it.
                node.lost = !node.knows(event);
                steps.add(
                    "node",
                    number,
                    "looks at an event that does not follow",
                    next,
                );
            }
        }
        if state.losses > 0 && !node.feed.is_empty() && !node.lost {
            let mut next = state.clone();
            next.losses -= 1;
            next.nodes[number].feed.remove(0);
            next.nodes[number].lost = true;
            steps.add("node", number, "loses an event", next);
        }
        if state.prunings > 0 && node.bumped > 0 {
            let mut next = state.clone();
            next.prunings -= 1;
            next.nodes[number].prune(self.off);
            next.generation_changes(number, self.readers);
            steps.add("node", number, "forgets an old bump", next);
        }
    }

    fn forget(&self, state: &State, steps: &mut Steps<State>) {
        let Some(redis) = &state.redis else {
            return;
        };
        if state.prunings > 0 && redis.bumped > 0 {
            let mut next = state.clone();
            next.prunings -= 1;
            let floor = match self.off {
                Some(Protection::ForgettingRaisesTheFloor) => redis.floor,
                _ => redis.floor.max(redis.bumped),
            };
            next.redis = Some(Redis {
                bumped: 0,
                floor,
                ..*redis
            });
            steps.add("redis", 0, "forgets an old bump", next);
        }
        if state.wipes > 0 {
            let mut next = state.clone();
            next.wipes -= 1;
            next.redis = None;
            steps.add("redis", 0, "loses the tag bucket", next);
        }
    }
}

impl System for Tagged {
    type State = State;

    fn initial(&self) -> State {
        let mut writers = [Writer::Done; 2];
        writers[..self.writers.len()].fill(Writer::Begin);
        let redis = Redis {
            head: Place { epoch: 1, n: 0 },
            bumped: 0,
            floor: 0,
        };
        State {
            row: 0,
            acknowledged: 0,
            redis: Some(redis),
            epochs: 1,
            value: None,
            nodes: [0, 1].map(|number| Node::new(self.readers.contains(&number), self.nested)),
            readers: [Reader::Idle; 2],
            writers,
            losses: self.losses,
            prunings: self.prunings,
            wipes: self.wipes,
            stale: false,
        }
    }

    fn steps(&self, state: &State, steps: &mut Steps<State>) {
        for number in 0..self.writers.len() {
            self.write(state, number, steps);
        }
        for number in 0..self.readers.len() {
            self.read(state, number, steps);
        }
        for number in (0..state.nodes.len()).filter(|number| state.nodes[*number].reads) {
            self.follow(state, number, steps);
        }
        self.forget(state, steps);
    }

    fn harm(&self, state: &State) -> Option<&'static str> {
        (state.stale).then_some("a read returned what was invalidated before it began")
    }
}

/// A moment of store, Redis, nodes and callers.
#[derive(Clone, Debug, Hash, PartialEq, Eq)]
pub struct State {
    row: u8,
    acknowledged: u8,
    /// The tag bucket; `None`: its control record is missing.
    redis: Option<Redis>,
    epochs: u8,
    /// Row and place of the value in Redis, whose own bucket loses nothing.
    value: Option<(u8, Place)>,
    nodes: [Node; 2],
    readers: [Reader; 2],
    writers: [Writer; 2],
    losses: u8,
    prunings: u8,
    wipes: u8,
    stale: bool,
}

/// The tag bucket in Redis.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
struct Redis {
    head: Place,
    /// Where the tag was bumped last; zero: never, or forgotten.
    bumped: u8,
    /// What was bumped up to here may be forgotten.
    floor: u8,
}

impl State {
    /// `control()`: a missing record begins a new epoch, and every node is told.
    fn control(&mut self) -> Redis {
        if let Some(redis) = self.redis {
            return redis;
        }
        self.epochs += 1;
        let head = Place {
            epoch: self.epochs,
            n: 0,
        };
        let redis = Redis {
            head,
            bumped: 0,
            floor: 0,
        };
        self.redis = Some(redis);
        self.publish(Event {
            at: head,
            row: None,
        });
        redis
    }

    /// `begin_tags`: whoever misses the feed begins it.
    fn head(&mut self) -> Place {
        self.control().head
    }

    /// A bump of the tag after this commit, or of another tag.
    fn bump(&mut self, row: Option<u8>) -> Place {
        let mut redis = self.control();
        redis.head.n += 1;
        if row.is_some() {
            redis.bumped = redis.head.n;
        }
        self.redis = Some(redis);
        self.publish(Event {
            at: redis.head,
            row,
        });
        redis.head
    }

    fn publish(&mut self, event: Event) {
        for node in self.nodes.iter_mut().filter(|node| node.reads) {
            node.feed.push(event);
        }
    }

    /// `read_tags`.
    fn complete(&mut self, number: usize) {
        if let Some(redis) = &self.redis {
            self.nodes[number].complete(redis.head.epoch, redis.floor, redis.bumped);
        }
    }

    /// What was checked at the generation before is not checked any more, nor is what is being checked.
    fn generation_changes(&mut self, node: usize, readers: &[usize]) {
        if let Some(entry) = &mut self.nodes[node].local {
            entry.checked = false;
        }
        for (number, reader) in self.readers.iter_mut().enumerate() {
            if readers.get(number) == Some(&node) {
                reader.generation_changes();
            }
        }
    }
}

#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
enum Writer {
    Begin,
    Committed(u8),
    Bumped(u8, Place),
    Done,
}
