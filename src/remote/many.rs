//! The protocol's operations for many entities at once: one round trip for as many as one call may carry.
//!
//! What concerns 100,000 entities goes in pieces, one after the other, so that Redis serves others in between; each
//! piece may take as long as a large value. An entity's refusal is its own: the others of its piece are answered.

use super::{
    Bump, Bumped, Fill, Filled, LARGE, Open, Opened, RedisRemote, Remote, RemoteError, Snapshot,
    connection::Class, identity::Server, node::Node, reader, store, timed::timed_many, wire,
};
use crate::model::{Address, Head};
use redis::{Cmd, Value};
use std::{collections::HashMap, sync::Arc, time::Duration};

/// What a read of many wants of one entity: its version, and the value unless only that is in doubt.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) at: &'a Address,
    pub(crate) value: bool,
}

pub(super) type Answers<T> = Vec<Result<T, RemoteError>>;

/// As for one entity each; the answers stand in the order of the questions.
impl Remote {
    /// Heads, pointers and values; the head of a bucket is asked for once. `large`: the values are known to be big.
    pub(crate) async fn read_many(&self, asks: &[Ask<'_>], large: bool) -> Answers<Snapshot> {
        let answers = async {
            let mut answers = Vec::with_capacity(asks.len());
            match self {
                Self::Redis(redis) => {
                    for piece in asks.chunks(if large { LARGE_READS } else { READS }) {
                        answers.extend(redis.read_many(piece, large).await);
                    }
                }
                Self::Memory(memory) => {
                    if let Err(error) = memory.reached().await {
                        return of_all(asks.len(), &error);
                    }
                    for ask in asks {
                        answers.push(match ask.value {
                            true => memory.read(ask.at).await,
                            false => memory.check(ask.at).await,
                        });
                    }
                }
            }
            answers
        };
        timed_many("read_many", answers).await
    }

    /// Asks for as many leases as travel in one round trip: at most [`CALLS`], so that none is taken for an answer that
    /// comes too late.
    pub(crate) async fn open_many(&self, opens: &[(&Address, Open)]) -> Answers<Opened> {
        let answers = async {
            match self {
                Self::Redis(redis) => redis.open_many(opens).await,
                Self::Memory(memory) => {
                    let mut answers = Vec::with_capacity(opens.len());
                    if let Err(error) = memory.reached().await {
                        return of_all(opens.len(), &error);
                    }
                    for (at, open) in opens {
                        answers.push(memory.open(at, *open).await);
                    }
                    answers
                }
            }
        };
        timed_many("open_many", answers).await
    }

    pub(crate) async fn fill_many(&self, fills: Vec<(&Address, Fill)>) -> Answers<Filled> {
        let answers = async {
            let mut answers = Vec::with_capacity(fills.len());
            match self {
                Self::Redis(redis) => {
                    for piece in pieces(&fills) {
                        answers.extend(redis.fill_many(piece).await);
                    }
                }
                Self::Memory(memory) => {
                    if let Err(error) = memory.reached().await {
                        return of_all(fills.len(), &error);
                    }
                    for (at, fill) in fills {
                        answers.push(memory.fill(at, fill).await);
                    }
                }
            }
            answers
        };
        timed_many("fill_many", answers).await
    }

    /// Gives leases back, each by its token.
    pub(crate) async fn release_many(&self, leases: &[(&Address, u64)]) -> Answers<()> {
        let answers = async {
            let mut answers = Vec::with_capacity(leases.len());
            match self {
                Self::Redis(redis) => {
                    for piece in leases.chunks(CALLS) {
                        answers.extend(redis.release_many(piece).await);
                    }
                }
                Self::Memory(memory) => {
                    if let Err(error) = memory.reached().await {
                        return of_all(leases.len(), &error);
                    }
                    for (at, token) in leases {
                        answers.push(memory.release(at, *token).await);
                    }
                }
            }
            answers
        };
        timed_many("release_many", answers).await
    }

    /// Keeps leases for another while, each by its token.
    pub(crate) async fn renew_many(
        &self,
        leases: &[(&Address, u64)],
        lease: Duration,
    ) -> Answers<()> {
        let answers = async {
            let mut answers = Vec::with_capacity(leases.len());
            match self {
                Self::Redis(redis) => {
                    for piece in leases.chunks(CALLS) {
                        answers.extend(redis.renew_many(piece, lease).await);
                    }
                }
                Self::Memory(memory) => {
                    if let Err(error) = memory.reached().await {
                        return of_all(leases.len(), &error);
                    }
                    for (at, token) in leases {
                        answers.push(memory.renew(at, *token, lease).await);
                    }
                }
            }
            answers
        };
        timed_many("renew_many", answers).await
    }

    /// Bumps as many entities as travel in one round trip: at most [`BUMPS`], so that each is told of soon.
    pub(crate) async fn bump_many(&self, at: &[&Address], bump: Bump) -> Answers<Bumped> {
        let answers = async {
            match self {
                Self::Redis(redis) => redis.bump_many(at, bump).await,
                Self::Memory(memory) => {
                    let mut answers = Vec::with_capacity(at.len());
                    if let Err(error) = memory.reached().await {
                        return of_all(at.len(), &error);
                    }
                    for at in at {
                        answers.push(memory.bump(at, bump).await);
                    }
                    answers
                }
            }
        };
        let answers = timed_many("bump_many", answers).await;
        let of = |bumped: &Bumped| (bumped.stamp.bucket, bumped.by);
        self.acknowledge_all(answers, of).await
    }
}

impl RedisRemote {
    async fn read_many(&self, asks: &[Ask<'_>], large: bool) -> Answers<Snapshot> {
        let class = if large || asks.len() > SMALL_READS {
            Class::Large
        } else {
            Class::Small
        };
        let buckets: Vec<_> = asks.iter().map(|ask| ask.at.id.bucket).collect();
        let buckets = &buckets;
        let read = |node: Arc<Node>, places: Vec<usize>| async move {
            let own: Vec<_> = places.iter().map(|place| asks[*place]).collect();
            self.read_many_on(&node, class, &own).await
        };
        // In a box: the compiler does not follow futures that lie so deep in each other.
        Box::pin(self.nodes.ask_all(buckets, read)).await
    }

    async fn read_many_on(&self, node: &Node, class: Class, asks: &[Ask<'_>]) -> Answers<Snapshot> {
        let on = &node.connections;
        if let Err(error) = on.check_quick() {
            return of_all(asks.len(), &error);
        }
        let commands = self.commands(asks);
        let pipeline = |_| {
            let mut pipeline = redis::Pipeline::with_capacity(commands.len());
            for command in &commands {
                pipeline.add_command(self.mget(command));
            }
            pipeline
        };
        let (replies, server) = match on.send_all(class, pipeline).await {
            Ok(answer) => answer,
            Err(error) => return of_all(asks.len(), &error),
        };
        let nonsense = RemoteError::Nonsense("the number of answers");
        let mut answers = of_all(asks.len(), &nonsense);
        for (command, reply) in commands.iter().zip(replies) {
            let snapshots = command.snapshots(reply, server);
            for (place, snapshot) in command.places.iter().zip(snapshots) {
                answers[*place] = snapshot;
            }
        }
        answers
    }

    /// One for all, or in a cluster one for each bucket.
    fn commands<'a>(&self, asks: &[Ask<'a>]) -> Vec<Command<'a>> {
        let buckets: Vec<_> = asks.iter().map(|ask| ask.at.id.bucket).collect();
        let command = |places: Vec<usize>| {
            let asks: Vec<_> = places.iter().map(|place| asks[*place]).collect();
            let mut buckets: Vec<_> = places.iter().map(|place| buckets[*place]).collect();
            buckets.sort_unstable();
            buckets.dedup();
            Command {
                places,
                asks,
                buckets,
            }
        };
        let commands = self.nodes.in_commands(&buckets).into_iter();
        commands.map(command).collect()
    }

