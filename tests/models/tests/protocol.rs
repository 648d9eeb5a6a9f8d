//! The protocol that was built holds in every order of its steps; without any of its protections it does not.

use tricache_models::{
    explore::{breaks, deeds, holds},
    protocol::{Protection, Protocol},
};

/// Two readers on a node, and a writer on another one.
fn far_writer() -> Protocol {
    Protocol {
        readers: &[0, 0],
        writers: &[1],
        ..Protocol::quiet()
    }
}

/// The same with three readers: one to fill, one to be late, and one to be harmed.
fn three_readers() -> Protocol {
    Protocol {
        readers: &[0, 0, 0],
        ..far_writer()
    }
}

/// A push is lost, and heartbeats tell.
fn lossy() -> Protocol {
    Protocol {
        losses: 1,
        beats: 2,
        ..far_writer()
    }
}

/// A push is lost, and the log does not have it any more.
fn gap() -> Protocol {
    Protocol {
        trims: 1,
        ..lossy()
    }
}

/// Redis loses everything, or its control record alone.
fn wiped() -> Protocol {
    Protocol {
        wipes: 1,
        beats: 2,
        ..far_writer()
    }
}

fn without(off: Protection, protocol: Protocol) -> Protocol {
    Protocol {
        off: Some(off),
        ..protocol
    }
}

#[test]
fn two_readers_and_writers_on_two_nodes_hold() {
    holds(Protocol {
        writers: &[0, 1],
        ..far_writer()
    });
}

#[test]
fn readers_on_both_nodes_hold() {
    holds(Protocol {
        readers: &[0, 1],
        writers: &[0],
        losses: 1,
        beats: 1,
        ..far_writer()
    });
}

#[test]
fn three_readers_hold_when_pointer_or_value_is_evicted() {
    holds(Protocol {
        evictions: 1,
        ..three_readers()
    });
}

#[test]
fn three_readers_hold_when_a_push_is_lost() {
    holds(Protocol {
        readers: &[0, 0, 0],
        beats: 1,
        ..lossy()
    });
}

#[test]
fn two_commits_hold_when_a_push_is_lost() {
    holds(Protocol {
        writers: &[1, 1],
        beats: 1,
        ..lossy()
    });
}

#[test]
fn two_readers_hold_when_a_push_and_its_place_in_the_log_are_lost() {
    holds(Protocol {
        slow_beats: true,
        ..gap()
    });
}

#[test]
fn two_readers_hold_when_redis_is_wiped() {
    holds(wiped());
}

#[test]
fn two_readers_hold_when_heartbeats_are_slow_and_redis_is_wiped() {
    holds(Protocol {
        beats: 1,
        slow_beats: true,
        ..wiped()
    });
}

#[test]
fn two_readers_hold_when_redis_is_wiped_and_a_push_is_lost() {
    holds(Protocol {
        losses: 1,
        ..wiped()
    });
}

/// Who finds that nothing breaks should first ask whether anything moves.
#[test]
fn every_deed_of_the_model_is_done_somewhere() {
    let mut done = deeds(Protocol {
        slow_beats: true,
        ..gap()
    });
    done.extend(deeds(Protocol {
        wipes: 1,
        evictions: 1,
        ..far_writer()
    }));

    let expected = [
        "answers, and keeps nothing",
        "asks Redis for the version of what it holds",
        "asks for the head",
        "begins, and finds no proof",
        "begins, and reads the proof",
        "bumps",
        "commits",
        "compares the head",
        "drops what it held, and takes another ticket",
        "evicts the pointer",
        "evicts the value",
        "fills",
        "hears of the next event",
        "hits the local value",
        "is wiped",
        "loads",
        "loses the control record alone",
        "loses the next event",
        "misses, and joins the load under way",
        "misses, leads, and takes a ticket",
        "opens",
        "puts, and answers",
        "renews what it holds, and answers",
        "touches its node and is acknowledged",
        "trims its log",
    ];
    assert_eq!(done.into_iter().collect::<Vec<_>>(), expected);
}

#[test]
fn whatever_stands_in_redis_being_accepted_breaks() {
    breaks(without(Protection::AcceptByEquality, far_writer()));
}

#[test]
fn a_fill_under_the_version_from_after_the_load_breaks() {
    breaks(without(
        Protection::FillUnderTheVersionFromBefore,
        far_writer(),
    ));
}

#[test]
fn versions_that_repeat_after_an_eviction_break() {
    breaks(without(
        Protection::VersionsNeverRepeat,
        Protocol {
            evictions: 1,
            ..far_writer()
        },
    ));
}

#[test]
fn a_wiped_redis_that_looks_like_an_empty_one_breaks() {
    breaks(without(Protection::FreshEpoch, wiped()));
}

#[test]
fn a_put_without_a_ticket_breaks() {
    breaks(without(Protection::Ticket, far_writer()));
}

#[test]
fn a_ticket_taken_at_the_put_breaks() {
    breaks(without(Protection::TicketBeforeTheQuestion, far_writer()));
}

#[test]
fn a_put_that_counts_as_proven_under_a_later_gap_breaks() {
    breaks(without(Protection::GapFromTheTicket, gap()));
}

#[test]
fn an_invalidation_acknowledged_before_it_touches_its_own_node_breaks() {
    breaks(without(
        Protection::TouchBeforeTheAnswer,
        Protocol {
            writers: &[0],
            ..far_writer()
        },
    ));
}

#[test]
fn joining_a_load_from_before_an_invalidation_breaks() {
    breaks(without(Protection::Detach, far_writer()));
}

#[test]
fn events_applied_as_they_come_break_when_one_is_lost() {
    breaks(without(Protection::Chain, lossy()));
}

#[test]
fn a_gap_that_leaves_local_entries_proven_breaks() {
    breaks(without(Protection::GapDoubtsEntries, gap()));
}

#[test]
fn a_gap_that_leaves_loads_joinable_breaks() {
    breaks(without(Protection::GapDetaches, gap()));
}

#[test]
fn a_missing_control_record_taken_for_a_quiet_one_breaks() {
    breaks(without(
        Protection::MissingMeansUnknown,
        Protocol {
            losses: 1,
            ..wiped()
        },
    ));
}

#[test]
fn an_entry_read_before_its_proof_breaks() {
    breaks(without(Protection::ProofBeforeEntry, lossy()));
}

#[test]
fn a_local_entry_served_without_a_proof_breaks() {
    breaks(without(Protection::OnlyProven, gap()));
}
