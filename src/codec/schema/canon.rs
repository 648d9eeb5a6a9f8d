//! The description of a type, independent of how often its parts were walked through.
//!
//! The walk tells types apart by compiler-given names, so the same type may stand in its graph once
//! or several times. Here nodes that cannot be told apart from below become one (as in minimising an
//! automaton), and get their numbers in the order in which they are met from the root.

use std::collections::HashMap;
use std::fmt::Write;

use super::walk::Graph;

/// One line per distinct part: its number, its shape, the numbers of its children.
pub(super) fn describe(graph: &Graph) -> String {
    let classes = classes(graph);
    let mut order = vec![0];
    let mut numbers = HashMap::from([(classes[0], 0)]);
    let mut text = String::new();
    let mut line = 0;
    while let Some(&id) = order.get(line) {
        let node = &graph.nodes[id];
        let children = node.children.iter().map(|&child| {
            *numbers.entry(classes[child]).or_insert_with(|| {
                order.push(child);
                order.len() - 1
            })
        });
        let children: Vec<usize> = children.collect();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{line} {} {children:?}", node.shape);
        line += 1;
    }
    text
}

/// The class of each node: equal shapes whose children are of equal classes, all the way down.
fn classes(graph: &Graph) -> Vec<usize> {
    let nodes = &graph.nodes;
    let (mut classes, mut count) = number(nodes.iter().map(|node| node.shape));
    loop {
        let signatures = nodes.iter().zip(&classes).map(|(node, class)| {
            let children: Vec<usize> = node.children.iter().map(|child| classes[*child]).collect();
            (*class, children)
        });
        let (finer, finer_count) = number(signatures);
        if finer_count == count {
            return classes;
        }
        (classes, count) = (finer, finer_count);
    }
}

/// Equal items, equal numbers; and how many there are.
fn number<T: Eq + std::hash::Hash>(items: impl Iterator<Item = T>) -> (Vec<usize>, usize) {
    let mut known = HashMap::new();
    let numbers = items
        .map(|item| {
            let next = known.len();
            *known.entry(item).or_insert(next)
        })
        .collect();
    (numbers, known.len())
}
