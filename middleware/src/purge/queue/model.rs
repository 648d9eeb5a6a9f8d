//! The queue's rule, asked with random histories beside a model that only knows what was asked and what was sent.
//!
//! No key whose last request came after the last successful send began is ever considered done: neither by the queue, which
//! must still hold it, nor by a receipt. And what somebody wanted gone hard is never done by a soft purge.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Copy, Debug)]
enum Step {
    Ask(u8, Mode),
    Depart,
    Land(Outcome),
    Pass(u64),
}

#[derive(Clone, Copy, Debug)]
enum Outcome {
    Taken,
    HalfTaken,
    Failed,
    Refused,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_key_is_done_by_a_send_that_began_before_its_last_request(
        steps in prop::collection::vec(step(), 1..60),
        longest in 2_usize..9,
        knows_everything: bool,
        has_coarser: bool,
        is_sent_twice: bool,
    ) {
        let second_after = if is_sent_twice { SECOND_AFTER } else { Duration::ZERO };
        let mut history = History::new(longest, knows_everything, has_coarser, second_after);

        for step in steps {
            history.go(step);
            history.check();
        }

        history.finish();
    }
}

fn step() -> impl Strategy<Value = Step> {
    let mode = prop_oneof![Just(Mode::Hard), Just(Mode::Soft)];
    let outcome = prop_oneof![
        3 => Just(Outcome::Taken),
        1 => Just(Outcome::HalfTaken),
        2 => Just(Outcome::Failed),
        1 => Just(Outcome::Refused),
    ];
    prop_oneof![
        4 => (0..KEYS, mode).prop_map(|(key, mode)| Step::Ask(key, mode)),
        2 => Just(Step::Depart),
        2 => outcome.prop_map(Step::Land),
        1 => (1..1500_u64).prop_map(Step::Pass),
    ]
}

/// The queue, and beside it what the outside world knows.
struct History {
    queue: Queue,
    now: Instant,
    moment: u64,
    flight: Option<(Flight, Departure)>,
    known: HashMap<u8, Known>,
    receipts: Vec<Asked>,
}

#[derive(Clone, Copy)]
struct Departure {
    moment: u64,
    at: Instant,
}

/// What is known of one key.
#[derive(Clone, Copy, Default)]
struct Known {
    asked: Option<Departure>,
    asked_hard: u64,
    sent: Option<Departure>,
    sent_hard: u64,
    given_up: bool,
}

impl Known {
    /// What was asked for since then is not given up.
    fn give_up(&mut self, departure: Departure) {
        self.given_up = self
            .asked
            .is_some_and(|asked| asked.moment < departure.moment);
        if self.asked_hard < departure.moment {
            self.asked_hard = 0;
        }
    }
}

struct Asked {
    key: u8,
    mode: Mode,
    moment: u64,
    ticket: Arc<Ticket>,
}

impl History {
    fn new(
        longest: usize,
        knows_everything: bool,
        has_coarser: bool,
        second_after: Duration,
    ) -> Self {
        let limits = Limits::new(3).soft();
        let rules = Rules {
            vendor: 0,
            name: "edge".into(),
            limits: if knows_everything {
                limits.everything()
            } else {
                limits
            },
            window: Duration::from_millis(50),
            second_after,
            longest,
            coarser: has_coarser.then(|| Arc::new(coarse) as Coarser),
        };
        Self {
            queue: Queue::new(rules),
            now: Instant::now(),
            moment: 0,
            flight: None,
            known: HashMap::new(),
            receipts: Vec::new(),
        }
    }

    fn go(&mut self, step: Step) {
        self.moment += 1;
        match step {
            Step::Ask(key, mode) => self.ask(key, mode),
            Step::Depart => self.depart(),
            Step::Land(outcome) => self.land(outcome),
            Step::Pass(ms) => self.now += Duration::from_millis(ms),
        }
    }

    fn ask(&mut self, key: u8, mode: Mode) {
        let ticket = Ticket::new(std::iter::once("edge".into()), 1);
        let asked = self.queue.ask(name(key).into(), mode, &ticket, self.now);
        if asked.is_err() {
            return;
        }
        let moment = self.moment;
        let known = self.known.entry(key).or_default();
        known.asked = Some(Departure {
            moment,
            at: self.now,
        });
        known.given_up = false;
        if mode == Mode::Hard {
            known.asked_hard = moment;
        }
        self.receipts.push(Asked {
            key,
            mode,
            moment,
            ticket,
        });
    }

