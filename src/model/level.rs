//! What a read may return: the levels, and what each asks of a proof and of an answer of Redis.

use super::clock::millis;
use crate::error::Error;
use serde::{Serialize, Serializer};
use std::time::Duration;

/// What a read may return; chosen per cache.
///
/// The staleness of a read is its start minus the moment at which the oldest invalidation that it missed was acknowledged. One that is
/// [pending](crate::Receipt::is_pending) is not acknowledged.
///
/// ```
/// # async fn serve() -> Result<(), tricache::Error> {
/// use std::time::Duration;
/// use tricache::{Level, Policy, Tiers};
///
/// let tiers = Tiers::builder("shop").build().await?;
/// let ttl = Policy::ttl(Duration::from_secs(600));
/// let lists = tiers.cache::<u64, String>("list", ttl)?;
/// let prices = tiers.cache::<u64, u64>("price", ttl.level(Level::Bounded(Duration::from_secs(1))))?;
/// let rights = tiers.cache::<u64, bool>("right", ttl.level(Level::Strict))?;
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Level {
    /// Data invalidated at most the feed's lag ago, about a millisecond; after a lost event at most two
    /// heartbeats (1 s by default) while connected; cut off from Redis at most the local TTL, and then the answer
    /// says so: [`Outcome::LocalUnproven`](crate::Outcome::LocalUnproven).
    #[default]
    Eventual,
    /// Nothing that was acknowledged as invalidated longer ago than this: 100 ms to one hour.
    ///
    /// A value of this process is served while a heartbeat that was sent within this time proves that its feed is live. What happens
    /// without that proof says [`Policy::when_deaf`](crate::Policy::when_deaf). Heartbeats are sent at least three times
    /// within the bound. With replicas that may be promoted say how many, by
    /// [`TiersBuilder::replicas`](crate::TiersBuilder::replicas): else a node that still speaks to a master which was replaced is
    /// not noticed.
    Bounded(#[serde(serialize_with = "as_millis")] Duration),
    /// Nothing that was acknowledged as invalidated before the read began.
    ///
    /// Each read asks Redis for version and tags, and then waits for a beat, shared by all that wait, by which the server that answered
    /// proves that it is still the one: two round trips. What cannot be proven is loaded from the store. Between the commit of a
    /// write and its acknowledgement a read may return either value, and a later one the older.
    Strict,
}

/// What a cache of [`Level::Bounded`] does with a value of this process while no heartbeat proves that the feed is live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenDeaf {
    /// Redis is asked whether its version still holds; where Redis does not answer, the store is asked.
    #[default]
    Ask,
    /// It is dropped: Redis is asked for the value, or the store.
    Drop,
    /// It is served until its local TTL is over, and says so: [`Outcome::LocalUnproven`](crate::Outcome::LocalUnproven). Such an answer
    /// may be older than the bound.
    Serve,
}

/// How far an answer of Redis is to be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// As it comes.
    AtOnce,
    /// If the server was confirmed within so many milliseconds, where it has replicas.
    Within(u64),
    /// If the server is confirmed after its answer.
    Anew,
}

/// What a level asks, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reach {
    /// For how long a heartbeat proves that a feed is live; zero: nothing is served unasked.
    pub(crate) proof: u64,
    /// Whether the heartbeat counts only if its server was confirmed.
    pub(crate) sure: bool,
    pub(crate) trust: Trust,
    /// How old a load may be that is joined without a proof.
    pub(crate) joined: u64,
    /// How long a value is kept that was loaded while Redis was away, counted from the start of its load.
    pub(crate) gutter: u64,
    pub(crate) deaf: Deaf,
}

/// What becomes of a local value that is not proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deaf {
    /// Redis is asked; where it is away, it is served as unproven.
    AskOrServe,
    Ask,
    Drop,
    Serve,
}

impl Level {
    /// `horizon`: for how long a heartbeat proves by the setting of the `Tiers`.
    pub(crate) fn reach(self, deaf: WhenDeaf, horizon: u64) -> Reach {
        match self {
            Self::Eventual => Reach {
                proof: horizon,
                sure: false,
                trust: Trust::AtOnce,
                joined: horizon,
                gutter: GUTTER,
                deaf: Deaf::AskOrServe,
            },
            Self::Bounded(bound) => {
                let bound = millis(bound);
                Reach {
                    proof: bound,
                    sure: true,
                    // Who joins a load may begin that much later than its answer was asked for: the two add up to the bound.
                    trust: Trust::Within(bound / 2),
                    joined: bound / 2,
                    gutter: GUTTER.min(bound),
                    deaf: match deaf {
                        WhenDeaf::Ask => Deaf::Ask,
                        WhenDeaf::Drop => Deaf::Drop,
                        WhenDeaf::Serve => Deaf::Serve,
                    },
                }
            }
            Self::Strict => Reach {
                proof: 0,
                sure: true,
                trust: Trust::Anew,
                joined: 0,
                gutter: 0,
                deaf: Deaf::Ask,
            },
        }
    }

    /// How often a heartbeat must be sent at least.
    pub(crate) fn beat(self) -> Option<Duration> {
        match self {
            Self::Bounded(bound) => Some(bound / BEATS),
            Self::Eventual | Self::Strict => None,
        }
    }

    pub(crate) fn check(self, deaf: WhenDeaf) -> Result<(), Error> {
        match self {
            Self::Bounded(bound) if !(SHORTEST..=LONGEST).contains(&bound) => {
                Err(Error::config(format!(
                    "the policy's level of Bounded({bound:?}) is refused: it must be {SHORTEST:?} to {LONGEST:?}"
                )))
            }
            Self::Eventual | Self::Strict if deaf != WhenDeaf::default() => {
                Err(Error::config(format!(
                    "the policy's when_deaf of {deaf:?} is refused: it is for the level Bounded"
                )))
            }
            _ => Ok(()),
        }
    }
}

fn as_millis<S: Serializer>(bound: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u64(millis(*bound))
}

/// Heartbeats within a bound: two may be late or lost before the third.
const BEATS: u32 = 3;
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(3600);
/// How long an unproven value is kept, in ms.
const GUTTER: u64 = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_what_a_read_may_be_old_whichever_way_its_value_came() {
        let reach = Level::Bounded(Duration::from_millis(301)).reach(WhenDeaf::Ask, 1000);

        assert_eq!((reach.proof, reach.gutter), (301, 301));
        let Trust::Within(trusted) = reach.trust else {
            panic!("{reach:?}")
        };
        assert!(trusted + reach.joined <= 301);
        assert!(reach.sure);
    }

    #[test]
    fn nothing_is_proven_or_kept_unasked_for_a_strict_read() {
        let reach = Level::Strict.reach(WhenDeaf::Ask, 1000);

        assert_eq!((reach.proof, reach.joined, reach.gutter), (0, 0, 0));
        assert_eq!(reach.trust, Trust::Anew);
    }

    #[test]
    fn bounds_out_of_range_and_settings_of_another_level_are_refused_by_name() {
        for bound in [Duration::ZERO, Duration::from_millis(99), Duration::MAX] {
            let error = Level::Bounded(bound).check(WhenDeaf::Ask).unwrap_err();
            assert!(error.is_config() && error.to_string().contains("Bounded"));
        }
        for level in [Level::Eventual, Level::Strict] {
            let error = level.check(WhenDeaf::Serve).unwrap_err();
            assert!(error.is_config() && error.to_string().contains("when_deaf"));
        }
        Level::Bounded(Duration::from_secs(5))
            .check(WhenDeaf::Serve)
            .unwrap();
    }
}
