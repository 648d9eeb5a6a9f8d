//! Single loads that begin at about the same time, as one call of a batch's loader.
//!
//! Only loads are collected: a hit, in whatever tier, waits for nobody. Each key keeps its own flight, lease and result; its
//! load is what waits here, for the one call. Nobody's going away stops that call, since it runs in a task of its own.

use super::{batch::BatchContext, core::Core, loaders::ManyLoader};
use crate::{
    error::{BoxError, Error},
    load::{Loaded, Reads, load_number, sorted, waits_for, within_load},
    model::{Address, CacheKey},
};
use futures_util::FutureExt;
use std::{
    collections::HashSet,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

/// How single loads are collected, for [`TieredCache::with_collecting_loader`](crate::TieredCache::with_collecting_loader).
#[derive(Clone, Copy, Debug)]
pub struct Collect {
    window: Duration,
    most: usize,
}

impl Collect {
    /// Waits this long, from the first key on, for others to load with it: up to a second.
    ///
    /// Each load takes that much longer, unless the call is full before. A millisecond or two is what the reads of one
    /// request need.
    #[must_use]
    pub fn within(window: Duration) -> Self {
        Self { window, most: 100 }
    }

    /// Keys of one call, 1 to 10,000; once it has them it does not wait any longer. Default: 100.
    #[must_use]
    pub fn at_most(mut self, keys: usize) -> Self {
        self.most = keys;
        self
    }

    pub(super) fn checked(self) -> Result<Self, Error> {
        if self.window > LONGEST {
            return Err(Error::config(
                "a collecting loader waits for a second at most",
            ));
        }
        if !(1..=MOST).contains(&self.most) {
            return Err(Error::config(
                "a collecting loader takes 1 to 10,000 keys at once",
            ));
        }
        Ok(self)
    }
}

/// Collects the loads of one loader.
pub(super) struct Collector<K, V> {
    core: Arc<Core<V>>,
    load: ManyLoader<K, V>,
    collect: Collect,
    open: Mutex<Option<Open<K, V>>>,
}

/// A call that may still take keys. Its task goes on as soon as this is dropped.
struct Open<K, V> {
    number: u64,
    keys: HashSet<Vec<u8>>,
    asking: mpsc::UnboundedSender<Asking<K, V>>,
}

/// A key's load, which waits for the call.
struct Asking<K, V> {
    key: K,
    at: Address,
    answer: oneshot::Sender<(Result<Loaded<V>, Error>, Reads)>,
}

impl<K, V> Collector<K, V>
where
    K: CacheKey + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    pub(super) fn new(core: Arc<Core<V>>, load: ManyLoader<K, V>, collect: Collect) -> Self {
        Self {
            core,
            load,
            collect,
            open: Mutex::default(),
        }
    }

    /// Loads keys that came together already.
    pub(super) fn load_now(
        &self,
        context: BatchContext<K>,
    ) -> impl Future<Output = Result<Vec<(K, Loaded<V>)>, BoxError>> + Send + use<K, V> {
        (self.load)(context)
    }

    /// Loads a key with those of others; called by the load of its flight.
    pub(super) async fn load(self: Arc<Self>, key: K) -> Result<Loaded<V>, BoxError> {
        let at = self.core.shelf.address(self.core.render(&key));
        let (answer, answered) = oneshot::channel();
        let number = self.join(Asking {
            key,
            at: at.clone(),
            answer,
        });
        let circles = &self.core.engine.circles;
        let _waiting = waits_for(circles, number).map_err(|()| self.core.circular(&at))?;
        // Only what ends all tasks drops the other end.
        let (answer, reads) = answered.await.map_err(|_| Error::closed())?;
        // What the call has read went into all that it answered, as far as anybody can tell.
        reads.hand_on();
        Ok(answer?.after(None)?)
    }

    /// Enters the open call or begins one; answers its number.
    fn join(&self, mut asking: Asking<K, V>) -> u64 {
        // It is whole after every step, so a panic elsewhere spoils nothing.
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(call) = &mut *open {
            // The same key again is another load of it, which an invalidation has parted from the first: each has its own row.
            if call.keys.insert(asking.at.key.bytes().to_vec()) {
                let number = call.number;
                match call.asking.send(asking) {
                    Ok(()) => {
                        if call.keys.len() >= self.collect.most {
                            *open = None;
                        }
                        return number;
                    }
                    // Its time was over.
                    Err(mpsc::error::SendError(back)) => asking = back,
                }
            }
        }
        let call = self.begin(asking);
        let number = call.number;
        *open = (self.collect.most > 1).then_some(call);
        number
    }

    fn begin(&self, first: Asking<K, V>) -> Open<K, V> {
        let number = load_number();
        let keys = HashSet::from([first.at.key.bytes().to_vec()]);
        let (asking, asked) = mpsc::unbounded_channel();
        let call = Call {
            core: Arc::clone(&self.core),
            load: Arc::clone(&self.load),
            number,
        };
        self.core
            .engine
            .tasks
            .spawn(call.run(first, asked, self.collect.window));
        Open {
            number,
            keys,
            asking,
        }
    }
}

/// One call of the loader, in its task.
struct Call<K, V> {
    core: Arc<Core<V>>,
    load: ManyLoader<K, V>,
    number: u64,
}

impl<K, V> Call<K, V>
where
    K: CacheKey + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    async fn run(
        self,
        first: Asking<K, V>,
        mut asked: mpsc::UnboundedReceiver<Asking<K, V>>,
        window: Duration,
    ) {
        let mut all = vec![first];
        let full = async {
            while let Some(asking) = asked.recv().await {
                all.push(asking);
            }
        };
        let _ = timeout(window, full).await;
        // Whoever was let in before this is in the channel; whoever comes later begins another call.
        asked.close();
        while let Some(asking) = asked.recv().await {
            all.push(asking);
        }
        let reads = Reads::new(&self.core.shelf.remote);
        match self.load(&all, &reads).await {
            Ok(answers) => {
                for (asking, answer) in all.into_iter().zip(answers) {
                    let _ = asking.answer.send((Ok(answer), reads.clone()));
                }
            }
            Err(error) => {
                for asking in all {
                    let _ = asking.answer.send((Err(error.clone()), reads.clone()));
                }
            }
        }
    }

    async fn load(&self, all: &[Asking<K, V>], reads: &Reads) -> Result<Vec<Loaded<V>>, Error> {
        let keys = all.iter().map(|asking| asking.key.clone()).collect();
        let loaded = async {
            let records = (self.load)(BatchContext::new(keys)).await;
            let records = records.map_err(Error::from_loader)?;
            let at = all.iter().map(|asking| &asking.at);
            Ok(sorted(&self.core.shelf, at, records))
        };
        // Each of its loads ends by this limit too, and is counted there; none of them could stop what all of them share.
        let limit = self.core.shelf.policy.load_timeout_or_default();
        let loaded = async {
            let loaded = timeout(limit, reads.of(loaded)).await;
            loaded.unwrap_or_else(|_| Err(Error::late_load(limit)))
        };
        let caught = AssertUnwindSafe(within_load(self.number, loaded));
        let loaded = caught.catch_unwind().await;
        loaded.unwrap_or_else(|panic| Err(Error::panicked(&*panic)))
    }
}

const LONGEST: Duration = Duration::from_secs(1);
const MOST: usize = 10_000;
