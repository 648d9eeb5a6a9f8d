//! Compressed bodies: the length of the raw body as u32, then lz4.
//!
//! Only what the check has proven is decompressed, and never into more than the reader's cap.

use super::BadEnvelope;

/// The compressed form of a body, if it saves enough to be worth its time.
pub(super) fn compressed(raw: &[u8]) -> Option<Vec<u8>> {
    let len = u32::try_from(raw.len()).ok()?;
    let mut packed = vec![0; RAW_LEN + lz4_flex::block::get_maximum_output_size(raw.len())];
    packed[..RAW_LEN].copy_from_slice(&len.to_be_bytes());
    let written = lz4_flex::block::compress_into(raw, &mut packed[RAW_LEN..]).ok()?;
    packed.truncate(RAW_LEN + written);
    (packed.len() * 100 <= raw.len() * WORTH).then_some(packed)
}

/// The raw body of a compressed one.
pub(super) fn raw(packed: &[u8], max_bytes: usize) -> Result<Vec<u8>, BadEnvelope> {
    let (len, packed) = packed.split_first_chunk().ok_or(BadEnvelope::Malformed)?;
    let len = u32::from_be_bytes(*len) as usize;
    if len > max_bytes {
        return Err(BadEnvelope::TooLarge);
    }
    let mut raw = vec![0; len];
    match lz4_flex::block::decompress_into(packed, &mut raw) {
        Ok(written) if written == len => Ok(raw),
        _ => Err(BadEnvelope::Malformed),
    }
}

/// Bytes of the raw length.
const RAW_LEN: usize = 4;
/// How long the compressed form may be, in % of the raw one: what saves less than 15 % stays raw.
const WORTH: usize = 85;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_comes_back_and_takes_less() {
        let body = b"lamp, chair, table; ".repeat(100);

        let packed = compressed(&body).unwrap();

        assert!(packed.len() < body.len() / 10);
        assert_eq!(raw(&packed, body.len()).unwrap(), body);
    }

    #[test]
    fn a_body_that_saves_little_stays_as_it_is() {
        let mut state = 7_u32;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .take(10_000)
        .collect();
        // One byte in ten is a zero: lz4 saves 9 %.
        let little = [&noise[..], &[0; 1_000]].concat();
        let enough = [&noise[..], &[0; 3_000]].concat();

        assert_eq!(compressed(&noise), None);
        assert_eq!(compressed(&little), None);
        assert!(compressed(&enough).is_some());
    }

    #[test]
    fn a_raw_length_beyond_the_cap_is_refused_before_it_is_allocated() {
        // 4 GiB, as it says.
        let bomb = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];

        assert_eq!(raw(&bomb, 1 << 20), Err(BadEnvelope::TooLarge));
    }

    #[test]
    fn a_body_of_another_length_than_it_says_is_refused() {
        let packed = compressed(&[7; 1_000]).unwrap();
        let says = |len: u32| [&len.to_be_bytes()[..], &packed[RAW_LEN..]].concat();

        assert_eq!(raw(&says(1_000), 2_000), Ok(vec![7; 1_000]));
        for len in [0, 999, 1_001] {
            assert_eq!(raw(&says(len), 2_000), Err(BadEnvelope::Malformed), "{len}");
        }
        assert_eq!(raw(&[0, 0], 2_000), Err(BadEnvelope::Malformed));
    }
}
