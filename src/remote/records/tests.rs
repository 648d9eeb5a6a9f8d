use super::*;
use crate::model::StoreVersion;

fn bumped(records: &mut Records, now: Now) -> Event {
    at_version(records, None, now).event.unwrap()
}

fn at_version(records: &mut Records, store: Option<u64>, now: Now) -> Done {
    let (head, fence) = records.control(now);
    let kind = EventKind::Invalidated {
        cache: 0,
        entity: 0,
        strength: Strength::Hard,
    };
    let bump = Bump {
        pointer_ttl: 1000,
        strength: Strength::Hard,
        store: store.map(StoreVersion::from),
        record: None,
    };
    records.bump(b"p", (head, fence.is_some()), kind, bump, now)
}

#[test]
fn versions_grow_though_the_clock_steps_back() {
    // F29: the server's clock is set back by ten seconds between two bumps.
    let mut records = Records::default();

    let first = bumped(&mut records, Now(20_000_000));
    let second = bumped(&mut records, Now(10_000_000));

    assert!(second.n > first.n);
    assert_eq!(second.previous, first.nonce);
}

#[test]
fn a_version_given_without_an_event_is_not_given_again() {
    // The pointer took a version, was evicted, and the clock stepped back to before it.
    let mut records = Records::default();
    let (mut head, _) = records.control(Now(1_000_000));
    let first = records.version(&mut head, b"p", 1000, Now(20_000_000));

    records.pointers.clear();
    let (mut head, _) = records.control(Now(10_000_000));
    let second = records.version(&mut head, b"p", 1000, Now(10_000_000));

    assert!(second > first);
}

#[test]
fn values_are_bounded_by_bytes() {
    let mut records = Records::default();
    let now = Now(1_000_000);
    let (mut head, _) = records.control(now);
    for number in 0..100 {
        let keys = Keys {
            pointer: Name::of(&format!("p{number}")),
            value: Name::of(&format!("v{number}")),
            lease: Name::of(""),
        };
        let version = records.version(&mut head, &keys.pointer, 1000, now);
        let generation = Generation {
            epoch: head.epoch,
            version,
        };
        let payload = vec![0; VALUE_BYTES / 50];
        let fill = crate::remote::Fill {
            held: None,
            generation,
            token: 1,
            until: 9999,
            pointer_ttl: 1000,
            payload,
            store: None,
        };
        assert_eq!(records.store(&keys, fill, head, now), Filled::Stored);
    }

    assert!(records.value_bytes <= VALUE_BYTES);
    assert_eq!(
        records.value_bytes,
        records
            .values
            .values()
            .map(|value| value.it.len())
            .sum::<usize>()
    );
}

#[test]
fn a_front_goes_before_the_body_that_is_there_and_before_no_other() {
    let mut records = Records::default();
    let now = Now(1_000_000);
    let (mut head, _) = records.control(now);
    let keys = Keys {
        pointer: Name::of("p"),
        value: Name::of("v"),
        lease: Name::of("l"),
    };
    let version = records.version(&mut head, &keys.pointer, 1000, now);
    let fill = |payload: &[u8], held| crate::remote::Fill {
        generation: Generation {
            epoch: head.epoch,
            version,
        },
        token: 1,
        until: 9999,
        pointer_ttl: 1000,
        held,
        payload: payload.to_vec(),
        store: None,
    };
    let seal = |check| Seal {
        check: [check; 8],
        content_id: 0,
        stored_id: 0,
        front: std::num::NonZeroU32::new(64).unwrap(),
        codec: 0,
    };
    let mut stored = |payload: &[u8], held| {
        let filled = records.store(&keys, fill(payload, held), head, now);
        (filled, records.value(&keys.value, now).cloned())
    };
    assert_eq!(stored(b"front", Some(seal(1))), (Filled::Gone, None));
    let whole = [&[0; 56][..], &[1; 8], b"body"].concat();
    assert_eq!(stored(&whole, None), (Filled::Stored, Some(whole.clone())));

    assert_eq!(stored(b"front", Some(seal(2))), (Filled::Gone, Some(whole)));

    let joined = b"frontbody".to_vec();
    assert_eq!(
        stored(b"front", Some(seal(1))),
        (Filled::Stored, Some(joined))
    );
}
