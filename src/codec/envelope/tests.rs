use super::header::MAX_MILLIS;
use super::*;
use crate::model::{Epoch, Position, Tag, Visibility};

const KEY: &[u8] = b"product/42";
const EXPECTED: Expected = Expected {
    schema: 0xDEAD_BEEF,
    max_value_bytes: 1 << 20,
};
const HEADER: Header = Header {
    codec: 1,
    schema: 0xDEAD_BEEF,
    epoch: 0x0102_0304_0506_0708,
    version: 1_700_000_000_000_000,
    birth: 1_700_000_000_000,
    deadline: 1_700_000_600_000,
    load_micros: 12_345,
    position: Position {
        epoch: Epoch(0x1112_1314_1516_1718),
        n: 1_600_000_000_000_000,
    },
    absent: false,
    visibility: Visibility::Public,
};
const LIMITS: Limits = Limits {
    compress_above: 400,
    max_value_bytes: 1 << 20,
};

fn sealed(body: &[u8], echo: bool) -> Sealed {
    seal(HEADER, &Labels::default(), body, echo)
}

fn seal(header: Header, labels: &Labels, body: &[u8], echo: bool) -> Sealed {
    let envelope = Envelope {
        header,
        key: KEY,
        echo,
        labels,
        limits: LIMITS,
    };
    envelope
        .seal(|out| {
            out.extend_from_slice(body);
            Ok(())
        })
        .unwrap()
}

fn labels() -> Labels {
    Labels {
        tags: vec![Tag::new("category-7"), Tag::new("Red")],
        dependencies: vec![42, u64::MAX],
    }
}

/// About 200 bytes: with nothing, with an echo, with echo and labels, and compressed with labels.
fn payloads() -> [Vec<u8>; 4] {
    let body: Vec<u8> = (0..136).collect();
    let long = body.repeat(4);
    [
        sealed(&body, false).bytes,
        sealed(&body[14..], true).bytes,
        seal(HEADER, &labels(), &body[50..], true).bytes,
        seal(HEADER, &labels(), &long, false).bytes,
    ]
}

/// A payload whose check is right, whatever else was changed: as if this release had sealed it.
fn resealed(mut bytes: Vec<u8>, body_len: usize) -> Vec<u8> {
    let (front, body) = bytes.split_at(bytes.len() - body_len);
    let check = check(XxHash3_64::oneshot(body), KEY, front);
    bytes[CHECK_AT..HEADER_LEN].copy_from_slice(&check.to_be_bytes());
    bytes
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn what_was_sealed_opens_with_the_same_header_labels_body_and_content_id() {
    let mut random = seeded(3);
    let noise: Vec<u8> = std::iter::repeat_with(|| random() as u8)
        .take(5_000)
        .collect();
    for echo in [false, true] {
        for labels in [Labels::default(), labels()] {
            for body in [&b""[..], b"x", &[7; 5_000], &noise] {
                let sealed = seal(HEADER, &labels, body, echo);
                let opened = open(&sealed.bytes, KEY, EXPECTED).unwrap();

                assert_eq!(opened.header, HEADER);
                assert_eq!(opened.labels, labels);
                assert_eq!(*opened.body, *body);
                assert_eq!(opened.seal.content_id, sealed.seal.content_id);
                assert_eq!(sealed.body_len, body.len());
            }
        }
    }
}

#[test]
fn an_absent_value_has_no_body_and_is_opened_as_one() {
    let header = Header {
        absent: true,
        visibility: Visibility::User,
        ..HEADER
    };

    let sealed = seal(header, &labels(), b"never encoded", true);
    let opened = open(&sealed.bytes, KEY, EXPECTED).unwrap();

    assert_eq!(opened.header, header);
    assert_eq!((opened.labels, &*opened.body), (labels(), &b""[..]));
    assert_eq!(sealed.body_len, 0);
}

#[test]
fn the_format_is_pinned_byte_by_byte() {
    let user = Header {
        visibility: Visibility::User,
        ..HEADER
    };

    let plain = hex(&sealed(b"lamp", true).bytes);
    let labelled = hex(&seal(user, &labels(), b"lamp", false).bytes);

    assert_eq!(
        plain,
        "c7010101deadbeef010203040506070800060a24181e4000018bcfe56800018bcfee8fc00000\
         303911121314151617180005af3107a4000052754e5f869258ad\
         0000000a70726f647563742f3432\
         6c616d70"
    );
    assert_eq!(
        labelled,
        "c7010118deadbeef010203040506070800060a24181e4000018bcfe56800018bcfee8fc00000\
         303911121314151617180005af3107a40000a1913889de217eb6\
         00000024\
         00020a63617465676f72792d37045f726564\
         0002000000000000002affffffffffffffff\
         6c616d70"
    );
}

/// What lz4 writes may differ from release to release; what it reads may not.
#[test]
fn a_compressed_payload_of_the_first_release_is_opened() {
    let first = "c7010104deadbeef010203040506070800060a24181e4000018bcfe56800018bcfee8fc00000\
                 303911121314151617180005af3107a40000a80f171d76a7aede\
                 000003e81f070100ffffffd160070707070707";
    let bytes: Vec<u8> = (0..first.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&first[at..at + 2], 16).unwrap())
        .collect();

    let opened = open(&bytes, KEY, EXPECTED).unwrap();

    assert_eq!(*opened.body, [7; 1_000]);
}

