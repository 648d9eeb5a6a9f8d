//! The queue, step by step: what joins, what goes together, what is sent again, and what becomes coarser.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::*;

#[test]
fn a_key_that_is_asked_for_twice_is_sent_once() {
    let mut queue = Bench::new(Limits::new(10));
    queue.ask("a", Mode::Hard);
    queue.ask("a", Mode::Hard);

    assert_eq!(queue.sends(), ["hard a"]);
    assert_eq!(queue.queue.unsent(), 0);
}

#[test]
fn a_hard_purge_wins_over_a_soft_one_in_either_order() {
    let mut queue = Bench::new(Limits::new(10).soft());
    queue.ask("a", Mode::Soft);
    queue.ask("a", Mode::Hard);
    queue.ask("b", Mode::Hard);
    queue.ask("b", Mode::Soft);

    assert_eq!(queue.sends(), ["hard a b"]);
}

#[test]
fn hard_and_soft_purges_go_apart_and_who_came_first_goes_first() {
    let mut queue = Bench::new(Limits::new(10).soft());
    queue.ask("a", Mode::Soft);
    queue.ask("b", Mode::Hard);
    queue.ask("c", Mode::Soft);

    assert_eq!(queue.sends(), ["soft a c", "hard b"]);
}

#[test]
fn batches_split_exactly_at_the_number_of_keys() {
    let mut queue = Bench::new(Limits::new(3));
    queue.ask_all(["a", "b", "c", "d", "e", "f", "g"]);

    assert_eq!(queue.sends(), ["hard a b c", "hard d e f", "hard g"]);
}

#[test]
fn batches_split_exactly_at_the_number_of_bytes() {
    // Two bytes and one beside each: nine bytes are three keys, eight are two.
    for (bytes, expected) in [
        (9, vec!["hard aa bb cc", "hard dd"]),
        (8, vec!["hard aa bb", "hard cc dd"]),
    ] {
        let mut queue = Bench::new(Limits::new(10).bytes(bytes, 1));
        queue.ask_all(["aa", "bb", "cc", "dd"]);

        assert_eq!(queue.sends(), expected, "{bytes} bytes");
    }
}

#[test]
fn a_key_waits_for_its_window_and_a_full_batch_does_not() {
    let mut queue = Bench::new(Limits::new(2));

    queue.ask("a", Mode::Hard);
    assert_eq!(queue.due_in(), Some(WINDOW));

    queue.ask("b", Mode::Hard);
    assert_eq!(queue.due_in(), Some(Duration::ZERO));
}

#[test]
fn in_a_hurry_nothing_waits_for_its_window() {
    let mut queue = Bench::new(Limits::new(10));
    queue.ask("a", Mode::Hard);

    assert!(matches!(queue.queue.next(queue.now, true), Next::Call(1)));
}

#[test]
fn a_key_that_is_asked_for_during_its_call_is_sent_again_after_it() {
    let mut queue = Bench::new(Limits::new(10));
    queue.ask("a", Mode::Hard);
    let flight = queue.depart();
    let second = queue.ask("a", Mode::Hard);

    queue.taken(flight);

    assert!(second.verdict().is_none());
    assert_eq!(queue.queue.unsent(), 1);
    assert_eq!(queue.sends(), ["hard a"]);
    assert!(matches!(second.verdict(), Some(Ok(()))));
}

#[test]
fn what_is_asked_for_softly_during_a_hard_call_goes_softly_after_it() {
    let mut queue = Bench::new(Limits::new(10).soft());
    queue.ask("a", Mode::Hard);
    let flight = queue.depart();
    queue.ask("a", Mode::Soft);

    queue.taken(flight);

    assert_eq!(queue.sends(), ["soft a"]);
}

#[test]
fn what_is_asked_for_softly_during_a_hard_call_that_fails_goes_hard() {
    let mut queue = Bench::new(Limits::new(10).soft());
    queue.ask("a", Mode::Hard);
    let flight = queue.depart();
    queue.ask("a", Mode::Soft);

    queue.lost(flight);

    assert_eq!(queue.sends(), ["hard a"]);
}

#[test]
fn what_failed_keeps_its_place() {
    let mut queue = Bench::new(Limits::new(1));
    queue.ask_all(["a", "b"]);
    let flight = queue.depart();

    queue.lost(flight);

    assert_eq!(queue.sends(), ["hard a", "hard b"]);
}

#[test]
fn of_a_batch_that_was_taken_in_part_the_rest_is_sent_again() {
    let mut queue = Bench::new(Limits::new(3));
    let tickets = queue.ask_all(["a", "b", "c"]);
    let flight = queue.depart();

    let counts = queue.land(
        flight,
        &Done::These(vec!["b".to_owned()]),
        &Missing::SendAgain,
    );

    assert_eq!(counts, (1, 0));
    let settled: Vec<_> = tickets
        .iter()
        .map(|ticket| ticket.verdict().is_some())
        .collect();
    assert_eq!(settled, [false, true, false]);
    assert_eq!(queue.sends(), ["hard a c"]);
}

