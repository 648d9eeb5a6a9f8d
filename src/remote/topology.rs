//! What the nodes of a cluster say of it, as one picture. Pure: from their answers to an owner for each slot.
//!
//! A node that was cut off, or frozen, still believes what held before. So an owner counts by the epoch of its configuration,
//! as among the nodes themselves: where two answers name two owners of a slot, the one with the higher epoch has it.

use super::{
    RemoteError,
    store::{number, raw, text},
};
use redis::{Pipeline, Value};
use std::collections::{BTreeSet, HashMap};

/// Host and port, as the cluster announces them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) host: String,
    pub(super) port: u16,
}

/// Who has a range of slots, and since which epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Range {
    first: u16,
    last: u16,
    owner: Place,
    epoch: u64,
}

/// What one node says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct View {
    ranges: Vec<Range>,
    /// All nodes that it knows, replicas too.
    places: BTreeSet<Place>,
}

impl Place {
    /// `host:port`; the last colon parts them, since an address of version 6 has more. Without a host it is that of `asked`.
    pub(super) fn parse(text: &str, asked: &Place) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let host = if host.is_empty() { &asked.host } else { host };
        Some(Self {
            host: host.to_owned(),
            port: port.parse().ok()?,
        })
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// The question.
pub(super) fn question() -> Pipeline {
    let mut pipeline = redis::pipe();
    pipeline.cmd("CLUSTER").arg("SLOTS");
    pipeline.cmd("CLUSTER").arg("NODES");
    pipeline
}

impl View {
    /// The answer of the node at `asked`.
    pub(super) fn of_answer(answer: Vec<Value>, asked: &Place) -> Result<Self, RemoteError> {
        let [slots, nodes] = <[Value; 2]>::try_from(answer)
            .map_err(|_| RemoteError::Nonsense("the answer to a question for the cluster"))?;
        let epochs = epochs(text(&nodes).unwrap_or_default());
        let Value::Array(rows) = slots else {
            return Err(RemoteError::Nonsense("the slots of a cluster"));
        };
        let mut view = Self::default();
        for row in &rows {
            view.add(row, asked, &epochs)
                .ok_or(RemoteError::Nonsense("a range of slots"))?;
        }
        Ok(view)
    }

    /// First slot, last slot, then the nodes, of which the first is the master.
    fn add(&mut self, row: &Value, asked: &Place, epochs: &HashMap<String, u64>) -> Option<()> {
        let Value::Array(fields) = row else {
            return None;
        };
        let [first, last, nodes @ ..] = &fields[..] else {
            return None;
        };
        let (first, last) = (slot(first)?, slot(last)?);
        let nodes: Vec<_> = nodes
            .iter()
            .filter_map(|node| node_of(node, asked))
            .collect();
        let (owner, id) = nodes.first()?.clone();
        let epoch = epochs.get(&id).copied().unwrap_or(0);
        self.ranges.push(Range {
            first,
            last,
            owner,
            epoch,
        });
        self.places
            .extend(nodes.into_iter().map(|(place, _)| place));
        Some(())
    }

    fn owner(&self, slot: u16) -> Option<&Range> {
        let holds = |range: &&Range| (range.first..=range.last).contains(&slot);
        self.ranges.iter().find(holds)
    }
}

/// Who owns a slot, by what is known of the highest epoch; of two the first.
pub(super) fn owner(views: &[View], slot: u16) -> Option<&Place> {
    let claims = views.iter().filter_map(|view| view.owner(slot));
    let newest = claims.reduce(
        |one, other| {
            if other.epoch > one.epoch { other } else { one }
        },
    );
    newest.map(|range| &range.owner)
}

/// All nodes that anybody knows.
pub(super) fn places(views: &[View]) -> BTreeSet<Place> {
    views.iter().flat_map(|view| view.places.clone()).collect()
}

fn slot(value: &Value) -> Option<u16> {
    u16::try_from(number(value)?).ok()
}

/// Endpoint, port, id and more. Where the endpoint is not known it is that of the node that was asked.
fn node_of(value: &Value, asked: &Place) -> Option<(Place, String)> {
    let Value::Array(fields) = value else {
        return None;
    };
    let [endpoint, port, id, ..] = &fields[..] else {
        return None;
    };
    let host = match raw(endpoint) {
        Some(host) if !host.is_empty() && host != b"?" => text(endpoint)?,
        _ => &asked.host,
    };
    let place = Place {
        host: host.to_owned(),
        port: u16::try_from(number(port)?).ok()?,
    };
    Some((place, text(id)?.to_owned()))
}

/// The epoch of each node's configuration, by its id: a line each, of `id address flags master ping pong epoch link slots…`.
fn epochs(nodes: &str) -> HashMap<String, u64> {
    let epoch = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let id = words.next()?.to_owned();
        Some((id, words.nth(5)?.parse().ok()?))
    };
    nodes.lines().filter_map(epoch).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: &str = "10.0.0.1:7000";

