//! What each vendor documents about its purge interface: addresses, tokens, limits, answers.

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Method, StatusCode, request::Parts};
use serde_json::{Value, json};

use super::{TOKEN, purge_method};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Vendor {
    Varnish,
    /// Varnish whose configuration knows no purges: the application behind it answers.
    PlainVarnish,
    Fastly,
    Cloudflare,
    CloudFront,
}

/// Those whose interface is faked whole.
pub(crate) const VENDORS: [Vendor; 4] = [
    Vendor::Varnish,
    Vendor::Fastly,
    Vendor::Cloudflare,
    Vendor::CloudFront,
];

/// What a request wanted to be purged.
#[derive(Debug)]
pub(crate) enum Purge {
    Keys { keys: Vec<String>, soft: bool },
    Everything,
}

impl Purge {
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Everything => "everything".to_owned(),
            Self::Keys { keys, soft: true } => format!("soft {}", keys.join(" ")),
            Self::Keys { keys, soft: false } => format!("hard {}", keys.join(" ")),
        }
    }
}

impl Vendor {
    pub(crate) fn obey(self, parts: &Parts, body: &[u8]) -> Result<Purge, StatusCode> {
        match self {
            Self::Varnish => varnish(parts),
            Self::PlainVarnish => Ok(Purge::Everything),
            Self::Fastly => fastly(parts, body),
            Self::Cloudflare => cloudflare(parts, body),
            Self::CloudFront => cloudfront(parts, body),
        }
    }

    pub(crate) fn success(self, purge: &Purge) -> Response {
        match (self, purge) {
            (Self::Varnish, _) => [("x-purged", "1")].into_response(),
            (Self::CloudFront, _) => (
                StatusCode::CREATED,
                "<Invalidation><Status>InProgress</Status></Invalidation>",
            )
                .into_response(),
            (Self::PlainVarnish, _) => "the application's page".into_response(),
            (Self::Fastly, Purge::Keys { keys, .. }) => {
                let ids: serde_json::Map<_, _> = keys
                    .iter()
                    .map(|key| (key.clone(), json!("108-1391560174-974124")))
                    .collect();
                Value::Object(ids).to_string().into_response()
            }
            (Self::Fastly, Purge::Everything) => {
                json!({ "status": "ok" }).to_string().into_response()
            }
            (Self::Cloudflare, _) => {
                json!({ "success": true, "errors": [], "messages": [], "result": { "id": "1" } })
                    .to_string()
                    .into_response()
            }
        }
    }

    pub(crate) fn refusal(self, status: StatusCode) -> Response {
        let body = json!({ "success": false, "errors": [{ "code": 10000, "message": "no" }] });
        (status, body.to_string()).into_response()
    }
}

/// Our own part of the configuration, and Varnish's default length of a header line.
fn varnish(parts: &Parts) -> Result<Purge, StatusCode> {
    let too_long = parts
        .headers
        .iter()
        .any(|(name, value)| name.as_str().len() + 2 + value.len() > 8192);
    if too_long {
        return Err(StatusCode::BAD_REQUEST);
    }
    if parts.method != purge_method() || parts.uri.path() != "/" {
        return Err(StatusCode::METHOD_NOT_ALLOWED);
    }
    if text(&parts.headers, "x-purge-token") != TOKEN {
        return Err(StatusCode::FORBIDDEN);
    }
    let keys = |name| {
        text(&parts.headers, name)
            .split(' ')
            .map(str::to_owned)
            .collect()
    };
    let has = |name| parts.headers.contains_key(name);
    match (
        has("xkey-purge-everything"),
        has("xkey-purge"),
        has("xkey-softpurge"),
    ) {
        (true, false, false) => Ok(Purge::Everything),
        (false, true, false) => Ok(Purge::Keys {
            keys: keys("xkey-purge"),
            soft: false,
        }),
        (false, false, true) => Ok(Purge::Keys {
            keys: keys("xkey-softpurge"),
            soft: true,
        }),
        _ => Err(StatusCode::BAD_REQUEST),
    }
}

/// At most 256 keys of 1,024 bytes; everything is never soft.
fn fastly(parts: &Parts, body: &[u8]) -> Result<Purge, StatusCode> {
    only_posts(parts)?;
    if text(&parts.headers, "fastly-key") != TOKEN {
        return Err(StatusCode::UNAUTHORIZED);
    }
    let soft = text(&parts.headers, "fastly-soft-purge") == "1";
    match parts.uri.path() {
        "/service/SU1Z0isxPaozGVKXdv0eY/purge" => {
            let keys = strings(&json(parts, body)?["surrogate_keys"], 256)?;
            Ok(Purge::Keys { keys, soft })
        }
        "/service/SU1Z0isxPaozGVKXdv0eY/purge_all" if !soft => Ok(Purge::Everything),
        _ => Err(StatusCode::NOT_FOUND),
    }
}

