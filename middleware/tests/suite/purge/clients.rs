//! Each client with a fake of its vendor: what goes out, how batches split, and what each answer leads to.

use std::time::Duration;

use tricache_middleware::purge::{
    AwsCredentials, Batch, CloudFront, Cloudflare, CloudflarePlan, Fastly, Mode, Purge,
    PurgeReceipt, Purger, PurgerBuilder, Secret, Varnish,
};
use tricache_test_support::eventually;

use super::fakes::{Fake, Fault, TOKEN, VENDORS, Vendor};

#[tokio::test]
async fn fastly_is_told_keys_by_post_softly_or_hard() {
    let fake = Fake::of(Vendor::Fastly).await;
    let purger = quick().vendor(fastly(&fake)).build().unwrap();

    done(
        &purger
            .purge(["product.42", "product._1"], Mode::Soft)
            .unwrap(),
    )
    .await;
    done(&purger.purge(["a\"b\\c"], Mode::Hard).unwrap()).await;

    assert_eq!(
        fake.purged(),
        ["soft product.42 product._1", "hard a\"b\\c"]
    );
}

#[tokio::test]
async fn cloudflare_is_told_tags_by_post_and_a_soft_purge_is_hard() {
    let fake = Fake::of(Vendor::Cloudflare).await;
    let purger = quick().vendor(cloudflare(&fake)).build().unwrap();

    done(
        &purger
            .purge(["product.42", "product._1"], Mode::Soft)
            .unwrap(),
    )
    .await;

    assert_eq!(fake.purged(), ["hard product.42 product._1"]);
}

#[tokio::test]
async fn cloudfront_is_told_tags_in_a_signed_post() {
    let fake = Fake::of(Vendor::CloudFront).await;
    let purger = quick()
        .vendor(Boxed(client(Vendor::CloudFront, &fake)))
        .build()
        .unwrap();

    done(&purger.purge(["product.42", "a<b>&c"], Mode::Soft).unwrap()).await;

    assert_eq!(fake.purged(), ["hard product.42 a<b>&c"]);
}

#[tokio::test]
async fn what_cloudfront_refuses_for_now_is_asked_for_again() {
    let busy =
        "<ErrorResponse><Error><Code>TooManyInvalidationsInProgress</Code></Error></ErrorResponse>";
    let expired = "<ErrorResponse><Error><Code>ExpiredToken</Code></Error></ErrorResponse>";
    let fake = Fake::of(Vendor::CloudFront).await.failing([
        Fault::Body(400, busy),
        Fault::Body(400, expired),
        Fault::Status(400),
    ]);
    let client = client(Vendor::CloudFront, &fake);
    let mut kinds = Vec::new();

    for _ in 0..3 {
        let answer = client.purge(&Batch::new(["a"], Mode::Hard)).await;
        let failure = answer.failure().unwrap();
        kinds.push((failure.is_passing(), failure.is_locked_out()));
    }

    assert_eq!(kinds, [(true, false), (false, true), (false, false)]);
}

#[tokio::test]
async fn each_varnish_is_told_keys_in_a_header() {
    let (one, two) = (
        Fake::of(Vendor::Varnish).await,
        Fake::of(Vendor::Varnish).await,
    );
    let purger = quick().vendors(farm([&one, &two])).build().unwrap();

    done(
        &purger
            .purge(["product.42", "product._1"], Mode::Soft)
            .unwrap(),
    )
    .await;
    done(&purger.purge(["category-7"], Mode::Hard).unwrap()).await;

    for fake in [one, two] {
        assert_eq!(
            fake.purged(),
            ["soft product.42 product._1", "hard category-7"]
        );
    }
}

#[tokio::test]
async fn every_vendor_can_purge_everything() {
    for vendor in VENDORS {
        let fake = Fake::of(vendor).await;

        let answer = client(vendor, &fake).purge(&Batch::everything()).await;

        assert!(answer.is_done(), "{vendor:?}: {answer:?}");
        assert_eq!(fake.purged(), ["everything"]);
    }
}

