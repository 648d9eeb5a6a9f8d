//! What is to be purged at the edge, as Redis remembers it: written by the bumps, read by whoever works it off.

use super::{
    Bump, RedisRemote, Remote, RemoteError,
    connection::Class,
    layout::Name,
    many::of_all,
    memory::Attached,
    node::Node,
    store::{number, text},
    timed::timed,
};
use crate::model::{Address, EdgeSubject, PurgeNote, Recording, Strength, millis};
use redis::{Cmd, Value};
use smallvec::SmallVec;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// What is noted with a bump of tags: for each of them, what is to be purged, if anything is.
#[derive(Clone, Copy)]
pub(crate) struct TagNotes<'a> {
    pub(crate) recording: Recording,
    pub(crate) subjects: &'a [Option<&'a EdgeSubject>],
}

impl TagNotes<'_> {
    pub(super) fn head(self, command: &mut Cmd, strength: Strength) {
        let Recording { life, .. } = self.recording;
        command
            .arg(self.recording.wish(strength).letter())
            .arg(life)
            .arg(TAGS);
    }

    /// Empty: nothing is to be purged.
    pub(super) fn field(self, place: usize) -> String {
        let subject = self.subjects.get(place).copied().flatten();
        subject.map(EdgeSubject::field).unwrap_or_default()
    }
}

impl Remote {
    /// All notes of all buckets.
    pub(crate) async fn purge_notes(&self) -> Result<Vec<PurgeNote>, RemoteError> {
        let answer = async {
            match self {
                Self::Redis(redis) => redis.purge_notes().await,
                Self::Memory(memory) => memory.reached().await?.purge_notes(),
            }
        };
        timed("purge_notes", answer).await
    }

    /// Forgets these notes where they still stand as they stood.
    pub(crate) async fn purges_done(&self, done: &[PurgeNote]) -> Result<(), RemoteError> {
        let answer = async {
            match self {
                Self::Redis(redis) => redis.purges_done(done).await,
                Self::Memory(memory) => memory.reached().await?.purges_done(done),
            }
        };
        timed("purges_done", answer).await
    }

    /// Takes or keeps the right to work off what others have noted; false: another node has it.
    pub(crate) async fn sweep(&self, token: u64, life: Duration) -> Result<bool, RemoteError> {
        let answer = async {
            match self {
                Self::Redis(redis) => redis.sweep(token, life).await,
                Self::Memory(memory) => memory.reached().await?.sweep(token, life),
            }
        };
        timed("sweep", answer).await
    }
}

impl RedisRemote {
    /// The keys of a bump: with the purge record where it is noted there.
    pub(super) fn keys_of_bump(&self, at: &Address, bump: Bump) -> SmallVec<[Name; 5]> {
        let mut keys = SmallVec::from_iter(self.bump_keys(at));
        keys.extend(bump.record.map(|_| self.layout.purges(at.id.bucket)));
        keys
    }

    async fn purge_notes(&self) -> Result<Vec<PurgeNote>, RemoteError> {
        let buckets: Vec<_> = (0..self.layout.feeds()).collect();
        let sizes = self.of_each("HLEN", &buckets).await?;
        let is_empty = |size: &Result<Value, RemoteError>| {
            size.as_ref().is_ok_and(|size| number(size) == Some(0))
        };
        let full = buckets.into_iter().zip(&sizes);
        let full: Vec<_> = full
            .filter(|(_, size)| !is_empty(size))
            .map(|(bucket, _)| bucket)
            .collect();
        let mut notes = Vec::new();
        for some in full.chunks(RECORDS_AT_ONCE) {
            for (bucket, record) in some.iter().zip(self.of_each("HGETALL", some).await?) {
                match record {
                    Ok(record) => notes.extend(notes_of(*bucket, record)),
                    // Of another type: the next bump makes it anew.
                    Err(error) => tracing::debug!(%error, bucket, "a purge record is none"),
                }
            }
        }
        Ok(notes)
    }

    /// One command for each of these records.
    async fn of_each(
        &self,
        name: &'static str,
        buckets: &[u16],
    ) -> Result<Vec<Result<Value, RemoteError>>, RemoteError> {
        if buckets.is_empty() {
            return Ok(Vec::new());
        }
        let ask = |node: Arc<Node>, places: Vec<usize>| async move {
            let pipeline = |_| {
                let mut pipeline = redis::Pipeline::with_capacity(places.len());
                for place in &places {
                    let record = self.layout.purges(buckets[*place]);
                    pipeline.cmd(name).arg(&*record);
                }
                pipeline
            };
            match node.connections.send_all(Class::Large, pipeline).await {
                Ok((replies, _)) => replies,
                Err(error) => of_all(places.len(), &error),
            }
        };
        let replies = self.nodes.ask_all(buckets, ask).await;
        if replies.len() != buckets.len() {
            return Err(RemoteError::Nonsense("the number of purge records"));
        }
        Ok(replies)
    }

