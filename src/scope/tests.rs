//! What a scope collects, and what comes of two.

mod fake;

use self::fake::{Fake, one, source};
use super::{collected::FEW, *};
use crate::model::{
    Clock, EntityName, Epoch, Generation, ManualClock, Place, Position, Tag, Version, Visibility,
    millis,
};
use crate::outcome::Outcome;
use proptest::{collection::vec, prelude::*};
use std::sync::LazyLock;

fn read(key: &str, clock: &ManualClock, remaining: u64) {
    let shared: Arc<dyn Clock> = Arc::new(clock.clone());
    read_of(key, &shared, remaining);
}

fn read_of(key: &str, shared: &Arc<dyn Clock>, remaining: u64) {
    static NOBODY: LazyLock<Arc<dyn Witness>> = LazyLock::new(silent);
    let shown = Fake {
        content_id: Some(remaining),
        tags: vec![Tag::new("lamps"), Tag::new(key)],
        ..one(key, shared, remaining)
    };
    let source = source(&NOBODY, shared);
    RequestScope::record(|| shown.read_from(&source));
}

/// Nobody asks it.
struct Silent;

impl Witness for Silent {
    fn confirm<'a>(&'a self, _: &'a [Claim]) -> Testimony<'a> {
        Box::pin(async { Confirmation::Unknown })
    }
}

#[tokio::test]
async fn a_scope_collects_names_once_and_the_shortest_life() {
    let (scope, clock) = (RequestScope::new(), ManualClock::new());
    scope
        .run(async {
            read("1", &clock, 9000);
            read("2", &clock, 5000);
            read("1", &clock, 7000);
        })
        .await;

    let summary = scope.summary();
    assert_eq!(
        summary
            .entities()
            .iter()
            .map(EntityName::as_str)
            .collect::<Vec<_>>(),
        ["product/1", "product/2"]
    );
    assert_eq!(summary.remaining(), Some(Duration::from_secs(5)));
    assert_eq!(
        summary.tags().iter().map(Tag::as_str).collect::<Vec<_>>(),
        ["1", "2", "lamps"]
    );
}

#[tokio::test]
async fn many_entities_are_named_once_too() {
    let (scope, clock) = (RequestScope::new(), ManualClock::new());
    let keys: Vec<_> = (0..3 * FEW).map(|key| key.to_string()).collect();
    scope
        .run(async {
            for key in keys.iter().chain(&keys) {
                read(key, &clock, 9000);
            }
        })
        .await;

    let summary = scope.summary();
    let named: Vec<_> = summary.entities().iter().map(EntityName::as_str).collect();
    let wanted: Vec<_> = keys.iter().map(|key| format!("product/{key}")).collect();
    assert_eq!(named, wanted);
}

#[tokio::test]
async fn tags_that_come_again_and_again_are_kept_once() {
    let (scope, clock) = (RequestScope::new(), ManualClock::new());
    scope
        .run(async {
            for key in 0..640 {
                read(&(key % 3).to_string(), &clock, 9000);
            }
        })
        .await;

    let tags = scope.summary().tags().to_vec();
    assert_eq!(tags, ["0", "1", "2", "lamps"].map(Tag::new));
    assert_eq!(scope.lock().each_claim().count(), 3);
}

#[tokio::test]
async fn each_entity_has_the_content_that_was_read_unless_it_changed_in_between() {
    let clock = ManualClock::new();
    let keys: Vec<_> = (0..2 * FEW).map(|key| key.to_string()).collect();
    for (few, changed) in [(3, 1), (2 * FEW, FEW + 1)] {
        let scope = RequestScope::new();
        scope
            .run(async {
                for key in keys[..few].iter().chain(&keys[..few]) {
                    read(key, &clock, 9000);
                }
                read(&keys[changed], &clock, 5000);
            })
            .await;

        let summary = scope.summary();
        let mut wanted = vec![Some(9000); few];
        wanted[changed] = None;
        assert_eq!(summary.content_ids(), wanted);
        let reads = u32::try_from(2 * few + 1).unwrap();
        assert_eq!(summary.outcomes(), [(Outcome::LocalHit, reads)]);
    }
}

#[tokio::test]
async fn the_shortest_life_is_found_on_one_clock_and_on_several() {
    let early: Arc<dyn Clock> = Arc::new(ManualClock::new());
    let clock = ManualClock::new();
    clock.advance(Duration::from_secs(100));
    let late: Arc<dyn Clock> = Arc::new(clock);
    for reads in [
        [(&early, 9000), (&early, 5000), (&early, 7000)],
        // Its end is later, on a clock that is later still.
        [(&early, 9000), (&late, 5000), (&early, 7000)],
        [(&late, 9000), (&early, 7000), (&late, 5000)],
    ] {
        let scope = RequestScope::new();
        scope
            .run(async {
                for (clock, remaining) in reads {
                    read_of("1", clock, remaining);
                }
            })
            .await;

        assert_eq!(scope.summary().remaining(), Some(Duration::from_secs(5)));
    }
}