#[tokio::test]
async fn batches_split_exactly_at_the_documented_number_of_keys() {
    for (vendor, most) in [(Vendor::Fastly, 256), (Vendor::Cloudflare, 100)] {
        let fake = Fake::of(vendor).await;
        let keys = |count| (0..count).map(|n| format!("product.{n}"));
        // One key more than the vendor takes is refused, so that the number below is really the vendor's limit.
        let answer = client(vendor, &fake)
            .purge(&Batch::new(keys(most + 1), Mode::Hard))
            .await;
        assert!(
            !answer.failure().unwrap().is_passing(),
            "{vendor:?}: {answer:?}"
        );

        let purger = quick()
            .vendor(Boxed(client(vendor, &fake)))
            .build()
            .unwrap();
        done(&purger.purge(keys(2 * most + 1), Mode::Hard).unwrap()).await;

        let sizes: Vec<_> = fake
            .purged()
            .iter()
            .map(|call| call.split(' ').count() - 1)
            .collect();
        assert_eq!(sizes, [most, most, 1], "{vendor:?}");
    }
}

#[tokio::test]
async fn varnish_is_never_sent_a_header_line_that_it_does_not_take() {
    let fake = Fake::of(Vendor::Varnish).await;
    let purger = quick().vendors(farm([&fake])).build().unwrap();
    let keys: Vec<_> = (0..2000).map(|n| format!("product.{n}")).collect();

    done(&purger.purge(&keys, Mode::Hard).unwrap()).await;

    let purged = fake.purged();
    assert_eq!(
        purged
            .iter()
            .map(|call| call.split(' ').count() - 1)
            .sum::<usize>(),
        keys.len()
    );
    assert!(
        fake.statuses().iter().all(|status| *status == 200),
        "{:?}",
        fake.statuses()
    );
    assert!(purged.len() <= 4, "{} calls", purged.len());
}

#[tokio::test]
async fn a_vendor_that_is_asked_too_often_is_asked_again_when_it_wants() {
    for vendor in VENDORS {
        let fake = Fake::of(vendor).await.with_quota(1, Duration::from_secs(1));
        let purger = quick()
            .vendor(Boxed(client(vendor, &fake)))
            .build()
            .unwrap();

        done(&purger.purge(["a"], Mode::Hard).unwrap()).await;
        done(&purger.purge(["b"], Mode::Hard).unwrap()).await;

        let well = if vendor == Vendor::CloudFront {
            201
        } else {
            200
        };
        // Its own pauses are of milliseconds: without the vendor's wish there would be many more calls.
        assert_eq!(fake.statuses(), [well, 429, well], "{vendor:?}");
        assert_eq!(fake.purged(), ["hard a", "hard b"]);
    }
}

#[tokio::test]
async fn a_wish_in_the_form_of_a_date_is_kept_too() {
    let later = |seconds| httpdate_after(Duration::from_secs(seconds));
    let fake = Fake::of(Vendor::Fastly).await.failing([Fault::StatusWith(
        503,
        "retry-after",
        later(3600),
    )]);

    let answer = fastly(&fake).purge(&Batch::new(["a"], Mode::Hard)).await;

    let pause = answer.failure().unwrap().pause().unwrap();
    assert!(
        pause > Duration::from_secs(3500) && pause <= Duration::from_secs(3601),
        "{pause:?}"
    );
}

#[tokio::test]
async fn a_vendor_that_breaks_down_is_called_until_it_is_well() {
    for vendor in VENDORS {
        let faults = [
            Fault::Status(500),
            Fault::Status(503),
            Fault::Hangup,
            Fault::Status(502),
        ];
        let fake = Fake::of(vendor).await.failing(faults);
        let purger = quick()
            .vendor(Boxed(client(vendor, &fake)))
            .build()
            .unwrap();

        done(&purger.purge(["a"], Mode::Hard).unwrap()).await;

        assert_eq!(fake.statuses()[..4], [500, 503, 502, 502], "{vendor:?}");
        assert_eq!(fake.purged(), ["hard a"]);
    }
}

#[tokio::test]
async fn a_vendor_that_answers_nothing_is_given_up_after_its_time_and_called_again() {
    for vendor in VENDORS {
        let fake = Fake::of(vendor).await.failing([Fault::Silence]);
        let purger = quick()
            .vendor(Boxed(client(vendor, &fake)))
            .build()
            .unwrap();

        done(&purger.purge(["a"], Mode::Hard).unwrap()).await;

        assert_eq!(fake.purged(), ["hard a"], "{vendor:?}");
        let report = purger.report();
        assert_eq!(
            report.vendors()[0].last_error(),
            Some("it did not answer in time")
        );
    }
}

