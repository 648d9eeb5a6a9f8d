//! Where a cluster keeps a key: which of the 16,384 slots its hash tag falls into.

/// The slot of a key: that of what stands between the first braces.
pub(super) fn slot_of(key: &[u8]) -> u16 {
    crc16(tag_of(key)) % SLOTS
}

fn tag_of(key: &[u8]) -> &[u8] {
    let Some(open) = key.iter().position(|byte| *byte == b'{') else {
        return key;
    };
    let rest = &key[open + 1..];
    match rest.iter().position(|byte| *byte == b'}') {
        Some(close) if close > 0 => &rest[..close],
        _ => key,
    }
}

/// CRC-16/XMODEM, as the cluster specification has it.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |sum, byte| {
        let mixed = sum ^ u16::from(*byte) << 8;
        (0..8).fold(mixed, |sum, _| {
            if sum & 0x8000 == 0 {
                sum << 1
            } else {
                sum << 1 ^ 0x1021
            }
        })
    })
}

/// All slots of a cluster.
pub(super) const SLOTS: u16 = 16_384;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_that_of_the_specification() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
    }

    /// As `CLUSTER KEYSLOT` answers.
    #[test]
    fn a_key_lies_where_its_hash_tag_does() {
        assert_eq!(slot_of(b"foo"), 12_182);
        assert_eq!(slot_of(b"bar"), 5061);
        assert_eq!(slot_of(b"tc1:{foo}:c"), slot_of(b"foo"));
        assert_eq!(slot_of(b"{}foo"), crc16(b"{}foo") % SLOTS);
        assert_eq!(slot_of(b"a{bar}{foo}"), slot_of(b"bar"));
        assert_eq!(slot_of(b"a{bar"), crc16(b"a{bar") % SLOTS);
    }
}