#[test]
fn the_content_id_is_the_same_with_and_without_compression() {
    let body = [7; 5_000];
    let plain = Envelope {
        header: HEADER,
        key: KEY,
        echo: false,
        labels: &Labels::default(),
        limits: Limits {
            compress_above: usize::MAX,
            ..LIMITS
        },
    };

    let plain = plain.seal(|out| {
        out.extend_from_slice(&body);
        Ok(())
    });
    let (plain, compressed) = (plain.unwrap(), sealed(&body, false));

    assert!(compressed.bytes.len() < 200 && plain.bytes.len() > 5_000);
    assert_eq!(compressed.seal.content_id, plain.seal.content_id);
    let opened = open(&plain.bytes, KEY, EXPECTED).unwrap();
    assert_eq!(
        (&*opened.body, opened.seal.content_id),
        (&body[..], plain.seal.content_id)
    );
}

#[test]
fn every_single_bit_flip_is_refused() {
    for payload in payloads() {
        assert!((180..=320).contains(&payload.len()), "{}", payload.len());
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
        for _ in 0..5_000 {
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
            let _ = (generation(&mutated), check_of(&mutated));
        }
    }
}

#[test]
fn another_key_or_schema_is_refused_by_name() {
    let [plain, echoed, ..] = payloads();
    let other_schema = Expected {
        schema: 1,
        ..EXPECTED
    };

    let reason = |bytes, key, expected| open(bytes, key, expected).unwrap_err().as_str();

    assert_eq!(reason(&plain, b"product/43", EXPECTED), "corrupt");
    assert_eq!(reason(&echoed, b"product/43", EXPECTED), "other_key");
    assert_eq!(reason(&plain, KEY, other_schema), "other_schema");
}

#[test]
fn foreign_bytes_and_later_formats_are_refused_by_name() {
    let [payload, ..] = payloads();
    let reason = |at: usize, byte: u8| {
        let mut changed = payload.clone();
        changed[at] = byte;
        open(&changed, KEY, EXPECTED).unwrap_err()
    };

    assert_eq!(reason(0, b'{'), BadEnvelope::NotOurs);
    assert_eq!(reason(1, 2), BadEnvelope::UnknownFormat);
    for bit in 5..8 {
        assert_eq!(reason(3, 1 << bit), BadEnvelope::UnknownFlags);
    }
    assert_eq!(
        open(b"", KEY, EXPECTED).unwrap_err(),
        BadEnvelope::Truncated
    );
}