#[tokio::test]
async fn a_wrong_token_is_tried_once_and_not_hammered() {
    for vendor in VENDORS {
        let fake = Fake::of(vendor).await;
        let purger = quick()
            .vendor(Boxed(client_with(vendor, &fake.url(), "wrong")))
            .build()
            .unwrap();

        for n in 0..20 {
            let receipt = purger.purge([format!("product.{n}")], Mode::Hard).unwrap();
            assert!(receipt.acknowledged().await.unwrap_err().is_refused());
        }

        let expected = match vendor {
            Vendor::Varnish | Vendor::CloudFront => 403,
            _ => 401,
        };
        assert_eq!(fake.statuses(), [expected], "{vendor:?}");
        assert_eq!(purger.report().vendors()[0].failed(), 20);
    }
}

#[tokio::test]
async fn a_varnish_that_knows_no_purges_does_not_count_as_purged() {
    let fake = Fake::of(Vendor::PlainVarnish).await;
    let purger = quick().vendors(farm([&fake])).build().unwrap();

    let error = purger
        .purge(["a"], Mode::Hard)
        .unwrap()
        .acknowledged()
        .await
        .unwrap_err();

    assert!(
        error
            .to_string()
            .contains("its configuration does not know such calls"),
        "{error}"
    );
}