#[tokio::test]
async fn the_remaining_life_is_that_at_the_time_of_asking() {
    let (scope, clock) = (RequestScope::new(), ManualClock::new());
    scope.run(async { read("1", &clock, 5000) }).await;

    clock.advance(Duration::from_secs(3));
    assert_eq!(scope.summary().remaining(), Some(Duration::from_secs(2)));
    clock.advance(Duration::from_secs(3));
    assert_eq!(scope.summary().remaining(), Some(Duration::ZERO));
}

#[tokio::test]
async fn outside_of_a_scope_nothing_is_recorded() {
    read("1", &ManualClock::new(), 1);

    assert!(RequestScope::current().is_none());
    assert!(RequestScope::new().summary().is_empty());
}

#[tokio::test]
async fn a_claim_is_kept_once_and_judged_by_the_earliest_place() {
    let (scope, witness) = (RequestScope::new(), silent());
    let places = [7, 5, 9];
    for n in places {
        read_claimed(&scope, &witness, 1, n);
    }

    let claims = scope.lock().claims();
    assert_eq!(claims.len(), 1);
    let positions = claims[0].iter().map(|claim| claim.place().position);
    let positions: Vec<_> = positions.collect();
    assert_eq!(positions, [at(5)]);
}

#[tokio::test]
async fn what_changed_between_two_reads_is_claimed_twice() {
    let (scope, witness, other) = (RequestScope::new(), silent(), silent());
    read_claimed(&scope, &witness, 1, 5);
    read_claimed(&scope, &witness, 2, 5);
    read_claimed(&scope, &other, 2, 5);

    let claims = scope.lock().claims();
    let counts: Vec<_> = claims.iter().map(Vec::len).collect();
    assert_eq!(counts, [2, 1]);
    assert_eq!(scope.summary().entities().len(), 1);
}

#[tokio::test]
async fn a_scope_that_absorbs_itself_is_what_it_was() {
    let (scope, clock) = (RequestScope::new(), ManualClock::new());
    scope.run(async { read("1", &clock, 5000) }).await;

    scope.absorb(&scope.clone());

    assert_eq!(scope.summary().outcomes(), [(Outcome::LocalHit, 1)]);
}

#[test]
fn the_worse_of_two_confirmations_counts() {
    let quiet = |seconds| Confirmation::Current {
        quiet: Duration::from_secs(seconds),
    };
    for (one, other, both) in [
        (quiet(3), quiet(5), quiet(3)),
        (quiet(3), Confirmation::UNTOUCHED, quiet(3)),
        (quiet(3), Confirmation::Unknown, Confirmation::Unknown),
        (
            Confirmation::Unknown,
            Confirmation::Moved,
            Confirmation::Moved,
        ),
        (quiet(3), Confirmation::Moved, Confirmation::Moved),
    ] {
        assert_eq!(one.and(other), both);
        assert_eq!(other.and(one), both);
    }
}

proptest! {
    #[test]
    fn the_order_in_which_scopes_are_merged_does_not_matter(
        a in vec(any_read(), 0..20),
        b in vec(any_read(), 0..20),
        c in vec(any_read(), 0..20),
    ) {
        let world = World::new();
        let (in_one, of) = (world.scope(&[&a[..], &b, &c].concat()), |reads: &[_]| world.scope(reads));

        let left = merged(&merged(&of(&a), &of(&b)), &of(&c));
        let right = merged(&of(&a), &merged(&of(&b), &of(&c)));
        let swapped = merged(&of(&c), &merged(&of(&b), &of(&a)));

        let expected = world.told(&in_one);
        prop_assert_eq!(&world.told(&left), &expected);
        prop_assert_eq!(&world.told(&right), &expected);
        prop_assert_eq!(&world.told(&swapped), &expected);
    }

    #[test]
    fn a_merge_only_ever_takes_freedom_away(a in vec(any_read(), 1..20), b in vec(any_read(), 1..20)) {
        let world = World::new();
        let (one, other) = (world.scope(&a), world.scope(&b));

        let both = merged(&one, &other).summary();

        for part in [one.summary(), other.summary()] {
            prop_assert!(both.remaining() <= part.remaining());
            prop_assert!(both.visibility() >= part.visibility());
            prop_assert!(part.tags().iter().all(|tag| both.tags().contains(tag)));
            prop_assert!(part.entities().iter().all(|entity| both.entities().contains(entity)));
            prop_assert!(part.objections().iter().all(|reason| both.objections().contains(reason)));
        }
    }
}

