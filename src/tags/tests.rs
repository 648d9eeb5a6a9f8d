//! What the table says of an entry, step by step.

use super::*;

const EPOCH: Epoch = Epoch(7);
const TAG: u64 = 11;

fn table() -> TagTable {
    let table = TagTable::new();
    table.begin(Some(Position {
        epoch: EPOCH,
        n: 10,
    }));
    table
}

fn hard(n: u64) -> TagBump {
    TagBump::new(n, Strength::Hard)
}

fn at(n: u64) -> Place {
    Place {
        position: Some(Position { epoch: EPOCH, n }),
        generation: 0,
    }
}

fn check(table: &TagTable, place: Place) -> Standing {
    table.check(place, [TAG, 12].into_iter())
}

#[test]
fn an_entry_is_refused_once_one_of_its_tags_was_bumped_after_its_place() {
    let table = table();
    assert_eq!(check(&table, at(10)), Standing::Current);

    table.applied(EPOCH, 99, 20, Strength::Hard);
    assert_eq!(check(&table, at(10)), Standing::Current);
    table.applied(EPOCH, TAG, 30, Strength::Hard);

    assert_eq!(check(&table, at(29)), Standing::Refused);
    assert_eq!(check(&table, at(30)), Standing::Current);
}

#[test]
fn a_tag_that_shares_a_slot_with_a_bumped_one_is_not_refused() {
    let table = table();

    table.applied(EPOCH, TAG + SLOTS as u64, 30, Strength::Hard);

    assert_eq!(check(&table, at(10)), Standing::Current);
}

#[test]
fn an_entry_older_than_the_table_is_unknown_unless_it_is_refused() {
    let table = table();

    assert_eq!(check(&table, at(9)), Standing::Unknown);
    table.applied(EPOCH, TAG, 30, Strength::Hard);
    assert_eq!(check(&table, at(9)), Standing::Refused);
}

#[test]
fn an_entry_of_another_epoch_or_of_none_is_refused() {
    let table = table();
    table.begin(Some(Position {
        epoch: Epoch(8),
        n: 20,
    }));
    assert_eq!(check(&table, at(30)), Standing::Refused);

    table.begin(None);
    assert_eq!(check(&table, at(30)), Standing::Refused);
    assert_eq!(table.place().position, None);
}

#[test]
fn a_gap_makes_older_entries_ask_and_what_redis_knows_makes_the_table_complete_again() {
    let table = table();
    table.begin(Some(Position {
        epoch: EPOCH,
        n: 50,
    }));
    assert_eq!(check(&table, at(20)), Standing::Unknown);

    table.complete(EPOCH, 5, &[(TAG, hard(30))]);

    assert_eq!(check(&table, at(29)), Standing::Refused);
    assert_eq!(check(&table, at(31)), Standing::Current);
    assert_eq!(check(&table, at(4)), Standing::Refused);
    assert_eq!(table.check(at(4), [12].into_iter()), Standing::Unknown);
}

#[test]
fn what_this_node_bumped_does_not_move_its_place_on() {
    // Other nodes' bumps of before may still be on their way: a load that begins now must not claim to know them.
    let table = table();

    table.bumped(EPOCH, TAG, hard(30), 0);

    assert_eq!(table.place().position.unwrap().n, 10);
    assert_eq!(check(&table, at(10)), Standing::Refused);
}

#[test]
fn a_pending_tag_refuses_whatever_was_not_loaded_after_it() {
    let table = table();
    let before = table.place();

    table.pend(TAG);

    let after = table.place();
    assert_eq!(check(&table, before), Standing::Refused);
    assert_eq!(check(&table, at(10)), Standing::Refused);
    assert_eq!(check(&table, after), Standing::Current);
    table.bumped(EPOCH, TAG, hard(20), 0);
    assert_eq!(check(&table, before), Standing::Refused, "it still waits");
    table.bumped(EPOCH, TAG, hard(30), table.generation());
    assert_eq!(check(&table, after), Standing::Refused);
    assert_eq!(check(&table, at(30)), Standing::Current);
}

#[test]
fn a_tag_waits_no_longer_once_it_is_settled_or_everything_was_bumped() {
    let waiting = |table: &TagTable| table.read().pending.len();
    let table = table();
    let before = table.place();
    table.pend(TAG);
    let sent_at = table.generation();
    table.pend(12);

    table.settled([TAG, 12].into_iter(), sent_at);
    assert_eq!(
        (waiting(&table), check(&table, before)),
        (1, Standing::Refused)
    );
    table.bumped(EPOCH, everything_tag(), hard(20), sent_at);
    assert_eq!(waiting(&table), 1, "it was invalidated after the sending");
    table.bumped(EPOCH, everything_tag(), hard(30), table.generation());

    assert_eq!(
        (waiting(&table), check(&table, before)),
        (0, Standing::Current)
    );
}

