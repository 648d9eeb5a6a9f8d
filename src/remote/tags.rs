//! The tag table in Redis: a hash of bumped tags, beside the control record of the tags' bucket.

use super::{
    RedisRemote, Remote, RemoteError, TagsKnown,
    connection::Class,
    identity::Server,
    layout::Name,
    purges::TagNotes,
    store::{number, raw, row, text},
    timed::timed,
    wire,
};
use crate::model::{Epoch, Nonce, Stamp, Strength};
use redis::Value;

impl Remote {
    /// Bumps each tag and tells every node; without any, begins the tag feed where there is none. `notes`: what the edge
    /// has to purge is noted in the same step.
    pub(crate) async fn bump_tags(
        &self,
        tags: &[u64],
        strength: Strength,
        notes: Option<TagNotes<'_>>,
    ) -> Result<Vec<Stamp>, RemoteError> {
        let answer = async {
            match self {
                Self::Redis(redis) => redis.bump_tags(tags, strength, notes).await,
                Self::Memory(memory) => {
                    memory
                        .reached()
                        .await?
                        .bump_tags(tags, strength, notes)
                        .await
                }
            }
        };
        let (stamps, by) = timed("bump_tags", answer).await?;
        if let Some(stamp) = stamps.first() {
            self.acknowledge(stamp.bucket, by).await?;
        }
        Ok(stamps)
    }
}

impl RedisRemote {
    pub(super) async fn bump_tags(
        &self,
        tags: &[u64],
        strength: Strength,
        notes: Option<TagNotes<'_>>,
    ) -> Result<(Vec<Stamp>, Server), RemoteError> {
        let bucket = self.layout.tag_bucket();
        let mut keys = self.tag_keys().to_vec();
        keys.extend(notes.map(|_| self.layout.purges(bucket)));
        let script = &self.scripts.tags_bump;
        let reply = self.run(bucket, Class::Small, script, &keys, |command| {
            command.arg(wire::letter(strength));
            if let Some(notes) = notes {
                notes.head(command, strength);
            }
            for (place, tag) in tags.iter().enumerate() {
                command.arg(hex(*tag)).arg(Nonce::random().0);
                if let Some(notes) = notes {
                    command.arg(notes.field(place));
                }
            }
        });
        let nonsense = RemoteError::Nonsense("the answer to a bump of tags");
        let Value::Array(mut fields) = reply.await? else {
            return Err(nonsense);
        };
        let owner = fields.pop();
        let owner = owner.as_ref().and_then(raw);
        let by = owner.map_or(Server::Silent, Server::owning);
        let numbers: Option<Vec<_>> = fields.iter().map(number).collect();
        match numbers.as_deref() {
            Some([epoch, positions @ ..]) if positions.len() == tags.len() => {
                let stamp = |n: &u64| Stamp {
                    bucket,
                    epoch: Epoch(*epoch),
                    n: *n,
                };
                Ok((positions.iter().map(stamp).collect(), by))
            }
            _ => Err(nonsense),
        }
    }

    pub(super) async fn tags(&self, tags: &[u64]) -> Result<TagsKnown, RemoteError> {
        let (mut known, positions) = self.read_tags(tags).await?;
        if known.head.is_some() && positions.len() != tags.len() {
            return Err(RemoteError::Nonsense("the number of tags"));
        }
        let bumps = tags.iter().zip(&positions);
        known.bumps = bumps
            .filter_map(|(tag, places)| Some((*tag, raw(places).and_then(wire::tag_bump)?)))
            .collect();
        Ok(known)
    }

    pub(super) async fn all_tags(&self) -> Result<TagsKnown, RemoteError> {
        let (mut known, pairs) = self.read_tags(&[]).await?;
        for pair in pairs.chunks_exact(2) {
            let tag = text(&pair[0]).and_then(|tag| u64::from_str_radix(tag, 16).ok());
            match (tag, raw(&pair[1]).and_then(wire::tag_bump)) {
                (Some(tag), Some(bump)) => known.bumps.push((tag, bump)),
                _ => return Err(RemoteError::Nonsense("a record of the tag table")),
            }
        }
        Ok(known)
    }

    async fn read_tags(&self, tags: &[u64]) -> Result<(TagsKnown, Vec<Value>), RemoteError> {
        let (script, keys) = (&self.scripts.tags_read, self.tag_keys());
        let class = if tags.is_empty() {
            Class::Large
        } else {
            Class::Small
        };
        let bucket = self.layout.tag_bucket();
        let reply = self.run(bucket, class, script, &keys, |command| {
            command.arg(MANY);
            for tag in tags {
                command.arg(hex(*tag));
            }
        });
        let Value::Array(mut fields) = reply.await? else {
            return Err(RemoteError::Nonsense("the answer to a question for tags"));
        };
        if fields.is_empty() {
            return Ok((TagsKnown::default(), fields));
        }
        let rest = fields.split_off(2.min(fields.len()));
        let [control, floor] = row(Value::Array(fields))?;
        let control = raw(&control).and_then(wire::head_and_owner);
        let (Some((head, by)), Some(floor)) = (control, number(&floor)) else {
            return Err(RemoteError::Nonsense("the head of the tag table"));
        };
        let known = TagsKnown {
            by,
            head: Some(head),
            floor,
            bumps: Vec::new(),
        };
        Ok((known, rest))
    }

    pub(super) async fn prune_tags(&self, longest: u64, every: u64) -> Result<(), RemoteError> {
        let (script, keys) = (&self.scripts.tags_prune, self.tag_keys());
        let (bucket, mut cursor) = (self.layout.tag_bucket(), "0".to_owned());
        loop {
            let reply = self.run(bucket, Class::Small, script, &keys, |command| {
                command.arg(longest).arg(&cursor).arg(every);
            });
            match text(&reply.await?) {
                Some("0") => return Ok(()),
                Some(next) => next.clone_into(&mut cursor),
                None => return Err(RemoteError::Nonsense("the cursor of the tag table")),
            }
        }
    }

    fn tag_keys(&self) -> [Name; 4] {
        let [control, log, channel] = self.feed(self.layout.tag_bucket());
        [control, log, channel, self.layout.tags()]
    }
}

fn hex(tag: u64) -> String {
    format!("{tag:016x}")
}

/// A node reads the whole table only up to here; beyond, entries from before its start ask one by one.
pub(super) const MANY: usize = 20_000;
