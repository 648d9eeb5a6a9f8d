//! What `Bounded` and `Strict` rest on, across failover; and that each rule is needed.

use tricache_models::{
    beats::{Beats, Since},
    explore::{breaks, deeds, holds},
};

#[test]
fn a_strict_read_misses_nothing_that_was_acknowledged() {
    holds(Beats::strict());
}

#[test]
fn a_bounded_read_misses_nothing_that_is_older_than_the_bound() {
    holds(Beats::bounded());
}

#[test]
fn a_strict_read_holds_without_the_fence() {
    holds(Beats {
        fenced: false,
        ..Beats::strict()
    });
}

/// It may travel beside the read: what it tells is that nobody else was in charge when the read began.
#[test]
fn a_beat_that_was_sent_after_the_read_began_holds() {
    holds(Beats {
        read_beats: Since::Begun,
        ..Beats::strict()
    });
}

#[test]
fn a_beat_from_before_the_read_breaks() {
    breaks(Beats {
        read_beats: Since::Connected,
        ..Beats::strict()
    });
}

#[test]
fn one_confirmation_where_two_may_be_promoted_breaks() {
    breaks(Beats {
        confirmations: 1,
        ..Beats::strict()
    });
}

#[test]
fn one_confirmation_where_two_may_be_promoted_breaks_the_bound() {
    breaks(Beats {
        confirmations: 1,
        ..Beats::bounded()
    });
}

#[test]
fn a_beat_without_the_question_breaks() {
    breaks(Beats {
        asks_who: false,
        ..Beats::strict()
    });
}

#[test]
fn a_beat_without_the_question_breaks_the_bound() {
    breaks(Beats {
        asks_who: false,
        ..Beats::bounded()
    });
}

#[test]
fn an_acknowledgement_that_waits_for_nobody_breaks() {
    breaks(Beats {
        bumps_wait: false,
        ..Beats::strict()
    });
}

/// With the fence only what is loaded at the new master does harm, which takes three million states more.
#[test]
fn an_acknowledgement_that_waits_for_nobody_breaks_the_bound_without_the_fence() {
    breaks(Beats {
        bumps_wait: false,
        fenced: false,
        ..Beats::bounded()
    });
}

#[test]
fn an_acknowledgement_by_a_beat_from_before_the_bump_breaks() {
    breaks(Beats {
        bump_beats: Since::Connected,
        ..Beats::strict()
    });
}

#[test]
fn a_bound_by_beats_that_nobody_confirmed_breaks() {
    breaks(Beats {
        proofs_wait: false,
        ..Beats::bounded()
    });
}

/// What holds also moves: also after a failover there are acknowledgements and proofs.
#[test]
fn every_deed_of_the_model_is_done_somewhere() {
    let mut done = deeds(Beats::strict());
    done.extend(deeds(Beats::bounded()));

    for deed in [
        "acknowledges",
        "begins",
        "bumps",
        "connects to the first master",
        "connects to the first replica",
        "connects to the newcomer",
        "connects to the other replica",
        "copies the value",
        "fills",
        "finds nothing, and loads the old row",
        "follows whoever was promoted last",
        "gets what its master has",
        "is answered the new row, or loads",
        "is answered the old row",
        "is not confirmed in time: pending",
        "is promoted",
        "is proven",
        "passes",
        "sends a beat",
        "sends a beat, and hears of the head",
        "takes the old master's place",
    ] {
        assert!(done.contains(deed), "{deed}: {done:?}");
    }
}
