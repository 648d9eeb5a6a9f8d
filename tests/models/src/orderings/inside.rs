//! Orderings inside a node: flights, the tag table, puts, nested loads, renewals.

use super::{Threads, deed, deed_when};

/// 1. Which flight a reader joins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joined {
    /// Any.
    WhateverFlies,
    /// One that no invalidation has detached.
    WhatWasNotDetached,
}

#[derive(Clone, Debug, Default, Hash, PartialEq)]
#[doc(hidden)]
pub struct Flight {
    row: u8,
    told: u8,
    acknowledged: bool,
    flies_since: Option<u8>,
    loaded: u8,
    landed: bool,
    least: u8,
    joined: bool,
    answer: Option<u8>,
}

/// 1. A reader joins a load of its node after an invalidation was acknowledged there.
pub fn flight(joined: Joined) -> Threads<Flight> {
    let initial = Flight {
        row: 1,
        ..Flight::default()
    };
    Threads::new(
        initial,
        "a reader got what was loaded before an acknowledged invalidation",
        |it, _| it.answer.is_some_and(|answer| answer < it.least),
    )
    .thread(
        "leader",
        [
            deed("takes its ticket", |it: &mut Flight| {
                it.flies_since = Some(it.told);
            }),
            deed("loads", |it: &mut Flight| it.loaded = it.row),
            deed("lands", |it: &mut Flight| it.landed = true),
        ],
    )
    .thread(
        "writer",
        [
            deed("commits", |it: &mut Flight| it.row = 2),
            deed("bumps, and is acknowledged", |it: &mut Flight| {
                it.told += 1;
                it.acknowledged = true;
            }),
        ],
    )
    .thread(
        "reader",
        [
            deed("begins", move |it: &mut Flight| {
                it.least = if it.acknowledged { it.row } else { 0 };
                let any = joined == Joined::WhateverFlies;
                let may_join = |since: u8| any || since == it.told;
                it.joined = !it.landed && it.flies_since.is_some_and(may_join);
            }),
            deed_when("is answered", |it: &mut Flight| {
                let answers = it.joined && it.landed;
                it.answer = answers.then_some(it.loaded);
                answers
            }),
        ],
    )
}

/// 2. What a reader loads first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReaderLoads {
    /// The table's generation.
    GenerationFirst,
    /// The table.
    TableFirst,
}

/// 2. What an event writes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventWrites {
    /// The table.
    TableFirst,
    /// The table's generation.
    GenerationFirst,
}

#[derive(Clone, Debug, Default, Hash, PartialEq)]
#[doc(hidden)]
pub struct TagCheck {
    bumped: bool,
    generation: u8,
    loaded: u8,
    valid: bool,
    checked: Option<u8>,
}

/// 2. The check of a hit against the tag table, in one load.
pub fn tag_check(reader: ReaderLoads, event: EventWrites) -> Threads<TagCheck> {
    let mut loads = vec![
        deed("loads the generation", |it: &mut TagCheck| {
            it.loaded = it.generation;
        }),
        deed("checks the table", |it: &mut TagCheck| {
            it.valid = !it.bumped;
        }),
    ];
    if reader == ReaderLoads::TableFirst {
        loads.reverse();
    }
    loads.push(deed_when(
        "remembers the generation that it loaded",
        |it: &mut TagCheck| {
            it.checked = Some(it.loaded);
            it.valid
        },
    ));
    let mut writes = vec![
        deed("writes the table", |it: &mut TagCheck| it.bumped = true),
        deed("writes the generation", |it: &mut TagCheck| {
            it.generation = 1;
        }),
    ];
    if event == EventWrites::GenerationFirst {
        writes.reverse();
    }
    Threads::new(
        TagCheck::default(),
        "an entry that a bump has outdated passes for checked",
        |it, done| done == [3, 2] && it.checked == Some(it.generation),
    )
    .thread("reader", loads)
    .thread("event", writes)
}

/// 3. Which generation of the tag table a copied value counts as checked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checked {
    /// That of the moment when it is put.
    AtThePut,
    /// That from before Redis was asked.
    BeforeTheQuestion,
}

#[derive(Clone, Debug, Default, Hash, PartialEq)]
#[doc(hidden)]
pub struct Copied {
    bumped: bool,
    generation: u8,
    before: u8,
    read_bumped: bool,
    checked: Option<u8>,
}