    /// The controls of the buckets, then what each entity's question names.
    fn mget(&self, command: &Command<'_>) -> Cmd {
        let Command { asks, buckets, .. } = command;
        let names = 1 + buckets.len() + asks.len() * 2;
        let mut command = Cmd::with_capacity(names, names * NAME_BYTES);
        command.arg("MGET");
        for bucket in buckets {
            command.arg(&*self.layout.control(*bucket));
        }
        for ask in asks {
            command.arg(&*self.layout.pointer(ask.at));
            if ask.value {
                command.arg(&*self.layout.value(ask.at));
            }
        }
        command
    }

    async fn open_many(&self, opens: &[(&Address, Open)]) -> Answers<Opened> {
        let calls = opens.iter().map(|(at, open)| {
            let arguments = move |command: &mut Cmd| store::open_arguments(command, open);
            (at.id.bucket, self.keys(at), arguments)
        });
        let replies = self.run_all(Class::Small, &self.scripts.open, calls).await;
        let opened = |reply: Result<_, _>| reply.and_then(store::opened);
        replies.into_iter().map(opened).collect()
    }

    async fn fill_many(&self, fills: &[(&Address, Fill)]) -> Answers<Filled> {
        let class = if fills.iter().map(bytes_of).sum::<usize>() > LARGE {
            Class::Large
        } else {
            Class::Small
        };
        let calls = fills.iter().map(|(at, fill)| {
            let arguments = move |command: &mut Cmd| store::fill_arguments(command, at, fill);
            (at.id.bucket, self.keys(at), arguments)
        });
        let replies = self.run_all(class, &self.scripts.fill, calls).await;
        let filled = |reply: Result<_, _>| reply.and_then(|reply| store::filled(&reply));
        replies.into_iter().map(filled).collect()
    }

