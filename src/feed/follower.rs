//! The one task that applies events: in order, each once, and knows what it missed.
//!
//! Whatever it applies reaches the caches before the chain moves on and before anything counts as proven.

use super::{
    audience::Audience,
    chain::{Chain, Link, Standing, links},
    note::Note,
    proof::Proofs,
};
use crate::{
    model::{
        Clock, EntityId, Event, EventKind, Generation, Head, Position, Strength, TagBump, Version,
        millis, nested_tag,
    },
    observe::{Decision, Observer},
    remote::{Agreement, Heard, Push, Remote},
    tags::TagTable,
};
use std::{collections::VecDeque, sync::Arc, time::Duration};
use tokio::{
    sync::{Notify, mpsc, watch},
    time::{Instant, sleep_until},
};

/// How far the start has come.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ready {
    pub(crate) subscribed: bool,
    pub(crate) beaten: bool,
}

/// The task's parts.
pub(crate) struct Follower {
    pub(crate) remote: Arc<Remote>,
    pub(crate) proofs: Arc<Proofs>,
    pub(crate) audience: Arc<Audience>,
    pub(crate) tags: Arc<TagTable>,
    pub(crate) tag_bucket: u16,
    pub(crate) observer: Arc<Observer>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ready: watch::Sender<Ready>,
    pub(crate) beat_now: Arc<Notify>,
    /// Always true, but in tests that prove what the chain is good for.
    pub(crate) chained: bool,
}

/// The task while it runs.
struct Following {
    parts: Follower,
    chains: Vec<Chain>,
    /// In the order in which they are due.
    rechecks: VecDeque<Recheck>,
    /// Who shows entities of some bucket was lost in Redis, and nobody was told of it yet.
    forgotten: bool,
}

/// A head that was ahead of what was pushed, to be looked at again.
#[derive(Clone, Copy, Debug)]
struct Recheck {
    due: Instant,
    bucket: u16,
    head: Head,
    /// When the head was asked for; `None` if it proves nothing.
    sent: Option<u64>,
}

impl Follower {
    /// Follows until a channel is closed.
    pub(crate) async fn run(
        self,
        pushes: mpsc::UnboundedReceiver<Push>,
        notes: mpsc::UnboundedReceiver<Note>,
    ) {
        let chains = vec![Chain::default(); usize::from(self.proofs.feeds())];
        Following {
            parts: self,
            chains,
            rechecks: VecDeque::new(),
            forgotten: false,
        }
        .run(pushes, notes)
        .await;
    }
}

impl Following {
    async fn run(
        mut self,
        mut pushes: mpsc::UnboundedReceiver<Push>,
        mut notes: mpsc::UnboundedReceiver<Note>,
    ) {
        loop {
            let due = self.rechecks.front().map(|recheck| recheck.due);
            tokio::select! {
                push = pushes.recv() => match push {
                    Some(push) => self.pushed(push).await,
                    None => return,
                },
                note = notes.recv() => match note {
                    Some(note) => self.noted(note, &mut pushes).await,
                    None => return,
                },
                () = at(due), if due.is_some() => self.recheck().await,
            }
            self.tell_nested().await;
        }
    }

    async fn pushed(&mut self, push: Push) {
        match push {
            Push::Subscribed => {
                self.parts
                    .ready
                    .send_modify(|ready| ready.subscribed = true);
                self.parts.beat_now.notify_one();
            }
            Push::Wake { cache, entity } => self
                .parts
                .audience
                .tell(cache, |listener| listener.woken(entity)),
            Push::Event { bucket, event } => self.event(bucket, &event).await,
        }
    }

    async fn event(&mut self, bucket: u16, event: &Event) {
        let link = if self.parts.chained {
            self.chain(bucket).link(event)
        } else {
            Link::Next
        };
        match link {
            Link::Next => {
                self.apply(bucket, event, Decision::Event);
            }
            Link::Known => {}
            Link::Fence => {
                self.gap(bucket, Some(head_of(event))).await;
                // The first use of a bucket, most often: its entries need not ask until the next heartbeat.
                self.parts.beat_now.notify_one();
            }
            Link::Broken => self.resync(bucket).await,
        }
    }

    async fn noted(&mut self, note: Note, pushes: &mut mpsc::UnboundedReceiver<Push>) {
        match note {
            Note::Seen { bucket, head } => {
                self.compare(bucket, head, None).await;
                self.parts.proofs.looked(bucket);
            }
            Note::Beat {
                sent,
                heads,
                agreement,
            } => {
                self.beaten(sent, &heads, agreement.as_ref(), pushes).await;
                // Nothing is cached before the feed of the tags is known, which stands beside it.
                let has_tags = agreement.is_some();
                self.parts
                    .ready
                    .send_modify(|ready| ready.beaten |= has_tags);
            }
            Note::Confirmed { sent, buckets } => self.confirmed(sent, &buckets),
            #[cfg(feature = "test-util")]
            Note::CatchUp {
                sent,
                heads,
                agreement,
                confirmed,
                done,
            } => {
                self.beaten(sent, &heads, agreement.as_ref(), pushes).await;
                while !self.rechecks.is_empty() {
                    self.recheck().await;
                }
                if confirmed {
                    let heads = (0..).zip(&heads);
                    let answered = heads.filter(|(_, heard)| **heard != Heard::Unanswered);
                    let buckets: Vec<_> = answered.map(|(bucket, _)| bucket).collect();
                    self.confirmed(sent, &buckets);
                }
                // Whoever asked may have gone.
                let _ = done.send(());
            }
        }
    }

