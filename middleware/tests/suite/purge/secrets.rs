//! A token appears nowhere but in the calls: not in `Debug`, reports, errors or logs, whatever happens.

use std::{
    fmt::Write as _,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use tracing_subscriber::fmt::MakeWriter;
use tricache_middleware::purge::{
    AwsCredentials, CloudFront, Cloudflare, Fastly, Mode, Secret, Varnish,
};

use super::{
    clients::{Boxed, client_waiting, client_with, quick},
    fakes::{Fake, Fault, TOKEN, VENDORS, Vendor},
};

#[test]
fn no_client_shows_its_token() {
    let token = Secret::new(TOKEN).unwrap();
    let fastly = Fastly::builder("a", token.clone());
    let cloudflare = Cloudflare::builder("a", token.clone());
    let varnish = Varnish::builder(["http://10.0.0.1"]).token(token.clone());
    let aws = AwsCredentials::new(token.clone(), token.clone()).session_token(token);
    let mut shown = format!("{fastly:#?} {cloudflare:#?} {varnish:#?} {aws:#?}");
    let cloudfront = CloudFront::builder("a", move || aws.clone());
    write!(shown, "{cloudfront:#?}").unwrap();

    let built = (
        fastly.build().unwrap(),
        cloudflare.build().unwrap(),
        cloudfront.build().unwrap(),
        varnish.build().unwrap(),
    );
    write!(shown, "{built:#?} {built:?}").unwrap();

    assert!(!shown.contains("hunter2"), "{shown}");
}

#[tokio::test]
async fn no_failure_of_a_vendor_brings_its_token_into_logs_errors_or_reports() {
    let log = Log::default();
    let _recording = tracing::subscriber::set_default(
        tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(log.clone())
            .finish(),
    );
    let faults = [
        Fault::Status(500),
        Fault::Silence,
        Fault::Hangup,
        Fault::Status(429),
        Fault::Status(401),
    ];
    let limit = Duration::from_millis(200);
    let mut shown = String::new();

    for vendor in VENDORS {
        let fake = Fake::of(vendor).await.failing(faults.clone());
        let purger = quick()
            .vendor(Boxed(client_waiting(limit, vendor, &fake.url(), TOKEN)))
            .build()
            .unwrap();
        let receipt = purger.purge(["a"], Mode::Hard).unwrap();
        let error = receipt.acknowledged().await.unwrap_err();
        write!(
            shown,
            "{error} {error:?} {receipt:?} {purger:?} {:?}",
            purger.report()
        )
        .unwrap();
        purger.shutdown(Duration::ZERO).await;
    }

    let log = log.text();
    assert!(
        log.contains("purges are refused"),
        "nothing was recorded: {log}"
    );
    assert!(!log.contains("hunter2"), "{log}");
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[tokio::test]
async fn a_refusal_is_told_aloud_once() {
    let log = Log::default();
    let _recording = tracing::subscriber::set_default(
        tracing_subscriber::fmt()
            .with_max_level(tracing::Level::WARN)
            .with_ansi(false)
            .with_writer(log.clone())
            .finish(),
    );
    let fake = Fake::of(Vendor::Fastly).await;
    let wrong = Boxed(client_with(Vendor::Fastly, &fake.url(), "wrong"));
    let purger = quick()
        .locked_out_pause(Duration::ZERO)
        .vendor(wrong)
        .build()
        .unwrap();

    for n in 0..5 {
        let receipt = purger.purge([format!("product.{n}")], Mode::Hard).unwrap();
        receipt.acknowledged().await.unwrap_err();
    }

    assert_eq!(fake.statuses(), [401; 5]);
    let log = log.text();
    assert_eq!(log.matches("ERROR").count(), 1, "{log}");
}

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