    fn asked() -> Place {
        place(ASKED)
    }

    fn place(text: &str) -> Place {
        let nobody = Place {
            host: String::new(),
            port: 0,
        };
        Place::parse(text, &nobody).unwrap()
    }

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    fn row(first: i64, last: i64, host: &str, port: i64, id: &str) -> Value {
        let node = vec![bulk(host), Value::Int(port), bulk(id), Value::Array(vec![])];
        Value::Array(vec![
            Value::Int(first),
            Value::Int(last),
            Value::Array(node),
        ])
    }

    fn view(rows: Vec<Value>, nodes: &str) -> View {
        View::of_answer(vec![Value::Array(rows), bulk(nodes)], &asked()).unwrap()
    }

    const NODES: &str = "aa 10.0.0.1:7000@17000 myself,master - 0 0 1 connected 0-99\n\
        bb 10.0.0.2:7000@17000,host master - 0 0 7 connected 100-199 [93-<-aa]\n";

    #[test]
    fn a_slot_has_the_owner_that_is_named() {
        let rows = vec![
            row(0, 99, "10.0.0.1", 7000, "aa"),
            row(100, 199, "10.0.0.2", 7000, "bb"),
        ];
        let views = [view(rows, NODES)];

        assert_eq!(owner(&views, 0), Some(&place("10.0.0.1:7000")));
        assert_eq!(owner(&views, 199), Some(&place("10.0.0.2:7000")));
        assert_eq!(owner(&views, 200), None);
        assert_eq!(places(&views).len(), 2);
    }

    /// A master that was cut off answered that the slots are its own, and was believed because it was asked first.
    #[test]
    fn the_owner_with_the_higher_epoch_has_it_whoever_is_asked_first() {
        let old = view(vec![row(0, 199, "10.0.0.1", 7000, "aa")], NODES);
        let new = view(vec![row(0, 199, "10.0.0.2", 7000, "bb")], NODES);

        for views in [[old.clone(), new.clone()], [new, old]] {
            assert_eq!(owner(&views, 5), Some(&place("10.0.0.2:7000")));
        }
    }

    #[test]
    fn what_nobody_claims_has_no_owner_and_one_claim_is_enough() {
        let some = view(vec![row(0, 9, "10.0.0.1", 7000, "aa")], NODES);

        assert_eq!(owner(&[View::default(), some.clone()], 9), Some(&asked()));
        assert_eq!(owner(&[View::default(), some], 10), None);
    }

    #[test]
    fn an_endpoint_that_is_not_known_is_that_of_the_node_asked() {
        for unknown in [Value::Nil, bulk(""), bulk("?")] {
            let node = Value::Array(vec![unknown, Value::Int(7005), bulk("aa")]);
            let row = Value::Array(vec![Value::Int(0), Value::Int(9), node]);

            assert_eq!(
                owner(&[view(vec![row], NODES)], 3),
                Some(&place("10.0.0.1:7005"))
            );
        }
        assert_eq!(
            Place::parse(":7001", &asked()),
            Some(place("10.0.0.1:7001"))
        );
        assert_eq!(Place::parse("::1:7001", &asked()).unwrap().host, "::1");
        assert_eq!(Place::parse("nonsense", &asked()), None);
    }

    #[test]
    fn what_is_not_an_answer_is_refused() {
        assert!(View::of_answer(vec![], &asked()).is_err());
        assert!(View::of_answer(vec![Value::Nil, Value::Nil], &asked()).is_err());
        let bad = Value::Array(vec![Value::Array(vec![Value::Int(0)])]);
        assert!(View::of_answer(vec![bad, bulk(NODES)], &asked()).is_err());
    }
}
