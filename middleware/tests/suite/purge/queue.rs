//! The purger with a vendor that does what the test says, on a clock that the test moves.

use std::time::Duration;

use tokio::time::{Instant, advance};
use tricache_middleware::purge::{Answer, Failure, Limits, Mode, Purger, Quota, VendorState};

use super::scripted::{Scripted, once, settle};

#[tokio::test(start_paused = true)]
async fn keys_that_are_asked_for_within_a_window_share_a_call() {
    let edge = Scripted::edge();
    let purger = once(&edge).build().unwrap();

    let first = purger.purge(["a", "b", "a"], Mode::Hard).unwrap();
    let second = purger.purge(["b", "c"], Mode::Hard).unwrap();
    first.acknowledged().await.unwrap();
    second.acknowledged().await.unwrap();

    assert_eq!(edge.calls(), ["hard a b c"]);
}

#[tokio::test(start_paused = true)]
async fn a_receipt_that_is_dropped_cancels_nothing() {
    let edge = Scripted::edge();
    let purger = once(&edge).build().unwrap();

    drop(purger.purge(["a"], Mode::Soft).unwrap());
    assert_eq!(purger.shutdown(MINUTE).await, 0);

    assert_eq!(edge.calls(), ["soft a"]);
}

#[tokio::test(start_paused = true)]
async fn a_receipt_waits_for_every_vendor_and_says_for_whom() {
    let (quick, slow) = (Scripted::edge(), Scripted::held("slow"));
    let purger = once(&quick).vendor(slow.clone()).build().unwrap();

    let receipt = purger.purge(["a"], Mode::Hard).unwrap();
    advance(Duration::from_millis(50)).await;
    settle().await;

    let states = receipt.vendors();
    assert!(
        matches!(&states[0], (name, VendorState::Acknowledged) if name == "edge"),
        "{states:?}"
    );
    assert!(
        matches!(&states[1], (name, VendorState::Waiting) if name == "slow"),
        "{states:?}"
    );
    slow.let_go(1);
    receipt.acknowledged().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_vendor_that_is_stuck_holds_up_nobody_but_itself() {
    let (edge, stuck) = (Scripted::edge(), Scripted::held("stuck"));
    let purger = once(&stuck).vendor(edge.clone()).build().unwrap();

    for key in ["a", "b", "c"] {
        drop(purger.purge([key], Mode::Hard).unwrap());
        advance(Duration::from_millis(50)).await;
        settle().await;
    }

    assert_eq!(edge.calls(), ["hard a", "hard b", "hard c"]);
    assert_eq!(stuck.calls(), ["hard a"]);
    assert_eq!(purger.report().vendor("stuck").unwrap().waiting(), 3);
}

#[tokio::test(start_paused = true)]
async fn what_failed_in_passing_is_sent_again_until_it_is_taken() {
    let edge = Scripted::edge().answering([trouble(), trouble(), trouble()]);
    let purger = once(&edge).build().unwrap();

    let receipt = purger.purge(["a"], Mode::Hard).unwrap();
    receipt.acknowledged().await.unwrap();

    assert_eq!(edge.calls(), ["hard a"; 4]);
    let report = purger.report();
    let edge = report.vendor("edge").unwrap();
    assert_eq!(
        (edge.calls(), edge.purged(), edge.failed(), edge.waiting()),
        (4, 1, 0, 0)
    );
    assert_eq!(edge.last_error(), Some("it answered 500"));
    assert_eq!(edge.failing_for(), None);
}

#[tokio::test(start_paused = true)]
async fn a_failing_vendor_is_not_called_during_its_pause_whatever_comes() {
    let edge = Scripted::edge().answering([trouble()]);
    let purger = once(&edge)
        .first_pause(MINUTE)
        .longest_pause(MINUTE)
        .build()
        .unwrap();
    drop(purger.purge(["a"], Mode::Hard).unwrap());
    advance(Duration::from_millis(50)).await;
    settle().await;

    // At least half of the pause is left.
    advance(MINUTE / 2 - Duration::from_millis(60)).await;
    drop(purger.purge(["b"], Mode::Hard).unwrap());
    settle().await;
    assert_eq!(edge.calls(), ["hard a"]);
    assert!(purger.report().vendor("edge").unwrap().failing_for() > Some(Duration::from_secs(20)));

    advance(MINUTE).await;
    settle().await;
    assert_eq!(edge.calls(), ["hard a", "hard a b"]);
}

#[tokio::test(start_paused = true)]
async fn a_vendor_that_names_a_time_is_not_called_before_it() {
    let wish =
        Answer::failed(Failure::passing("it answered 429").retry_after(Duration::from_secs(77)));
    let edge = Scripted::edge().answering([wish]);
    let purger = once(&edge).build().unwrap();
    drop(purger.purge(["a"], Mode::Hard).unwrap());
    advance(Duration::from_millis(50)).await;
    settle().await;

    advance(Duration::from_secs(76)).await;
    settle().await;
    assert_eq!(edge.calls().len(), 1);

    advance(Duration::from_secs(1)).await;
    settle().await;
    assert_eq!(edge.calls().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_told_by_the_receipt_and_the_batch_is_not_sent_again() {
    let edge = Scripted::edge().answering([Answer::failed(Failure::refused("it answered 400"))]);
    let purger = once(&edge).build().unwrap();

    let error = purger
        .purge(["a"], Mode::Hard)
        .unwrap()
        .acknowledged()
        .await
        .unwrap_err();
    purger
        .purge(["b"], Mode::Hard)
        .unwrap()
        .acknowledged()
        .await
        .unwrap();

    assert!(error.is_refused());
    assert_eq!(error.to_string(), "edge refused a purge: it answered 400");
    assert_eq!(edge.calls(), ["hard a", "hard b"]);
    assert_eq!(purger.report().vendor("edge").unwrap().failed(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_vendor_that_locks_us_out_is_asked_once_in_a_pause_and_every_receipt_says_so() {
    let locked = Answer::failed(Failure::locked_out("it answered 401"));
    let edge = Scripted::new("edge", Limits::new(1)).answering([locked.clone(), locked]);
    let purger = once(&edge).locked_out_pause(MINUTE).build().unwrap();

    let waiting = purger.purge(["a", "b", "c"], Mode::Hard).unwrap();
    assert!(waiting.acknowledged().await.unwrap_err().is_refused());
    for key in ["d", "e", "f"] {
        let receipt = purger.purge([key], Mode::Hard).unwrap();
        assert!(receipt.acknowledged().await.unwrap_err().is_refused());
    }
    assert_eq!(edge.calls(), ["hard a"]);
    assert_eq!(purger.report().vendor("edge").unwrap().failed(), 6);

    advance(MINUTE).await;
    assert!(
        purger
            .purge(["g"], Mode::Hard)
            .unwrap()
            .acknowledged()
            .await
            .is_err()
    );
    advance(MINUTE).await;
    purger
        .purge(["h"], Mode::Hard)
        .unwrap()
        .acknowledged()
        .await
        .unwrap();
    assert_eq!(edge.calls(), ["hard a", "hard g", "hard h"]);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_panics_is_a_failure_in_passing() {
    struct Broken(Scripted);
    impl tricache_middleware::purge::Purge for Broken {
        fn name(&self) -> &str {
            "broken"
        }
        fn limits(&self) -> Limits {
            Limits::new(10)
        }
        fn purge<'a>(
            &'a self,
            batch: &'a tricache_middleware::purge::Batch,
        ) -> tricache_middleware::purge::PurgeFuture<'a> {
            assert!(!self.0.calls().is_empty(), "not before the other");
            self.0.purge(batch)
        }
    }
    let edge = Scripted::edge();
    let purger = once(&edge).vendor(Broken(edge.clone())).build().unwrap();

    let receipt = purger.purge(["a"], Mode::Hard).unwrap();

    receipt.acknowledged().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_ends_is_given_up_after_a_minute_and_called_again() {
    let edge = Scripted::held("edge");
    let purger = once(&edge).build().unwrap();
    let receipt = purger.purge(["a"], Mode::Hard).unwrap();
    advance(Duration::from_millis(50)).await;
    settle().await;

    advance(MINUTE + Duration::from_secs(1)).await;
    settle().await;
    edge.let_go(1);
    receipt.acknowledged().await.unwrap();

    assert_eq!(edge.calls(), ["hard a", "hard a"]);
}

#[tokio::test(start_paused = true)]
async fn a_quota_lets_a_burst_go_and_then_one_in_each_period() {
    let quota = Quota::calls(2, Duration::from_secs(10));
    let edge = Scripted::new("edge", Limits::new(1).quota(quota));
    let purger = once(&edge).build().unwrap();
    drop(purger.purge(["a", "b", "c", "d"], Mode::Hard).unwrap());

    settle().await;
    assert_eq!(edge.calls().len(), 2);

    advance(Duration::from_secs(10)).await;
    settle().await;
    assert_eq!(edge.calls().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_key_is_purged_again_after_two_heartbeats_and_the_receipt_does_not_wait_for_it() {
    let edge = Scripted::edge();
    let purger = Purger::builder(Duration::from_secs(1))
        .vendor(edge.clone())
        .build()
        .unwrap();
    let start = Instant::now();

    purger
        .purge(["a"], Mode::Soft)
        .unwrap()
        .acknowledged()
        .await
        .unwrap();
    assert_eq!(edge.calls(), ["soft a"]);
    assert_eq!(purger.report().vendor("edge").unwrap().resting(), 1);

    advance(start + Duration::from_secs(1) - Instant::now()).await;
    settle().await;
    assert_eq!(edge.calls(), ["soft a", "soft a"]);
    assert_eq!(purger.report().vendor("edge").unwrap().resting(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_asked_for_during_its_call_is_sent_again_after_it() {
    let edge = Scripted::held("edge");
    let purger = once(&edge).build().unwrap();
    let first = purger.purge(["a"], Mode::Hard).unwrap();
    advance(Duration::from_millis(50)).await;
    settle().await;
    let second = purger.purge(["a"], Mode::Hard).unwrap();

    edge.let_go(1);
    first.acknowledged().await.unwrap();
    assert!(matches!(second.vendors()[0].1, VendorState::Waiting));

    edge.let_go(1);
    second.acknowledged().await.unwrap();
    assert_eq!(edge.calls(), ["hard a", "hard a"]);
}

#[tokio::test(start_paused = true)]
async fn where_there_is_no_soft_purge_a_soft_one_is_hard() {
    let edge = Scripted::new("edge", Limits::new(10));
    let purger = once(&edge).build().unwrap();

    purger
        .purge(["a"], Mode::Soft)
        .unwrap()
        .acknowledged()
        .await
        .unwrap();

    assert_eq!(edge.calls(), ["hard a"]);
}

#[tokio::test(start_paused = true)]
async fn or_is_refused_where_the_setting_says_so() {
    let edge = Scripted::new("edge", Limits::new(10));
    let purger = once(&edge).refuse_soft().build().unwrap();

    let error = purger
        .purge(["a"], Mode::Soft)
        .unwrap()
        .acknowledged()
        .await
        .unwrap_err();
    purger
        .purge(["b"], Mode::Hard)
        .unwrap()
        .acknowledged()
        .await
        .unwrap();

    assert!(error.is_refused());
    assert_eq!(edge.calls(), ["hard b"]);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_too_long_for_one_vendor_goes_to_the_others() {
    let (short, long) = (
        Scripted::new("short", Limits::new(10).longest_key(3)),
        Scripted::edge(),
    );
    let purger = once(&short).vendor(long.clone()).build().unwrap();

    let receipt = purger.purge(["long-key", "key"], Mode::Hard).unwrap();
    let error = receipt.acknowledged().await.unwrap_err();
    assert_eq!(purger.shutdown(MINUTE).await, 0);

    assert_eq!(error.vendor(), Some("short"));
    assert_eq!(short.calls(), ["hard key"]);
    assert_eq!(long.calls(), ["hard long-key key"]);
}

#[tokio::test(start_paused = true)]
async fn a_hundred_thousand_keys_for_a_vendor_that_is_away_wait_as_one_purge_of_everything() {
    let edge =
        Scripted::new("edge", Limits::new(10).everything()).answering([trouble(), trouble()]);
    let purger = once(&edge)
        .longest_queue(1000)
        .first_pause(MINUTE)
        .build()
        .unwrap();

    let receipt = purger
        .purge((0..100_000).map(|n| format!("product.{n}")), Mode::Hard)
        .unwrap();
    assert_eq!(purger.report().vendor("edge").unwrap().waiting(), 1);
    receipt.acknowledged().await.unwrap();

    assert_eq!(edge.calls(), ["everything"; 3]);
    assert_eq!(purger.report().vendor("edge").unwrap().coarsened(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_key_too_many_is_never_dropped_in_silence() {
    let edge = Scripted::edge();
    let purger = once(&edge).longest_queue(2).build().unwrap();

    let receipt = purger.purge(["a", "b", "c"], Mode::Hard).unwrap();

    assert!(receipt.acknowledged().await.unwrap_err().is_overflow());
    assert_eq!(purger.report().vendor("edge").unwrap().failed(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_sends_what_waits_and_the_second_purges_too() {
    let edge = Scripted::edge();
    let purger = Purger::builder(Duration::from_secs(1))
        .vendor(edge.clone())
        .window(MINUTE)
        .build()
        .unwrap();
    let receipt = purger.purge(["a"], Mode::Hard).unwrap();

    let left = purger.shutdown(MINUTE / 2).await;

    assert_eq!(left, 0);
    assert_eq!(edge.calls(), ["hard a", "hard a"]);
    receipt.acknowledged().await.unwrap();
    assert!(purger.purge(["b"], Mode::Hard).unwrap_err().is_closed());
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_ends_at_its_deadline_and_the_receipts_say_what_was_left() {
    let edge = Scripted::held("edge");
    let purger = once(&edge).build().unwrap();
    let flying = purger.purge(["a"], Mode::Hard).unwrap();
    advance(Duration::from_millis(50)).await;
    settle().await;
    let waiting = purger.purge(["b"], Mode::Hard).unwrap();

    let left = purger.shutdown(Duration::from_secs(5)).await;

    assert_eq!(left, 2);
    assert!(flying.acknowledged().await.unwrap_err().is_closed());
    assert!(waiting.acknowledged().await.unwrap_err().is_closed());
    assert_eq!(purger.shutdown(MINUTE).await, 2);
}

#[tokio::test(start_paused = true)]
async fn dropping_the_last_handle_leaves_no_task_and_no_receipt_behind() {
    let edge = Scripted::held("edge");
    let purger = once(&edge).build().unwrap();
    let receipt = purger.purge(["a"], Mode::Hard).unwrap();
    let tasks = || {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    };
    assert_eq!(tasks(), 1);

    drop(purger);
    settle().await;

    assert_eq!(tasks(), 0);
    assert!(receipt.acknowledged().await.unwrap_err().is_closed());
}

#[tokio::test(start_paused = true)]
async fn a_text_that_is_no_key_is_an_error_and_nothing_is_purged() {
    let edge = Scripted::edge();
    let purger = once(&edge).build().unwrap();

    for text in ["", "a b", "a,b", "a\r\nx: y"] {
        assert!(
            purger
                .purge(["fine", text], Mode::Hard)
                .unwrap_err()
                .is_config(),
            "{text:?}"
        );
    }
    purger.shutdown(MINUTE).await;

    assert_eq!(edge.calls(), Vec::<String>::new());
}

#[tokio::test]
async fn settings_that_are_wrong_say_which() {
    let edge = Scripted::edge();
    let wrong = [
        (Purger::builder(Duration::ZERO), "a purger has no vendor"),
        (
            once(&edge).vendor(edge.clone()),
            "two vendors are called edge",
        ),
        (
            once(&edge).longest_queue(0),
            "longest_queue is 0: no key could ever wait",
        ),
    ];

    for (builder, expected) in wrong {
        let error = builder.build().unwrap_err();
        assert!(error.is_config());
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn a_purger_outside_of_a_runtime_is_an_error() {
    let error = once(&Scripted::edge()).build().unwrap_err();

    assert_eq!(
        error.to_string(),
        "a purger is built outside of a tokio runtime"
    );
}

fn trouble() -> Answer {
    Answer::failed(Failure::passing("it answered 500"))
}

const MINUTE: Duration = Duration::from_secs(60);
