//! The header that names what a page shows, and what one edge takes of it.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue};

/// The header in which an edge looks for the keys of a page, and its limits.
///
/// A page whose keys exceed a limit is never cut: keys give way to shorter and coarser ones, and what does not fit even
/// so is not shared by this edge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyField {
    name: HeaderName,
    separator: Separator,
    max_bytes: usize,
    max_keys: usize,
    max_key_bytes: usize,
    max_line_bytes: usize,
    folds_case: bool,
    refused: Cow<'static, str>,
}

/// What stands between two keys. The same header name may need another one at another vendor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Separator {
    /// `product.1 product.2`
    Space,
    /// `product.1,product.2`
    Comma,
}

impl Separator {
    pub(crate) const fn as_char(self) -> char {
        match self {
            Self::Space => ' ',
            Self::Comma => ',',
        }
    }
}

impl KeyField {
    /// Keys in the header `name`, with `separator` between two.
    #[must_use]
    pub const fn new(name: HeaderName, separator: Separator) -> Self {
        Self {
            name,
            separator,
            max_bytes: MAX_BYTES,
            max_keys: usize::MAX,
            max_key_bytes: MAX_KEY_BYTES,
            max_line_bytes: usize::MAX,
            folds_case: false,
            refused: Cow::Borrowed(""),
        }
    }

    /// The longest value that the edge, and every proxy on the way, takes. Default: 3,072 bytes.
    #[must_use]
    pub const fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// How many keys the edge takes of one page. Default: no limit but that of their bytes.
    #[must_use]
    pub const fn max_keys(mut self, keys: usize) -> Self {
        self.max_keys = keys;
        self
    }

    /// The longest key that the edge takes. Default: 128 bytes, which is as long as a key of this layer gets.
    #[must_use]
    pub const fn max_key_bytes(mut self, bytes: usize) -> Self {
        self.max_key_bytes = bytes;
        self
    }

    /// Beyond so many bytes the keys go on in another line of the same header. Default: one line, however long.
    ///
    /// For proxies that limit the length of a line rather than that of all headers. Not for an edge that reads the
    /// first line alone.
    #[must_use]
    pub const fn max_line_bytes(mut self, bytes: usize) -> Self {
        self.max_line_bytes = bytes;
        self
    }

    /// The edge takes keys that differ in case for the same one: a handler's own keys are written in lower case, as
    /// all others are. Default: the edge tells them apart.
    #[must_use]
    pub const fn folds_case(mut self) -> Self {
        self.folds_case = true;
        self
    }

    /// Characters that the edge takes in no key; a handler's own key with one of them keeps the page from being shared.
    /// Default: none but the separator.
    #[must_use]
    pub fn refuses(mut self, characters: &'static str) -> Self {
        self.refused = Cow::Borrowed(characters);
        self
    }

    pub(crate) const fn name(&self) -> &HeaderName {
        &self.name
    }

    pub(crate) const fn separator(&self) -> char {
        self.separator.as_char()
    }

    pub(crate) const fn bytes(&self) -> usize {
        self.max_bytes
    }

    pub(crate) const fn keys(&self) -> usize {
        self.max_keys
    }

    pub(crate) const fn key_bytes(&self) -> usize {
        self.max_key_bytes
    }

    pub(crate) const fn is_case_folded(&self) -> bool {
        self.folds_case
    }

    /// Whether this edge can be told of a key that it did not get from this layer.
    pub(crate) fn takes(&self, key: &str) -> bool {
        key.len() <= self.max_key_bytes
            && !key.contains(self.separator())
            && !key.contains(|character| self.refused.contains(character))
    }

    /// The same header for both edges: what either cannot take, neither gets.
    ///
    /// # Panics
    /// If the two put something different between keys.
    pub(crate) fn stricter(&self, other: &Self) -> Self {
        assert_eq!(
            self.separator, other.separator,
            "two edges read `{}` with different separators",
            self.name
        );
        Self {
            name: self.name.clone(),
            separator: self.separator,
            max_bytes: self.max_bytes.min(other.max_bytes),
            max_keys: self.max_keys.min(other.max_keys),
            max_key_bytes: self.max_key_bytes.min(other.max_key_bytes),
            max_line_bytes: self.max_line_bytes.max(other.max_line_bytes),
            folds_case: self.folds_case || other.folds_case,
            refused: Cow::Owned(format!("{}{}", self.refused, other.refused)),
        }
    }

    /// Writes the keys into this header, in as many lines as it takes.
    pub(crate) fn write(&self, keys: String, headers: &mut HeaderMap) {
        if keys.len() <= self.max_line_bytes {
            headers.insert(self.name.clone(), header_value(keys));
            return;
        }
        headers.remove(&self.name);
        for line in self.lines(&keys) {
            headers.append(self.name.clone(), header_value(line));
        }
    }

    fn lines(&self, keys: &str) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for key in keys.split(self.separator()) {
            match lines.last_mut() {
                Some(line) if line.len() + 1 + key.len() <= self.max_line_bytes => {
                    line.push(self.separator());
                    line.push_str(key);
                }
                _ => lines.push(key.to_owned()),
            }
        }
        lines
    }
}

fn header_value(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("keys are visible ASCII, and so are separators")
}

/// What every edge and proxy takes that was measured.
const MAX_BYTES: usize = 3 * 1024;

/// The longest key that this layer makes: Akamai takes 128 bytes, the others more.
const MAX_KEY_BYTES: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_go_on_in_another_line_and_none_is_lost_or_parted() {
        let field = comma().max_line_bytes(7);

        let lines = written(&field, "aaa,bbb,cc,dddddddddd,e");

        assert_eq!(lines, ["aaa,bbb", "cc", "dddddddddd", "e"]);
    }

    #[test]
    fn one_line_is_one_value() {
        assert_eq!(written(&comma(), "a,b"), ["a,b"]);
    }

    #[test]
    fn a_key_with_what_the_edge_refuses_is_not_taken() {
        let field = comma().refuses(":*").max_key_bytes(5);

        assert!(field.takes("a.b"));
        for key in ["a,b", "a:b", "*", "abcdef"] {
            assert!(!field.takes(key), "{key}");
        }
    }

    #[test]
    fn of_two_edges_with_one_header_each_limit_is_the_stricter() {
        let one = comma().max_bytes(10).max_keys(7).refuses("*");
        let other = comma()
            .max_bytes(20)
            .max_keys(5)
            .max_key_bytes(3)
            .folds_case();

        let both = one.stricter(&other);

        let expected = comma().max_bytes(10).max_keys(5).max_key_bytes(3);
        assert_eq!(both, expected.folds_case().refuses("*"));
    }

    #[test]
    #[should_panic(expected = "two edges read `cache-tag` with different separators")]
    fn two_separators_in_one_header_are_a_mistake() {
        let space = KeyField::new(HeaderName::from_static("cache-tag"), Separator::Space);

        let _ = comma().stricter(&space);
    }

    fn written(field: &KeyField, keys: &str) -> Vec<HeaderValue> {
        let mut headers = HeaderMap::new();
        field.write(keys.to_owned(), &mut headers);
        headers.get_all("cache-tag").iter().cloned().collect()
    }

    fn comma() -> KeyField {
        KeyField::new(HeaderName::from_static("cache-tag"), Separator::Comma)
    }
}