#[test]
fn a_key_that_is_refused_is_given_up_unless_it_was_asked_for_again() {
    let mut queue = Bench::new(Limits::new(10));
    let first = queue.ask("a", Mode::Hard);
    queue.ask("b", Mode::Hard);
    let flight = queue.depart();
    let again = queue.ask("a", Mode::Hard);

    let counts = queue.land(flight, &Done::These(vec![]), &Missing::GiveUp(refusal()));

    assert_eq!(counts, (0, 2));
    assert!(first.verdict().unwrap().unwrap_err().is_refused());
    assert!(again.verdict().is_none());
    assert_eq!(queue.sends(), ["hard a"]);
}

#[test]
fn a_key_is_purged_a_second_time_counted_from_its_last_request() {
    let mut queue = Bench::with_second(Limits::new(10), Duration::from_secs(1));
    queue.ask("a", Mode::Hard);
    assert_eq!(queue.send(), "hard a");
    assert_eq!((queue.queue.unsent(), queue.queue.resting()), (0, 1));
    assert_eq!(queue.due_in(), Some(Duration::from_secs(1)));

    queue.now += Duration::from_secs(1);

    assert_eq!(queue.sends(), ["hard a"]);
    assert_eq!((queue.queue.unsent(), queue.queue.resting()), (0, 0));
}

#[test]
fn a_first_purge_that_comes_late_is_the_second_one_too() {
    let mut queue = Bench::with_second(Limits::new(10), Duration::from_secs(1));
    queue.ask("a", Mode::Hard);
    queue.now += Duration::from_secs(1);

    assert_eq!(queue.sends(), ["hard a"]);
    assert_eq!(queue.queue.resting(), 0);
}

#[test]
fn a_request_during_the_rest_is_sent_at_once_and_rests_anew() {
    let mut queue = Bench::with_second(Limits::new(10), Duration::from_secs(1));
    queue.ask("a", Mode::Hard);
    queue.send();
    queue.now += Duration::from_millis(900);

    let ticket = queue.ask("a", Mode::Hard);
    assert_eq!(queue.send(), "hard a");

    assert!(matches!(ticket.verdict(), Some(Ok(()))));
    assert_eq!(queue.due_in(), Some(Duration::from_secs(1)));
}

#[test]
fn a_hundred_thousand_keys_become_few_by_the_users_rule() {
    let mut queue = Bench::new(Limits::new(10));
    queue.queue.rules.coarser = Some(Arc::new(|key| {
        key.split_once('.').map(|(cache, _)| format!("all-{cache}"))
    }));
    let tickets: Vec<_> = (0..100_000)
        .map(|n| queue.ask(&format!("c{}.{n}", n % 3), Mode::Soft))
        .collect();

    assert!(
        queue.queue.entries.len() <= LONGEST,
        "{} keys wait",
        queue.queue.entries.len()
    );
    assert!(queue.queue.coarsened() > 0);

    let sent = queue.sends().join(" ");
    assert!(
        ["all-c0", "all-c1", "all-c2"]
            .iter()
            .all(|key| sent.contains(key)),
        "{sent}"
    );
    assert!(
        tickets
            .iter()
            .all(|ticket| matches!(ticket.verdict(), Some(Ok(()))))
    );
}

#[test]
fn a_hundred_thousand_keys_become_one_purge_of_everything() {
    let mut queue = Bench::new(Limits::new(10).everything());
    let tickets: Vec<_> = (0..100_000)
        .map(|n| queue.ask(&format!("product.{n}"), Mode::Soft))
        .collect();

    assert_eq!(queue.queue.entries.len(), 1);
    assert_eq!(queue.sends(), ["everything"]);
    assert!(
        tickets
            .iter()
            .all(|ticket| matches!(ticket.verdict(), Some(Ok(()))))
    );
}

#[test]
fn a_rule_that_saves_too_little_ends_in_a_purge_of_everything() {
    let mut queue = Bench::new(Limits::new(10).everything());
    queue.queue.rules.coarser = Some(Arc::new(|key| Some(format!("{key}-too"))));

    (0..=LONGEST).for_each(|n| drop(queue.ask(&n.to_string(), Mode::Hard)));

    assert_eq!(queue.sends(), ["everything"]);
}

#[test]
fn where_everything_cannot_be_purged_a_key_too_many_is_refused_and_says_so() {
    let mut queue = Bench::new(Limits::new(LONGEST));
    let tickets: Vec<_> = (0..=LONGEST)
        .map(|n| queue.ask(&n.to_string(), Mode::Hard))
        .collect();

    assert_eq!(queue.queue.entries.len(), LONGEST);
    let error = tickets[LONGEST].verdict().unwrap().unwrap_err();
    assert!(error.is_overflow());
    assert_eq!(error.vendor(), Some("edge"));

    queue.send();
    assert!(
        tickets[..LONGEST]
            .iter()
            .all(|ticket| matches!(ticket.verdict(), Some(Ok(()))))
    );
}

