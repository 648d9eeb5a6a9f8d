//! The edges that were read up on, each as plain data. What was not found in a vendor's documentation is assumed to be
//! as strict as the strictest of the others; `docs/cdn.md` says which.

use http::HeaderName;

use super::{Control, KeyField, Profile, Separator};
use crate::stated::{SURROGATE_CONTROL, SURROGATE_KEY};

impl Profile {
    /// Fastly: reads `Surrogate-Control` before `Cache-Control`, and removes both surrogate headers.
    #[must_use]
    pub fn fastly() -> Self {
        let keys = KeyField::new(SURROGATE_KEY.clone(), Separator::Space);
        Self::new("fastly", Control::Field(SURROGATE_CONTROL.clone()))
            .key_field(keys.max_key_bytes(1024))
    }

    /// Cloudflare: `Cloudflare-CDN-Cache-Control` and `Cache-Tag`; both are removed. `Vary` is not heeded.
    #[must_use]
    pub fn cloudflare() -> Self {
        let keys = comma("cache-tag").max_key_bytes(1024).folds_case();
        Self::new("cloudflare", field("cloudflare-cdn-cache-control"))
            .key_field(keys)
            .ignores_vary()
    }

    /// Akamai, with a caching rule that honours the origin's `Cache-Control`; keys in one line of `Edge-Cache-Tag`.
    #[must_use]
    pub fn akamai() -> Self {
        let keys = comma("edge-cache-tag")
            .max_keys(128)
            .max_key_bytes(128)
            .refuses("*@\\{}<>()[]:;=?\"&");
        Self::new("akamai", Control::CacheControl).key_field(keys)
    }

    /// CloudFront, whose distribution names the header of the tags in its `CacheTagConfig`.
    #[must_use]
    pub fn cloudfront(tag_header: HeaderName) -> Self {
        let keys = KeyField::new(tag_header, Separator::Comma)
            .max_keys(50)
            .max_key_bytes(256)
            .folds_case();
        Self::new("cloudfront", Control::CacheControl).key_field(keys)
    }

    /// Google Cloud CDN in the mode `USE_ORIGIN_HEADERS`. It stores a page that varies on more than a short list of
    /// headers for nobody.
    #[must_use]
    pub fn google_cloud_cdn() -> Self {
        let keys = comma("cache-tag").max_keys(50).max_key_bytes(128);
        Self::new("google-cloud-cdn", Control::CacheControl).key_field(keys)
    }

    /// Bunny: `Cache-Control`, and at most 1,024 bytes of `CDN-Tag`. `Vary` is taken to be ignored.
    #[must_use]
    pub fn bunny() -> Self {
        Self::new("bunny", Control::CacheControl)
            .key_field(comma("cdn-tag").max_bytes(1024))
            .ignores_vary()
    }

    /// KeyCDN: `Cache-Control` and `Cache-Tag`, which here is separated by spaces, and which clients see. `Vary` is
    /// taken to be ignored.
    #[must_use]
    pub fn keycdn() -> Self {
        let tags = HeaderName::from_static("cache-tag");
        Self::new("keycdn", Control::CacheControl)
            .key_field(KeyField::new(tags, Separator::Space))
            .ignores_vary()
    }

    /// Netlify: `Netlify-CDN-Cache-Control` and `Netlify-Cache-Tag`.
    #[must_use]
    pub fn netlify() -> Self {
        let keys = comma("netlify-cache-tag").max_keys(50);
        Self::new("netlify", field("netlify-cdn-cache-control")).key_field(keys)
    }

    /// Vercel: `Vercel-CDN-Cache-Control` and `Vercel-Cache-Tag`; the tags are removed.
    #[must_use]
    pub fn vercel() -> Self {
        let keys = comma("vercel-cache-tag").max_keys(50).max_key_bytes(256);
        Self::new("vercel", field("vercel-cdn-cache-control")).key_field(keys)
    }

    /// Varnish with the `xkey` module and a VCL that reads `Surrogate-Control` and copies `Surrogate-Key` to `xkey`.
    ///
    /// Varnish without such a VCL does not purge by key, and passes the headers on to browsers.
    #[must_use]
    pub fn varnish() -> Self {
        Self::new("varnish", Control::Field(SURROGATE_CONTROL.clone()))
            .key_field(KeyField::new(SURROGATE_KEY.clone(), Separator::Space).max_key_bytes(1024))
    }

    /// Varnish as [`varnish`](Self::varnish), but for the keys: they come in `xkey`, which the module reads as it is.
    ///
    /// Nothing is copied, so they take half as much of Varnish's room for headers, and may stand in several lines: a VCL
    /// would copy the first alone.
    #[must_use]
    pub fn varnish_xkey() -> Self {
        let xkey = KeyField::new(HeaderName::from_static("xkey"), Separator::Space);
        Self::new("varnish", Control::Field(SURROGATE_CONTROL.clone()))
            .key_field(xkey.max_key_bytes(1024).max_line_bytes(8000))
    }

    /// A shared cache that knows nothing but RFC 9111, such as nginx, Squid, Traffic Server or HAProxy: `s-maxage`, and
    /// no keys. Nothing can be purged by name: only the lifetime ends a page.
    #[must_use]
    pub fn shared_cache() -> Self {
        Self::new("shared-cache", Control::CacheControl)
    }

    /// An edge that reads `CDN-Cache-Control` (RFC 9213), with no keys until [`key_field`](Self::key_field) names them.
    #[must_use]
    pub fn cdn() -> Self {
        Self::new("cdn", field("cdn-cache-control"))
    }
}

fn field(name: &'static str) -> Control {
    Control::Field(HeaderName::from_static(name))
}

fn comma(name: &'static str) -> KeyField {
    KeyField::new(HeaderName::from_static(name), Separator::Comma)
}
