//! When a purge is done for good: with the second call, and not before.

use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::{Instant, advance};
use tricache_middleware::purge::{Answer, Failure, Limits, Mode, Purger};

use super::scripted::{Scripted, once, settle};

#[tokio::test(start_paused = true)]
async fn a_purge_is_done_for_good_with_its_second_call() {
    let edge = Scripted::edge();
    let purger = Purger::builder(SECOND)
        .vendor(edge.clone())
        .build()
        .unwrap();
    let began = Instant::now();

    let receipt = purger.purge(["a", "b"], Mode::Hard).unwrap();
    receipt.acknowledged().await.unwrap();
    assert_eq!(edge.calls(), ["hard a b"]);
    assert!(receipt.done().now_or_never().is_none());
    receipt.done().await.unwrap();

    assert_eq!(edge.calls(), ["hard a b"; 2]);
    assert!(began.elapsed() >= SECOND);
}

#[tokio::test(start_paused = true)]
async fn without_a_second_call_the_first_is_for_good() {
    let edge = Scripted::edge();
    let purger = once(&edge).build().unwrap();

    purger
        .purge(["a"], Mode::Hard)
        .unwrap()
        .done()
        .await
        .unwrap();

    assert_eq!(edge.calls(), ["hard a"]);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_asked_for_again_is_done_with_the_later_request() {
    let edge = Scripted::edge();
    let purger = Purger::builder(SECOND)
        .vendor(edge.clone())
        .build()
        .unwrap();
    let first = purger.purge(["a"], Mode::Hard).unwrap();
    first.acknowledged().await.unwrap();
    advance(SECOND / 2).await;

    let again = Instant::now();
    let second = purger.purge(["a"], Mode::Hard).unwrap();
    first.done().await.unwrap();

    assert!(again.elapsed() >= SECOND);
    second.done().now_or_never().unwrap().unwrap();
    assert_eq!(edge.calls().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_second_call_that_is_refused_takes_nothing_back() {
    let refused = Answer::failed(Failure::refused("400"));
    let edge = Scripted::edge().answering([Answer::done(), refused]);
    let purger = Purger::builder(SECOND)
        .vendor(edge.clone())
        .build()
        .unwrap();

    let receipt = purger.purge(["a"], Mode::Hard).unwrap();
    let error = receipt.done().await.unwrap_err();

    assert!(error.is_refused(), "{error}");
    receipt.acknowledged().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_purger_that_ends_before_the_second_call_says_so() {
    let edge = Scripted::edge();
    let purger = Purger::builder(SECOND)
        .vendor(edge.clone())
        .build()
        .unwrap();
    let receipt = purger.purge(["a"], Mode::Hard).unwrap();
    receipt.acknowledged().await.unwrap();

    assert_eq!(purger.shutdown(Duration::ZERO).await, 1);

    assert!(receipt.done().await.unwrap_err().is_closed());
    receipt.acknowledged().await.unwrap();
}

/// Keys that became a coarser one are done when that is.
#[tokio::test(start_paused = true)]
async fn what_became_coarser_is_done_with_what_stands_in_for_it() {
    let edge = Scripted::new("edge", Limits::new(10).everything());
    let purger = Purger::builder(SECOND)
        .vendor(edge.clone())
        .longest_queue(4)
        .build()
        .unwrap();
    let early = purger.purge(["a"], Mode::Hard).unwrap();
    early.acknowledged().await.unwrap();

    let late = purger.purge(["b", "c", "d", "e"], Mode::Hard).unwrap();
    late.acknowledged().await.unwrap();
    assert!(early.done().now_or_never().is_none());
    settle().await;
    early.done().await.unwrap();
    late.done().await.unwrap();

    assert_eq!(edge.calls(), ["hard a", "everything", "everything"]);
}

#[tokio::test(start_paused = true)]
async fn everything_is_purged_twice_as_keys_are_and_only_where_that_is_known() {
    let edge = Scripted::new("edge", Limits::new(10).everything());
    let keys_only = Scripted::new("keys only", Limits::new(10));
    let purger = Purger::builder(SECOND)
        .vendor(edge.clone())
        .vendor(keys_only.clone())
        .build()
        .unwrap();

    let error = purger.purge_everything().unwrap().done().await.unwrap_err();
    for step in [SECOND / 10, SECOND * 2] {
        advance(step).await;
        settle().await;
    }

    assert_eq!(error.vendor(), Some("keys only"));
    assert_eq!(edge.calls(), ["everything"; 2]);
    assert!(keys_only.calls().is_empty());
    purger.shutdown(SECOND).await;
    assert!(purger.purge_everything().unwrap_err().is_closed());
}

const SECOND: Duration = Duration::from_secs(1);
