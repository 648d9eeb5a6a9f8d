//! Keys, rendered injectively into readable text.
//!
//! A key is a row of parts joined by `,`. An integer is its decimal digits; text keeps `[A-Za-z0-9._-]` and
//! percent-encodes the rest, behind a `'` where it would look like something else; bytes are `~` and
//! lower-case hex. Two different rows of parts never render alike, and nothing rendered can break out of a
//! Redis key: no braces, colons, blanks or control characters survive.

use super::StoreVersion;
use smallvec::SmallVec;
use std::borrow::Cow;
use twox_hash::{XxHash3_64, XxHash3_128};

/// A key of a cache.
///
/// Implemented for integers, `str`, `String`, `bool`, `char`, byte strings, tuples, and with the feature `uuid` for
/// `Uuid`. For a type of your own, write its parts in a fixed order:
///
/// ```
/// use tricache::{CacheKey, KeyWriter};
///
/// struct Shelf { shop: u32, name: String }
///
/// impl CacheKey for Shelf {
///     fn render(&self, out: &mut KeyWriter) {
///         out.int(self.shop);
///         out.text(&self.name);
///     }
/// }
/// ```
///
/// A borrowed form must render like its owned form, as `str` does for `String`. An enum writes its variant's
/// name or number first.
pub trait CacheKey {
    /// Writes the parts of this key.
    fn render(&self, out: &mut KeyWriter);
}

/// Takes the parts of a key; see [`CacheKey`].
#[derive(Debug, Default)]
pub struct KeyWriter {
    text: SmallVec<[u8; INLINE]>,
}

impl KeyWriter {
    /// Adds a signed or unsigned integer.
    pub fn int(&mut self, number: impl Into<i128>) {
        let number = number.into();
        self.separate();
        if number < 0 {
            self.text.push(b'-');
        }
        self.digits(number.unsigned_abs());
    }

    /// Adds an integer that may be too large for [`int`](Self::int).
    pub fn uint(&mut self, number: u128) {
        self.separate();
        self.digits(number);
    }

    /// Adds text: any text, also empty.
    pub fn text(&mut self, text: &str) {
        self.separate();
        let bytes = text.as_bytes();
        if bytes
            .first()
            .is_none_or(|first| first.is_ascii_digit() || *first == b'-')
        {
            self.text.push(b'\'');
        }
        if bytes.iter().all(|byte| is_plain(*byte)) {
            self.text.extend_from_slice(bytes);
        } else {
            bytes.iter().for_each(|byte| self.escaped(*byte));
        }
    }

    /// Adds bytes.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.separate();
        self.text.push(b'~');
        for byte in bytes {
            self.hex(*byte);
        }
    }

    fn separate(&mut self) {
        if !self.text.is_empty() {
            self.text.push(b',');
        }
    }

    fn digits(&mut self, number: u128) {
        let mut digits = [0; 39];
        let mut at = digits.len();
        // Division of 128 bits is slow, and nearly every key fits into 64.
        let mut rest = match u64::try_from(number) {
            Ok(small) => small,
            Err(_) => return self.text.extend_from_slice(number.to_string().as_bytes()),
        };
        if rest < 10 {
            return self.text.push(b'0' + rest as u8);
        }
        loop {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        self.text.extend_from_slice(&digits[at..]);
    }

    fn escaped(&mut self, byte: u8) {
        if is_plain(byte) {
            self.text.push(byte);
        } else {
            self.text.push(b'%');
            self.hex(byte);
        }
    }

    fn hex(&mut self, byte: u8) {
        self.text.push(HEX[usize::from(byte >> 4)]);
        self.text.push(HEX[usize::from(byte & 15)]);
    }
}

/// A key as text, with the 64-bit hash by which this process and the events name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RenderedKey {
    text: SmallVec<[u8; INLINE]>,
    hash: u64,
}

impl RenderedKey {
    /// Renders `key`; `seed` keeps equal keys of different caches apart.
    pub(crate) fn new<Q: CacheKey + ?Sized>(key: &Q, seed: u64) -> Self {
        Self::pinned(key, seed, None)
    }

    /// Renders `key` with the version it is pinned to: another entity, which `@` sets apart from every other.
    pub(crate) fn pinned<Q: CacheKey + ?Sized>(
        key: &Q,
        seed: u64,
        pin: Option<StoreVersion>,
    ) -> Self {
        let mut writer = KeyWriter::default();
        key.render(&mut writer);
        if let Some(pin) = pin {
            writer.text.push(b'@');
            writer.digits(pin.number());
        }
        let hash = Self::hash_of(&writer.text, seed);
        Self {
            text: writer.text,
            hash,
        }
    }

    /// A key that was rendered before, with its hash.
    pub(crate) fn rendered(text: &str, hash: u64) -> Self {
        Self {
            text: SmallVec::from_slice(text.as_bytes()),
            hash,
        }
    }

    /// The hash of rendered text.
    pub(crate) fn hash_of(text: &[u8], seed: u64) -> u64 {
        XxHash3_64::oneshot_with_seed(seed, text)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.text
    }

    /// The rendered text, which is ASCII by construction.
    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.text).unwrap_or_default()
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    /// Whether the text is too long for a Redis key, which then holds a hash, and the envelope the text.
    pub(crate) fn is_long(&self) -> bool {
        self.text.len() > LONGEST
    }

    /// The key's part of a Redis key: the text, or `#` and a 128-bit hash of it.
    pub(crate) fn short(&self) -> Cow<'_, [u8]> {
        if self.is_long() {
            let hash = XxHash3_128::oneshot(&self.text);
            Cow::Owned(format!("#{hash:032x}").into_bytes())
        } else {
            Cow::Borrowed(&self.text)
        }
    }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

