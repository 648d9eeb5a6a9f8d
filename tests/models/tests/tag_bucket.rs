//! The tag bucket holds; without any of its protections it does not.

use tricache_models::{
    explore::{breaks, deeds, holds},
    tags::{Protection, Tagged},
};

/// A reader and a writer on two nodes.
fn far() -> Tagged {
    Tagged::built(&[0], &[1])
}

/// A reader and a writer on one node.
fn near() -> Tagged {
    Tagged::built(&[0], &[0])
}

fn lossy() -> Tagged {
    Tagged { losses: 1, ..far() }
}

fn pruned() -> Tagged {
    Tagged {
        prunings: 1,
        ..lossy()
    }
}

fn wiped() -> Tagged {
    Tagged { wipes: 1, ..far() }
}

/// Loads read another value of the tag, which is bumped elsewhere, while another tag is bumped here.
fn nested() -> Tagged {
    Tagged {
        nested: true,
        other_tag: true,
        ..Tagged::built(&[0], &[0, 1])
    }
}

/// The answer of a bump comes after the feed has begun anew.
fn late_answer() -> Tagged {
    Tagged {
        wipes: 1,
        losses: 1,
        ..Tagged::built(&[0], &[0, 1])
    }
}

fn without(off: Protection, tagged: Tagged) -> Tagged {
    Tagged {
        off: Some(off),
        ..tagged
    }
}

#[test]
fn one_writer_and_a_lost_event_hold_for_two_nodes() {
    holds(Tagged {
        losses: 1,
        ..Tagged::built(&[0, 1], &[0])
    });
}

#[test]
fn two_writers_and_a_lost_event_hold() {
    holds(Tagged {
        losses: 1,
        ..Tagged::built(&[0], &[0, 1])
    });
}

#[test]
fn two_readers_of_a_node_and_a_lost_event_hold() {
    holds(Tagged {
        losses: 1,
        ..Tagged::built(&[0, 0], &[1])
    });
}

#[test]
fn what_a_node_or_redis_forgets_holds_with_a_lost_event() {
    holds(Tagged {
        prunings: 2,
        losses: 1,
        ..Tagged::built(&[0], &[1, 1])
    });
}

#[test]
fn a_lost_tag_bucket_and_a_lost_event_hold() {
    holds(Tagged {
        losses: 1,
        ..wiped()
    });
}

#[test]
fn a_lost_tag_bucket_holds_when_an_answer_of_the_epoch_before_comes_late() {
    holds(late_answer());
}

#[test]
fn loads_that_read_another_value_hold() {
    holds(Tagged {
        losses: 1,
        ..nested()
    });
}

/// Who finds that nothing breaks should first ask whether anything moves.
#[test]
fn every_deed_of_the_model_is_done_somewhere() {
    let done = deeds(Tagged {
        prunings: 1,
        wipes: 1,
        ..lossy()
    });

    let expected = [
        "begins",
        "begins without a proof of the feed",
        "bumps the tag",
        "commits",
        "enters it into its table, and is acknowledged",
        "fills, and puts",
        "finds a value in Redis",
        "finds it checked",
        "finds it current",
        "finds it current, without a proof of the feed",
        "finds it older than the table",
        "finds it refused by the table",
        "finds none in Redis that counts",
        "forgets an old bump",
        "is told by Redis that it is current",
        "is told by Redis that it is not",
        "loads",
        "looks at an event that does not follow",
        "loses an event",
        "loses the tag bucket",
        "notices a gap",
        "reads the whole table",
        "remembers the generation",
        "serves it on Redis' word",
        "writes an event's tag into its table",
        "writes the generation",
    ];
    assert_eq!(done.into_iter().collect::<Vec<_>>(), expected);
}

#[test]
fn a_place_taken_after_the_load_breaks() {
    breaks(without(Protection::PlaceBeforeTheLoad, far()));
}

#[test]
fn a_place_of_what_redis_has_said_breaks_where_loads_read_other_values() {
    breaks(without(Protection::PlaceIsWhatWasApplied, nested()));
}

#[test]
fn an_own_bump_that_moves_the_place_breaks_where_loads_read_other_values() {
    breaks(without(Protection::OwnBumpLeavesThePlace, nested()));
}

#[test]
fn a_gap_that_leaves_the_tables_beginning_breaks() {
    breaks(without(Protection::GapRaisesTheBeginning, lossy()));
}

#[test]
fn an_older_value_that_does_not_ask_redis_breaks() {
    breaks(without(Protection::OlderAsksRedis, lossy()));
}

#[test]
fn a_bump_forgotten_by_a_node_without_a_trace_breaks() {
    breaks(without(Protection::ForgettingRaisesTheBeginning, pruned()));
}

#[test]
fn a_bump_forgotten_by_redis_without_a_trace_breaks() {
    breaks(without(Protection::ForgettingRaisesTheFloor, pruned()));
}

#[test]
fn a_value_of_another_epoch_that_is_not_refused_breaks() {
    breaks(without(Protection::EpochsAreCompared, wiped()));
}

#[test]
fn a_value_kept_without_a_place_breaks() {
    breaks(without(Protection::PlacelessIsNotKept, late_answer()));
}

#[test]
fn a_table_looked_at_before_its_generation_breaks() {
    breaks(without(Protection::GenerationBeforeTable, far()));
}

#[test]
fn a_silent_feed_that_does_not_ask_redis_breaks() {
    breaks(without(Protection::SilenceAsksRedis, far()));
}

#[test]
fn an_invalidation_acknowledged_before_its_own_table_knows_breaks() {
    breaks(without(Protection::OwnBumpBeforeTheAnswer, near()));
}
