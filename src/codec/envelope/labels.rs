//! The section with a value's tags and dependencies.
//!
//! Its length as u32; then the number of tags as u16 and each as its length in a byte and its spelled text; then the
//! number of dependencies as u16 and each as u64. It is read only after the check has proven it, and still every number
//! is compared with what is left before anything is allocated.

use crate::codec::EncodeError;
use crate::model::{Labels, Tag};

/// Appends the section.
pub(super) fn push(labels: &Labels, bytes: &mut Vec<u8>) -> Result<(), EncodeError> {
    let start = bytes.len();
    bytes.extend_from_slice(&[0; LEN]);
    bytes.extend_from_slice(&count(labels.tags.len())?);
    for tag in &labels.tags {
        let text = tag.as_str().as_bytes();
        bytes.push(u8::try_from(text.len()).map_err(EncodeError::new)?);
        bytes.extend_from_slice(text);
    }
    bytes.extend_from_slice(&count(labels.dependencies.len())?);
    for dependency in &labels.dependencies {
        bytes.extend_from_slice(&dependency.to_be_bytes());
    }
    let len = u32::try_from(bytes.len() - start - LEN).map_err(EncodeError::new)?;
    bytes[start..start + LEN].copy_from_slice(&len.to_be_bytes());
    Ok(())
}

/// What stands in the section behind its length; `None` if nothing of ours writes it so.
pub(super) fn parse(mut section: &[u8]) -> Option<Labels> {
    let mut tags = Vec::with_capacity(take_count(&mut section, SHORTEST_TAG)?);
    for _ in 0..tags.capacity() {
        tags.push(take_tag(&mut section)?);
    }
    let mut dependencies = Vec::with_capacity(take_count(&mut section, DEPENDENCY)?);
    for _ in 0..dependencies.capacity() {
        dependencies.push(u64::from_be_bytes(take(&mut section)?));
    }
    section.is_empty().then_some(Labels { tags, dependencies })
}

fn count(len: usize) -> Result<[u8; 2], EncodeError> {
    match u16::try_from(len) {
        Ok(count) if len <= MOST => Ok(count.to_be_bytes()),
        _ => Err(EncodeError::too_many_labels(MOST)),
    }
}

/// A number of things of at least so many bytes each, as far as they can be there.
fn take_count(section: &mut &[u8], shortest: usize) -> Option<usize> {
    let count = usize::from(u16::from_be_bytes(take(section)?));
    (count <= MOST && count * shortest <= section.len()).then_some(count)
}

fn take_tag(section: &mut &[u8]) -> Option<Tag> {
    let [len] = take(section)?;
    let (text, rest) = section.split_at_checked(usize::from(len))?;
    *section = rest;
    Tag::spelled(str::from_utf8(text).ok()?)
}

fn take<const N: usize>(section: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = section.split_first_chunk()?;
    *section = rest;
    Some(*taken)
}

/// Tags of a value, and also its dependencies.
pub(super) const MOST: usize = 4096;
/// Bytes of the section's length.
const LEN: usize = 4;
/// A length and one letter.
const SHORTEST_TAG: usize = 2;
const DEPENDENCY: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn section(labels: &Labels) -> Vec<u8> {
        let mut bytes = Vec::new();
        push(labels, &mut bytes).unwrap();
        let len = u32::from_be_bytes(*bytes.first_chunk().unwrap());
        let section = bytes.split_off(LEN);
        assert_eq!(len as usize, section.len());
        section
    }

    fn some() -> Labels {
        Labels {
            tags: vec![Tag::new("category-7"), Tag::new("Red, large")],
            dependencies: vec![1, u64::MAX],
        }
    }

    #[test]
    fn labels_come_back_as_they_were() {
        let most = Labels {
            tags: (0..MOST).map(|n| Tag::new(&format!("{n:0128}"))).collect(),
            dependencies: (0..MOST as u64).collect(),
        };

        for labels in [Labels::default(), some(), most] {
            assert_eq!(parse(&section(&labels)), Some(labels));
        }
    }

    #[test]
    fn one_too_many_is_refused() {
        let tags = Labels {
            tags: vec![Tag::new("a"); MOST + 1],
            ..Labels::default()
        };
        let dependencies = Labels {
            dependencies: vec![0; 1 << 16],
            ..Labels::default()
        };

        for labels in [tags, dependencies] {
            let error = push(&labels, &mut Vec::new()).unwrap_err();
            assert!(error.is_too_many_labels(), "{error}");
        }
    }

    #[test]
    fn a_section_of_another_form_is_refused() {
        let whole = section(&some());
        for len in 0..whole.len() {
            assert_eq!(parse(&whole[..len]), None, "{len} bytes");
        }
        let longer = [&whole[..], &[0]].concat();
        let many = [0xff, 0xff].repeat(3);
        // 4,097 tags of one letter, and no dependencies.
        let too_many = [&[0x10, 0x01][..], &b"\x01a".repeat(MOST + 1), &[0, 0]].concat();
        let not_spelled = b"\0\x01\x03Red\0\0".to_vec();
        let not_text = b"\0\x01\x02\xff\xff\0\0".to_vec();

        for bad in [longer, many, too_many, not_spelled, not_text] {
            assert_eq!(parse(&bad), None, "{bad:02x?}");
        }
    }
}
