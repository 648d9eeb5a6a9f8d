//! Who is the master, by what each sentinel said last.
//!
//! A failover is numbered by those who agreed on it, and the number travels with the new address from sentinel to sentinel. So the
//! highest number is right, however few have heard of it, and a sentinel that was cut off pulls nobody back. What was said long ago
//! does not count beside what was said now: sentinels that were set up anew begin to count at zero.

use redis::ConnectionAddr;
use std::time::Duration;
use tokio::time::Instant;

/// The last word of each sentinel.
pub(super) struct Words {
    last: Vec<Option<Word>>,
    chosen: Option<ConnectionAddr>,
}

/// What a sentinel said, and when.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Word {
    pub(super) master: ConnectionAddr,
    /// The number of the failover that made it one; 0 if there was none, or if it is not told.
    pub(super) epoch: u64,
    pub(super) heard: Instant,
}

impl Words {
    pub(super) fn new(sentinels: usize) -> Self {
        Self {
            last: vec![None; sentinels],
            chosen: None,
        }
    }

    pub(super) fn hear(&mut self, sentinel: usize, word: Word) {
        self.last[sentinel] = Some(word);
    }

    /// Whom they name. Where nobody has said a word lately, it is as before.
    pub(super) fn choose(&mut self, now: Instant) -> Option<ConnectionAddr> {
        let lately = |word: &&Word| now.saturating_duration_since(word.heard) <= LIFE;
        let words: Vec<_> = self.last.iter().flatten().filter(lately).collect();
        let highest = words.iter().map(|word| word.epoch).max();
        let named = words.iter().filter(|word| Some(word.epoch) == highest);
        // Of one number there is one master, unless sentinels were told different things; then the most win, or who is in use.
        let votes = |master: &ConnectionAddr| {
            let votes = named.clone().filter(|word| word.master == *master).count();
            (votes, self.chosen.as_ref() == Some(master))
        };
        let best = named.clone().max_by_key(|word| votes(&word.master));
        if let Some(best) = best {
            self.chosen = Some(best.master.clone());
        }
        self.chosen.clone()
    }
}

/// How long a word counts beside newer ones of others.
const LIFE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_number_wins_however_few_say_so() {
        let mut words = Words::new(3);
        let now = Instant::now();
        let mut said = [("old", 3), ("older", 2), ("new", 4)];
        for _ in 0..said.len() {
            said.rotate_left(1);
            say(&mut words, now, said);

            assert_eq!(words.choose(now), Some(at("new")), "{said:?}");
        }
        say(&mut words, now, [("new", 4), ("old", 3), ("old", 3)]);
        assert_eq!(words.choose(now), Some(at("new")));
    }

    #[test]
    fn a_sentinel_that_is_heard_again_takes_its_word_back() {
        let mut words = Words::new(2);
        let now = Instant::now();
        say(&mut words, now, [("old", 7), ("old", 7)]);
        assert_eq!(words.choose(now), Some(at("old")));

        say(&mut words, now, [("new", 0), ("new", 0)]);

        assert_eq!(words.choose(now), Some(at("new")));
    }

    #[test]
    fn a_word_of_long_ago_does_not_count_beside_a_new_one() {
        let mut words = Words::new(2);
        let before = Instant::now();
        words.hear(0, word("old", 7, before));
        assert_eq!(words.choose(before), Some(at("old")));
        let now = before + LIFE + Duration::from_millis(1);
        assert_eq!(words.choose(now), Some(at("old")));

        words.hear(1, word("new", 0, now));

        assert_eq!(words.choose(now), Some(at("new")));
    }

    #[test]
    fn of_equal_numbers_the_most_win_and_then_who_is_in_use() {
        let mut words = Words::new(3);
        let now = Instant::now();
        words.hear(0, word("one", 0, now));
        words.hear(1, word("other", 0, now));
        let chosen = words.choose(now).unwrap();
        assert_eq!(words.choose(now), Some(chosen));

        for most in ["one", "other"] {
            words.hear(2, word(most, 0, now));
            assert_eq!(words.choose(now), Some(at(most)));
        }
        words.hear(1, word("one", 0, now));
        words.hear(2, word("one", 0, now));
        assert_eq!(words.choose(now), Some(at("one")));
    }

    #[test]
    fn nobody_is_named_before_a_first_word() {
        assert_eq!(Words::new(3).choose(Instant::now()), None);
    }

    fn say(words: &mut Words, now: Instant, said: impl IntoIterator<Item = (&'static str, u64)>) {
        for (sentinel, (master, epoch)) in said.into_iter().enumerate() {
            words.hear(sentinel, word(master, epoch, now));
        }
    }

    fn word(master: &str, epoch: u64, heard: Instant) -> Word {
        Word {
            master: at(master),
            epoch,
            heard,
        }
    }

    fn at(host: &str) -> ConnectionAddr {
        ConnectionAddr::Tcp(host.to_owned(), 6379)
    }
}