    /// What is here already is not ahead.
    async fn beaten(
        &mut self,
        sent: u64,
        heads: &[Heard],
        agreement: Option<&Agreement>,
        pushes: &mut mpsc::UnboundedReceiver<Push>,
    ) {
        while let Ok(push) = pushes.try_recv() {
            self.pushed(push).await;
        }
        if let Some(agreement) = agreement {
            self.agreed(agreement);
        }
        for (bucket, head) in (0..).zip(heads) {
            match *head {
                Heard::Head(head) => self.compare(bucket, head, Some(sent)).await,
                // The question may be older than the fence that was applied since: ask again.
                Heard::Missing if self.parts.chained && self.chain(bucket).at().is_some() => {
                    self.resync(bucket).await;
                }
                Heard::Missing => self.missing(bucket).await,
                // Another answer speaks for it, or none does and its proof runs out.
                Heard::Unanswered => {}
            }
        }
    }

    fn confirmed(&self, sent: u64, buckets: &[u16]) {
        for bucket in buckets {
            self.parts.proofs.confirm(*bucket, sent);
        }
    }

    /// A node that does not agree with the others hears nothing of what they invalidate, and serves nothing unasked.
    fn agreed(&self, agreement: &Agreement) {
        if !self.parts.proofs.agreed(*agreement == Agreement::Same) {
            return;
        }
        match agreement {
            Agreement::Same => tracing::info!("all nodes agree again: local entries are used"),
            Agreement::Other(disagreement) => {
                tracing::error!(%disagreement, "local entries are not used until all nodes agree");
            }
        }
        for bucket in 0..self.parts.proofs.feeds() {
            self.parts
                .audience
                .tell_all(|listener| listener.lost(bucket));
        }
    }

    async fn compare(&mut self, bucket: u16, head: Head, sent: Option<u64>) {
        let unknown = bucket == self.parts.tag_bucket && self.parts.tags.epoch().is_none();
        if !self.parts.chained {
            if unknown {
                self.gap(bucket, Some(head)).await;
            }
            return self.prove(bucket, sent);
        }
        match self.chain(bucket).standing(&head) {
            Standing::Current => {
                if unknown {
                    // This node's own bump has told of another epoch than the feed: the table begins anew.
                    self.gap(bucket, Some(head)).await;
                }
                self.prove(bucket, sent);
            }
            Standing::Ahead => {
                // The head may be ahead of the push, which is not a loss.
                let due = Instant::now() + LOOK_AGAIN;
                self.rechecks.push_back(Recheck {
                    due,
                    bucket,
                    head,
                    sent,
                });
            }
            Standing::First => {
                // What was filled before the first head may have been invalidated before it, too.
                self.gap(bucket, Some(head)).await;
                self.prove(bucket, sent);
            }
            Standing::Other => self.resync(bucket).await,
        }
    }

    /// A missing control record is an unknown epoch: nothing is proven, until somebody begins the next one.
    async fn missing(&mut self, bucket: u16) {
        if self.parts.chained && self.chain(bucket).at().is_some() {
            self.gap(bucket, None).await;
        }
        if bucket == self.parts.tag_bucket {
            self.begin_tags().await;
        }
    }

    /// Without a place in the tag feed nothing could be stored, so it is begun by whoever misses it first.
    async fn begin_tags(&mut self) {
        let remote = &self.parts.remote;
        let begun = match remote.bump_tags(&[], Strength::Hard, None).await {
            Ok(_) => remote.all_tags().await,
            Err(error) => Err(error),
        };
        match begun {
            Ok(known) if known.head.is_some() => {
                self.gap(self.parts.tag_bucket, known.head).await;
            }
            Ok(_) => {}
            Err(error) => {
                self.parts.observer.note(Decision::RemoteError);
                tracing::debug!(%error, "the feed of tags could not be begun");
            }
        }
    }

    async fn recheck(&mut self) {
        let Some(recheck) = self.rechecks.pop_front() else {
            return;
        };
        match self.chain(recheck.bucket).standing(&recheck.head) {
            Standing::Current => self.prove(recheck.bucket, recheck.sent),
            _ => self.resync(recheck.bucket).await,
        }
    }

    /// Fills a hole from the log, or declares the gap.
    async fn resync(&mut self, bucket: u16) {
        let sent = millis(self.parts.clock.precise());
        let after = self.chain(bucket).at().map_or(0, |at| at.n);
        let replay = match self.parts.remote.replay(bucket, after).await {
            Ok(replay) => replay,
            Err(error) => {
                // Nothing is proven meanwhile; the next heartbeat comes back to it.
                self.parts.observer.note(Decision::RemoteError);
                return tracing::debug!(%error, bucket, "a replay failed");
            }
        };
        let Some(head) = replay.head else {
            return self.missing(bucket).await;
        };
        match links(self.chain(bucket), &replay.events, &head) {
            Some(_) => self.replay(bucket, &replay.events),
            None => self.gap(bucket, Some(head)).await,
        }
        self.prove(bucket, Some(sent));
    }

