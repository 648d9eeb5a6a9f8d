//! Ten orderings, broken and right.

use tricache_models::{
    explore::{breaks, holds},
    orderings::{
        Acknowledged, Attached, Checked, EventWrites, Inner, Joined, LiveBy, Other, ReaderLoads,
        UnknownStore, copy_from_redis, flight, insert, nested_load, proof_after_a_pause, renewal,
        split_brain_reader, split_brain_writer, tag_check,
    },
};

#[test]
fn o1_joining_whatever_flies_breaks() {
    breaks(flight(Joined::WhateverFlies));
}

#[test]
fn o1_joining_what_was_not_detached_holds() {
    holds(flight(Joined::WhatWasNotDetached));
}

#[test]
fn o2_generation_then_table_in_the_reader_and_table_then_generation_in_the_event_hold() {
    holds(tag_check(
        ReaderLoads::GenerationFirst,
        EventWrites::TableFirst,
    ));
}

#[test]
fn o2_any_other_order_of_generation_and_table_breaks() {
    for (reader, event) in [
        (ReaderLoads::GenerationFirst, EventWrites::GenerationFirst),
        (ReaderLoads::TableFirst, EventWrites::TableFirst),
        (ReaderLoads::TableFirst, EventWrites::GenerationFirst),
    ] {
        breaks(tag_check(reader, event));
    }
}

#[test]
fn o3_a_copy_that_counts_as_checked_when_it_is_put_breaks() {
    breaks(copy_from_redis(Checked::AtThePut));
}

#[test]
fn o3_a_copy_that_counts_as_checked_before_the_question_holds() {
    holds(copy_from_redis(Checked::BeforeTheQuestion));
}

#[test]
fn o4_an_outer_value_that_forgets_the_inner_place_breaks() {
    breaks(nested_load(Inner::IsForgotten));
}

#[test]
fn o4_an_outer_value_that_inherits_the_inner_place_holds() {
    holds(nested_load(Inner::IsInherited));
}

#[test]
fn o5_a_renewal_without_a_ticket_breaks() {
    breaks(renewal(false));
}

#[test]
fn o5_a_renewal_with_a_ticket_holds() {
    holds(renewal(true));
}

#[test]
fn o6_an_insert_that_ignores_an_invalidation_without_a_version_breaks() {
    breaks(insert(UnknownStore::IsIgnored, Other::Invalidation));
}

#[test]
fn o6_an_insert_that_bumps_only_where_the_version_is_unknown_holds() {
    holds(insert(UnknownStore::StaysUnknown, Other::Invalidation));
}

#[test]
fn o7_an_insert_under_an_evicted_pointer_breaks() {
    breaks(insert(UnknownStore::IsIgnored, Other::InsertAndEviction));
}

#[test]
fn o7_an_insert_that_bumps_only_under_an_evicted_pointer_holds() {
    holds(insert(UnknownStore::StaysUnknown, Other::InsertAndEviction));
}

#[test]
fn o8_a_bump_acknowledged_by_a_replaced_master_breaks() {
    breaks(split_brain_writer(Acknowledged::ByItsServer));
}

#[test]
fn o8_a_bump_acknowledged_by_its_replica_holds() {
    holds(split_brain_writer(Acknowledged::ByItsReplica));
}

#[test]
fn o9_a_reader_of_an_isolated_master_breaks() {
    breaks(split_brain_reader(Attached::ToTheIsolatedMaster));
}

#[test]
fn o9_a_reader_of_the_new_master_holds() {
    holds(split_brain_reader(Attached::ToTheNewMaster));
}

#[test]
fn o10_a_buffered_event_as_proof_breaks() {
    breaks(proof_after_a_pause(LiveBy::AnEvent));
}

#[test]
fn o10_the_head_as_proof_holds() {
    holds(proof_after_a_pause(LiveBy::TheHead));
}
