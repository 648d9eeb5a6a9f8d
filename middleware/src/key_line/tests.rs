//! Each form, and what holds for all of them.

use proptest::{collection::vec, prelude::*};
use tricache::EntityName;

use super::*;
use crate::{
    profile::{KeyField, Separator},
    purge_keys, purge_keys_of_tag,
};

#[test]
fn what_fits_is_written_as_it_is() {
    let line = key_line(
        &["front"],
        &["product/1", "product/2"],
        &["lamps"],
        &space(100),
    )
    .unwrap();

    assert_eq!(line.text, "front product.1 product.2 lamps");
    assert_eq!(line.form, Form::Whole);
}

#[test]
fn no_key_comes_twice() {
    let line = |own: &[&str], entities: &[&str], tags: &[&str]| {
        key_line(own, entities, tags, &space(100)).unwrap().text
    };

    assert_eq!(
        line(
            &["a", "product.1", "a"],
            &["product/1", "product/2"],
            &["a", "b"]
        ),
        "a product.1 product.2 b"
    );
    assert_eq!(line(&[], &["product/1"], &["product.1"]), "product.1");
}

#[test]
fn a_line_may_be_as_long_as_the_budget_and_no_longer() {
    let line = |budget| key_line(&[], &["a/1", "b/2"], &["c"], &space(budget));

    assert_eq!(line(9).unwrap().text, "a.1 b.2 c");
    assert_eq!(line(8), Err(OverBudget));
}

#[test]
fn long_keys_are_shortened_first() {
    let long = format!("basket/{}", "x".repeat(40));

    let line = key_line(&[], &[&long, "product/1"], &["lamps"], &space(40)).unwrap();

    let short = purge_keys(&long).remove(1);
    assert_eq!(line.text, format!("{short} product.1 lamps"));
    assert_eq!(line.form, Form::Shortened);
}

#[test]
fn the_cache_that_saves_most_is_coarsened_and_the_others_stay() {
    let products = names("product", 30);
    let entities: Vec<&str> = ["list/lamps", "price/1"]
        .into_iter()
        .chain(products.iter().map(String::as_str))
        .chain(["list/chairs"])
        .collect();

    let line = key_line(&["front"], &entities, &["lamps"], &space(100)).unwrap();

    assert_eq!(
        line.text,
        "front list.lamps price.1 product._1 list.chairs lamps"
    );
    assert_eq!(line.form, Form::Coarsened);
}

#[test]
fn a_cache_that_saves_nothing_is_not_coarsened() {
    assert_eq!(
        key_line(&[], &["product/1", "price/2"], &[], &space(12)),
        Err(OverBudget)
    );
}

#[test]
fn a_tag_that_is_named_like_a_coarsened_entity_stays() {
    let products = names("product", 30);
    let entities: Vec<&str> = products.iter().map(String::as_str).collect();

    let line = key_line(&[], &entities, &["product.1"], &space(50)).unwrap();

    assert_eq!(line.text, "product._1 product.1");
}

#[test]
fn tags_have_no_coarser_form() {
    let tags: Vec<String> = (0..10_000).map(|n| format!("tag-{n}")).collect();
    let tags: Vec<&str> = tags.iter().map(String::as_str).collect();

    assert_eq!(
        key_line(&[], &["product/1"], &tags, &space(3072)),
        Err(OverBudget)
    );
}

#[test]
fn ten_thousand_entities_of_one_cache_are_one_key() {
    let products = names("product", 10_000);
    let entities: Vec<&str> = products.iter().map(String::as_str).collect();

    let line = key_line(&[], &entities, &["lamps"], &space(3072)).unwrap();

    assert_eq!(line.text, "product._1 lamps");
}

#[test]
fn the_handlers_own_keys_are_never_replaced() {
    let own = "own-".repeat(10);

    assert_eq!(
        key_line(&[&own], &["a/1"], &[], &space(43)),
        Err(OverBudget)
    );
    assert_eq!(
        key_line(&[&own], &["a/1"], &[], &space(44)).unwrap().text,
        format!("{own} a.1")
    );
}

#[test]
fn an_own_key_that_edges_drop_with_all_behind_it_is_over_budget() {
    let own = |bytes| "x".repeat(bytes);

    assert!(key_line(&[&own(1024)], &["a/1"], &[], &space(3072)).is_ok());
    assert_eq!(
        key_line(&[&own(1025)], &["a/1"], &[], &space(3072)),
        Err(OverBudget)
    );
}