    fn replay(&mut self, bucket: u16, events: &[Event]) {
        for event in events {
            if self.chain(bucket).link(event) == Link::Next {
                self.apply(bucket, event, Decision::Replay);
            }
        }
    }

    fn apply(&mut self, bucket: u16, event: &Event, how: Decision) {
        match event.kind {
            EventKind::Invalidated {
                cache,
                entity,
                strength,
            } => {
                let id = EntityId {
                    cache,
                    hash: entity,
                    bucket,
                };
                let generation = Generation {
                    epoch: event.epoch,
                    version: Version(event.n),
                };
                self.parts
                    .audience
                    .tell(cache, |listener| listener.bumped(id, generation, strength));
                self.parts.observer.note(how);
            }
            EventKind::Tagged { tag, strength } => {
                self.parts.tags.applied(event.epoch, tag, event.n, strength);
                self.parts.observer.note(Decision::TagEvent);
            }
            EventKind::Fence => {}
        }
        self.chains[usize::from(bucket)].advance(event);
        self.parts.proofs.applied(bucket, event.epoch.0, event.n);
    }

    /// Everything local of the bucket must prove itself; loads under way may not be joined.
    async fn gap(&mut self, bucket: u16, head: Option<Head>) {
        if let Some(at) = self.chain(bucket).at() {
            self.parts.observer.note(Decision::Gap);
            if head.is_none_or(|head| head.epoch != at.epoch) {
                self.parts.observer.note(Decision::NewEpoch);
            }
            tracing::info!(
                bucket,
                "a gap in the feed: local entries must prove themselves"
            );
        }
        self.note_forgotten(bucket, head);
        self.parts.proofs.gap(bucket);
        if bucket == self.parts.tag_bucket {
            self.parts.tags.begin(head.map(|head| Position {
                epoch: head.epoch,
                n: head.n,
            }));
        }
        self.parts
            .audience
            .tell_all(|listener| listener.lost(bucket));
        self.chains[usize::from(bucket)].adopt(head);
        let (epoch, n) = head.map_or((0, 0), |head| (head.epoch.0, head.n));
        self.parts.proofs.applied(bucket, epoch, n);
        if bucket == self.parts.tag_bucket && head.is_some() {
            self.read_tags().await;
        }
    }

    /// With a bucket's control record Redis has lost who shows its entities: whatever shows any is old from here on.
    fn note_forgotten(&mut self, bucket: u16, head: Option<Head>) {
        let Some(at) = self.chain(bucket).at() else {
            return;
        };
        if bucket != self.parts.tag_bucket && head.is_none_or(|head| head.epoch != at.epoch) {
            self.parts.tags.pend(nested_tag());
            self.forgotten = true;
        }
    }

    async fn tell_nested(&mut self) {
        if !self.forgotten {
            return;
        }
        let sent_at = self.parts.tags.generation();
        let (remote, tags) = (&self.parts.remote, [nested_tag()]);
        match remote.bump_tags(&tags, Strength::Hard, None).await {
            Ok(stamps) => {
                self.forgotten = false;
                for stamp in stamps {
                    self.parts.observer.note(Decision::TagBump);
                    let bump = TagBump::new(stamp.n, Strength::Hard);
                    (self.parts.tags).bumped(stamp.epoch, nested_tag(), bump, sent_at);
                }
            }
            Err(error) => {
                // The next push or heartbeat comes back to it.
                self.parts.observer.note(Decision::RemoteError);
                tracing::debug!(%error, "redis was not told that values showing others are old");
            }
        }
    }

    /// Makes the table complete again, so that entries from before the gap need not ask one by one.
    async fn read_tags(&self) {
        match self.parts.remote.all_tags().await {
            Ok(known) => {
                if let Some(head) = known.head {
                    self.parts
                        .tags
                        .complete(head.epoch, known.floor, &known.bumps);
                }
            }
            Err(error) => {
                self.parts.observer.note(Decision::RemoteError);
                tracing::debug!(%error, "the table of tags could not be read");
            }
        }
    }

    fn prove(&self, bucket: u16, sent: Option<u64>) {
        if let Some(sent) = sent {
            self.parts.proofs.prove(bucket, sent);
        }
    }

    fn chain(&self, bucket: u16) -> &Chain {
        &self.chains[usize::from(bucket)]
    }
}

fn head_of(event: &Event) -> Head {
    Head {
        epoch: event.epoch,
        n: event.n,
        nonce: event.nonce,
        high: event.n,
    }
}

async fn at(due: Option<Instant>) {
    if let Some(due) = due {
        sleep_until(due).await;
    }
}

/// How long a push may take before a head that is ahead counts as a loss.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