/// At most 100 tags of 1,024 characters.
fn cloudflare(parts: &Parts, body: &[u8]) -> Result<Purge, StatusCode> {
    only_posts(parts)?;
    if text(&parts.headers, "authorization") != format!("Bearer {TOKEN}") {
        return Err(StatusCode::UNAUTHORIZED);
    }
    if parts.uri.path() != "/client/v4/zones/023e105f4ecef8ad9ca31a8372d0c353/purge_cache" {
        return Err(StatusCode::NOT_FOUND);
    }
    let body = json(parts, body)?;
    if body == json!({ "purge_everything": true }) {
        return Ok(Purge::Everything);
    }
    let keys = strings(&body["tags"], 100)?;
    Ok(Purge::Keys { keys, soft: false })
}

/// At most 3,000 paths in progress, each of a tag of at most 256 characters, and a reference of their own. The signature itself
/// is not computed here: the client's own tests compare it with known answers.
fn cloudfront(parts: &Parts, body: &[u8]) -> Result<Purge, StatusCode> {
    only_posts(parts)?;
    let authorization = text(&parts.headers, "authorization");
    let signed = authorization.starts_with(&format!("AWS4-HMAC-SHA256 Credential={TOKEN}/"))
        && authorization.contains("/us-east-1/cloudfront/aws4_request, SignedHeaders=host;x-amz-date;x-amz-security-token, Signature=")
        && parts.headers.contains_key("x-amz-date")
        && text(&parts.headers, "x-amz-security-token") == TOKEN;
    if !signed {
        return Err(StatusCode::FORBIDDEN);
    }
    if parts.uri.path() != "/2020-05-31/distribution/EDFDVBD6EXAMPLE/invalidation" {
        return Err(StatusCode::NOT_FOUND);
    }
    let body = std::str::from_utf8(body).map_err(|_| StatusCode::BAD_REQUEST)?;
    let between = |before: &str, after: &str| {
        body.split_once(before)?
            .1
            .split_once(after)
            .map(|(text, _)| text)
    };
    let quantity: Option<usize> =
        between("<Quantity>", "</Quantity>").and_then(|text| text.parse().ok());
    let paths: Vec<_> = body
        .split("<Path>")
        .skip(1)
        .filter_map(|path| path.split_once("</Path>"))
        .map(|(path, _)| path)
        .collect();
    if quantity != Some(paths.len())
        || !(1..=3000).contains(&paths.len())
        || between("<CallerReference>", "<").is_none()
    {
        return Err(StatusCode::BAD_REQUEST);
    }
    if paths == ["/*"] {
        return Ok(Purge::Everything);
    }
    let tag = |path: &&str| {
        path.strip_prefix('#')
            .filter(|tag| tag.len() <= 256)
            .map(unescaped)
    };
    let keys: Option<Vec<_>> = paths.iter().map(tag).collect();
    Ok(Purge::Keys {
        keys: keys.ok_or(StatusCode::BAD_REQUEST)?,
        soft: false,
    })
}

fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&")
}

fn only_posts(parts: &Parts) -> Result<(), StatusCode> {
    if parts.method == Method::POST {
        Ok(())
    } else {
        Err(StatusCode::METHOD_NOT_ALLOWED)
    }
}

fn json(parts: &Parts, body: &[u8]) -> Result<Value, StatusCode> {
    if text(&parts.headers, "content-type") != "application/json" {
        return Err(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    serde_json::from_slice(body).map_err(|_| StatusCode::BAD_REQUEST)
}

/// A list of one to `most` strings of at most 1,024 bytes.
fn strings(list: &Value, most: usize) -> Result<Vec<String>, StatusCode> {
    let strings: Option<Vec<_>> = list.as_array().and_then(|list| {
        list.iter()
            .map(|text| text.as_str().map(str::to_owned))
            .collect()
    });
    let fits = |strings: &Vec<String>| {
        (1..=most).contains(&strings.len()) && strings.iter().all(|text| text.len() <= 1024)
    };
    strings.filter(fits).ok_or(StatusCode::BAD_REQUEST)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers
        .get(name)
        .map_or("", |value| value.to_str().unwrap_or_default())
}
