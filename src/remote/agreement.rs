//! What all nodes of a namespace must agree on, as one record: `1|buckets|hash|feed`.
//!
//! Two releases, or two settings, in one namespace would talk past each other without a word: an invalidation by one
//! would reach another bucket's feed than the other listens to. So the record is compared at the start and with each
//! heartbeat. A missing one is written again; any other text is a disagreement, whatever it says.

use super::{Layout, Remote};
use crate::error::Error;
use std::{fmt, time::Duration};

/// The record, compared with what this node has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Agreement {
    /// Nobody has said anything else.
    Same,
    Other(Disagreement),
}

/// What was found, and what this node has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Disagreement {
    found: String,
    own: String,
}

impl Remote {
    /// Waits until it answers, up to `limit`, and checks that all nodes agree and that the protocol can run on it.
    ///
    /// # Errors
    /// Unavailable if it does not answer; config if it is not as it must be.
    pub(crate) async fn check_start(&self, limit: Duration) -> Result<(), Error> {
        let agreement = match self {
            Self::Redis(redis) => redis.check_start(limit).await?,
            Self::Memory(memory) => match memory.beat(&[]).await {
                Ok(beat) => beat.agreement.unwrap_or(Agreement::Same),
                // Only tests have a hub that refuses.
                Err(_) => Agreement::Same,
            },
        };
        match agreement {
            Agreement::Same => Ok(()),
            Agreement::Other(disagreement) => Err(Error::config(disagreement.to_string())),
        }
    }
}

impl Agreement {
    pub(super) fn new(layout: &Layout, found: Option<&[u8]>) -> Self {
        let own = text(layout);
        match found {
            None => Self::Same,
            Some(found) if found == own.as_bytes() => Self::Same,
            Some(found) => Self::Other(Disagreement {
                found: readable(found),
                own,
            }),
        }
    }
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the nodes of this namespace agreed on {:?}, and this node has {:?} (format, buckets, hash, feed): \
             two releases or two settings share one namespace; give each its own",
            self.found, self.own
        )
    }
}

/// The record as this node writes it.
pub(super) fn text(layout: &Layout) -> String {
    format!("{FORMAT}|{}|{HASH}|{FEED}", layout.buckets())
}

/// Enough of a foreign text to recognise it.
fn readable(found: &[u8]) -> String {
    String::from_utf8_lossy(&found[..found.len().min(64)]).into_owned()
}

const FORMAT: u8 = 1;
/// What buckets and events are found by.
const HASH: &str = "xxh3";
/// The version of the events and of what a node does on each.
const FEED: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_is_pinned() {
        // Another text parts this release from all that are running.
        assert_eq!(text(&Layout::new(None, "shop", 64)), "1|64|xxh3|1");
    }

    #[test]
    fn a_missing_record_is_no_disagreement_and_another_text_is_one() {
        let layout = Layout::new(None, "shop", 64);

        assert_eq!(Agreement::new(&layout, None), Agreement::Same);
        assert_eq!(
            Agreement::new(&layout, Some(b"1|64|xxh3|1")),
            Agreement::Same
        );
        for other in ["1|32|xxh3|1", "1|64|xxh3|2", "2|64|xxh3|1", "", "\u{fffd}"] {
            let Agreement::Other(disagreement) = Agreement::new(&layout, Some(other.as_bytes()))
            else {
                panic!("{other:?} is not ours")
            };
            let told = disagreement.to_string();
            assert!(told.contains(&format!("{other:?}")), "{told}");
            assert!(told.contains("1|64|xxh3|1"), "{told}");
        }
    }
}
