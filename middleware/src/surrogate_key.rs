//! Names as surrogate keys: what a page is found by, and all that a purge must name to find it.
//!
//! The spelling is that of [`Tag`], for entities and tags alike, so one alphabet serves every edge. More forms stand in for
//! keys that do not fit into a page's header, and for names that a page does not know. No text is spelled like them: in a spelled text a digit follows `_` only
//! at the beginning, as `_0` for a long text and as `_1` for none.
//!
//! | form | made of | stands for |
//! |---|---|---|
//! | `product.42` | the name, spelled | one entity or tag |
//! | `_2` and 12 digits | a hash of the spelled key | one long key; should two share it, a purge takes one too many |
//! | `product._1` | the cache's name, spelled | all that a page has read of this cache |
//! | `_3` and 12 digits | a hash of the name | an entity that a value on the page shows, though the page has not read it |
//! | `_4` and a digit | the first digit of that hash | all such entities with this digit |

use tricache::{EntityName, Tag};
use twox_hash::XxHash3_64;

/// The surrogate key of an entity's name or of a tag's text, as [`Tag`] spells it.
///
/// Total and stable: any text has a key, the same in every process and release. The key is at most 128 bytes of
/// `a-z 0-9 - . _`. A page that reads much may carry another form of it; [`purge_keys`] answers all of them.
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
    Tag::new(name).as_str().to_owned()
}

/// All keys that a purge must name to reach every page that shows `entity`, which is named as in `product/42`.
///
/// Its key, the short form of a long key, and the key of its whole cache: a page that reads more than its header
/// can name carries one of the latter two instead. Then its number, which stands on pages of values that were made of it, by
/// a load that has read it, and the group of that number, for pages of so many of them that the numbers do not fit. Every
/// page that an [`EdgeLayer`](crate::EdgeLayer) lets be shared carries at least one of these keys for each entity that it
/// shows.
///
/// # Examples
/// ```
/// use tricache_middleware::purge_keys;
///
/// assert_eq!(purge_keys("product/42"), ["product.42", "product._1", "_312ritlbki2pj", "_41"]);
/// assert_eq!(
///     purge_keys("basket/6f9619ff-8b86-d011-b42d-00cf4fc964ff"),
///     [
///         "basket.6f9619ff-8b86-d011-b42d-00cf4fc964ff",
///         "_2fhnp7953r8ig",
///         "basket._1",
///         "_3d9g9bhe5mag6",
///         "_4d",
///     ],
/// );
/// ```
#[must_use]
pub fn purge_keys(entity: &str) -> Vec<String> {
    let mut keys = with_short_form(&surrogate_key(entity));
    keys.extend(cache_of(entity).map(cache_key));
    if let Some(number) = EntityName::dependency(entity) {
        keys.extend([shown_key(number), shown_group(number)]);
    }
    keys
}

/// All keys that a purge must name to reach every page that shows something tagged with `tag`.
///
/// Its key, and the short form of a long one.
///
/// # Examples
/// ```
/// use tricache::Tag;
/// use tricache_middleware::purge_keys_of_tag;
///
/// assert_eq!(purge_keys_of_tag(&Tag::new("category-7")), ["category-7"]);
/// ```
#[must_use]
pub fn purge_keys_of_tag(tag: &Tag) -> Vec<String> {
    with_short_form(tag.as_str())
}

fn with_short_form(key: &str) -> Vec<String> {
    let short = (key.len() > SHORT_FORM).then(|| short_form(key));
    std::iter::once(key.to_owned()).chain(short).collect()
}

/// The key that stands for a long one.
pub(crate) fn short_form(key: &str) -> String {
    let hash = XxHash3_64::oneshot(key.as_bytes());
    "_2".chars()
        .chain((0..12).map(|place| digit(hash, place)))
        .collect()
}

/// The key of an entity that a value shows, made of the number by which the value knows it.
pub(crate) fn shown_key(number: u64) -> String {
    "_3".chars()
        .chain((0..12).map(|place| digit(number, place)))
        .collect()
}

/// The key that stands for all such entities whose numbers begin alike.
pub(crate) fn shown_group(number: u64) -> String {
    ['_', '4', digit(number, 0)].into_iter().collect()
}

fn digit(hash: u64, place: u32) -> char {
    char::from(DIGITS[(hash >> (5 * place)) as usize % DIGITS.len()])
}

