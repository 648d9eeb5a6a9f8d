//! Small concurrent parts under all schedules and memory orders.
//!
//! loom needs types of its own, so each part is copied here in the smallest form that is still faithful, with the place
//! that it stands for. What is loom's is named in these files only.

mod gate;
mod handover;
mod tag_generation;

use std::panic::{AssertUnwindSafe, catch_unwind};

/// No schedule does harm.
fn holds(model: impl Fn() + Sync + Send + 'static) {
    explore(model);
    println!("HOLDS");
}

/// Every schedule with at most three switches that no thread has asked for: more of them find nothing else in parts as
/// small as these, and take minutes.
fn explore(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

/// Some schedule does this harm.
///
/// # Panics
/// If none does, or another.
fn breaks(harm: &str, model: impl Fn() + Sync + Send + 'static) {
    let explored = catch_unwind(AssertUnwindSafe(|| explore(model)));
    let panic = explored.expect_err("a schedule that does harm");
    let said = (panic.downcast_ref::<String>().map(String::as_str))
        .or_else(|| panic.downcast_ref::<&str>().copied());
    let said = said.expect("a panic says why");
    assert!(said.contains(harm), "another harm: {said}");
    println!("BROKEN: {harm}");
}
