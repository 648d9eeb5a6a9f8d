//! Which protocols keep an old value from coming back, and which do not: the table of `docs/models.md`.
//!
//! Each name says variant, faults and verdict. What breaks must be found broken, or the model could not see it.

use tricache_models::{
    explore::{breaks, holds},
    variants::{
        Harm::{self, StaleRead, Stuck},
        Invalidation, Load, Mark, Variant,
    },
};

fn unique() -> Variant {
    Variant::unique()
}

fn tokens() -> Variant {
    Variant {
        mark: Mark::Tokens,
        ..unique()
    }
}

fn looking_for(looked_for: Harm, variant: &Variant) -> Variant {
    Variant {
        looked_for: Some(looked_for),
        ..*variant
    }
}

#[test]
fn v00_deleting_the_value_after_the_commit_breaks() {
    let aside = Variant {
        invalidation: Invalidation::Delete,
        ..unique()
    };

    breaks(looking_for(StaleRead, &aside));
    breaks(looking_for(Stuck, &aside));
}

#[test]
fn v01_a_counter_without_faults_holds() {
    holds(Variant {
        invalidation: Invalidation::Counter,
        ..unique()
    });
}

#[test]
fn v02_a_counter_that_is_evicted_breaks() {
    let evicted = Variant {
        invalidation: Invalidation::Counter,
        evictions: 1,
        ..unique()
    };

    breaks(looking_for(StaleRead, &evicted));
    breaks(looking_for(Stuck, &evicted));
}

#[test]
fn v03_a_unique_pointer_that_is_evicted_holds() {
    holds(Variant {
        evictions: 2,
        ..unique()
    });
}

#[test]
fn v04_a_version_read_after_the_load_breaks() {
    let after = Variant {
        stamp_after_load: true,
        ..unique()
    };

    breaks(looking_for(StaleRead, &after));
    breaks(looking_for(Stuck, &after));
}

#[test]
fn v05_a_writer_that_dies_before_its_bump_leaves_an_old_value_but_no_acknowledged_one() {
    let dies = Variant {
        crashes: 1,
        ..unique()
    };

    holds(looking_for(StaleRead, &dies));
    breaks(looking_for(Stuck, &dies));
}

#[test]
fn v06_a_flag_before_the_commit_breaks_with_two_writers() {
    let flag = Variant {
        mark: Mark::Flag,
        crashes: 1,
        ..unique()
    };

    holds(looking_for(StaleRead, &flag));
    breaks(looking_for(Stuck, &flag));
}

#[test]
fn v07_a_token_for_each_writer_holds_when_one_dies() {
    holds(Variant {
        crashes: 1,
        ..tokens()
    });
}

#[test]
fn v07b_tokens_hold_when_the_pointer_is_evicted_too() {
    holds(Variant {
        crashes: 1,
        evictions: 1,
        ..tokens()
    });
}

#[test]
fn v08_loads_from_a_lagging_replica_break() {
    let blind = Variant {
        load: Load::Replica,
        ..unique()
    };

    breaks(looking_for(StaleRead, &blind));
    breaks(looking_for(Stuck, &blind));
}

fn caught_up() -> Variant {
    Variant {
        load: Load::CaughtUp,
        ..unique()
    }
}

#[test]
fn v09_a_replica_that_has_reached_the_pointers_position_holds() {
    holds(caught_up());
}

#[test]
fn v09b_a_lost_pointer_that_allows_any_replica_breaks() {
    breaks(Variant {
        evictions: 1,
        lost_pointer_means_primary: false,
        ..caught_up()
    });
}

#[test]
fn v09c_a_lost_pointer_that_a_bump_makes_known_again_breaks() {
    breaks(Variant {
        evictions: 1,
        ..caught_up()
    });
}

#[test]
fn v09d_a_lost_pointer_that_means_the_primary_to_readers_and_bumps_holds() {
    holds(Variant {
        evictions: 1,
        lost_pointer_stays_unknown: true,
        ..caught_up()
    });
}

fn failover() -> Variant {
    Variant {
        failovers: 1,
        ..unique()
    }
}

#[test]
fn v10_a_failover_that_loses_the_tail_breaks() {
    breaks(looking_for(StaleRead, &failover()));
    breaks(looking_for(Stuck, &failover()));
}

#[test]
fn v11_a_fence_on_promotion_holds() {
    holds(Variant {
        fence: true,
        ..failover()
    });
}

#[test]
fn v12_a_journal_of_the_writers_heals_in_the_end_but_not_at_once() {
    let journal = Variant {
        journal: true,
        ..failover()
    };

    breaks(looking_for(StaleRead, &journal));
    holds(looking_for(Stuck, &journal));
}

#[test]
fn v12b_a_journal_that_dies_with_its_writer_breaks() {
    let journal = Variant {
        journal: true,
        crashes: 1,
        ..failover()
    };

    breaks(looking_for(StaleRead, &journal));
    breaks(looking_for(Stuck, &journal));
}

#[test]
fn v13_bumps_that_wait_for_the_replica_hold_without_a_fence() {
    holds(Variant {
        bump_waits: true,
        ..failover()
    });
}

fn fenced_tokens() -> Variant {
    Variant {
        mark: Mark::Tokens,
        fence: true,
        crashes: 1,
        lost_pointer_stays_unknown: true,
        ..failover()
    }
}

#[test]
fn v15_a_mark_that_the_failover_loses_leaves_an_old_value() {
    holds(looking_for(StaleRead, &fenced_tokens()));
    breaks(looking_for(Stuck, &fenced_tokens()));
}

#[test]
fn v16_a_mark_that_the_replica_has_confirmed_holds() {
    holds(Variant {
        mark_waits: true,
        ..fenced_tokens()
    });
}

#[test]
fn v17_everything_together_holds_under_all_faults() {
    holds(Variant {
        mark_waits: true,
        evictions: 1,
        load: Load::CaughtUp,
        ..fenced_tokens()
    });
}

#[test]
fn v18_marks_that_may_be_evicted_leave_an_old_value() {
    let evictable = Variant {
        crashes: 1,
        evictions: 1,
        marks_evictable: true,
        readers: 1,
        ..tokens()
    };

    holds(looking_for(StaleRead, &evictable));
    breaks(looking_for(Stuck, &evictable));
}
