//! The writer of a node: commits in the store, then tells the cache, in one of five ways.

use std::{io, num::NonZeroU32, sync::Arc, time::Duration};

use fastrand::Rng;
use tokio::time::sleep;

use super::{
    super::{plan::ENTITIES, words::Entity},
    caches::Caches,
    reader::scattered,
};
use crate::{keys::Zipf, stop::Stop};

/// Writes until it is told to stop, or the store is gone.
pub(super) async fn run(caches: Arc<Caches>, seed: u64, stop: Stop) {
    let mut writer = Writer {
        ids: Zipf::new(KEYS, seed),
        random: Rng::with_seed(seed),
        caches,
    };
    while !stop.is_stopped() {
        if writer.write().await.is_err() {
            return;
        }
        let pause = writer.random.u64(PAUSE_MS);
        sleep(Duration::from_millis(pause)).await;
    }
}

struct Writer {
    caches: Arc<Caches>,
    random: Rng,
    ids: Zipf,
}

impl Writer {
    async fn write(&mut self) -> io::Result<()> {
        let levels: Vec<_> = self.caches.levels().collect();
        let level = levels[self.random.usize(0..levels.len())];
        let number = self.number();
        let entity = Entity { level, number };
        let (may_write, with_value) = self.caches.may_write(entity);
        if !may_write {
            return Ok(());
        }
        match self.random.u8(0..10) {
            0 => self.caches.write_by_tag(entity).await,
            1..=2 => self.caches.write_many(&self.neighbours(entity)).await,
            3 => self.write_twice(entity).await,
            4..=6 if with_value => self.caches.write_with_value(entity).await,
            _ => self.caches.write(entity).await,
        }
    }

    /// Writes again while what it has written is being loaded: whatever that load brings is old when it ends.
    async fn write_twice(&mut self, entity: Entity) -> io::Result<()> {
        self.caches.write(entity).await?;
        let pause = Duration::from_millis(self.random.u64(SOON_MS));
        let again = async {
            sleep(pause).await;
            self.caches.write(entity).await
        };
        let ((), written) = tokio::join!(self.caches.read(entity), again);
        written
    }

    /// Popular ones now and then, so that reads and writes meet; any one mostly, so that what was lost stays lost for a
    /// while.
    fn number(&mut self) -> u32 {
        if self.random.u8(0..4) == 0 {
            scattered(self.ids.next_id())
        } else {
            self.random.u32(0..ENTITIES)
        }
    }

    fn neighbours(&self, entity: Entity) -> Vec<Entity> {
        let numbers = (0..3).map(|step| (entity.number + step * 7) % ENTITIES);
        let all = numbers.map(|number| Entity { number, ..entity });
        all.filter(|entity| self.caches.may_write(*entity).0)
            .collect()
    }
}

const KEYS: NonZeroU32 = NonZeroU32::new(ENTITIES).unwrap();
/// Within a load.
const SOON_MS: std::ops::Range<u64> = 2..15;
const PAUSE_MS: std::ops::Range<u64> = 10..40;