#[test]
fn a_body_longer_than_the_reader_takes_is_refused() {
    let body = [7; 5_000];
    let compressed = sealed(&body, false).bytes;
    let plain = sealed(&body[..300], false).bytes;
    let reason = |bytes: &[u8], max_value_bytes| {
        let expected = Expected {
            max_value_bytes,
            ..EXPECTED
        };
        open(bytes, KEY, expected).map(|opened| opened.body.len())
    };

    assert_eq!(reason(&compressed, 5_000), Ok(5_000));
    assert_eq!(reason(&compressed, 4_999), Err(BadEnvelope::TooLarge));
    assert_eq!(reason(&plain, 300), Ok(300));
    assert_eq!(reason(&plain, 299), Err(BadEnvelope::TooLarge));
}

/// Nobody forges a check by accident, but a broken release might seal such a payload.
#[test]
fn a_sealed_bomb_is_refused_before_anything_is_allocated() {
    let mut bytes = sealed(&[7; 5_000], false).bytes;
    let body_len = bytes.len() - HEADER_LEN;
    let honest = bytes.clone();
    bytes[HEADER_LEN..HEADER_LEN + 4].copy_from_slice(&u32::MAX.to_be_bytes());

    let opened = open(&resealed(honest, body_len), KEY, EXPECTED).map(|opened| opened.body.len());
    let bomb = open(&resealed(bytes, body_len), KEY, EXPECTED).unwrap_err();

    assert_eq!(opened, Ok(5_000));
    assert_eq!(bomb, BadEnvelope::TooLarge);
}

#[test]
fn a_sealed_payload_of_a_form_that_does_not_exist_is_refused_by_name() {
    let malformed = |header: Header, flags: u8, rest: &[u8], body: &[u8]| {
        let mut bytes = header.to_bytes(flags).to_vec();
        bytes.extend_from_slice(rest);
        bytes.extend_from_slice(body);
        open(&resealed(bytes, body.len()), KEY, EXPECTED).unwrap_err()
    };
    let absent = Header {
        absent: true,
        ..HEADER
    };

    let with_body = malformed(absent, 0, b"", b"lamp");
    let no_labels = malformed(HEADER, LABELS, &[0, 0, 0, 1, 0], b"");
    let not_lz4 = malformed(HEADER, COMPRESSED, b"", &[0, 0, 0, 9, 0xff]);

    assert_eq!([with_body, no_labels, not_lz4], [BadEnvelope::Malformed; 3]);
}

#[test]
fn generation_and_check_are_read_from_whole_headers_of_ours_only() {
    let [payload, ..] = payloads();

    assert_eq!(
        generation(&payload[..64]),
        Some((HEADER.epoch, HEADER.version))
    );
    assert_eq!(
        check_of(&payload).as_ref().map(|check| &check[..]),
        Some(&payload[56..64])
    );
    for bad in [&payload[..63], &[0; 64]] {
        assert_eq!(generation(bad), None);
        assert_eq!(check_of(bad), None);
    }
}

#[test]
fn a_codec_that_clears_what_was_there_is_refused() {
    for rewritten in [vec![], vec![0; 100]] {
        let envelope = Envelope {
            header: HEADER,
            key: KEY,
            echo: false,
            labels: &Labels::default(),
            limits: LIMITS,
        };

        let result = envelope.seal(|out| {
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

    let sealed = seal(header, &Labels::default(), b"", false);

    let opened = open(&sealed.bytes, KEY, EXPECTED).unwrap();
    assert_eq!(opened.header.deadline, MAX_MILLIS);
}

#[test]
fn keys_longer_than_the_stack_copy_are_checked_as_well() {
    let key = [b'k'; 1_000];
    let envelope = Envelope {
        header: HEADER,
        key: &key,
        echo: false,
        labels: &labels(),
        limits: LIMITS,
    };
    let sealed = envelope.seal(|_| Ok(())).unwrap();

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