    async fn purges_done(&self, done: &[PurgeNote]) -> Result<(), RemoteError> {
        let mut of_buckets: BTreeMap<u16, Vec<&PurgeNote>> = BTreeMap::new();
        for note in done {
            of_buckets.entry(note.bucket).or_default().push(note);
        }
        let pieces: Vec<_> = of_buckets
            .iter()
            .flat_map(|(bucket, notes)| notes.chunks(NOTES_AT_ONCE).map(|some| (*bucket, some)))
            .collect();
        for some in pieces.chunks(SCRIPTS_AT_ONCE) {
            let calls = some.iter().map(|(bucket, notes)| {
                let arguments = |command: &mut Cmd| {
                    for note in *notes {
                        command.arg(&note.field).arg(&note.value);
                    }
                };
                (*bucket, [self.layout.purges(*bucket)], arguments)
            });
            let script = &self.scripts.purges_done;
            for reply in self.run_all(Class::Large, script, calls).await {
                reply?;
            }
        }
        Ok(())
    }

    /// Written as a lease is, so that it is renewed as one.
    async fn sweep(&self, token: u64, life: Duration) -> Result<bool, RemoteError> {
        let keys = [self.layout.sweeper()];
        let mut take = redis::cmd("SET");
        take.arg(&*keys[0]).arg(format!("0|{token}|0"));
        take.arg("NX").arg("PX").arg(millis(life));
        let bucket = self.layout.tag_bucket();
        let take = &take;
        let set = |node: Arc<Node>| async move { node.connections.send(Class::Small, take).await };
        let taken = self.nodes.ask(bucket, set).await?;
        if text(&taken).is_some() || taken == Value::Okay {
            return Ok(true);
        }
        let script = &self.scripts.renew;
        let renewed = self.run(bucket, Class::Small, script, &keys, |command| {
            command.arg(token).arg(millis(life));
        });
        Ok(number(&renewed.await?) == Some(1))
    }
}

impl Attached {
    fn purge_notes(&self) -> Result<Vec<PurgeNote>, RemoteError> {
        let mut notes = Vec::new();
        for bucket in 0..self.layout.feeds() {
            let (mut records, now) = self.records(bucket)?;
            notes.extend(records.purges.all(bucket, now));
        }
        Ok(notes)
    }

    fn purges_done(&self, done: &[PurgeNote]) -> Result<(), RemoteError> {
        for note in done {
            let (mut records, _) = self.records(note.bucket)?;
            records.purges.done(note);
        }
        Ok(())
    }

    fn sweep(&self, token: u64, life: Duration) -> Result<bool, RemoteError> {
        let (mut records, now) = self.records(self.layout.tag_bucket())?;
        Ok(records.purges.lease(token, millis(life), now))
    }
}

/// What a bump's script needs to note it, where it is to be noted.
pub(super) fn note_arguments(command: &mut Cmd, at: &Address, bump: Bump) {
    if let Some(recording) = bump.record {
        command
            .arg(EdgeSubject::of_entity(at.name()).field())
            .arg(recording.wish(bump.strength).letter())
            .arg(recording.life)
            .arg(NAMES);
    }
}

/// Field and value in turns, as HGETALL answers over RESP2; in pairs over RESP3.
fn notes_of(bucket: u16, record: Value) -> Vec<PurgeNote> {
    let bytes = |value: &Value| match value {
        Value::BulkString(bytes) => bytes.clone(),
        _ => Vec::new(),
    };
    let note = |field: &Value, value: &Value| PurgeNote {
        bucket,
        field: bytes(field),
        value: bytes(value),
    };
    match record {
        Value::Array(values) => values
            .chunks_exact(2)
            .map(|pair| note(&pair[0], &pair[1]))
            .collect(),
        Value::Map(pairs) => pairs
            .iter()
            .map(|(field, value)| note(field, value))
            .collect(),
        _ => Vec::new(),
    }
}

/// Names of entities that the record of a bucket holds: with one more, one field stands for everything.
pub(super) const NAMES: usize = 1000;
/// The same for the tags, which share one bucket.
pub(super) const TAGS: usize = 10_000;
/// Records that are read in one round trip.
const RECORDS_AT_ONCE: usize = 8;
/// Notes that one script compares: it must not keep others waiting.
const NOTES_AT_ONCE: usize = 256;
/// Such scripts in one pipeline.
const SCRIPTS_AT_ONCE: usize = 16;