/// A read, by numbers that choose from a few of each kind, so that reads often meet.
#[derive(Clone, Debug)]
struct Chosen {
    key: usize,
    content: Option<u64>,
    is_public: bool,
    remaining: u64,
    names: u64,
    version: u64,
    n: u64,
    at_the_other: bool,
    objects: bool,
}

fn any_read() -> impl Strategy<Value = Chosen> {
    let entity = (0..30_usize, proptest::option::of(0..2_u64), 0..3_u64);
    let life = (any::<bool>(), 0..9_u64, 0..9_u64);
    (
        entity,
        life,
        0..3_u64,
        proptest::bool::weighted(0.2),
        proptest::bool::weighted(0.2),
    )
        .prop_map(
            |((key, content, version), (is_public, remaining, names), n, at_the_other, objects)| {
                Chosen {
                    key,
                    content,
                    is_public,
                    remaining,
                    names,
                    version,
                    n,
                    at_the_other,
                    objects,
                }
            },
        )
}

/// Two `Tiers`, each with a clock.
struct World {
    witnesses: [Arc<dyn Witness>; 2],
    clocks: [Arc<dyn Clock>; 2],
}

impl World {
    fn new() -> Self {
        let late = ManualClock::new();
        late.advance(Duration::from_secs(100));
        Self {
            witnesses: [silent(), silent()],
            clocks: [Arc::new(ManualClock::new()), Arc::new(late)],
        }
    }

    fn scope(&self, reads: &[Chosen]) -> RequestScope {
        let scope = RequestScope::new();
        for read in reads {
            let of = usize::from(read.at_the_other);
            let (witness, clock) = (&self.witnesses[of], &self.clocks[of]);
            let shown = Fake {
                content_id: read.content,
                tags: vec![Tag::new(&read.names.to_string())],
                dependencies: vec![read.names],
                hashes: vec![read.names],
                visibility: if read.is_public {
                    Visibility::Public
                } else {
                    Visibility::User
                },
                generation: generation(read.version),
                place: place(read.n),
                ..one(&read.key.to_string(), clock, read.remaining)
            };
            let source = source(witness, clock);
            scope.lock().add(shown.read_from(&source));
            if read.objects {
                scope.object(["weather", "time of day"][of]);
            }
        }
        scope
    }

    /// All that a scope tells, in an order that does not depend on that of its reads.
    fn told(&self, scope: &RequestScope) -> String {
        let summary = scope.summary();
        let contents = summary.entities().iter().zip(summary.content_ids());
        let mut entities: Vec<_> = contents.collect();
        entities.sort();
        let mut claims: Vec<_> = scope
            .lock()
            .claims()
            .into_iter()
            .flatten()
            .map(|claim| {
                let of = usize::from(claim.is_of(&self.witnesses[1]));
                let (at, hashes) = (claim.address(), claim.hashes());
                let hashes: Vec<_> = hashes.collect();
                format!(
                    "{of} {} {:?} {:?} {hashes:?}",
                    at.key.as_str(),
                    claim.generation(),
                    claim.place()
                )
            })
            .collect();
        claims.sort();
        let mut outcomes = summary.outcomes().to_vec();
        outcomes.sort_by_key(|(_, reads)| *reads);
        format!(
            "{entities:?} {claims:#?} {outcomes:?} {:?} {:?} {:?} {:?} {:?}",
            summary.tags(),
            summary.dependencies(),
            summary.visibility(),
            summary.remaining(),
            summary.objections()
        )
    }
}

fn merged(one: &RequestScope, other: &RequestScope) -> RequestScope {
    let both = RequestScope::new();
    both.absorb(one);
    both.absorb(other);
    both
}

fn silent() -> Arc<dyn Witness> {
    Arc::new(Silent)
}

/// Reads product 1 in this version, loaded at this place.
fn read_claimed(scope: &RequestScope, witness: &Arc<dyn Witness>, version: u64, n: u64) {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new());
    let shown = Fake {
        generation: generation(version),
        place: place(n),
        ..one("1", &clock, 1000)
    };
    scope.lock().add(shown.read_from(&source(witness, &clock)));
}

fn generation(version: u64) -> Option<Generation> {
    (version > 0).then_some(Generation {
        epoch: Epoch(1),
        version: Version(version),
    })
}

fn place(n: u64) -> Place {
    Place {
        position: at(n),
        generation: n,
    }
}

fn at(n: u64) -> Option<Position> {
    Some(Position { epoch: Epoch(1), n })
}
