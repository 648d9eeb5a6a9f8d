//! Loaders that are shown the value from before, and find that it has not changed.

use super::{Nodes, TTL, WINDOW, refreshed, windows};
use crate::nodes::{Node, Remote};
use crate::reads::ends;
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};
use tricache::{Cached, Error, LoadContext, Loaded, Outcome, Policy, TieredCache, Tiers};
use tricache_test_support::{CountingStore, RedisServer};

type Pages = TieredCache<u64, String>;

#[tokio::test]
async fn a_loader_is_shown_the_value_that_it_would_replace() {
    for remote in Remote::both() {
        let (_node, pages) = page_cache(&remote).await;
        assert_eq!(shown(&pages, 1).await, None);
        ends(pages.expire(&1)).await.unwrap();

        assert_eq!(shown(&pages, 1).await.as_deref(), Some("first"));
        // It was loaded anew: the loader answers what it is not shown, too.
        assert_eq!(**ends(pages.get(&1)).await.unwrap().unwrap(), *"second");
    }
}

#[tokio::test]
async fn a_loader_in_the_background_is_shown_it_too() {
    let nodes = Nodes::start::<1>(windows(WINDOW, WINDOW)).await;
    let cache = nodes.cache(0);
    let load = |cx: LoadContext<u64, u64>| async move {
        let before = cx.previous().map_or(0, |previous| {
            assert!(previous.is_stale());
            assert_eq!(previous.age(), TTL);
            **previous
        });
        Ok::<_, io::Error>(before + 7)
    };
    assert_eq!(*ends(cache.get_or_load(&1, load)).await.unwrap(), 7);
    nodes.clock.advance(TTL);

    assert_eq!(*ends(cache.get_or_load(&1, load)).await.unwrap(), 7);

    refreshed(cache, 1, 14).await;
}

#[tokio::test]
async fn what_was_invalidated_is_shown_to_nobody() {
    for remote in Remote::both() {
        let (node, pages) = page_cache(&remote).await;
        shown(&pages, 1).await;
        ends(pages.invalidate(&1)).await.unwrap();
        assert_eq!(shown(&pages, 1).await, None);
        ends(node.tiers.invalidate_tags(["all"])).await.unwrap();
        assert_eq!(shown(&pages, 1).await, None);
        ends(pages.clear()).await.unwrap();
        assert_eq!(shown(&pages, 1).await, None);
        // Not even after a soft one.
        ends(pages.invalidate(&1)).await.unwrap();
        ends(pages.expire(&1)).await.unwrap();
        assert_eq!(shown(&pages, 1).await, None);
    }
}

#[tokio::test]
async fn neither_is_the_memory_of_an_absence() {
    let remote = Remote::Hub(tricache::InProcess::new());
    let (_node, pages) = page_cache(&remote).await;
    let none = |_| async { Ok::<_, io::Error>(None) };
    assert!(
        ends(pages.get_or_load(&1, none))
            .await
            .unwrap_err()
            .is_absent()
    );
    ends(pages.expire(&1)).await.unwrap();

    assert_eq!(shown(&pages, 1).await, None);
}

/// A load that reads no other value would go on showing it, and nothing would tell that it has changed.
#[tokio::test]
async fn neither_is_a_value_that_was_made_of_others() {
    for remote in Remote::both() {
        let (node, pages) = page_cache(&remote).await;
        let numbers = node.cache.clone();
        let nested = move |_| async move {
            let number = numbers.get_or_load(&7, |_| async { Ok::<_, io::Error>(7) });
            Ok::<_, Error>(number.await?.to_string())
        };
        ends(pages.get_or_load(&1, nested)).await.unwrap();
        ends(pages.expire(&1)).await.unwrap();

        assert_eq!(shown(&pages, 1).await, None);
    }
}

#[tokio::test]
async fn a_confirmed_value_lives_for_another_ttl_on_every_node() {
    for remote in Remote::both() {
        let (_node, pages) = page_cache(&remote).await;
        let (_other_node, others) = page_cache(&remote).await;
        let first = load(&pages, 1).await;
        ends(pages.expire(&1)).await.unwrap();

        let confirmed = confirm(&pages, 1).await.unwrap();

        assert_eq!(confirmed.outcome(), Outcome::Loaded);
        assert!(!confirmed.is_stale());
        assert!(confirmed.version() > first.version());
        assert_eq!(confirmed.content_id(), first.content_id());
        for pages in [&pages, &others] {
            let held = ends(pages.get(&1)).await.unwrap().unwrap();
            assert_eq!((&*held, held.version()), (&*first, confirmed.version()));
            assert_eq!(held.content_id(), first.content_id());
            assert!(!held.is_stale() && held.remaining() > Duration::from_secs(500));
        }
    }
}

