//! Each client with a fake that fails: what each answer leads to.

use std::time::Duration;

use tricache_middleware::purge::{Batch, Mode, Purge};
use tricache_test_support::eventually;

use super::{
    clients::{Boxed, client, client_waiting, client_with, cloudflare, done, farm, fastly, quick},
    fakes::{Fake, Fault, TOKEN, VENDORS, Vendor},
};

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
    let limit = Duration::from_millis(200);
    for vendor in VENDORS {
        let fake = Fake::of(vendor).await.failing([Fault::Silence]);
        let client = Boxed(client_waiting(limit, vendor, &fake.url(), TOKEN));
        let purger = quick().vendor(client).build().unwrap();

        done(&purger.purge(["a"], Mode::Hard).unwrap()).await;

        assert_eq!(fake.statuses()[0], 408, "{vendor:?}");
        assert_eq!(fake.purged()[0], "hard a");
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
    let ill = ill.failing([Fault::Status(503), Fault::Hangup]);
    let purger = quick().vendors(farm([&well, &ill])).build().unwrap();

    done(&purger.purge(["a"], Mode::Hard).unwrap()).await;

    assert_eq!(well.statuses(), [200]);
    assert_eq!(ill.statuses(), [503, 502, 200]);
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
async fn where_the_address_says_https_no_token_is_sent_in_the_clear() {
    for vendor in VENDORS {
        let fake = Fake::of(vendor).await;
        let url = fake.url().replace("http:", "https:");

        let answer = client_with(vendor, &url, TOKEN)
            .purge(&Batch::new(["a"], Mode::Hard))
            .await;

        assert!(
            answer.failure().unwrap().is_passing(),
            "{vendor:?}: {answer:?}"
        );
        assert_eq!(fake.statuses(), Vec::<u16>::new());
    }
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

fn httpdate_after(span: Duration) -> String {
    httpdate::fmt_http_date(std::time::SystemTime::now() + span)
}