/// 3. A value is copied from Redis while a tag of it is bumped.
pub fn copy_from_redis(checked: Checked) -> Threads<Copied> {
    Threads::new(
        Copied::default(),
        "a copied value that a bump has outdated passes for checked",
        |it, done| done == [3, 2] && it.checked == Some(it.generation) && !it.read_bumped,
    )
    .thread(
        "reader",
        [
            deed("notes the generation", |it: &mut Copied| {
                it.before = it.generation;
            }),
            deed("reads a value whose tags are current", |it: &mut Copied| {
                it.read_bumped = it.bumped;
            }),
            deed("puts it", move |it: &mut Copied| {
                it.checked = Some(match checked {
                    Checked::AtThePut => it.generation,
                    Checked::BeforeTheQuestion => it.before,
                });
            }),
        ],
    )
    .thread(
        "writer",
        [
            deed("bumps the tag", |it: &mut Copied| it.bumped = true),
            deed("is heard, where no entry has the tag", |it: &mut Copied| {
                it.generation = 1;
            }),
        ],
    )
}

/// 4. The place in the tag feed that an outer value stands at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inner {
    /// Its own.
    IsForgotten,
    /// Its own or that of what it has read, whichever is smaller.
    IsInherited,
}

#[derive(Clone, Debug, Default, Hash, PartialEq)]
#[doc(hidden)]
pub struct Nested {
    row: u8,
    redis: u8,
    /// Row and place of the inner value in the node's memory.
    held: Option<(u8, u8)>,
    place: u8,
    inner: (u8, u8),
    outer: Option<(u8, u8)>,
}

/// 4. A load reads another cached value, from a memory that lags behind.
pub fn nested_load(inner: Inner) -> Threads<Nested> {
    let initial = Nested {
        row: 1,
        redis: 1,
        held: Some((1, 1)),
        ..Nested::default()
    };
    Threads::new(
        initial,
        "an outer value with old data counts as current",
        |it, done| {
            let current = |(row, place)| place == it.redis && row < it.row;
            done == [3, 3] && it.outer.is_some_and(current)
        },
    )
    .thread(
        "writer",
        [
            deed("commits", |it: &mut Nested| it.row = 2),
            deed("bumps the tag, and is acknowledged", |it: &mut Nested| {
                it.redis = 2;
            }),
            deed("is heard by the node", |it: &mut Nested| it.held = None),
        ],
    )
    .thread(
        "reader",
        [
            deed("takes the outer place", |it: &mut Nested| {
                it.place = it.redis;
            }),
            deed("reads the inner value", |it: &mut Nested| {
                it.inner = it.held.unwrap_or((it.row, it.place));
            }),
            deed("fills the outer value", move |it: &mut Nested| {
                let place = match inner {
                    Inner::IsForgotten => it.place,
                    Inner::IsInherited => it.place.min(it.inner.1),
                };
                it.outer = Some((it.inner.0, place));
            }),
        ],
    )
}

#[derive(Clone, Debug, Default, Hash, PartialEq)]
#[doc(hidden)]
pub struct Renewal {
    bumped: bool,
    seen: u8,
    ticket: u8,
    confirmed: bool,
    held: bool,
}

/// 5. A local value is confirmed by its pointer, and put again, while an event removes it.
pub fn renewal(presents_its_ticket: bool) -> Threads<Renewal> {
    let initial = Renewal {
        held: true,
        ..Renewal::default()
    };
    Threads::new(
        initial,
        "a value that an event removed is back",
        |it, done| done == [3, 2] && it.held,
    )
    .thread(
        "reader",
        [
            deed("takes its ticket", |it: &mut Renewal| it.ticket = it.seen),
            deed("finds the pointer at its version", |it: &mut Renewal| {
                it.confirmed = !it.bumped;
            }),
            deed("renews", move |it: &mut Renewal| {
                let admitted = !presents_its_ticket || it.ticket == it.seen;
                it.held |= it.confirmed && admitted;
            }),
        ],
    )
    .thread(
        "writer",
        [
            deed("bumps", |it: &mut Renewal| it.bumped = true),
            deed("is heard by the node", |it: &mut Renewal| {
                (it.held, it.seen) = (false, 1);
            }),
        ],
    )
}
