//! Tags: names that many entities share, spelled so that every edge can carry them.
//!
//! A tag is spelled with `a-z 0-9 - . _` only: letters of one case, because some edges fold it; no colon, comma or
//! space, because those separate keys somewhere. Two texts never share a spelling:
//!
//! | in the text | in the tag |
//! |---|---|
//! | `a`–`z`, `0`–`9`, `-` | itself |
//! | `/` | `.` |
//! | `A`–`Z` | `_` and the lower-case letter |
//! | `_`, `.` | `__`, `_.` |
//! | any other byte | `_-` and two hex digits |
//! | nothing at all | `_1` |
//!
//! So `_` is the escape. A tag longer than 128 bytes is replaced by `_0` and the text's 128-bit hash; no spelled tag
//! has a digit after `_`. Should two hashes ever collide, both texts are one tag: an invalidation takes one too many,
//! never one too few.

use std::{fmt, sync::Arc};
use twox_hash::{XxHash3_64, XxHash3_128};

/// A name that many entities share, and the surrogate key by which an edge knows them.
///
/// Made from any text, injectively and without failing; what is shown is the spelled form, at most 128 bytes of
/// `a-z 0-9 - . _`, the same in every process and release. Cloning it shares it.
///
/// ```
/// use tricache::Tag;
///
/// assert_eq!(Tag::new("category-7").as_str(), "category-7");
/// assert_eq!(Tag::new("product/42").as_str(), "product.42");
/// assert_eq!(Tag::new("Red, large").as_str(), "_red_-2c_-20large");
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(Arc<str>);

impl Tag {
    /// The tag of this text, whatever it holds.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let mut spelled = String::with_capacity(text.len());
        push_tag(text, &mut spelled);
        Self(spelled.into())
    }

    /// Appends the spelled form of a text's tag to `line`, without making the tag.
    ///
    /// ```
    /// let mut line = String::from("lamps ");
    /// tricache::Tag::spell("product/42", &mut line);
    /// assert_eq!(line, "lamps product.42");
    /// ```
    pub fn spell(text: &str, line: &mut String) {
        push_tag(text, line);
    }

    /// The tag of the lists that a new thing of this kind may join: `product-list`.
    ///
    /// A list names what stands in it, and nothing that will. So give this tag to every value that lists things of a kind, an
    /// empty list and a search without results among them, and invalidate it when one is created or deleted.
    ///
    /// ```
    /// use tricache::Tag;
    ///
    /// assert_eq!(Tag::list_of("product"), Tag::new("product-list"));
    /// // One of several, where not every new thing joins every list of its kind:
    /// assert_eq!(Tag::list_of("product/category-7").as_str(), "product.category-7-list");
    /// ```
    #[must_use]
    pub fn list_of(kind: &str) -> Self {
        Self::new(&format!("{kind}-list"))
    }

    /// The spelled form: what stands in Redis and at the edge.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A tag out of its spelled form, as an envelope holds it; `None` if no text is spelled so.
    pub(crate) fn spelled(text: &str) -> Option<Self> {
        let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_');
        let whole = !text.is_empty() && text.len() <= LONGEST && text.bytes().all(plain);
        whole.then(|| Self(text.into()))
    }

    /// By which events and the tag table name it. Two tags of one hash are invalidated together.
    pub(crate) fn hash(&self) -> u64 {
        XxHash3_64::oneshot(self.0.as_bytes())
    }
}

/// What every entry of a cache is tagged with: the name of its cache, in a form that no text is spelled in.
pub(crate) fn cache_tag(cache: &str) -> u64 {
    XxHash3_64::oneshot(format!("cache:{cache}").as_bytes())
}

/// What every entry of every cache is tagged with.
pub(crate) fn everything_tag() -> u64 {
    XxHash3_64::oneshot(b"everything:")
}

/// What every entry is tagged with that shows others: for when who shows what was lost.
pub(crate) fn nested_tag() -> u64 {
    XxHash3_64::oneshot(b"nested:")
}

