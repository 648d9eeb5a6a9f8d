//! What users of tiered caches expect, where no other group of tests is its home; `docs/behaviours.md` has the whole list.

mod background;
mod callers;
mod clocks;
mod given;
mod lagging;
mod renewing;
mod sharing;
mod traffic;
