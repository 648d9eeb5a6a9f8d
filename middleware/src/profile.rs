//! What the edge in front understands, and how much it may keep.

use std::time::Duration;

/// The edge in front of the service: which headers it reads, and for how long it and browsers may keep a page.
///
/// Each constructor names an edge that was read up on or measured. Both speak the surrogate protocol: the shared
/// lifetime in `Surrogate-Control`, entity names in `Surrogate-Key`, separated by spaces. A proxy that does not
/// know `Surrogate-Control` sees only what browsers see.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use tricache_middleware::Profile;
///
/// let profile = Profile::fastly().max_shared_ttl(Duration::from_secs(300));
/// # let _ = profile;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Profile {
    edge: &'static str,
    browser_ttl: Duration,
    max_shared_ttl: Duration,
    key_budget: usize,
}

impl Profile {
    /// Fastly: reads `Surrogate-Control` before `Cache-Control`, and removes both surrogate headers.
    #[must_use]
    pub const fn fastly() -> Self {
        Self::surrogate("fastly")
    }

    /// Varnish with the `xkey` module and a VCL that reads `Surrogate-Control` and `Surrogate-Key`.
    ///
    /// Varnish without such a VCL does not purge by key, and passes the headers on to browsers.
    #[must_use]
    pub const fn varnish() -> Self {
        Self::surrogate("varnish")
    }

    const fn surrogate(edge: &'static str) -> Self {
        Self {
            edge,
            browser_ttl: Duration::ZERO,
            max_shared_ttl: Duration::MAX,
            key_budget: KEY_BUDGET,
        }
    }

    /// How long a browser may keep a shared page without asking: `max-age` of `Cache-Control`.
    ///
    /// No purge reaches a browser. The header never promises more than the data's remaining life, but a copy that a
    /// browser takes late from the edge may outlive the data by up to this long. Whole seconds; a fraction is
    /// dropped. Default: 0, a browser asks the edge each time.
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

    /// The longest `Surrogate-Key` value that the edge, and every proxy on the way, takes: in bytes.
    ///
    /// Keys that do not fit are shortened, then coarsened; what still does not fit is not shared. They are never cut.
    /// Default: 3,072. Fastly takes 16 KiB and Varnish 8, but an nginx on the way answers 502 from about 3.5 KiB of
    /// headers on.
    #[must_use]
    pub const fn key_budget(mut self, bytes: usize) -> Self {
        self.key_budget = bytes;
        self
    }

    pub(crate) const fn edge(&self) -> &'static str {
        self.edge
    }

    pub(crate) const fn browser_seconds(&self) -> u64 {
        self.browser_ttl.as_secs()
    }

    pub(crate) const fn max_shared_seconds(&self) -> u64 {
        self.max_shared_ttl.as_secs()
    }

    pub(crate) const fn key_bytes(&self) -> usize {
        self.key_budget
    }
}

/// What every edge and proxy takes that was measured.
const KEY_BUDGET: usize = 3 * 1024;