#[test]
fn a_rule_that_saves_nothing_is_not_asked_again_for_each_key_too_many() {
    let asked = Arc::new(AtomicUsize::new(0));
    let mut queue = Bench::new(Limits::new(10));
    let count = Arc::clone(&asked);
    queue.queue.rules.coarser = Some(Arc::new(move |_| {
        count.fetch_add(1, Relaxed);
        None
    }));

    (0..1000).for_each(|n| drop(queue.ask(&n.to_string(), Mode::Hard)));

    // Once for each that waits, and once for each that comes.
    assert_eq!(asked.load(Relaxed), LONGEST + 1000 - LONGEST);
}

#[test]
fn what_is_asked_for_while_everything_is_purged_is_sent_after_it() {
    let mut queue = Bench::new(Limits::new(10).everything());
    (0..=LONGEST).for_each(|n| drop(queue.ask(&n.to_string(), Mode::Hard)));
    let flight = queue.depart();

    queue.ask("late", Mode::Hard);
    queue.taken(flight);

    assert_eq!(queue.sends(), ["hard late"]);
}

#[test]
fn receipts_that_were_dropped_do_not_pile_up_while_a_vendor_is_away() {
    let mut queue = Bench::new(Limits::new(10));

    (0..100_000).for_each(|_| drop(queue.ask("a", Mode::Hard)));

    let entry = queue.queue.entries.values().next().unwrap();
    assert!(
        entry.waiters.held() < 10,
        "{} waiters",
        entry.waiters.held()
    );
}

#[test]
fn closing_fails_what_waits_what_flies_and_what_was_asked_for_in_between() {
    let mut queue = Bench::new(Limits::new(1));
    let mut tickets = queue.ask_all(["a", "b"]);
    let flight = queue.depart();
    tickets.extend(queue.ask_all(["a"]));

    let left = queue.queue.close(Some(flight), &PurgeError::closed());

    assert_eq!(left, 2);
    assert!(
        tickets
            .iter()
            .all(|ticket| ticket.verdict().unwrap().unwrap_err().is_closed())
    );
}

/// A queue on a clock that the test moves.
struct Bench {
    queue: Queue,
    now: Instant,
}

impl Bench {
    fn new(limits: Limits) -> Self {
        Self::with_second(limits, Duration::ZERO)
    }

    fn with_second(limits: Limits, second_after: Duration) -> Self {
        let rules = Rules {
            vendor: 0,
            name: "edge".into(),
            limits,
            window: WINDOW,
            second_after,
            longest: LONGEST,
            coarser: None,
        };
        Self {
            queue: Queue::new(rules),
            now: Instant::now(),
        }
    }

    fn ask(&mut self, key: &str, mode: Mode) -> Arc<Ticket> {
        let ticket = Ticket::new(std::iter::once("edge".into()), 1);
        // What is refused is on the ticket.
        let _ = self.queue.ask(key.into(), mode, &ticket, self.now);
        ticket
    }

    fn ask_all<const N: usize>(&mut self, keys: [&str; N]) -> Vec<Arc<Ticket>> {
        keys.iter().map(|key| self.ask(key, Mode::Hard)).collect()
    }

    fn due_in(&mut self) -> Option<Duration> {
        match self.queue.next(self.now, false) {
            Next::Call(_) => Some(Duration::ZERO),
            Next::At(time) => Some(time - self.now),
            Next::Nothing => None,
        }
    }

    fn depart(&mut self) -> Flight {
        self.queue.take(self.now).unwrap()
    }

    fn land(&mut self, flight: Flight, done: &Done, missing: &Missing) -> (usize, usize) {
        self.queue.land(flight, done, missing)
    }

    fn taken(&mut self, flight: Flight) {
        self.land(flight, &Done::All, &Missing::SendAgain);
    }

    fn lost(&mut self, flight: Flight) {
        self.land(flight, &Done::These(Vec::new()), &Missing::SendAgain);
    }

    /// One call that is taken, in words.
    fn send(&mut self) -> String {
        let flight = self.depart();
        let words = words(&flight.batch);
        self.taken(flight);
        words
    }

    /// All calls, each taken, until nothing is due without a rest.
    fn sends(&mut self) -> Vec<String> {
        let mut sends = Vec::new();
        while let Next::Call(_) = self.queue.next(self.now, true) {
            sends.push(self.send());
        }
        sends
    }
}

fn words(batch: &Batch) -> String {
    if batch.is_everything() {
        return "everything".to_owned();
    }
    let mode = if batch.mode() == Mode::Hard {
        "hard"
    } else {
        "soft"
    };
    format!("{mode} {}", batch.joined(" "))
}

fn refusal() -> PurgeError {
    PurgeError::refused("edge", "no")
}

const WINDOW: Duration = Duration::from_millis(50);
const LONGEST: usize = 100;