/// The key that stands for every entity of a cache.
pub(crate) fn cache_key(cache: &str) -> String {
    let key = format!("{}._1", Tag::new(cache));
    if key.len() > LONGEST_KEY {
        return short_form(&key);
    }
    key
}

/// The cache in an entity's name. A cache's name has no slash in it.
pub(crate) fn cache_of(entity: &str) -> Option<&str> {
    entity.split_once('/').map(|(cache, _)| cache)
}

/// How long a short form is, in bytes. A key that is no longer stays as it is.
pub(crate) const SHORT_FORM: usize = 14;

/// The longest key, in bytes: Akamai takes 128, the others more.
const LONGEST_KEY: usize = 128;

const DIGITS: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";

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
        // Pinned: pages that an edge keeps for a day must be found by the next release.
        assert_eq!(surrogate_key(&longer), "_0f66fd3354bc8263c19941ef4c9fb94d2");
        assert_ne!(surrogate_key(&longer), surrogate_key(&format!("{longer}x")));
    }

    #[test]
    fn a_key_that_is_no_longer_than_its_short_form_has_none() {
        assert_eq!(purge_keys_of_tag(&Tag::new(&"x".repeat(14))).len(), 1);
        assert_eq!(purge_keys_of_tag(&Tag::new(&"x".repeat(15))).len(), 2);
    }

    #[test]
    fn a_cache_with_a_long_name_has_a_key_of_portable_length() {
        let cache = "X".repeat(64);

        assert_eq!(
            cache_key(&cache),
            short_form(&format!("{}._1", Tag::new(&cache)))
        );
        assert_ne!(cache_key(&cache), cache_key(&"Y".repeat(64)));
    }

    #[test]
    fn a_name_without_a_cache_is_purged_by_its_own_key_alone() {
        assert_eq!(purge_keys("front"), ["front"]);
    }

    proptest! {
        #[test]
        fn a_key_spells_its_name_back(name in "[ -~äé€]{1,10}") {
            prop_assert_eq!(spelled_back(&surrogate_key(&name)), Some(name));
        }

        #[test]
        fn names_out_of_the_key_alphabet_spell_back_too(name in "[A-Za-z0-9._-]{1,20}/[A-Za-z0-9._'~,%#-]{0,20}") {
            prop_assert_eq!(spelled_back(&surrogate_key(&name)), Some(name));
        }

        #[test]
        fn any_text_becomes_portable_keys(name in "(?s).{0,300}") {
            for key in purge_keys(&name).into_iter().chain(purge_keys_of_tag(&Tag::new(&name))) {
                prop_assert!((1..=LONGEST_KEY).contains(&key.len()), "{}", key);
                prop_assert!(key.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_')));
            }
        }

        #[test]
        fn no_text_is_spelled_like_a_form_that_stands_in(name in "[a-z]{129,300}", cache in "[A-Za-z0-9._-]{1,64}") {
            prop_assert_eq!(spelled_back(&surrogate_key(&name)), None);
            prop_assert_eq!(spelled_back(&short_form(&name)), None);
            prop_assert_eq!(spelled_back(&cache_key(&cache)), None);
        }

        #[test]
        fn no_text_is_spelled_like_a_number(number in any::<u64>()) {
            for key in [shown_key(number), shown_group(number)] {
                prop_assert_eq!(spelled_back(&key), None);
                prop_assert!(key.len() <= SHORT_FORM);
            }
        }
    }

    fn words_of_four(alphabet: &[&str]) -> impl Iterator<Item = String> {
        let count = alphabet.len();
        (0..count.pow(4)).map(move |n| {
            let letter = |place: u32| alphabet[n / count.pow(place) % count];
            [letter(0), letter(1), letter(2), letter(3)].concat()
        })
    }

    /// The table of [`Tag`], read from right to left; `None` for what is not the spelling of a text.
    fn spelled_back(key: &str) -> Option<String> {
        let mut bytes = Vec::new();
        let mut rest = key.bytes();
        while let Some(byte) = rest.next() {
            bytes.push(match byte {
                b'.' => b'/',
                b'_' => match rest.next()? {
                    b'-' => 16 * hex_digit(rest.next()?)? + hex_digit(rest.next()?)?,
                    letter @ b'a'..=b'z' => letter.to_ascii_uppercase(),
                    itself @ (b'_' | b'.') => itself,
                    _ => return None,
                },
                itself => itself,
            });
        }
        String::from_utf8(bytes).ok()
    }

    fn hex_digit(byte: u8) -> Option<u8> {
        char::from(byte)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    }
}
