use super::*;

const KEY: &[u8] = b"product/42";
const EXPECTED: Expected = Expected {
    schema: 0xDEAD_BEEF,
};
const HEADER: Header = Header {
    codec: 1,
    schema: 0xDEAD_BEEF,
    epoch: 0x0102_0304_0506_0708,
    version: 1_700_000_000_000_000,
    position: Position {
        epoch: Epoch(0x1112_1314_1516_1718),
        n: 1_700_000_000_000_001,
    },
    absent: false,
    visibility: Visibility::Public,
    birth: 1_700_000_000_000,
    deadline: 1_700_000_600_000,
    load_micros: 12_345,
};

fn sealed(body: &[u8], echo: bool) -> Sealed {
    seal(&HEADER, KEY, echo, &Labels::default(), |out| {
        out.extend_from_slice(body);
        Ok(())
    })
    .unwrap()
}

/// 200 bytes, with and without echo.
fn payloads() -> [Vec<u8>; 2] {
    let body: Vec<u8> = (0..152).collect();
    [sealed(&body, false).bytes, sealed(&body[14..], true).bytes]
}

#[test]
fn what_was_sealed_opens_with_the_same_header_body_and_content_id() {
    for echo in [false, true] {
        for body in [&b""[..], b"x", &[7; 5_000]] {
            let sealed = sealed(body, echo);
            let opened = open(&sealed.bytes, KEY, EXPECTED).unwrap();

            assert_eq!(opened.header, HEADER);
            assert_eq!(opened.body, body);
            assert_eq!(opened.content_id, sealed.content_id);
            assert_eq!(sealed.body_len, body.len());
        }
    }
}

#[test]
fn the_format_is_pinned_byte_by_byte() {
    let bytes: String = sealed(b"lamp", true)
        .bytes
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();

    assert_eq!(
        bytes,
        "c7010101deadbeef010203040506070800060a24181e4000018bcfe56800018bcfee8fc00000\
         3039111213141516171800060a24181e4001b1a8e52d9b9a942e0000000a70726f647563742f34326c616d70"
    );
}

#[test]
fn every_single_bit_flip_is_refused() {
    for payload in payloads() {
        assert_eq!(payload.len(), 216);
        for bit in 0..payload.len() * 8 {
            let mut flipped = payload.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);

            assert!(open(&flipped, KEY, EXPECTED).is_err(), "bit {bit}");
        }
    }
}

#[test]
fn every_truncation_and_every_addition_is_refused() {
    for mut payload in payloads() {
        for len in 0..payload.len() {
            assert!(open(&payload[..len], KEY, EXPECTED).is_err(), "{len} bytes");
        }
        payload.push(0);
        assert_eq!(
            open(&payload, KEY, EXPECTED).unwrap_err(),
            BadEnvelope::Corrupt
        );
    }
}

#[test]
fn twenty_thousand_mutations_neither_panic_nor_open() {
    let mut random = seeded(7);
    for payload in payloads() {
        for _ in 0..10_000 {
            let mut mutated = payload.clone();
            for _ in 0..=random() % 4 {
                let at = random() as usize % mutated.len();
                match random() % 4 {
                    0 => mutated[at] = random() as u8,
                    1 => mutated.truncate(at.max(1)),
                    2 => mutated.insert(at, random() as u8),
                    _ => mutated[at] ^= 1 << (random() % 8),
                }
            }
            let refused = open(&mutated, KEY, EXPECTED).is_err();

            assert!(refused || mutated == payload);
            let _ = generation(&mutated);
        }
    }
}

#[test]
fn another_key_codec_or_schema_is_refused_by_name() {
    let [plain, echoed] = payloads();
    let other_schema = Expected { schema: 1 };

    let reason = |bytes, key, expected| open(bytes, key, expected).unwrap_err().as_str();

    assert_eq!(reason(&plain, b"product/43", EXPECTED), "corrupt");
    assert_eq!(reason(&echoed, b"product/43", EXPECTED), "other_key");
    assert_eq!(reason(&plain, KEY, other_schema), "other_schema");
}

#[test]
fn foreign_bytes_and_later_formats_are_refused_by_name() {
    let [payload, _] = payloads();
    let reason = |at: usize, byte: u8| {
        let mut changed = payload.clone();
        changed[at] = byte;
        open(&changed, KEY, EXPECTED).unwrap_err()
    };

    assert_eq!(reason(0, b'{'), BadEnvelope::NotOurs);
    assert_eq!(reason(1, 2), BadEnvelope::UnknownFormat);
    for bit in [2, 5, 6, 7] {
        assert_eq!(reason(3, 1 << bit), BadEnvelope::UnknownFlags);
    }
    assert_eq!(
        open(b"", KEY, EXPECTED).unwrap_err(),
        BadEnvelope::Truncated
    );
}

#[test]
fn the_generation_is_read_from_whole_headers_of_ours_only() {
    let [payload, _] = payloads();

    assert_eq!(
        generation(&payload[..64]),
        Some((HEADER.epoch, HEADER.version))
    );
    assert_eq!(generation(&payload[..63]), None);
    assert_eq!(generation(&[0; 64]), None);
}

#[test]
fn a_codec_that_clears_what_was_there_is_refused() {
    for rewritten in [vec![], vec![0; 100]] {
        let result = seal(&HEADER, KEY, false, &Labels::default(), |out| {
            *out = rewritten;
            Ok(())
        });

        assert!(result.is_err());
    }
}

#[test]
fn times_past_48_bits_stop_at_the_last_moment() {
    let header = Header {
        deadline: u64::MAX,
        ..HEADER
    };

    let sealed = seal(&header, KEY, false, &Labels::default(), |_| Ok(())).unwrap();

    let opened = open(&sealed.bytes, KEY, EXPECTED).unwrap();
    assert_eq!(opened.header.deadline, MAX_MILLIS);
}

#[test]
fn keys_longer_than_the_stack_copy_are_checked_as_well() {
    let key = [b'k'; 1_000];
    let sealed = seal(&HEADER, &key, false, &Labels::default(), |_| Ok(())).unwrap();

    assert!(open(&sealed.bytes, &key, EXPECTED).is_ok());
    assert!(open(&sealed.bytes, &key[1..], EXPECTED).is_err());
}

/// A seeded sequence, the same in every run.
fn seeded(mut state: u64) -> impl FnMut() -> u64 {
    move || {
        state = state
            .wrapping_mul(0x5851_F42D_4C95_7F2D)
            .wrapping_add(0x1405_7B7E_F767_814F);
        state >> 33
    }
}