    async fn release_many(&self, leases: &[(&Address, u64)]) -> Answers<()> {
        let calls = leases.iter().map(|(at, token)| {
            let arguments = move |command: &mut Cmd| store::release_arguments(command, at, *token);
            (at.id.bucket, self.keys(at), arguments)
        });
        let replies = self.run_all(Class::Small, &self.scripts.fill, calls).await;
        replies.into_iter().map(|reply| reply.map(drop)).collect()
    }

    async fn renew_many(&self, leases: &[(&Address, u64)], lease: Duration) -> Answers<()> {
        let calls = leases.iter().map(|(at, token)| {
            let arguments = move |command: &mut Cmd| store::renew_arguments(command, *token, lease);
            (at.id.bucket, [self.layout.lease(at)], arguments)
        });
        let replies = self.run_all(Class::Small, &self.scripts.renew, calls).await;
        replies.into_iter().map(|reply| reply.map(drop)).collect()
    }

    async fn bump_many(&self, at: &[&Address], bump: Bump) -> Answers<Bumped> {
        let calls = at.iter().map(|at| {
            let arguments = move |command: &mut Cmd| store::bump_arguments(command, at, bump);
            (at.id.bucket, self.keys_of_bump(at, bump), arguments)
        });
        let replies = self.run_all(Class::Small, &self.scripts.bump, calls).await;
        let bumped = |(at, reply): (&&Address, Result<_, _>)| {
            reply.and_then(|reply| store::bumped(at.id.bucket, reply))
        };
        at.iter().zip(replies).map(bumped).collect()
    }
}

/// Questions of one MGET.
struct Command<'a> {
    /// Where they stand among all.
    places: Vec<usize>,
    asks: Vec<Ask<'a>>,
    /// Whose controls are read with them.
    buckets: Vec<u16>,
}

impl Command<'_> {
    fn snapshots(&self, reply: Result<Value, RemoteError>, server: Server) -> Answers<Snapshot> {
        let (asks, buckets) = (&self.asks, &self.buckets);
        let whole = buckets.len() + asks.iter().map(names_of).sum::<usize>();
        match reply.and_then(reader::values) {
            Ok(values) if values.len() == whole => snapshots(asks, buckets, values, server),
            Ok(_) => of_all(
                asks.len(),
                &RemoteError::Nonsense("the length of an answer"),
            ),
            Err(error) => of_all(asks.len(), &error),
        }
    }
}

fn names_of(ask: &Ask<'_>) -> usize {
    1 + usize::from(ask.value)
}

