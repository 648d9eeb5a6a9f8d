//! Entity names as surrogate keys: one name, one key, in every edge's alphabet.
//!
//! The key is made of `a-z 0-9 - . _` only: letters of one case, because some edges fold it; no colon, comma
//! or space, because those separate keys somewhere. Two names never share a key by their spelling:
//!
//! | in the name | in the key |
//! |---|---|
//! | `a`–`z`, `0`–`9`, `-` | itself |
//! | `/` | `.` |
//! | `A`–`Z` | `_` and the lower-case letter |
//! | `_`, `.` | `__`, `_.` |
//! | any other byte | `_-` and two hex digits |
//!
//! So `_` is the escape, and `product/42` reads `product.42`. A key longer than [`LONGEST_KEY`] is replaced by
//! `_0` and the name's 128-bit hash; no spelled key has a digit after `_`. Should two hashes ever collide, both
//! pages carry the same key: a purge takes one too many, never one too few.

use twox_hash::XxHash3_128;

/// The surrogate key of an entity's name: what stands in `Surrogate-Key`, and what a purge must name.
///
/// Total and stable: any text has a key, the same in every process and release. The key is at most 128 bytes
/// of `a-z 0-9 - . _`. The file's table says how it is spelled: `_` escapes, `/` becomes `.`.
///
/// # Examples
/// ```
/// use tricache_middleware::surrogate_key;
///
/// assert_eq!(surrogate_key("product/42"), "product.42");
/// assert_eq!(surrogate_key("order_list/Lamp"), "order__list._lamp");
/// assert_eq!(surrogate_key("word/a,b"), "word.a_-2cb");
/// ```
#[must_use]
pub fn surrogate_key(name: &str) -> String {
    let mut key = String::with_capacity(name.len());
    push_surrogate_key(name, &mut key);
    key
}

/// Appends the key of `name` to `line`.
pub(crate) fn push_surrogate_key(name: &str, line: &mut String) {
    let start = line.len();
    for byte in name.bytes() {
        push_spelled(byte, line);
    }
    if line.len() - start > LONGEST_KEY {
        line.truncate(start);
        push_hashed(name, line);
    }
}

fn push_spelled(byte: u8, line: &mut String) {
    match byte {
        b'a'..=b'z' | b'0'..=b'9' | b'-' => line.push(char::from(byte)),
        b'/' => line.push('.'),
        b'A'..=b'Z' | b'_' | b'.' => line.extend(['_', char::from(byte.to_ascii_lowercase())]),
        _ => line.extend(['_', '-', hex(byte >> 4), hex(byte & 0xf)]),
    }
}

fn push_hashed(name: &str, line: &mut String) {
    line.push_str("_0");
    for byte in XxHash3_128::oneshot(name.as_bytes()).to_be_bytes() {
        line.extend([hex(byte >> 4), hex(byte & 0xf)]);
    }
}

/// A digit below 16 in lower case.
fn hex(digit: u8) -> char {
    char::from(b"0123456789abcdef"[usize::from(digit)])
}

/// The longest key, in bytes: Akamai takes 128, the others more.
const LONGEST_KEY: usize = 128;

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_simple_name_stays_readable() {
        assert_eq!(surrogate_key("product/42"), "product.42");
        assert_eq!(
            surrogate_key("session/6f9619ff-8b86-d011-b42d-00cf4fc964ff"),
            "session.6f9619ff-8b86-d011-b42d-00cf4fc964ff"
        );
    }

    #[test]
    fn what_the_alphabet_lacks_is_escaped() {
        assert_eq!(
            surrogate_key("A_b.C/x'~,%#"),
            "_a__b_._c.x_-27_-7e_-2c_-25_-23"
        );
    }

    #[test]
    fn names_that_differ_in_one_separator_differ() {
        let names = [
            "a/b", "a.b", "a_b", "a-b", "A/b", "a/B", "a__b", "a_/b", "a._b", "a_-2fb",
        ];

        let keys: HashMap<_, _> = names
            .iter()
            .map(|name| (surrogate_key(name), name))
            .collect();

        assert_eq!(keys.len(), names.len());
    }

    #[test]
    fn every_short_name_has_a_key_of_its_own() {
        let alphabet = [
            "", "a", "A", "0", "2", "f", "_", "-", ".", "/", ",", "%", "~", "ä",
        ];
        let mut names: HashMap<String, String> = HashMap::new();

        for name in words_of_four(&alphabet) {
            let earlier = names.insert(surrogate_key(&name), name.clone());
            assert!(
                earlier.as_ref().is_none_or(|earlier| *earlier == name),
                "{earlier:?} and {name:?} share a key"
            );
        }
    }

    #[test]
    fn a_long_name_is_hashed_to_one_of_fixed_length() {
        let name = format!("product/{}", "x".repeat(120));
        let longer = format!("{name}x");

        assert_eq!(surrogate_key(&name), name.replace('/', "."));
        assert_eq!(surrogate_key(&longer).len(), 34);
        assert_eq!(surrogate_key(&longer), "_0f66fd3354bc8263c19941ef4c9fb94d2");
        assert_ne!(surrogate_key(&longer), surrogate_key(&format!("{longer}x")));
    }

    proptest! {
        #[test]
        fn a_key_spells_its_name_back(name in "[ -~äé€]{0,10}") {
            prop_assert_eq!(spelled_back(&surrogate_key(&name)), Some(name));
        }

        #[test]
        fn names_out_of_the_key_alphabet_spell_back_too(name in "[A-Za-z0-9._-]{1,20}/[A-Za-z0-9._'~,%#-]{0,20}") {
            prop_assert_eq!(spelled_back(&surrogate_key(&name)), Some(name));
        }

        #[test]
        fn any_text_becomes_a_portable_key(name in ".{0,300}") {
            let key = surrogate_key(&name);

            prop_assert!(key.len() <= LONGEST_KEY);
            prop_assert!(key.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_')));
        }

        #[test]
        fn a_hash_is_never_a_spelling(name in "[a-z]{129,300}") {
            prop_assert_eq!(spelled_back(&surrogate_key(&name)), None);
        }
    }

    fn words_of_four(alphabet: &[&str]) -> impl Iterator<Item = String> {
        let count = alphabet.len();
        (0..count.pow(4)).map(move |n| {
            let letter = |place: u32| alphabet[n / count.pow(place) % count];
            [letter(0), letter(1), letter(2), letter(3)].concat()
        })
    }

    /// The table, read from right to left.
    fn spelled_back(key: &str) -> Option<String> {
        let mut bytes = Vec::new();
        let mut rest = key.bytes();
        while let Some(byte) = rest.next() {
            bytes.push(match byte {
                b'.' => b'/',
                b'_' => match rest.next()? {
                    b'-' => 16 * digit(rest.next()?)? + digit(rest.next()?)?,
                    letter @ b'a'..=b'z' => letter.to_ascii_uppercase(),
                    itself @ (b'_' | b'.') => itself,
                    _ => return None,
                },
                itself => itself,
            });
        }
        String::from_utf8(bytes).ok()
    }

    fn digit(byte: u8) -> Option<u8> {
        char::from(byte)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    }
}
