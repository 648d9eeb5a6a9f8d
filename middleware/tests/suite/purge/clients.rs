//! Each client with a fake of its vendor: what goes out, how batches split, and what each answer leads to.

use std::time::Duration;

use tricache_middleware::purge::{
    AwsCredentials, Batch, CloudFront, Cloudflare, CloudflarePlan, Fastly, Mode, Purge,
    PurgeReceipt, Purger, PurgerBuilder, Secret, Varnish,
};

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

pub(crate) fn client(vendor: Vendor, fake: &Fake) -> Box<dyn Purge> {
    client_with(vendor, &fake.url(), TOKEN)
}

/// A client that waits for an answer longer than any test needs.
pub(crate) fn client_with(vendor: Vendor, url: &str, token: &str) -> Box<dyn Purge> {
    client_waiting(Duration::from_secs(30), vendor, url, token)
}

/// A client that waits so long for an answer.
pub(crate) fn client_waiting(
    limit: Duration,
    vendor: Vendor,
    url: &str,
    token: &str,
) -> Box<dyn Purge> {
    let token = Secret::new(token).unwrap();
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

pub(crate) fn fastly(fake: &Fake) -> Boxed {
    Boxed(client(Vendor::Fastly, fake))
}

pub(crate) fn cloudflare(fake: &Fake) -> Boxed {
    Boxed(client(Vendor::Cloudflare, fake))
}

pub(crate) fn farm<const N: usize>(fakes: [&Fake; N]) -> Vec<Varnish> {
    let limit = Duration::from_secs(30);
    Varnish::builder(fakes.map(Fake::url))
        .token(Secret::new(TOKEN).unwrap())
        .timeout(limit)
        .build()
        .unwrap()
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
