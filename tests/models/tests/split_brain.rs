//! What `Eventual` does not promise while two masters answer, and what it would take.

use tricache_models::{
    explore::{breaks, holds},
    split_brain::SplitBrain,
};

#[test]
fn expected_broken_as_built_two_masters_break() {
    breaks(SplitBrain::built());
}

/// The tail of the old master is lost, with it a bump; and nothing from before counts on the new one.
#[test]
fn a_fence_holds_where_every_client_follows_at_once() {
    holds(SplitBrain {
        clients_follow: true,
        ..SplitBrain::built()
    });
}

/// The old pointer agrees with the old value.
#[test]
fn without_the_fence_a_lost_tail_breaks_although_every_client_follows_at_once() {
    breaks(SplitBrain {
        clients_follow: true,
        fenced: false,
        ..SplitBrain::built()
    });
}

#[test]
fn a_fence_holds_where_bumps_are_confirmed_and_clients_know_of_the_promotion() {
    holds(SplitBrain {
        bumps_wait: true,
        servers_are_known: true,
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
fn confirmed_bumps_hold_without_the_fence_where_every_client_follows_at_once() {
    holds(SplitBrain {
        bumps_wait: true,
        clients_follow: true,
        fenced: false,
        ..SplitBrain::built()
    });
}

#[test]
fn confirmed_bumps_and_known_servers_hold_without_the_fence() {
    holds(SplitBrain {
        bumps_wait: true,
        servers_are_known: true,
        fenced: false,
        ..SplitBrain::built()
    });
}