/// The snapshots in a reply that has as many values as names were sent.
fn snapshots(
    asks: &[Ask<'_>],
    buckets: &[u16],
    values: Vec<Value>,
    server: Server,
) -> Answers<Snapshot> {
    let own = |text: Option<Vec<u8>>| wire::own_head(text.as_deref()?, server);
    let mut values = values.into_iter().map(|value| match value {
        Value::BulkString(bytes) => Some(bytes),
        _ => None,
    });
    let heads: HashMap<u16, Option<Head>> = buckets
        .iter()
        .zip(values.by_ref())
        .map(|(bucket, text)| (*bucket, own(text)))
        .collect();
    let snapshot = |ask: &Ask<'_>| {
        let head = heads.get(&ask.at.id.bucket).copied().flatten();
        let pointer = values.next().flatten().as_deref().and_then(wire::pointer);
        let value = if ask.value {
            values.next().flatten()
        } else {
            None
        };
        Ok(Snapshot {
            by: server,
            head,
            pointer,
            value,
        })
    };
    asks.iter().map(snapshot).collect()
}

/// As many fills as a pipeline carries: so many, and so many bytes; at least one.
fn pieces<'a, 'b>(
    fills: &'b [(&'a Address, Fill)],
) -> impl Iterator<Item = &'b [(&'a Address, Fill)]> {
    let mut rest = fills;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = |fill: &&(&Address, Fill)| {
            bytes += bytes_of(fill);
            bytes <= FILL_BYTES
        };
        let count = rest.iter().take(CALLS).take_while(fits).count();
        let (piece, left) = rest.split_at(count.max(1).min(rest.len()));
        rest = left;
        (!piece.is_empty()).then_some(piece)
    })
}

fn bytes_of((_, fill): &(&Address, Fill)) -> usize {
    fill.payload.len()
}

pub(super) fn of_all<T>(count: usize, error: &RemoteError) -> Answers<T> {
    (0..count).map(|_| Err(error.clone())).collect()
}

/// Entities of one `MGET`.
const READS: usize = 1000;
/// The same where values are known to be big.
const LARGE_READS: usize = 32;
/// Beyond this many, an answer is likely to be as long as a large value, and travels as one.
const SMALL_READS: usize = 256;
/// Scripts of one pipeline: about a millisecond of the server's time.
pub(crate) const CALLS: usize = 128;
/// Bumps of one pipeline: the first is acknowledged with the last.
pub(crate) const BUMPS: usize = 64;
/// Bytes of the values of one pipeline.
const FILL_BYTES: usize = 1 << 20;
/// What the name of a record usually takes.
const NAME_BYTES: usize = 80;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{CacheName, Epoch, Generation, RenderedKey, Version};
    use std::sync::Arc;

    #[test]
    fn fills_travel_in_pieces_of_a_megabyte_and_a_bigger_one_alone() {
        let cache = Arc::new(CacheName::new("c").unwrap());
        let at = Address::new(&cache, RenderedKey::new(&1_u64, cache.seed), 0, 64);
        let sizes = [FILL_BYTES / 2, FILL_BYTES / 2, 1, 2 * FILL_BYTES, 1];
        let fills: Vec<_> = sizes.iter().map(|size| (&at, fill(*size))).collect();

        let lengths: Vec<_> = pieces(&fills).map(<[_]>::len).collect();

        assert_eq!(lengths, [2, 1, 1, 1]);
    }

    #[test]
    fn many_small_fills_travel_in_pieces_of_so_many() {
        let cache = Arc::new(CacheName::new("c").unwrap());
        let at = Address::new(&cache, RenderedKey::new(&1_u64, cache.seed), 0, 64);
        let fills: Vec<_> = (0..CALLS + 1).map(|_| (&at, fill(1))).collect();

        let lengths: Vec<_> = pieces(&fills).map(<[_]>::len).collect();

        assert_eq!(lengths, [CALLS, 1]);
        assert_eq!(pieces(&[]).count(), 0);
    }

    fn fill(bytes: usize) -> Fill {
        Fill {
            generation: Generation {
                epoch: Epoch(1),
                version: Version(1),
            },
            token: 0,
            until: 0,
            pointer_ttl: 0,
            held: None,
            payload: vec![0; bytes],
            store: None,
        }
    }
}