#[test]
fn keys_are_counted_too_and_coarsened_until_they_are_few_enough() {
    let products = names("product", 60);
    let entities: Vec<&str> = products
        .iter()
        .map(String::as_str)
        .chain(["list/lamps", "list/chairs"])
        .collect();
    let few = |keys| space(3072).max_keys(keys);

    let line = |keys| key_line(&[], &entities, &["sale"], &few(keys));

    assert_eq!(line(63).unwrap().form, Form::Whole);
    assert_eq!(
        line(50).unwrap().text,
        "product._1 list.lamps list.chairs sale"
    );
    assert_eq!(line(3).unwrap().text, "product._1 list._1 sale");
    assert_eq!(line(2), Err(OverBudget));
}

#[test]
fn a_key_that_is_longer_than_the_edge_takes_is_shortened() {
    let long = format!("basket/{}", "x".repeat(40));
    let field = space(3072).max_key_bytes(32);

    let line = key_line(&[], &[&long], &["lamps"], &field).unwrap();

    assert_eq!(line.text, format!("{} lamps", purge_keys(&long)[1]));
}

#[test]
fn the_separator_is_that_of_the_edge_and_no_own_key_has_it() {
    let field = KeyField::new(http::HeaderName::from_static("cache-tag"), Separator::Comma);

    let line = key_line(&["front"], &["product/1"], &["front", "sale"], &field).unwrap();

    assert_eq!(line.text, "front,product.1,sale");
    assert_eq!(
        key_line(&["a,b"], &["product/1"], &[], &field),
        Err(OverBudget)
    );
}

#[test]
fn a_second_layer_adds_nothing_to_what_the_first_has_written() {
    let products = names("product", 300);
    let entities: Vec<&str> = products.iter().map(String::as_str).collect();
    for budget in [100, 3072, 10_000] {
        let first = key_line(&[], &entities, &["lamps"], &space(budget)).unwrap();
        let own: Vec<&str> = first.text.split(' ').collect();

        let second = key_line(&own, &entities, &["lamps"], &space(budget)).unwrap();

        assert_eq!(sorted(&second.text), sorted(&first.text), "{budget}");
    }
}

proptest! {
    /// The promise that purging rests on.
    #[test]
    fn every_purge_of_what_was_read_finds_the_page_or_the_page_is_not_shared(
        entities in entities(), tags in tags(), own in vec("[!-~]{1,20}", 0..4), budget in 20_usize..3072,
    ) {
        let tags: Vec<Tag> = tags.iter().map(|text| Tag::new(text)).collect();
        let Ok(line) = written(&own, &entities, &tags, budget) else {
            return Ok(());
        };
        let keys: Vec<&str> = line.text.split(' ').collect();
        let finds = |purge: Vec<String>| purge.iter().any(|key| keys.contains(&key.as_str()));

        for entity in &entities {
            prop_assert!(finds(purge_keys(entity)), "{}: {}", entity, line.text);
        }
        for tag in &tags {
            prop_assert!(finds(purge_keys_of_tag(tag)), "{}: {}", tag, line.text);
        }
        prop_assert!(own.iter().all(|own| keys.contains(&own.as_str())), "{}", line.text);
    }

    #[test]
    fn a_line_fits_and_holds_each_key_once(
        entities in entities(), tags in tags(), own in vec("[!-~]{1,20}", 0..4), budget in 20_usize..3072,
    ) {
        let tags: Vec<Tag> = tags.iter().map(|text| Tag::new(text)).collect();
        let Ok(line) = written(&own, &entities, &tags, budget) else {
            return Ok(());
        };

        prop_assert!(line.text.len() <= budget);
        let keys: Vec<&str> = line.text.split(' ').collect();
        let different: HashSet<&str> = keys.iter().copied().collect();
        prop_assert_eq!(keys.len(), different.len(), "{}", line.text);
    }

    #[test]
    fn only_what_has_no_short_enough_form_is_refused(
        entities in entities(), tags in tags(), budget in 20_usize..3072,
    ) {
        let tags: Vec<Tag> = tags.iter().map(|text| Tag::new(text)).collect();

        if written(&[], &entities, &tags, budget).is_err() {
            let shortest = shortest_line(&entities, &tags);
            prop_assert!(shortest > budget, "{} bytes would have done", shortest);
        }
    }
}

/// The length of the line in which every cache has its shorter form.
fn shortest_line(entities: &[String], tags: &[Tag]) -> usize {
    let mut caches: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for entity in entities {
        let fine = shortened(Tag::new(entity).as_str()).into_owned();
        caches
            .entry(cache_of(entity).unwrap())
            .or_default()
            .push(fine);
    }
    let mut keys: HashSet<String> = HashSet::new();
    for (cache, fine) in caches {
        let coarse = cache_key(cache);
        if fine.iter().map(|key| key.len() + 1).sum::<usize>() > coarse.len() + 1 {
            keys.insert(coarse);
        } else {
            keys.extend(fine);
        }
    }
    keys.extend(tags.iter().map(|tag| shortened(tag.as_str()).into_owned()));
    keys.iter()
        .map(|key| key.len() + 1)
        .sum::<usize>()
        .saturating_sub(1)
}