#[tokio::test]
async fn it_may_be_confirmed_again_and_again() {
    for remote in Remote::both() {
        let (node, pages) = page_cache(&remote).await;
        let (_other_node, others) = page_cache(&remote).await;
        let first = load(&pages, 1).await;
        for _ in 0..3 {
            ends(pages.expire(&1)).await.unwrap();
            confirm(&pages, 1).await.unwrap();
            ends(others.expire(&1)).await.unwrap();
            assert_eq!(*confirm(&others, 1).await.unwrap(), *first);
        }
        assert_eq!(node.tiers.report().counters().not_modified, 3);
        assert_eq!(node.tiers.report().counters().loads, 4);
    }
}

#[tokio::test]
async fn it_keeps_its_tags_beside_those_of_the_answer() {
    for remote in Remote::both() {
        let (node, pages) = page_cache(&remote).await;
        let (_other_node, others) = page_cache(&remote).await;
        for tag in ["all", "found", "late"] {
            load(&pages, 1).await;
            ends(pages.expire(&1)).await.unwrap();
            let answer = || Loaded::not_modified().tag("late");
            let confirmed = confirm_with(&pages, 1, answer).await.unwrap();
            let tags: Vec<_> = confirmed.tags().iter().map(|tag| tag.as_str()).collect();
            assert_eq!(tags, ["all", "found", "late"]);
            assert_eq!(
                ends(others.get(&1)).await.unwrap().unwrap().tags(),
                confirmed.tags()
            );

            ends(node.tiers.invalidate_tags([tag])).await.unwrap();

            assert!(ends(pages.get(&1)).await.unwrap().is_none(), "{tag}");
            tricache_test_support::eventually("the other node has heard", async || {
                ends(others.get(&1)).await.unwrap().is_none()
            })
            .await;
        }
    }
}

/// The answer of a loader that was overtaken is for those who wait for it, whether it brings a value or confirms one.
#[tokio::test]
async fn a_confirmation_that_was_overtaken_is_refused_as_any_fill_is() {
    for remote in Remote::both() {
        let (node, pages) = page_cache(&remote).await;
        let (_other_node, others) = page_cache(&remote).await;
        load(&pages, 1).await;
        ends(pages.expire(&1)).await.unwrap();
        let store = CountingStore::new();
        store.hold();
        let held = {
            let (pages, store) = (pages.clone(), store.clone());
            tokio::spawn(async move {
                let load = |cx: LoadContext<u64, String>| async move {
                    store.load(&1_u64).await;
                    assert!(cx.previous().is_some());
                    Ok::<_, io::Error>(Loaded::not_modified())
                };
                pages.get_or_load(&1, load).await
            })
        };
        store.wait_for_waiting(1).await;

        ends(pages.invalidate(&1)).await.unwrap();
        store.release();

        ends(held).await.unwrap().unwrap();
        assert!(ends(pages.get(&1)).await.unwrap().is_none());
        assert!(ends(others.get(&1)).await.unwrap().is_none());
        assert_eq!(node.tiers.report().counters().stale_fills, 1);
    }
}

#[tokio::test]
async fn a_confirmed_value_is_not_sent_to_redis_again() {
    let redis = RedisServer::start();
    let (_node, pages) = around(&redis).await;
    for noise in [false, true] {
        // One that is stored as it is, and one that is compressed.
        let big: String = if noise {
            noisy(1 << 18)
        } else {
            "x".repeat(1 << 18)
        };
        let key = u64::from(noise);
        let first = {
            let big = big.clone();
            let load = |_| async move { Ok::<_, io::Error>(Loaded::new(big).tag("all")) };
            ends(pages.get_or_load(&key, load)).await.unwrap()
        };
        ends(pages.expire(&key)).await.unwrap();
        let before = received(&redis);

        let confirmed = confirm(&pages, key).await.unwrap();

        let sent = received(&redis) - before;
        assert!(sent < 64 << 10, "{sent} bytes were sent");
        assert_eq!(confirmed.content_id(), first.content_id());
        let (_other_node, others) = around(&redis).await;
        assert_eq!(*ends(others.get(&key)).await.unwrap().unwrap(), big);
    }
}

