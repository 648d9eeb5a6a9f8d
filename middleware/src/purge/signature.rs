//! AWS's signature, version 4, of the one kind of request that CloudFront is sent: a `POST` without a query.
//!
//! The crates that sign for AWS bring a part of its SDK or a loader of profiles along; this is what is left without them. Its
//! known answers were made with botocore.

use std::time::SystemTime;

use http::{HeaderName, HeaderValue};
use ring::{digest, hmac};

use super::{cloudfront::AwsCredentials, secret::Secret};

/// What is signed.
pub(crate) struct Unsigned<'a> {
    /// As the `Host` header has it.
    pub(crate) host: &'a str,
    pub(crate) path: &'a str,
    pub(crate) body: &'a str,
}

/// The headers that prove who has sent the request.
pub(crate) fn sign(
    request: &Unsigned<'_>,
    credentials: &AwsCredentials,
    now: SystemTime,
) -> Vec<(HeaderName, HeaderValue)> {
    let time = compact(now);
    let day = time.get(..8).unwrap_or_default();
    let scope = format!("{day}/{REGION}/{SERVICE}/aws4_request");
    let (names, canonical) = canonical(request, credentials, &time);
    let to_sign = format!("{ALGORITHM}\n{time}\n{scope}\n{}", hash(&canonical));
    let signature = hex(mac(&key(&credentials.secret, day), &to_sign).as_ref());
    let authorization = format!(
        "{ALGORITHM} Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
        credentials.id.reveal()
    );
    let mut headers = vec![
        (http::header::AUTHORIZATION, secret(&authorization)),
        (DATE, secret(&time)),
    ];
    headers.extend(
        credentials
            .session
            .as_ref()
            .map(|token| (TOKEN, token.header(""))),
    );
    headers
}

/// The names of the headers that are signed, and the request in the form that is.
fn canonical(
    request: &Unsigned<'_>,
    credentials: &AwsCredentials,
    time: &str,
) -> (&'static str, String) {
    let Unsigned { host, path, body } = request;
    let mut headers = format!("host:{host}\nx-amz-date:{time}\n");
    let mut names = "host;x-amz-date";
    if let Some(token) = &credentials.session {
        headers += &format!("x-amz-security-token:{}\n", token.reveal());
        names = "host;x-amz-date;x-amz-security-token";
    }
    (
        names,
        format!("POST\n{path}\n\n{headers}\n{names}\n{}", hash(body)),
    )
}

/// The key of this day, region and service.
fn key(secret: &Secret, day: &str) -> hmac::Key {
    let first = hmac::Key::new(
        hmac::HMAC_SHA256,
        format!("AWS4{}", secret.reveal()).as_bytes(),
    );
    [day, REGION, SERVICE, "aws4_request"]
        .into_iter()
        .fold(first, |key, part| {
            hmac::Key::new(hmac::HMAC_SHA256, mac(&key, part).as_ref())
        })
}

fn mac(key: &hmac::Key, text: &str) -> hmac::Tag {
    hmac::sign(key, text.as_bytes())
}

fn hash(text: &str) -> String {
    hex(digest::digest(&digest::SHA256, text.as_bytes()).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Such as `20260109T030405Z`, out of the form that HTTP has, whose places are fixed: `Fri, 09 Jan 2026 03:04:05 GMT`.
fn compact(now: SystemTime) -> String {
    let text = httpdate::fmt_http_date(now);
    let month = MONTHS
        .iter()
        .position(|month| *month == &text[8..11])
        .unwrap_or_default()
        + 1;
    let (day, year, time) = (&text[5..7], &text[12..16], text[17..25].replace(':', ""));
    format!("{year}{month:02}{day}T{time}Z")
}

fn secret(text: &str) -> HeaderValue {
    // Ids, dates and digits; an id is a `Secret`, so it is visible ASCII too.
    let mut value = HeaderValue::from_str(text).expect("visible ASCII and spaces");
    value.set_sensitive(true);
    value
}

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// CloudFront is in no region, and signs as if it were in this one.
const REGION: &str = "us-east-1";
const SERVICE: &str = "cloudfront";
const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_request_is_signed_as_botocore_signs_it() {
        let signed = signed(&credentials());

        assert_eq!(
            signed[0],
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260109/us-east-1/cloudfront/aws4_request, \
             SignedHeaders=host;x-amz-date, \
             Signature=d056d3f087fa96302792bcb913ff17d897fe179a381a3a542551a83c1a124668"
        );
        assert_eq!(signed[1], "20260109T030405Z");
    }

    #[test]
    fn a_session_is_signed_as_botocore_signs_it() {
        let signed = signed(&credentials().session_token(Secret::new("a-session-token").unwrap()));

        assert_eq!(
            signed[0],
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260109/us-east-1/cloudfront/aws4_request, \
             SignedHeaders=host;x-amz-date;x-amz-security-token, \
             Signature=f13e40f0ec0a18796ee73d160fd4894994889beae7db47dbdfe090924af69830"
        );
        assert_eq!(signed[2], "a-session-token");
    }

    #[test]
    fn every_month_has_its_number() {
        let month = |days: u64| {
            compact(SystemTime::UNIX_EPOCH + Duration::from_secs(days * 86_400))[..8].to_owned()
        };

        assert_eq!(month(0), "19700101");
        assert_eq!(month(59), "19700301");
        assert_eq!(month(364), "19701231");
        assert_eq!(month(20_000), "20241004");
    }

    fn signed(credentials: &AwsCredentials) -> Vec<String> {
        let request = Unsigned {
            host: "cloudfront.amazonaws.com",
            path: "/2020-05-31/distribution/EDFDVBD6EXAMPLE/invalidation",
            body: "<InvalidationBatch/>",
        };
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_927_845);
        let headers = sign(&request, credentials, now);
        headers
            .iter()
            .map(|(_, value)| value.to_str().unwrap().to_owned())
            .collect()
    }

    fn credentials() -> AwsCredentials {
        let secret = Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY").unwrap();
        AwsCredentials::new(Secret::new("AKIDEXAMPLE").unwrap(), secret)
    }
}
