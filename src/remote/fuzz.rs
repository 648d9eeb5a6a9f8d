//! Answers that no Redis of ours gives: for the fuzzers, and for the tests that run their corpus.

use super::{
    identity::Server,
    reader::{snapshot, values},
    store::{bumped, events, filled, opened},
    wire,
};
use redis::Value;

/// Any bytes as each record that stands in Redis, and as a push: read, or missing. Says whether it was any of them.
pub(crate) fn record(text: &[u8]) -> bool {
    let head = wire::head(text);
    if let Some(head) = head {
        // Lua counts in doubles: a number that it could not write is none of ours.
        assert!(
            [head.n, head.high, head.epoch.0]
                .iter()
                .all(|n| n >> 53 == 0)
        );
    }
    let pointer = wire::pointer(text);
    if let Some(pointer) = pointer {
        assert!(pointer.version.0 >> 53 == 0 && pointer.floor.0 >> 53 == 0);
    }
    let (message, bump) = (wire::message(text), wire::tag_bump(text));
    // One record is never two: each begins with the format or not, and has its own number of fields.
    let read = [
        head.is_some(),
        pointer.is_some(),
        message.is_some(),
        bump.is_some(),
    ];
    assert!(read.iter().filter(|is| **is).count() <= 1, "{text:?}");
    read.contains(&true)
}

/// Any value as the answer to each script and question: taken, or nonsense. Says whether any took it.
pub(crate) fn reply(data: &[u8]) -> bool {
    let reply = value(&mut data.iter().copied(), 0);
    let taken = [
        opened(reply.clone()).is_ok(),
        filled(&reply).is_ok(),
        bumped(0, reply.clone()).is_ok(),
        events(reply.clone()).is_ok(),
    ];
    if let Ok(values) = values(reply) {
        let read = snapshot(values.into_iter(), Server::Silent);
        // Without a control record nothing has a generation.
        assert!(read.head.is_some() || read.generation().is_none());
    }
    taken.contains(&true)
}

/// Reads a value from the front: its kind, then what is in it.
fn value(program: &mut impl Iterator<Item = u8>, depth: usize) -> Value {
    let byte = program.next().unwrap_or(0);
    let many = usize::from(byte >> 3);
    match byte % 8 {
        0 => Value::Nil,
        1 => Value::Int(i64::from(byte >> 3) - 1),
        2 => Value::Okay,
        3 => Value::BulkString(program.take(many).collect()),
        4 => Value::BulkString(sample(many).into()),
        5 => Value::SimpleString(sample(many).into()),
        6 => Value::Int(i64::from_le_bytes(std::array::from_fn(|_| {
            program.next().unwrap_or(0)
        }))),
        _ if depth > DEEPEST => Value::Nil,
        _ => Value::Array((0..many).map(|_| value(program, depth + 1)).collect()),
    }
}

fn sample(which: usize) -> &'static str {
    SAMPLES[which % SAMPLES.len()]
}

/// What the scripts answer, which chance would take long to find.
const SAMPLES: [&str; 14] = [
    "H",
    "L",
    "F",
    "stored",
    "stale",
    "expired",
    "gone",
    "bumped",
    "newest",
    "older",
    "1|7|-|1790000000000001|42|1790000000000009|0",
    "1|12|11|0|-",
    "1|I|7|12|3|4|000000ff|00000000000000aa",
    "1790000000000001",
];
const DEEPEST: usize = 6;
