//! What may enter a node's memory, and what must not.

use tricache_models::{
    admission::{Admission, Guard, Origin, Stamp},
    explore::{breaks, holds},
};

fn built() -> Admission {
    Admission::built()
}

fn guarded(guard: Guard) -> Admission {
    Admission { guard, ..built() }
}

fn lossy(guard: Guard) -> Admission {
    Admission {
        losses: 1,
        ..guarded(guard)
    }
}

#[test]
fn as_built_it_holds() {
    holds(built());
    holds(Admission {
        writers: &[Origin::Far],
        readers: 3,
        ..built()
    });
}

#[test]
fn as_built_it_holds_when_an_event_is_lost() {
    holds(lossy(Guard::Cell));
}

/// The neighbour's lost event puts what is held in doubt, and it is renewed while the key's own is lost.
fn lossy_twice() -> Admission {
    Admission {
        writers: &[Origin::Neighbour, Origin::Far],
        readers: 3,
        losses: 2,
        ..built()
    }
}

#[test]
fn as_built_it_holds_when_two_events_are_lost() {
    holds(lossy_twice());
}

#[test]
fn as_built_it_holds_when_the_node_itself_writes() {
    holds(Admission {
        writers: &[Origin::Near, Origin::Far],
        losses: 1,
        ..built()
    });
}

#[test]
fn as_built_it_holds_when_bumps_wait_in_the_journal() {
    holds(Admission {
        writers: &[Origin::Pending, Origin::Far],
        losses: 1,
        ..built()
    });
    holds(Admission {
        writers: &[Origin::Pending],
        readers: 3,
        ..built()
    });
}

#[test]
fn as_built_it_holds_when_a_neighbour_shares_the_cell() {
    holds(Admission {
        writers: &[Origin::Near, Origin::Far, Origin::Neighbour],
        ..built()
    });
}

#[test]
fn a_an_unconditional_put_breaks() {
    breaks(guarded(Guard::None));
}

#[test]
fn b_a_floor_holds() {
    holds(guarded(Guard::Floor));
}

#[test]
fn c_a_put_only_if_nothing_was_applied_since_holds() {
    holds(guarded(Guard::Untouched));
}

#[test]
fn d_a_lost_event_that_is_not_noticed_breaks() {
    breaks(Admission {
        gaps_are_noticed: false,
        ..lossy(Guard::Floor)
    });
}

#[test]
fn e_a_lost_event_that_is_noticed_holds() {
    holds(lossy(Guard::Floor));
}

#[test]
fn f_a_stamp_that_is_not_looked_at_breaks() {
    breaks(Admission {
        stamp: Stamp::Ignored,
        ..built()
    });
}

#[test]
fn g_a_stamp_compared_with_what_was_applied_holds() {
    holds(Admission {
        stamp: Stamp::Checked,
        ..built()
    });
}

#[test]
fn a_renewal_without_a_ticket_breaks() {
    breaks(Admission {
        renewals_are_guarded: false,
        ..lossy_twice()
    });
}

#[test]
fn an_invalidation_without_a_version_that_does_not_count_breaks() {
    breaks(Admission {
        blind_counts: false,
        writers: &[Origin::Far, Origin::Pending],
        ..built()
    });
}

#[test]
fn a_ticket_taken_after_the_journal_was_looked_into_breaks() {
    breaks(Admission {
        ticket_before_journal: false,
        writers: &[Origin::Pending],
        readers: 3,
        ..built()
    });
}
