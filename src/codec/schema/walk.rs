//! Walks through a type breadth first: one place per pass, until all are known.
//!
//! A pass that does not get to its place was refused a sample on the way. The next sample is tried
//! there, and remembered for the passes to come. Named types are entered once, where they are met first.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};

use serde::de::DeserializeOwned;

use super::error::{Reason, SchemaError};
use super::probe::{Choice, Found, Identity, MAX_DEPTH, Pass, Path, Probe, Stop};
use super::shape::Shape;

/// A type with its parts; node 0 is the root. Recursive types make it a graph.
pub(super) struct Graph {
    pub(super) nodes: Vec<Node>,
}

pub(super) struct Node {
    pub(super) shape: Shape,
    pub(super) children: Vec<usize>,
    identity: Option<Identity>,
}

/// Finds every part of `V`.
pub(super) fn walk<V: DeserializeOwned>(human_readable: bool) -> Result<Graph, SchemaError> {
    let mut walk = Walk::new(human_readable);
    while let Some(path) = walk.queue.pop_front() {
        let found = walk.find::<V>(&path)?;
        walk.add(&path, found)?;
    }
    Ok(Graph { nodes: walk.nodes })
}

struct Walk {
    human_readable: bool,
    nodes: Vec<Node>,
    named: HashMap<(Identity, Shape), usize>,
    queue: VecDeque<Path>,
    choices: HashMap<Path, usize>,
    passes_left: usize,
    steps_left: usize,
}

impl Walk {
    fn new(human_readable: bool) -> Self {
        Self {
            human_readable,
            nodes: Vec::new(),
            named: HashMap::new(),
            queue: VecDeque::from([Path::new()]),
            choices: HashMap::new(),
            passes_left: MAX_PASSES,
            steps_left: MAX_STEPS,
        }
    }

    /// Sends passes to the place until one gets there.
    fn find<V: DeserializeOwned>(&mut self, target: &[usize]) -> Result<Found, SchemaError> {
        if target.len() > MAX_DEPTH {
            return Err(self.error(target, Reason::TooLarge));
        }
        loop {
            self.passes_left = self.passes_left.saturating_sub(1);
            if self.passes_left == 0 || self.steps_left == 0 {
                return Err(self.error(target, Reason::TooLarge));
            }
            match self.pass::<V>(target) {
                Ok(found) => return Ok(found),
                Err((choice, refusal)) => self.choose_another(target, choice, refusal)?,
            }
        }
    }

    /// One pass: what it found, or the choice to blame and what the type said.
    fn pass<V: DeserializeOwned>(
        &mut self,
        target: &[usize],
    ) -> Result<Found, (Option<Choice>, String)> {
        let pass = Pass {
            target,
            human_readable: self.human_readable,
            choices: &self.choices,
            found: Cell::new(None),
            refused: RefCell::new(None),
            last: RefCell::new(None),
            steps: Cell::new(0),
            max_steps: self.steps_left,
        };
        let refusal = match V::deserialize(Probe::root(&pass)) {
            Ok(_) => "it was read without being reached".to_owned(),
            Err(Stop(refusal)) => refusal,
        };
        self.steps_left = self.steps_left.saturating_sub(pass.steps.get());
        match pass.found.get() {
            Some(found) => Ok(found),
            None => Err((pass.refused.take().or(pass.last.take()), refusal)),
        }
    }

    fn choose_another(
        &mut self,
        target: &[usize],
        choice: Option<Choice>,
        last_refusal: String,
    ) -> Result<(), SchemaError> {
        let reason = Reason::NoSample { last_refusal };
        let Some(Choice { at, options }) = choice else {
            return Err(self.error(target, reason));
        };
        let chosen = self.choices.get(&at).copied().unwrap_or(0) + 1;
        if chosen >= options {
            return Err(self.error(&at, reason));
        }
        self.choices.insert(at, chosen);
        Ok(())
    }

    fn add(&mut self, path: &[usize], found: Found) -> Result<(), SchemaError> {
        if found.shape == Shape::SelfDescribing {
            return Err(self.error(path, Reason::SelfDescribing));
        }
        let id = match self.met_before(path, found) {
            Some(id) => id,
            None => self.add_node(path, found),
        };
        if let [way @ .., child] = path {
            let parent = self.nodes_on(way).last().copied().unwrap_or(0);
            self.nodes[parent].children[*child] = id;
        }
        Ok(())
    }

    /// A named type is the same wherever it stands; anything else only where it contains itself.
    fn met_before(&self, path: &[usize], found: Found) -> Option<usize> {
        let identity = found.identity?;
        if found.shape.name().is_some() {
            return self.named.get(&(identity, found.shape)).copied();
        }
        let parents = path.split_last().map(|(_, way)| self.nodes_on(way))?;
        parents.into_iter().find(|id| {
            let node = &self.nodes[*id];
            node.shape == found.shape && node.identity == Some(identity)
        })
    }

    fn add_node(&mut self, path: &[usize], found: Found) -> usize {
        let id = self.nodes.len();
        let arity = found.shape.arity();
        self.nodes.push(Node {
            shape: found.shape,
            children: vec![UNKNOWN; arity],
            identity: found.identity,
        });
        if let (Some(identity), Some(_)) = (found.identity, found.shape.name()) {
            self.named.insert((identity, found.shape), id);
        }
        let children = (0..arity).map(|child| [path, &[child]].concat());
        self.queue.extend(children);
        id
    }

    /// The known nodes from the root to the end of the path.
    fn nodes_on(&self, path: &[usize]) -> Vec<usize> {
        let mut nodes = Vec::new();
        let mut id = 0;
        for child in path {
            let Some(node) = self.nodes.get(id) else {
                break;
            };
            nodes.push(id);
            id = node.children.get(*child).copied().unwrap_or(UNKNOWN);
        }
        if id < self.nodes.len() {
            nodes.push(id);
        }
        nodes
    }

    fn error(&self, path: &[usize], reason: Reason) -> SchemaError {
        let root = self.nodes.first().and_then(|node| node.shape.name());
        let steps = self.nodes_on(path).into_iter().zip(path);
        let steps = steps.filter_map(|(id, child)| self.nodes[id].shape.step(*child));
        let words: Vec<String> = std::iter::once(root.unwrap_or("value").to_owned())
            .chain(steps)
            .collect();
        SchemaError::new(words.join("."), reason)
    }
}

/// A child that no pass has reached yet.
const UNKNOWN: usize = usize::MAX;
/// Both limits are far beyond types that people write; together they bound the time to about a second.
const MAX_PASSES: usize = 20_000;
const MAX_STEPS: usize = 500_000;