/// What an entry is tagged with whose load has read this entity.
pub(crate) fn entity_tag(cache: u32, entity: u64) -> u64 {
    XxHash3_64::oneshot_with_seed(entity, format!("entity:{cache:08x}").as_bytes())
}

/// Appends the spelled form of `text` to `line`.
fn push_tag(text: &str, line: &mut String) {
    let start = line.len();
    if text.is_empty() {
        line.push_str("_1");
    }
    // Most texts are plain for the most part.
    for chunk in text
        .as_bytes()
        .chunk_by(|a, b| is_itself(*a) && is_itself(*b))
    {
        match std::str::from_utf8(chunk) {
            Ok(plain) if is_itself(chunk[0]) => line.push_str(plain),
            _ => chunk.iter().for_each(|byte| push_spelled(*byte, line)),
        }
    }
    if line.len() - start > LONGEST {
        line.truncate(start);
        push_hashed(text, line);
    }
}

fn is_itself(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-')
}

fn push_spelled(byte: u8, line: &mut String) {
    match byte {
        b'a'..=b'z' | b'0'..=b'9' | b'-' => line.push(char::from(byte)),
        b'/' => line.push('.'),
        b'A'..=b'Z' | b'_' | b'.' => line.extend(['_', char::from(byte.to_ascii_lowercase())]),
        _ => line.extend(['_', '-', hex(byte >> 4), hex(byte & 0xf)]),
    }
}

fn push_hashed(text: &str, line: &mut String) {
    line.push_str("_0");
    for byte in XxHash3_128::oneshot(text.as_bytes()).to_be_bytes() {
        line.extend([hex(byte >> 4), hex(byte & 0xf)]);
    }
}

/// A digit below 16 in lower case.
fn hex(digit: u8) -> char {
    char::from(b"0123456789abcdef"[usize::from(digit)])
}

impl From<&str> for Tag {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Tag {
    fn from(text: String) -> Self {
        Self::new(&text)
    }
}

impl From<&String> for Tag {
    fn from(text: &String) -> Self {
        Self::new(text)
    }
}

impl From<&Self> for Tag {
    fn from(tag: &Self) -> Self {
        tag.clone()
    }
}

impl AsRef<str> for Tag {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tag({})", self.0)
    }
}

impl serde::Serialize for Tag {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// The longest tag, in bytes: Akamai takes 128, the others more.
const LONGEST: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_alphabet_lacks_is_escaped() {
        assert_eq!(
            Tag::new("A_b.C/x'~,%#").as_str(),
            "_a__b_._c.x_-27_-7e_-2c_-25_-23"
        );
        assert_eq!(Tag::new("é\r\n").as_str(), "_-c3_-a9_-0d_-0a");
        assert_eq!(Tag::new("").as_str(), "_1");
    }

    #[test]
    fn a_long_text_is_hashed_to_a_tag_of_fixed_length() {
        let long = "x".repeat(128);
        let longer = "x".repeat(129);

        assert_eq!(Tag::new(&long).as_str(), long);
        assert_eq!(Tag::new(&longer).as_str().len(), 34);
        assert_ne!(Tag::new(&longer), Tag::new(&"x".repeat(130)));
    }

    #[test]
    fn a_spelled_form_is_taken_as_it_is_and_nothing_else() {
        let tag = Tag::new("Red, large");

        assert_eq!(Tag::spelled(tag.as_str()), Some(tag));
        for bad in ["", "Red", "a b", "é", &"x".repeat(129)] {
            assert_eq!(Tag::spelled(bad), None, "{bad}");
        }
    }

    #[test]
    fn hashes_are_the_same_on_every_node() {
        // Pinned: another hash would make nodes of two releases talk past each other.
        let hashes = [
            Tag::new("category-7").hash(),
            cache_tag("product"),
            everything_tag(),
            nested_tag(),
            entity_tag(7, 42),
        ];

        assert_eq!(hashes, PINNED);
    }

    const PINNED: [u64; 5] = [
        11_890_200_853_268_882_222,
        17_928_993_009_916_861_589,
        4_697_505_519_333_732_419,
        6_052_938_562_724_248_316,
        9_890_328_674_073_396_400,
    ];
}
