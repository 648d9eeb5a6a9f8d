//! Explores every behaviour of a system, breadth first, so that the first counterexample found is a shortest one.
//!
//! stateright lives here only. A system is explored whole: there is no limit of depth or of states, the system bounds
//! itself by how often each thing may happen in it.

use stateright::{Checker, HasDiscoveries, Model, Property};
use std::{collections::BTreeSet, fmt, hash::Hash, sync::Mutex, thread};

/// Something that several actors change step by step, in any order.
pub trait System: Send + Sync + 'static {
    /// Everything that decides what may happen next.
    type State: Clone + fmt::Debug + Hash + PartialEq + Send + Sync;

    /// Where it begins.
    fn initial(&self) -> Self::State;

    /// Adds each step that may be the next one. A state with harm in it has no next.
    fn steps(&self, state: &Self::State, steps: &mut Steps<Self::State>);

    /// What must never be, if the state shows it.
    fn harm(&self, state: &Self::State) -> Option<&'static str>;
}

/// One atomic step of one actor.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Step {
    who: &'static str,
    number: usize,
    does: &'static str,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.who, self.number, self.does)
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// The steps that may be next, with where each leads.
pub struct Steps<S>(Vec<Taken<S>>);

impl<S> Steps<S> {
    /// `who`, the `number`th of its kind, `does` something; afterwards the state is `next`.
    pub fn add(&mut self, who: &'static str, number: usize, does: &'static str, next: S) {
        let step = Step { who, number, does };
        self.0.push(Taken { step, next });
    }
}

/// A shortest way to harm.
#[derive(Debug)]
pub struct Counterexample {
    /// What must never be.
    pub harm: &'static str,
    /// How it came about.
    pub steps: Vec<Step>,
    /// States that were looked at until then.
    pub states: usize,
}

impl fmt::Display for Counterexample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}, after {} steps:", self.harm, self.steps.len())?;
        for (number, step) in (1..).zip(&self.steps) {
            writeln!(f, "  {number:2}. {step}")?;
        }
        Ok(())
    }
}

/// Explores the whole system; answers the number of its states.
///
/// # Panics
/// If harm is found, with the way to it.
#[track_caller]
pub fn holds<S: System>(system: S) -> usize {
    match explore(system) {
        Explored::Whole { states, depth } => {
            println!(
                "{}: HOLDS in all {states} states, up to {depth} steps",
                test()
            );
            states
        }
        Explored::Harm(found) => panic!("{}: BROKEN: {found}", test()),
    }
}

/// Explores the system until harm is found; answers the shortest way to it.
///
/// # Panics
/// If the whole system was explored and nothing was found.
#[track_caller]
pub fn breaks<S: System>(system: S) -> Counterexample {
    match explore(system) {
        Explored::Harm(found) => {
            println!("{}: BROKEN, {} states: {found}", test(), found.states);
            found
        }
        Explored::Whole { states, .. } => panic!("{}: holds in all {states} states", test()),
    }
}

/// What actors do in a system that holds, each deed once: who relies on a verdict may look whether the model moves at all.
///
/// # Panics
/// If harm is found.
pub fn deeds<S: System>(system: S) -> BTreeSet<&'static str> {
    let noted = std::sync::Arc::new(Mutex::new(BTreeSet::new()));
    holds(Noting {
        system,
        noted: std::sync::Arc::clone(&noted),
    });
    let noted = noted.lock().expect("no exploration panicked");
    noted.clone()
}

enum Explored {
    Whole { states: usize, depth: usize },
    Harm(Counterexample),
}

fn explore<S: System>(system: S) -> Explored {
    let checker = Explorer(system)
        .checker()
        .finish_when(HasDiscoveries::Any)
        .spawn_bfs()
        .join();
    let (states, depth) = (checker.unique_state_count(), checker.max_depth());
    let Some(path) = checker.discovery(NO_HARM) else {
        return Explored::Whole { states, depth };
    };
    let harm = checker.model().0.harm(path.last_state());
    Explored::Harm(Counterexample {
        harm: harm.expect("the path leads to harm"),
        steps: path.into_actions().iter().map(|taken| taken.step).collect(),
        states,
    })
}

/// The system as stateright wants it: an action carries where it leads, so that nothing is computed twice.
struct Explorer<S>(S);

#[derive(Clone, PartialEq)]
struct Taken<S> {
    step: Step,
    next: S,
}

impl<S> fmt::Debug for Taken<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.step)
    }
}

impl<S: System> Model for Explorer<S> {
    type State = S::State;
    type Action = Taken<S::State>;

    fn init_states(&self) -> Vec<S::State> {
        vec![self.0.initial()]
    }

    fn actions(&self, state: &S::State, actions: &mut Vec<Self::Action>) {
        if self.0.harm(state).is_none() {
            let mut steps = Steps(Vec::new());
            self.0.steps(state, &mut steps);
            actions.append(&mut steps.0);
        }
    }

    fn next_state(&self, _: &S::State, action: Self::Action) -> Option<S::State> {
        Some(action.next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![Property::always(NO_HARM, |explorer: &Self, state| {
            explorer.0.harm(state).is_none()
        })]
    }
}

struct Noting<S> {
    system: S,
    noted: std::sync::Arc<Mutex<BTreeSet<&'static str>>>,
}

impl<S: System> System for Noting<S> {
    type State = S::State;

    fn initial(&self) -> S::State {
        self.system.initial()
    }

    fn steps(&self, state: &S::State, steps: &mut Steps<S::State>) {
        self.system.steps(state, steps);
        let mut noted = self.noted.lock().expect("no exploration panicked");
        noted.extend(steps.0.iter().map(|taken| taken.step.does));
    }

    fn harm(&self, state: &S::State) -> Option<&'static str> {
        self.system.harm(state)
    }
}

/// The test that explores.
fn test() -> String {
    thread::current().name().unwrap_or("a system").to_owned()
}

const NO_HARM: &str = "no harm";