fn written(
    own: &[String],
    entities: &[String],
    tags: &[Tag],
    budget: usize,
) -> Result<KeyLine, OverBudget> {
    let own: Vec<&str> = own.iter().map(String::as_str).collect();
    let entities: Vec<&str> = entities.iter().map(String::as_str).collect();
    let tags: Vec<&str> = tags.iter().map(Tag::as_str).collect();
    key_line(&own, &entities, &tags, &space(budget))
}

/// Keys of any length and number in so many bytes, with spaces between them.
fn space(bytes: usize) -> KeyField {
    let name = http::HeaderName::from_static("surrogate-key");
    KeyField::new(name, Separator::Space)
        .max_bytes(bytes)
        .max_key_bytes(1024)
}

/// Different entities of a few caches, some with long keys.
fn entities() -> impl Strategy<Value = Vec<String>> {
    let name = ("[a-cA_.]{1,3}", "[0-9a-zA-Z%',~-]{1,40}")
        .prop_map(|(cache, key)| format!("{cache}/{key}"));
    vec(name, 0..120).prop_map(each_once)
}

/// Different texts, some long, some named like entities.
fn tags() -> impl Strategy<Value = Vec<String>> {
    vec(
        prop_oneof!["[a-c]/[0-9a-z]", "(?s).{0,60}", "[a-z]{120,140}"],
        0..40,
    )
    .prop_map(each_once)
}

fn each_once(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names.dedup();
    names
}

fn names(cache: &str, count: usize) -> Vec<String> {
    (1..=count).map(|id| format!("{cache}/{id}")).collect()
}

fn sorted(line: &str) -> Vec<&str> {
    let mut keys: Vec<&str> = line.split(' ').collect();
    keys.sort_unstable();
    keys
}

#[test]
fn what_is_shown_has_a_key_of_its_number_behind_the_others() {
    let [one, two] = [number("product/1"), number("product/2")];

    let line = shown_line(&["list/1"], &[one, two], &space(100)).unwrap();

    assert_eq!(line.form, Form::Whole);
    let expected = format!("list.1 {} {}", shown_key(one), shown_key(two));
    assert_eq!(line.text, expected);
    assert!(purge_keys("product/1").contains(&shown_key(one)));
}

#[test]
fn what_is_shown_falls_into_groups_where_its_numbers_do_not_fit() {
    let numbers: Vec<_> = names("product", 500)
        .iter()
        .map(|name| number(name))
        .collect();

    let line = shown_line(&["list/1"], &numbers, &space(3072)).unwrap();

    assert_eq!(line.form, Form::Coarsened);
    assert_eq!(line.text.split(' ').count(), 1 + 32);
    for name in names("product", 500) {
        assert!(is_found(&line.text, &purge_keys(&name)), "{name}");
    }
}

#[test]
fn caches_are_made_coarse_before_what_is_shown() {
    let entities = names("product", 300);
    let entities: Vec<&str> = entities.iter().map(String::as_str).collect();
    let shown = number("lamp/1");

    let line = shown_line(&entities, &[shown], &space(200)).unwrap();

    assert_eq!(line.text, format!("product._1 {}", shown_key(shown)));
}

proptest! {
    #[test]
    fn a_purge_of_whatever_is_shown_finds_the_page(
        entities in entities(),
        shown in entities(),
        budget in 0..3_000_usize,
    ) {
        let numbers: Vec<u64> = shown.iter().filter_map(|name| EntityName::dependency(name)).collect();
        let read: Vec<&str> = entities.iter().map(String::as_str).collect();

        if let Ok(line) = shown_line(&read, &numbers, &space(budget)) {
            prop_assert!(line.text.len() <= budget);
            for name in entities.iter().chain(shown.iter().filter(|name| EntityName::dependency(name).is_some())) {
                prop_assert!(is_found(&line.text, &purge_keys(name)), "{name}: {}", line.text);
            }
        }
    }
}

fn shown_line(entities: &[&str], shown: &[u64], field: &KeyField) -> Result<KeyLine, OverBudget> {
    let names = Names {
        own: &[],
        entities,
        tags: &[],
        shown,
    };
    super::key_line(&names, field)
}

fn number(name: &str) -> u64 {
    EntityName::dependency(name).unwrap()
}

fn is_found(line: &str, purged: &[String]) -> bool {
    line.split(' ')
        .any(|key| purged.iter().any(|purged| purged == key))
}

/// The line of a page whose values show nothing of others.
fn key_line(
    own: &[&str],
    entities: &[&str],
    tags: &[&str],
    field: &KeyField,
) -> Result<KeyLine, OverBudget> {
    let names = Names {
        own,
        entities,
        tags,
        shown: &[],
    };
    super::key_line(&names, field)
}
