//! `Retry-After` in its two forms: seconds, or a date (RFC 9110 §10.2.3).

use std::time::{Duration, SystemTime};

use http::{HeaderMap, header::RETRY_AFTER};

/// How long the server wants to be left alone; `None` if it does not say so, or not in a form that can be read.
///
/// A date is told by its distance from the server's own `Date`, so that a clock of ours that is wrong changes nothing; only
/// without one by its distance from `now`. A date in the past is no pause.
pub(crate) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // Digits that are too many for a number are still a long time.
        return Some(Duration::from_secs(
            text.parse().unwrap_or(u64::from(u32::MAX)),
        ));
    }
    let until = httpdate::parse_http_date(text).ok()?;
    let said_at = date(headers).unwrap_or(now);
    Some(until.duration_since(said_at).unwrap_or_default())
}

fn date(headers: &HeaderMap) -> Option<SystemTime> {
    let text = headers.get(http::header::DATE)?.to_str().ok()?;
    httpdate::parse_http_date(text).ok()
}

#[cfg(test)]
mod tests {
    use http::header::DATE;

    use super::*;

    #[test]
    fn seconds_are_seconds() {
        assert_eq!(pause("120", None), Some(Duration::from_secs(120)));
        assert_eq!(pause(" 0 ", None), Some(Duration::ZERO));
        assert!(pause("99999999999999999999999", None) > Some(Duration::from_secs(1_000_000)));
    }

    #[test]
    fn a_date_counts_from_the_servers_own_date() {
        let until = "Fri, 31 Dec 1999 23:59:59 GMT";

        assert_eq!(
            pause(until, Some("Fri, 31 Dec 1999 23:59:29 GMT")),
            Some(Duration::from_secs(30))
        );
    }

    #[test]
    fn a_date_without_the_servers_own_counts_from_our_clock() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let until = httpdate::fmt_http_date(now + Duration::from_secs(90));

        assert_eq!(
            retry_after(&headers(&until, None), now),
            Some(Duration::from_secs(90))
        );
    }

    #[test]
    fn a_date_in_the_past_is_no_pause() {
        assert_eq!(
            pause("Fri, 31 Dec 1999 23:59:59 GMT", None),
            Some(Duration::ZERO)
        );
    }

    #[test]
    fn what_is_neither_form_says_nothing() {
        for text in [
            "",
            "-1",
            "1.5",
            "soon",
            "+3",
            "Fri, 32 Dec 1999 23:59:59 GMT",
        ] {
            assert_eq!(pause(text, None), None, "{text:?}");
        }
    }

    fn pause(text: &str, date: Option<&str>) -> Option<Duration> {
        retry_after(&headers(text, date), SystemTime::now())
    }

    fn headers(text: &str, date: Option<&str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, text.parse().unwrap());
        if let Some(date) = date {
            headers.insert(DATE, date.parse().unwrap());
        }
        headers
    }
}