    fn depart(&mut self) {
        if self.flight.is_some() || !matches!(self.queue.next(self.now, false), Next::Call(_)) {
            return;
        }
        let departure = Departure {
            moment: self.moment,
            at: self.now,
        };
        let flight = self
            .queue
            .take(self.now)
            .expect("there is something to call for");
        self.flight = Some((flight, departure));
    }

    fn land(&mut self, outcome: Outcome) {
        let Some((flight, departure)) = self.flight.take() else {
            return;
        };
        let batch = flight.batch.clone();
        let half = batch.keys().len() / 2;
        let some: Vec<_> = batch.keys().take(half).map(str::to_owned).collect();
        let taken = match outcome {
            Outcome::Taken => Done::All,
            Outcome::HalfTaken => Done::These(some),
            Outcome::Failed | Outcome::Refused => Done::These(Vec::new()),
        };
        let missing = match outcome {
            Outcome::Refused => Missing::GiveUp(PurgeError::refused("edge", "no")),
            _ => Missing::SendAgain,
        };
        for key in 0..KEYS {
            self.note(key, &batch, departure, &taken, &missing);
        }
        self.queue.land(flight, &taken, &missing);
    }

    /// What this landing tells of one key.
    fn note(
        &mut self,
        key: u8,
        batch: &Batch,
        departure: Departure,
        taken: &Done,
        missing: &Missing,
    ) {
        let Some(known) = self.known.get_mut(&key) else {
            return;
        };
        let covers =
            |named: &str| named == name(key) || coarse(&name(key)).as_deref() == Some(named);
        let named = batch.is_everything() || batch.keys().any(covers);
        let reached = match taken {
            Done::All => named,
            Done::These(keys) => keys.iter().any(|key| covers(key)),
        };
        if reached {
            known.sent = Some(departure);
            if batch.mode() == Mode::Hard {
                known.sent_hard = departure.moment;
            }
        } else if named && matches!(missing, Missing::GiveUp(_)) {
            known.give_up(departure);
        }
    }

    fn check(&self) {
        for (key, known) in &self.known {
            let asked = known.asked.expect("what is known was asked for");
            let sent_since = |sent: Departure| {
                sent.moment > asked.moment && sent.at >= asked.at + self.queue.rules.second_after
            };
            let done = known.sent.is_some_and(sent_since) && known.sent_hard >= known.asked_hard;
            assert!(
                done || known.given_up || self.is_held(*key),
                "{} is forgotten",
                name(*key)
            );
        }
        for asked in &self.receipts {
            let acknowledged = matches!(asked.ticket.verdict(), Some(Ok(())));
            let known = self.known[&asked.key];
            let sent = match asked.mode {
                Mode::Hard => known.sent_hard,
                Mode::Soft => known.sent.map_or(0, |sent| sent.moment),
            };
            assert!(
                !acknowledged || sent > asked.moment,
                "{} is acknowledged too early",
                name(asked.key)
            );
        }
    }

    fn is_held(&self, key: u8) -> bool {
        let held = |key: String| self.queue.entries.contains_key(&Target::Key(key.into()));
        held(name(key))
            || coarse(&name(key)).is_some_and(held)
            || self.queue.entries.contains_key(&Target::Everything)
    }

    /// A vendor that is well again: everything is done in the end, and everyone has an answer.
    fn finish(mut self) {
        self.land_and_check();
        for _ in 0..1000 {
            match self.queue.next(self.now, false) {
                Next::Call(_) => {
                    self.go(Step::Depart);
                    self.land_and_check();
                }
                Next::At(time) => self.now = time,
                Next::Nothing => break,
            }
        }

        assert_eq!(self.queue.entries.len(), 0);
        assert!(
            self.receipts
                .iter()
                .all(|asked| asked.ticket.verdict().is_some())
        );
    }

    fn land_and_check(&mut self) {
        self.go(Step::Land(Outcome::Taken));
        self.check();
    }
}

fn name(key: u8) -> String {
    format!("product.{key}")
}

/// Half of the keys have a coarser one.
fn coarse(key: &str) -> Option<String> {
    let number: u8 = key.strip_prefix("product.")?.parse().ok()?;
    (number < KEYS / 2).then(|| "products".to_owned())
}

const KEYS: u8 = 10;
const SECOND_AFTER: Duration = Duration::from_millis(1000);