/// Redis has evicted the body, or another payload stands there: then the value is stored whole.
#[tokio::test]
async fn where_redis_holds_the_body_no_more_the_whole_value_is_stored() {
    let redis = RedisServer::start();
    for (key, other) in [(1, None), (2, Some("x".repeat(200)))] {
        let (_node, pages) = around(&redis).await;
        let first = load(&pages, key).await;
        ends(pages.expire(&key)).await.unwrap();
        let values = redis.command(&["KEYS", "*v:*"]);
        let value = values.split_whitespace().next().unwrap();
        let answer = || {
            match &other {
                Some(other) => redis.command(&["SET", value, other]),
                None => redis.command(&["DEL", value]),
            };
            Loaded::not_modified()
        };

        confirm_with(&pages, key, answer).await.unwrap();

        let (_other_node, others) = around(&redis).await;
        let held = ends(others.get(&key)).await.unwrap().unwrap();
        assert_eq!((&*held, held.content_id()), (&*first, first.content_id()));
        redis.command(&["DEL", value]);
    }
}

#[tokio::test]
async fn its_answer_may_shorten_its_life_or_keep_it_nowhere() {
    for remote in Remote::both() {
        let (_node, pages) = page_cache(&remote).await;
        load(&pages, 1).await;
        ends(pages.expire(&1)).await.unwrap();
        let short = || Loaded::not_modified().ttl_at_most(Duration::from_secs(30));
        confirm_with(&pages, 1, short).await.unwrap();
        let held = ends(pages.get(&1)).await.unwrap().unwrap();
        assert!(held.remaining() < Duration::from_secs(31));

        ends(pages.expire(&1)).await.unwrap();
        let nowhere = || Loaded::not_modified().do_not_store();
        assert_eq!(*confirm_with(&pages, 1, nowhere).await.unwrap(), *held);
        assert!(ends(pages.get(&1)).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn a_pinned_value_is_confirmed_at_its_version() {
    for remote in Remote::both() {
        let (node, pages) = page_cache(&remote).await;
        let pinned = pages.pinned(7_u64);
        let load = |cx: LoadContext<u64, String>| async move {
            Ok::<_, io::Error>(match cx.previous() {
                Some(_) => Loaded::not_modified(),
                None => Loaded::new("seventh".to_owned())
                    .at_version(7_u64)
                    .tag("all"),
            })
        };
        ends(pinned.get_or_load(&1, load)).await.unwrap();
        ends(node.tiers.expire_tags(["all"])).await.unwrap();

        let confirmed = ends(pinned.get_or_load(&1, load)).await.unwrap();

        assert_eq!(confirmed.outcome(), Outcome::Loaded);
        let held = ends(pinned.get(&1)).await.unwrap().unwrap();
        assert_eq!(&*held, "seventh");
        assert!(!held.is_stale());
        let other = |_| async { Ok::<_, io::Error>(Loaded::not_modified().at_version(8_u64)) };
        ends(node.tiers.expire_tags(["all"])).await.unwrap();
        ends(pinned.get_or_load(&1, other)).await.unwrap();
        assert!(ends(pinned.get(&1)).await.unwrap().is_none());
        assert_eq!(node.tiers.report().counters().other_versions, 1);
    }
}

#[tokio::test]
async fn who_was_shown_nothing_can_confirm_nothing() {
    for remote in Remote::both() {
        let (node, pages) = page_cache(&remote).await;
        let nothing = |_| async { Ok::<_, io::Error>(Loaded::not_modified()) };
        let single = ends(pages.get_or_load(&1, nothing)).await.unwrap_err();
        assert!(single.to_string().contains("not_modified"), "{single}");
        load(&pages, 2).await;
        ends(pages.expire(&2)).await.unwrap();
        let batch = |_| async { Ok::<_, io::Error>(vec![(2, Loaded::not_modified())]) };
        let batch = ends(pages.get_or_load_many(&[2], batch)).await.unwrap();
        // The value from before stands in for a load that has failed.
        assert_eq!(
            batch.get(&2).unwrap().unwrap().outcome(),
            Outcome::StaleIfError
        );
        let inserted = ends(pages.insert(&1, Loaded::not_modified())).await;
        assert!(inserted.unwrap_err().is_config());
        let inserted = ends(pages.insert_at(&1, 7_u64, Loaded::not_modified())).await;
        assert!(inserted.unwrap_err().is_config());

        let counters = *node.tiers.report().counters();
        assert_eq!((counters.load_errors, counters.not_modified), (2, 0));
    }
}

#[tokio::test]
async fn nor_can_who_loads_for_many_or_past_a_cache_that_is_off() {
    let remote = Remote::Hub(tricache::InProcess::new());
    let (_node, pages) = page_cache(&remote).await;
    let many = pages.with_batch_loader(|cx: tricache::BatchContext<u64>| async move {
        let keys = cx.into_keys().into_iter();
        Ok::<Vec<_>, io::Error>(keys.map(|key| (key, Loaded::not_modified())).collect())
    });
    assert!(ends(many.get(&1)).await.is_err());
    load(&pages, 1).await;
    ends(pages.expire(&1)).await.unwrap();
    assert_eq!(
        ends(many.get(&1)).await.unwrap().outcome(),
        Outcome::StaleIfError
    );

    let off = remote.builder().enabled(false).build().await.unwrap();
    let pages = off.cache::<u64, String>("page", policy()).unwrap();
    let nothing = |_| async { Ok::<_, io::Error>(Loaded::not_modified()) };
    assert!(ends(pages.get_or_load(&1, nothing)).await.is_err());
    let batch = |_| async { Ok::<_, io::Error>(vec![(2, Loaded::not_modified())]) };
    let batch = ends(pages.get_or_load_many(&[2], batch)).await.unwrap();
    assert!(batch.get(&2).unwrap().is_err());
}

#[tokio::test]
async fn a_loading_cache_shows_it_too() {
    let remote = Remote::Hub(tricache::InProcess::new());
    let (_node, pages) = page_cache(&remote).await;
    let confirmed = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&confirmed);
    let pages = pages.with_loader(move |cx: LoadContext<u64, String>| {
        let counted = Arc::clone(&counted);
        async move {
            Ok::<_, io::Error>(match cx.previous() {
                Some(_) => {
                    counted.fetch_add(1, SeqCst);
                    Loaded::not_modified()
                }
                None => Loaded::new("first".to_owned()),
            })
        }
    });
    ends(pages.get(&1)).await.unwrap();
    ends(pages.expire(&1)).await.unwrap();

    assert_eq!(**ends(pages.get(&1)).await.unwrap(), *"first");
    assert_eq!(confirmed.load(SeqCst), 1);
}

/// One more node.
async fn page_cache(remote: &Remote) -> (Node, Pages) {
    cache_of(remote.node().await)
}

async fn around(redis: &RedisServer) -> (Node, Pages) {
    let patient = Tiers::builder("test").remote_timeout(Duration::from_secs(5));
    cache_of(Node::start(patient.redis(&redis.url())).await)
}

fn cache_of(node: Node) -> (Node, Pages) {
    let pages = node.tiers.cache("page", policy()).unwrap();
    (node, pages)
}

/// With stale values, and no loads in the background.
fn policy() -> Policy {
    Policy::ttl(Duration::from_secs(600))
        .jitter(0.0)
        .stale_if_error(Duration::from_secs(600))
}

/// Loads a page, and answers what its loader was shown.
async fn shown(pages: &Pages, key: u64) -> Option<String> {
    let (tell, told) = tokio::sync::oneshot::channel();
    let load = |cx: LoadContext<u64, String>| async move {
        let shown = cx.previous().map(|page| (**page).clone());
        let page = if shown.is_some() { "second" } else { "first" };
        tell.send(shown).unwrap();
        Ok::<_, io::Error>(Loaded::new(page.to_owned()).tag("all"))
    };
    ends(pages.get_or_load(&key, load)).await.unwrap();
    told.await.unwrap()
}

async fn load(pages: &Pages, key: u64) -> Cached<String> {
    let load = |_| async {
        let page = Loaded::new("a page with some words".repeat(100));
        Ok::<_, io::Error>(page.tag("all").tag("found"))
    };
    ends(pages.get_or_load(&key, load)).await.unwrap()
}

async fn confirm(pages: &Pages, key: u64) -> Result<Cached<String>, Error> {
    confirm_with(pages, key, Loaded::not_modified).await
}

/// Reads a page whose loader is shown the one before and answers this.
async fn confirm_with(
    pages: &Pages,
    key: u64,
    answer: impl FnOnce() -> Loaded<String>,
) -> Result<Cached<String>, Error> {
    let load = |cx: LoadContext<u64, String>| {
        assert!(cx.previous().is_some(), "it is shown the value from before");
        let answer = answer();
        async move { Ok::<_, io::Error>(answer) }
    };
    ends(pages.get_or_load(&key, load)).await
}

/// Bytes that nothing compresses.
fn noisy(len: usize) -> String {
    let mut state = 7_u64;
    let letters = (0..len).map(|_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        char::from(b'!' + (state >> 33) as u8 % 90)
    });
    letters.collect()
}

/// Bytes that the server has received so far.
fn received(redis: &RedisServer) -> u64 {
    let info = redis.command(&["INFO", "stats"]);
    let line = info
        .lines()
        .find_map(|line| line.trim().strip_prefix("total_net_input_bytes:"));
    line.unwrap().parse().unwrap()
}
