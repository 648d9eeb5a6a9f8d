//! A validator made of what a page was made of: equal if everything that was read had the same content.
//!
//! Weak, because equal contents make pages that mean the same, not the same bytes. Beside the contents it depends on the
//! build that renders them, on the request headers that the page varies on, and on its tags: some edges learn new tags
//! from a whole response only, never from a 304.

use http::{HeaderMap, HeaderValue, header};
use tricache::{ScopeSummary, Tag};
use twox_hash::XxHash3_128;

/// The validator of a page; `None` if something that was read has no content id.
pub(crate) fn entity_tag(
    build: &str,
    asked: &HeaderMap,
    response: &HeaderMap,
    own: &[String],
    summary: &ScopeSummary,
) -> Option<HeaderValue> {
    let mut text = Vec::with_capacity(TYPICAL_LEN);
    push(&mut text, build.as_bytes());
    text.extend_from_slice(&contents(summary)?.to_be_bytes());
    push_all(&mut text, summary.tags().iter().map(Tag::as_str));
    push_all(&mut text, own.iter().map(String::as_str));
    push_numbers(&mut text, summary.dependencies());
    push_variant(&mut text, asked, response);
    let tag = format!("W/\"{:032x}\"", XxHash3_128::oneshot(&text));
    Some(HeaderValue::try_from(tag).expect("made of digits"))
}

/// Whether one of the validators in `If-None-Match` is this one, compared weakly (RFC 9110, 13.1.2).
pub(crate) fn matches(asked: &HeaderMap, tag: &HeaderValue) -> bool {
    let lines = asked.get_all(header::IF_NONE_MATCH).iter();
    lines.into_iter().any(|line| {
        line.as_bytes().trim_ascii() == b"*"
            || opaque_tags(line.as_bytes()).any(|own| Some(own) == opaque(tag.as_bytes()))
    })
}

/// The same for equal contents, in whichever order they were read.
fn contents(summary: &ScopeSummary) -> Option<u128> {
    let mut sum = 0_u128;
    for (name, content_id) in summary.entity_names().zip(summary.content_ids()) {
        let part = XxHash3_128::oneshot_with_seed((*content_id)?, name.as_bytes());
        sum = sum.wrapping_add(part);
    }
    Some(sum)
}

/// The values of the request headers that the page varies on.
fn push_variant(text: &mut Vec<u8>, asked: &HeaderMap, response: &HeaderMap) {
    let vary = response.get_all(header::VARY).iter();
    let names = vary.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    let mut names: Vec<Vec<u8>> = names
        .map(|name| name.trim_ascii().to_ascii_lowercase())
        .collect();
    names.sort_unstable();
    names.dedup();
    for name in names
        .iter()
        .filter_map(|name| std::str::from_utf8(name).ok())
    {
        push(text, name.as_bytes());
        for value in asked.get_all(name) {
            push(text, value.as_bytes());
        }
    }
}

fn push_all<'a>(text: &mut Vec<u8>, parts: impl ExactSizeIterator<Item = &'a str>) {
    text.extend_from_slice(&parts.len().to_be_bytes());
    parts.for_each(|part| push(text, part.as_bytes()));
}

/// What is shown of others becomes keys, too.
fn push_numbers(text: &mut Vec<u8>, numbers: &[u64]) {
    text.extend_from_slice(&numbers.len().to_be_bytes());
    for number in numbers {
        text.extend_from_slice(&number.to_be_bytes());
    }
}

/// With its length, so that no two lists of parts read alike.
fn push(text: &mut Vec<u8>, part: &[u8]) {
    text.extend_from_slice(&part.len().to_be_bytes());
    text.extend_from_slice(part);
}

/// What stands between the quotes of each validator in a list; commas may stand there too.
fn opaque_tags(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = list;
    std::iter::from_fn(move || {
        let start = rest.iter().position(|byte| *byte == b'"')? + 1;
        let length = rest[start..].iter().position(|byte| *byte == b'"')?;
        let tag = &rest[start..start + length];
        rest = &rest[start + length + 1..];
        Some(tag)
    })
}

fn opaque(tag: &[u8]) -> Option<&[u8]> {
    opaque_tags(tag).next()
}

const TYPICAL_LEN: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_searched_for_the_tag_and_compared_weakly() {
        let tag = HeaderValue::from_static("W/\"a,b\"");
        for asked in [
            "\"a,b\"",
            "W/\"a,b\"",
            "\"x\", W/\"a,b\"",
            "*",
            "\"\",\"a,b\"",
            " * ",
        ] {
            assert!(matches(&if_none_match(&[asked]), &tag), "{asked}");
        }
        assert!(matches(&if_none_match(&["\"x\"", "\"a,b\""]), &tag));
    }

    #[test]
    fn what_is_not_the_tag_does_not_match() {
        let tag = HeaderValue::from_static("W/\"a\"");
        for asked in [
            "\"b\"", "a", "W/a", "\"a", "\"A\"", "", "\"b\", *", "\"a b\"",
        ] {
            assert!(!matches(&if_none_match(&[asked]), &tag), "{asked}");
        }
        assert!(!matches(&HeaderMap::new(), &tag));
    }

    fn if_none_match(lines: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::IF_NONE_MATCH, HeaderValue::from_static(line));
        }
        headers
    }
}