#[tokio::test]
async fn a_success_of_cloudflares_that_its_body_denies_is_none() {
    for (body_says, passing) in [
        (r#"{"success":false,"errors":[]}"#, false),
        ("<html>maintenance</html>", true),
    ] {
        let fake = Fake::of(Vendor::Cloudflare)
            .await
            .failing([Fault::Body(200, body_says)]);

        let answer = cloudflare(&fake)
            .purge(&Batch::new(["a"], Mode::Hard))
            .await;

        assert_eq!(
            answer.failure().unwrap().is_passing(),
            passing,
            "{body_says}"
        );
    }
}

#[tokio::test]
async fn a_node_that_is_down_is_retried_on_its_own_while_the_others_are_done() {
    let (well, ill) = (
        Fake::of(Vendor::Varnish).await,
        Fake::of(Vendor::Varnish).await,
    );
    let ill = ill.failing([Fault::Status(503), Fault::Hangup, Fault::Silence]);
    let purger = quick().vendors(farm([&well, &ill])).build().unwrap();

    done(&purger.purge(["a"], Mode::Hard).unwrap()).await;

    assert_eq!(well.statuses(), [200]);
    assert_eq!(ill.statuses(), [503, 502, 408, 200]);
    assert_eq!(
        (well.purged(), ill.purged()),
        (vec!["hard a".to_owned()], vec!["hard a".to_owned()])
    );
}

#[tokio::test]
async fn a_node_that_is_gone_keeps_its_keys_and_is_named() {
    let (well, gone) = (
        Fake::of(Vendor::Varnish).await,
        Fake::of(Vendor::Varnish).await,
    );
    let nodes = farm([&well, &gone]);
    drop(gone);
    let purger = quick().vendors(nodes).build().unwrap();

    let receipt = purger.purge(["a"], Mode::Hard).unwrap();
    eventually("the node was called twice", async || {
        purger.report().vendors()[1].calls() >= 2
    })
    .await;

    let report = purger.report();
    let gone = &report.vendors()[1];
    assert_eq!((report.vendors()[0].waiting(), gone.waiting()), (0, 1));
    assert!(
        gone.name().starts_with("varnish 127.0.0.1:"),
        "{}",
        gone.name()
    );
    assert!(gone.last_error().is_some() && gone.failing_for().is_some());
    assert_eq!(purger.shutdown(Duration::ZERO).await, 1);
    assert!(receipt.acknowledged().await.unwrap_err().is_closed());
}

#[tokio::test]
async fn a_redirect_is_not_followed_with_the_token() {
    for vendor in VENDORS {
        let elsewhere = Fake::of(vendor).await;
        let fake =
            Fake::of(vendor)
                .await
                .failing([Fault::StatusWith(307, "location", elsewhere.url())]);

        let answer = client(vendor, &fake)
            .purge(&Batch::new(["a"], Mode::Hard))
            .await;

        assert!(
            answer.failure().unwrap().is_locked_out(),
            "{vendor:?}: {answer:?}"
        );
        assert_eq!(elsewhere.statuses(), Vec::<u16>::new());
    }
}

#[test]
fn addresses_and_ids_that_are_wrong_say_what_is_wrong() {
    let token = || Secret::new(TOKEN).unwrap();
    let wrong = [
        Fastly::builder("", token()).build().unwrap_err(),
        Fastly::builder("a/../b", token()).build().unwrap_err(),
        Fastly::builder("a", token())
            .address("http://api.example.com")
            .build()
            .unwrap_err(),
        CloudFront::builder("", move || AwsCredentials::new(token(), token()))
            .build()
            .unwrap_err(),
        Cloudflare::builder("a?b", token()).build().unwrap_err(),
        Cloudflare::builder("a", token())
            .plan(CloudflarePlan::Pro)
            .address("api")
            .build()
            .unwrap_err(),
        Varnish::builder([""; 0]).build().unwrap_err(),
        Varnish::builder(["10.0.0.1:6081"]).build().unwrap_err(),
        Varnish::builder([format!("http://me:{TOKEN}@10.0.0.1")])
            .build()
            .unwrap_err(),
    ];

    for error in wrong {
        assert!(error.is_config(), "{error}");
        assert!(!error.to_string().contains(TOKEN), "{error}");
    }
}

/// A purger that waits for nothing but what vendors want.
pub(crate) fn quick() -> PurgerBuilder {
    Purger::builder(Duration::ZERO)
        .window(Duration::ZERO)
        .first_pause(Duration::from_millis(1))
        .longest_pause(Duration::from_millis(2))
}

/// Waits for the acknowledgement, but not for ever.
pub(crate) async fn done(receipt: &PurgeReceipt) {
    let acknowledged = tokio::time::timeout(Duration::from_secs(30), receipt.acknowledged());
    acknowledged.await.expect("acknowledged in time").unwrap();
}

fn client(vendor: Vendor, fake: &Fake) -> Box<dyn Purge> {
    client_with(vendor, &fake.url(), TOKEN)
}

/// A client that waits 300 ms for an answer.
pub(crate) fn client_with(vendor: Vendor, url: &str, token: &str) -> Box<dyn Purge> {
    let (token, limit) = (Secret::new(token).unwrap(), Duration::from_millis(300));
    match vendor {
        Vendor::Fastly => Box::new(
            Fastly::builder("SU1Z0isxPaozGVKXdv0eY", token)
                .address(url)
                .timeout(limit)
                .build()
                .unwrap(),
        ),
        Vendor::Cloudflare => Box::new(
            Cloudflare::builder("023e105f4ecef8ad9ca31a8372d0c353", token)
                .address(url)
                .timeout(limit)
                .build()
                .unwrap(),
        ),
        Vendor::CloudFront => {
            let credentials =
                AwsCredentials::new(token.clone(), token.clone()).session_token(token);
            let client = CloudFront::builder("EDFDVBD6EXAMPLE", move || credentials.clone());
            Box::new(client.address(url).timeout(limit).build().unwrap())
        }
        Vendor::Varnish | Vendor::PlainVarnish => Box::new(
            Varnish::builder([url])
                .token(token)
                .timeout(limit)
                .build()
                .unwrap()
                .remove(0),
        ),
    }
}

fn fastly(fake: &Fake) -> Boxed {
    Boxed(client(Vendor::Fastly, fake))
}

fn cloudflare(fake: &Fake) -> Boxed {
    Boxed(client(Vendor::Cloudflare, fake))
}

fn farm<const N: usize>(fakes: [&Fake; N]) -> Vec<Varnish> {
    let limit = Duration::from_millis(300);
    Varnish::builder(fakes.map(Fake::url))
        .token(Secret::new(TOKEN).unwrap())
        .timeout(limit)
        .build()
        .unwrap()
}

fn httpdate_after(span: Duration) -> String {
    httpdate::fmt_http_date(std::time::SystemTime::now() + span)
}

/// A client of a vendor that is known only while the test runs.
pub(crate) struct Boxed(pub(crate) Box<dyn Purge>);

impl Purge for Boxed {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn limits(&self) -> tricache_middleware::purge::Limits {
        self.0.limits()
    }

    fn purge<'a>(&'a self, batch: &'a Batch) -> tricache_middleware::purge::PurgeFuture<'a> {
        self.0.purge(batch)
    }
}