macro_rules! integers {
    ($($type:ty),*) => {$(
        impl CacheKey for $type {
            fn render(&self, out: &mut KeyWriter) {
                out.int(*self);
            }
        }
    )*};
}
integers!(u8, u16, u32, u64, i8, i16, i32, i64, i128);

impl CacheKey for u128 {
    fn render(&self, out: &mut KeyWriter) {
        out.uint(*self);
    }
}

impl CacheKey for usize {
    fn render(&self, out: &mut KeyWriter) {
        out.uint(*self as u128);
    }
}

impl CacheKey for isize {
    fn render(&self, out: &mut KeyWriter) {
        out.int(*self as i128);
    }
}

impl CacheKey for bool {
    fn render(&self, out: &mut KeyWriter) {
        out.text(if *self { "true" } else { "false" });
    }
}

impl CacheKey for char {
    fn render(&self, out: &mut KeyWriter) {
        out.text(self.encode_utf8(&mut [0; 4]));
    }
}

impl CacheKey for str {
    fn render(&self, out: &mut KeyWriter) {
        out.text(self);
    }
}

impl CacheKey for String {
    fn render(&self, out: &mut KeyWriter) {
        out.text(self);
    }
}

impl CacheKey for [u8] {
    fn render(&self, out: &mut KeyWriter) {
        out.bytes(self);
    }
}

impl CacheKey for Vec<u8> {
    fn render(&self, out: &mut KeyWriter) {
        out.bytes(self);
    }
}

impl<const N: usize> CacheKey for [u8; N] {
    fn render(&self, out: &mut KeyWriter) {
        out.bytes(self);
    }
}

#[cfg(feature = "uuid")]
impl CacheKey for uuid::Uuid {
    fn render(&self, out: &mut KeyWriter) {
        out.bytes(self.as_bytes());
    }
}

impl<T: CacheKey + ?Sized> CacheKey for &T {
    fn render(&self, out: &mut KeyWriter) {
        (**self).render(out);
    }
}

macro_rules! tuples {
    ($(($($name:ident $index:tt),*))*) => {$(
        impl<$($name: CacheKey),*> CacheKey for ($($name,)*) {
            fn render(&self, out: &mut KeyWriter) {
                $(self.$index.render(out);)*
            }
        }
    )*};
}
tuples! { (A 0) (A 0, B 1) (A 0, B 1, C 2) (A 0, B 1, C 2, D 3) (A 0, B 1, C 2, D 3, E 4) }

/// Longer keys are hashed in Redis. Counted in rendered bytes.
const LONGEST: usize = 200;
/// Keys up to here are rendered without allocating.
const INLINE: usize = 64;
const HEX: &[u8; 16] = b"0123456789abcdef";

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn text<Q: CacheKey + ?Sized>(key: &Q) -> String {
        RenderedKey::new(key, 0).as_str().to_owned()
    }

    #[test]
    fn common_keys_stay_readable() {
        assert_eq!(text(&42_u64), "42");
        assert_eq!(text(&-7_i32), "-7");
        assert_eq!(text("lamp"), "lamp");
        assert_eq!(text(&(7_u32, "red".to_owned())), "7,red");
        assert_eq!(text(&u128::MAX), u128::MAX.to_string());
        assert_eq!(text(&i128::MIN), i128::MIN.to_string());
    }

    #[test]
    fn nothing_breaks_out_of_a_redis_key() {
        assert_eq!(text("{a}:b"), "%7ba%7d%3ab");
        assert_eq!(text("a\0\nb c"), "a%00%0ab%20c");
        assert_eq!(text("é"), "%c3%a9");
        assert_eq!(text(&vec![0_u8, 255]), "~00ff");
    }

    #[test]
    fn different_rows_of_parts_never_render_alike() {
        let texts = [
            "", ",", "a,b", "a", "b", "42", "-7", "'", "~", "~00", "%", "%2c", "'42", "#", "{",
            "a\0",
        ];
        let mut seen = HashMap::new();
        for a in texts {
            assert_eq!(seen.insert(text(a), format!("{a:?}")), None);
            assert_eq!(
                seen.insert(text(&a.as_bytes().to_vec()), format!("bytes {a:?}")),
                None
            );
            for b in texts {
                assert_eq!(seen.insert(text(&(a, b)), format!("{a:?} {b:?}")), None);
            }
        }
        for number in [-7_i64, 0, 42] {
            assert_eq!(seen.insert(text(&number), number.to_string()), None);
        }
    }

    #[test]
    fn a_borrowed_key_renders_like_its_owned_form() {
        assert_eq!(text("lamp"), text(&"lamp".to_owned()));
        assert_eq!(text(&[1_u8, 2][..]), text(&vec![1_u8, 2]));
    }

    #[test]
    fn a_pinned_version_makes_another_key_than_any_text() {
        let pinned = |version: u64| RenderedKey::pinned("a", 0, Some(version.into()));

        assert_eq!(pinned(9).as_str(), "a@9");
        assert_ne!(pinned(9).hash(), pinned(8).hash());
        assert_eq!(text("a@9"), "a%409");
    }

    #[test]
    fn a_key_of_a_megabyte_is_hashed_for_redis() {
        let long = RenderedKey::new(&"x".repeat(1 << 20), 0);
        let other = RenderedKey::new(&"y".repeat(1 << 20), 0);

        assert_eq!(long.short().len(), 33);
        assert_eq!(long.short()[0], b'#');
        assert_ne!(long.short(), other.short());
    }

    #[test]
    fn equal_keys_of_different_caches_have_different_hashes() {
        assert_ne!(
            RenderedKey::new(&1_u8, 1).hash(),
            RenderedKey::new(&1_u8, 2).hash()
        );
    }
}
