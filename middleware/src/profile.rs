//! What the edge in front understands, and how much it may keep.

mod key_field;
mod vendors;

use std::time::Duration;

use http::HeaderName;

pub use self::key_field::{KeyField, Separator};

/// The edge in front of the service: which headers it reads, and for how long it and browsers may keep a page.
///
/// Plain data. Each named constructor is an edge that was read up on or measured, see `docs/cdn.md`; [`Profile::new`]
/// is for any other. A layer takes several: a CDN and the Varnish behind it, see [`EdgeLayer::and`](crate::EdgeLayer::and).
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use tricache_middleware::Profile;
///
/// let profile = Profile::fastly().max_shared_ttl(Duration::from_secs(300));
/// # let _ = profile;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    edge: &'static str,
    control: Control,
    keys: Option<KeyField>,
    heeds_vary: bool,
    browser_ttl: Duration,
    max_shared_ttl: Duration,
    stale_while_revalidate: Duration,
    stale_if_error: Duration,
}

/// Where an edge looks for how long it may keep a page.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Control {
    /// In `Cache-Control`, as `s-maxage`: every shared cache on the way reads it too.
    ///
    /// `s-maxage` forbids serving stale, so no stale window is written beside it (RFC 9111, 5.2.2.10).
    CacheControl,
    /// In a field of its own, as `max-age`: `CDN-Cache-Control` and its vendors' forms (RFC 9213), or `Surrogate-Control`.
    Field(HeaderName),
}

impl Control {
    pub(crate) fn field(&self) -> Option<&HeaderName> {
        match self {
            Self::CacheControl => None,
            Self::Field(name) => Some(name),
        }
    }
}

impl Profile {
    /// An edge of your own: it reads `control`, heeds `Vary`, and knows no keys until [`key_field`](Self::key_field)
    /// names their header.
    ///
    /// `edge` is its name in logs and in what the layer explains.
    ///
    /// # Examples
    /// ```
    /// use http::HeaderName;
    /// use tricache_middleware::{Control, KeyField, Profile, Separator};
    ///
    /// let control = Control::Field(HeaderName::from_static("acme-cache-control"));
    /// let keys = KeyField::new(HeaderName::from_static("acme-tags"), Separator::Comma);
    /// let acme = Profile::new("acme", control).key_field(keys.max_keys(100));
    /// # let _ = acme;
    /// ```
    #[must_use]
    pub const fn new(edge: &'static str, control: Control) -> Self {
        Self {
            edge,
            control,
            keys: None,
            heeds_vary: true,
            browser_ttl: Duration::ZERO,
            max_shared_ttl: Duration::MAX,
            stale_while_revalidate: Duration::ZERO,
            stale_if_error: Duration::ZERO,
        }
    }

    /// The header in which this edge looks for the names of what a page shows. Default: that of the named edge; none
    /// for [`Profile::new`], whose pages cannot be purged by name.
    #[must_use]
    pub fn key_field(mut self, field: KeyField) -> Self {
        self.keys = Some(field);
        self
    }

    /// This edge stores one page per URL, whatever `Vary` says.
    ///
    /// A page that varies on more than `Accept-Encoding` is then not shared by it. Default: that of the named edge; an
    /// edge of [`Profile::new`] heeds `Vary`.
    #[must_use]
    pub const fn ignores_vary(mut self) -> Self {
        self.heeds_vary = false;
        self
    }

    /// How long a browser may keep a shared page without asking: `max-age` of `Cache-Control`.
    ///
    /// No purge reaches a browser. The header never promises more than the data's remaining life, but a copy that a
    /// browser takes late from the edge may outlive the data by up to this long. Whole seconds; a fraction is
    /// dropped. Of several profiles the shortest holds. Default: 0, a browser asks the edge each time.
    #[must_use]
    pub const fn browser_ttl(mut self, ttl: Duration) -> Self {
        self.browser_ttl = ttl;
        self
    }

    /// The longest that the edge may keep a page, however long its data lives.
    ///
    /// It bounds how old a page can become if a purge is lost. Whole seconds; a fraction is dropped, and less than
    /// one second means that nothing is shared. Default: no bound but the remaining life of what was read.
    #[must_use]
    pub const fn max_shared_ttl(mut self, ttl: Duration) -> Self {
        self.max_shared_ttl = ttl;
        self
    }

    /// How long past its life the edge may serve a page while it fetches a new one.
    ///
    /// Written only where it means something: into a control field of the edge's own, beside a lifetime of at least a
    /// second, and only if the handler demands no revalidation. The data may be that much older than any tier allows,
    /// unless a purge comes. Whole seconds; a fraction is dropped. Default: none.
    #[must_use]
    pub const fn stale_while_revalidate(mut self, window: Duration) -> Self {
        self.stale_while_revalidate = window;
        self
    }

    /// How long past its life the edge may serve a page if the service cannot be asked or answers an error.
    ///
    /// Written where [`stale_while_revalidate`](Self::stale_while_revalidate) is. Whole seconds; a fraction is dropped.
    /// Default: none.
    #[must_use]
    pub const fn stale_if_error(mut self, window: Duration) -> Self {
        self.stale_if_error = window;
        self
    }

    /// The longest value of the key header that the edge, and every proxy on the way, takes: in bytes.
    ///
    /// Keys that do not fit are shortened, then coarsened; what still does not fit is not shared. They are never cut.
    /// Default: 3,072, or less where the edge takes less. Most edges take 8 or 16 KiB, but an nginx on the way answers
    /// 502 from about 3.5 KiB of headers on.
    #[must_use]
    pub fn key_budget(mut self, bytes: usize) -> Self {
        self.keys = self.keys.map(|keys| keys.max_bytes(bytes));
        self
    }

    pub(crate) const fn edge(&self) -> &'static str {
        self.edge
    }

    pub(crate) const fn control(&self) -> &Control {
        &self.control
    }

    pub(crate) const fn keys(&self) -> Option<&KeyField> {
        self.keys.as_ref()
    }

    pub(crate) const fn heeds_vary(&self) -> bool {
        self.heeds_vary
    }

    pub(crate) const fn browser_seconds(&self) -> u64 {
        self.browser_ttl.as_secs()
    }

    pub(crate) const fn max_shared_seconds(&self) -> u64 {
        self.max_shared_ttl.as_secs()
    }

    pub(crate) const fn stale_while_revalidate_seconds(&self) -> u64 {
        self.stale_while_revalidate.as_secs()
    }

    pub(crate) const fn stale_if_error_seconds(&self) -> u64 {
        self.stale_if_error.as_secs()
    }
}
