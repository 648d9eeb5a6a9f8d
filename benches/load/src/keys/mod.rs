//! Which keys are read, which are written, and in which order.

mod plan;
mod trace;
mod zipf;

pub(crate) use self::{
    plan::{Amounts, Key, Plan, Step, Write},
    trace::Trace,
    zipf::Zipf,
};

/// The stream of ids that are read.
#[derive(Debug)]
pub(crate) enum Ids {
    /// The accesses of a trace, in their order; ends.
    Trace(Box<Trace>),
    /// Seeded draws with zipf popularity; never ends.
    Zipf(Zipf),
}

impl Ids {
    fn next(&mut self) -> Result<Option<u32>, crate::failure::Failure> {
        match self {
            Self::Trace(trace) => trace.next_id(),
            Self::Zipf(zipf) => Ok(Some(zipf.next_id())),
        }
    }
}
