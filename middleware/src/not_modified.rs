//! A 304 in place of a page that its client has already: the same headers, without the body.
//!
//! A cache replaces what it has stored by what the 304 says, so policy, keys and validator are those of the page.

use http::{HeaderName, Response, StatusCode, header};
use http_body::Body;

/// Turns a page into the answer that it is not modified.
pub(crate) fn not_modified<B: Body + Default>(response: &mut Response<B>) {
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    let body = std::mem::take(response.body_mut());
    let headers = response.headers_mut();
    // The length of what would have been sent, or nothing: a server may otherwise write that of the empty body.
    if let Some(length) = body.size_hint().exact() {
        headers.insert(header::CONTENT_LENGTH, length.into());
    }
    for name in &ABOUT_THE_BODY {
        headers.remove(name);
    }
}

/// What says something about bytes that are not sent (RFC 9110, 15.4.5).
static ABOUT_THE_BODY: [HeaderName; 6] = [
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_TYPE,
    header::LAST_MODIFIED,
    header::TRAILER,
    header::TRANSFER_ENCODING,
];
