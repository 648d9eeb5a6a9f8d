//! Bad input: each has one clear outcome, and none is a wrong value, a hang or a crash.

mod keys;
mod payloads;
mod settings;
mod starts;
mod values;