#[test]
fn an_entry_without_a_place_is_refused_by_what_this_node_was_told_since() {
    let table = table();
    let alone = || Place {
        position: None,
        ..table.place()
    };
    let first = alone();
    table.applied(EPOCH, 99, 20, Strength::Hard);
    assert_eq!(check(&table, first), Standing::Current);
    table.applied(EPOCH, TAG, 30, Strength::Hard);

    assert_eq!(check(&table, first), Standing::Refused);
    let second = alone();
    assert_eq!(check(&table, second), Standing::Current);
    table.begin(None);
    assert_eq!(check(&table, second), Standing::Refused);
}

#[test]
fn pruned_bumps_are_forgotten_and_older_entries_ask() {
    let table = table();
    table.applied(EPOCH, TAG, 30, Strength::Hard);
    table.applied(EPOCH, 99, 40, Strength::Hard);

    table.prune(40);

    assert_eq!(table.len(), 1);
    assert_eq!(check(&table, at(29)), Standing::Unknown);
    assert_eq!(check(&table, at(30)), Standing::Current);
}

/// A node invalidated a tag just after Redis was wiped: the answer came before the feed told of the new epoch, and
/// what the node held of the old one still passed.
#[test]
fn a_bump_in_an_epoch_that_the_feed_has_not_told_of_refuses_everything() {
    let table = table();

    table.bumped(Epoch(8), TAG, hard(5), 0);

    assert_eq!(check(&table, at(10)), Standing::Refused);
    assert_eq!(table.epoch(), None);
}

/// A node without a feed loaded a value, Redis came, and the node's own invalidation of its tag was acknowledged before
/// the feed had told of any epoch: the value, which has no place in any feed, still passed.
#[test]
fn a_bump_in_an_unknown_epoch_refuses_what_was_loaded_without_a_feed() {
    let table = TagTable::new();
    let alone = table.place();
    assert_eq!(check(&table, alone), Standing::Current);

    table.bumped(EPOCH, TAG, hard(5), table.generation());

    assert_eq!(check(&table, alone), Standing::Refused);
    assert_eq!(check(&table, table.place()), Standing::Current);
}

/// A node's own invalidation was acknowledged while its feed was being asked where the new epoch stood: the answer was
/// from before it. Until the table was read from Redis, the node accepted what others had stored in between.
#[test]
fn a_feed_that_begins_before_an_own_bump_does_not_forget_it() {
    let table = table();

    table.bumped(Epoch(8), TAG, hard(50), 0);
    table.begin(Some(Position {
        epoch: Epoch(8),
        n: 40,
    }));

    let between = Place {
        position: Some(Position {
            epoch: Epoch(8),
            n: 45,
        }),
        generation: 0,
    };
    assert_eq!(check(&table, between), Standing::Unknown);
    table.complete(Epoch(8), 30, &[(TAG, hard(50))]);
    assert_eq!(check(&table, between), Standing::Refused);
}

#[test]
fn each_change_is_seen_in_the_generation() {
    let table = table();
    let changes: [&dyn Fn(); 4] = [
        &|| table.applied(EPOCH, 1, 60, Strength::Hard),
        &|| table.bumped(EPOCH, 2, hard(70), 0),
        &|| table.pend(3),
        &|| table.begin(None),
    ];
    for change in changes {
        let before = table.generation();
        change();
        assert!(table.generation() > before);
    }
}

#[test]
fn a_soft_bump_leaves_an_entry_past_its_ttl_unless_a_hard_one_came_too() {
    let table = table();
    table.applied(EPOCH, TAG, 20, Strength::Soft);
    assert_eq!(check(&table, at(10)), Standing::Expired(20));
    assert_eq!(check(&table, at(20)), Standing::Current);

    table.applied(EPOCH, TAG, 30, Strength::Hard);
    table.applied(EPOCH, TAG, 40, Strength::Soft);

    assert_eq!(check(&table, at(29)), Standing::Refused);
    assert_eq!(check(&table, at(30)), Standing::Expired(40));
}

#[test]
fn an_entry_without_a_place_is_refused_by_a_soft_bump_too() {
    let table = table();
    let place = Place {
        position: None,
        ..table.place()
    };

    table.applied(EPOCH, TAG, 20, Strength::Soft);

    assert_eq!(check(&table, place), Standing::Refused);
}
