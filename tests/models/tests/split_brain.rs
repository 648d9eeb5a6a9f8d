//! What `Eventual` does not promise while two masters answer, and what it would take.

use tricache_models::{
    explore::{breaks, holds},
    split_brain::SplitBrain,
};

#[test]
fn expected_broken_as_built_two_masters_break() {
    breaks(SplitBrain::built());
}

/// The tail of the old master is lost, and its old pointer agrees with its old value.
#[test]
fn expected_broken_a_lost_tail_breaks_although_every_client_follows_at_once() {
    breaks(SplitBrain {
        clients_follow: true,
        ..SplitBrain::built()
    });
}

/// A reader that is still attached to the isolated master.
#[test]
fn expected_broken_confirmed_bumps_alone_break() {
    breaks(SplitBrain {
        bumps_wait: true,
        ..SplitBrain::built()
    });
}

#[test]
fn expected_broken_known_servers_alone_break() {
    breaks(SplitBrain {
        servers_are_known: true,
        ..SplitBrain::built()
    });
}

#[test]
fn confirmed_bumps_hold_where_every_client_follows_at_once() {
    holds(SplitBrain {
        bumps_wait: true,
        clients_follow: true,
        ..SplitBrain::built()
    });
}

#[test]
fn confirmed_bumps_and_known_servers_hold() {
    holds(SplitBrain {
        bumps_wait: true,
        servers_are_known: true,
        ..SplitBrain::built()
    });
}
