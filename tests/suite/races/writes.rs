//! Writes of the races: a commit, and how the caches are told of it.

use super::{
    Race,
    counts::Seen,
    rows::{Kind, Row, rows_of, window_of},
    steps::{Pause, Way},
};
use std::sync::atomic::Ordering::SeqCst;
use tokio::sync::MutexGuard;
use tricache::Receipt;

impl Race {
    /// Once it is over, reads on this node owe what was told.
    pub(super) async fn write(&self, node: usize, row: Row, way: Way) {
        let _turn = self.turn(row, way).await;
        let commit = self.commit_told_by(row, way);
        let told = self.told_by(row, way, commit);
        let receipt = self.tell(node, row, way, commit).await;
        assert!(!receipt.is_pending());
        for (row, commit) in told {
            self.floors.acknowledged(node, row, commit);
        }
    }

    /// The invalidation is polled once at least, so that it goes on although nobody hears of it.
    pub(super) async fn forget_an_invalidation(&self, node: usize, row: Row, turns: u8) {
        let _turn = self.turn(row, Way::Key).await;
        let commit = self.commit(row);
        tokio::select! {
            biased;
            receipt = self.tell(node, row, Way::Key, commit) => {
                assert!(!receipt.is_pending());
                self.floors.acknowledged(node, row, commit);
            }
            () = self.pass(Pause::Turns(turns), row, 0) => {}
        }
    }

    async fn tell(&self, node: usize, row: Row, way: Way, commit: u64) -> Receipt {
        let member = &self.members[node];
        let cache = member.caches.of_kind(row.kind);
        let tiers = &member.tiers;
        let key = &row.key;
        let by_key = |times: u64| self.bumps.fetch_add(times, SeqCst);
        let told = match way {
            Way::Key => {
                by_key(1);
                cache.invalidate(key).await
            }
            Way::Keys => {
                by_key(2);
                self.tally.add(Seen::ManyKeys, 2);
                cache.invalidate_many(&[*key, row.neighbour().key]).await
            }
            Way::Insert => {
                by_key(1);
                cache.insert(key, row.inserted(commit)).await
            }
            Way::InsertAt(turns) => {
                super::yield_often(turns).await;
                let inserted = row.inserted(commit);
                let receipt = cache.insert_at(key, commit, inserted).await;
                self.note_ordered(receipt.as_ref().unwrap());
                receipt
            }
            Way::Tag => {
                self.tally.note(Seen::TagInvalidation);
                tiers.invalidate_tags([row.tag()]).await
            }
            Way::KeyAndTag => {
                by_key(1);
                self.tally.note(Seen::TagInvalidation);
                let (by_key, by_tag) =
                    tokio::join!(cache.invalidate(key), tiers.invalidate_tags([row.tag()]));
                assert!(!by_key.unwrap().is_pending());
                by_tag
            }
            Way::FoundTags => {
                let tags = row.found_tags();
                self.tally.add(Seen::TagInvalidation, tags.len() as u64);
                tiers.invalidate_tags(tags).await
            }
            Way::Clear | Way::ClearAll => {
                self.tally.note(Seen::Clearing);
                match way {
                    Way::Clear => cache.clear().await,
                    _ => tiers.clear().await,
                }
            }
        };
        told.unwrap()
    }

    /// One that came too late answers with the stamp of the one before it.
    fn note_ordered(&self, receipt: &Receipt) {
        self.tally.note(Seen::OrderedInsert);
        let stamps = receipt.stamps().iter().copied();
        self.ordered_stamps.lock().unwrap().extend(stamps);
    }

    /// What this telling makes every older value of: by a tag or a clearing, more than the row that was committed.
    fn told_by(&self, row: Row, way: Way, commit: u64) -> Vec<(Row, u64)> {
        let rows: Vec<Row> = match way {
            // Another writer may have committed since, and it is up to him to tell.
            Way::Insert | Way::InsertAt(_) => return vec![(row, commit)],
            Way::Key | Way::Tag | Way::KeyAndTag => vec![row],
            Way::Keys => vec![row, row.neighbour()],
            Way::FoundTags | Way::Clear => rows_of(window_of(row))
                .filter(|it| it.kind == row.kind)
                .collect(),
            Way::ClearAll => rows_of(window_of(row)).collect(),
        };
        // A clearing says nothing of a version, so an insert that comes late may still be the newest known.
        let ordered = !matches!(way, Way::Clear | Way::ClearAll);
        rows.into_iter()
            .filter(|row| ordered || row.kind != Kind::Ordered)
            .map(|row| (row, self.store.committed(&row)))
            .collect()
    }

    fn commit_told_by(&self, row: Row, way: Way) -> u64 {
        let told_in_order = row.kind == Kind::Ordered;
        if matches!(way, Way::Keys) {
            self.commit(row.neighbour());
        }
        if told_in_order && matches!(way, Way::Clear | Way::ClearAll) {
            return self.store.committed(&row);
        }
        self.commit(row)
    }

    fn commit(&self, row: Row) -> u64 {
        let number = self.store.commit(&row);
        let created = row.is_deleted(number - 1) && !row.is_deleted(number);
        self.tally.note(Seen::Commit);
        self.tally.add(Seen::Creation, created.into());
        self.slot(row).committed.notify_waiters();
        number
    }

    async fn turn(&self, row: Row, way: Way) -> Option<MutexGuard<'_, ()>> {
        // Two keys are neighbours, so one of them is even.
        let row = match way {
            Way::Keys if !row.takes_turns() => row.neighbour(),
            _ => row,
        };
        if !row.takes_turns() {
            return None;
        }
        Some(self.slot(row).turn.lock().await)
    }
}
