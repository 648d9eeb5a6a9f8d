//! One error for callers: opaque, cheap to clone, answered by questions.
//!
//! Redis being slow, full or gone is never an error of a read: it is a slower answer from the store.
//! What remains is the caller's own: the loader failed or is late, the store is overrun, the value does not exist, the
//! input was wrong, or the cache is shut down.

use std::{
    any::Any,
    error::Error as StdError,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

/// A boxed error, as a loader may answer it.
pub type BoxError = Box<dyn StdError + Send + Sync + 'static>;

/// What went wrong, for every call of this crate.
///
/// All callers that waited for one load share one error, so it is an [`Arc`] inside and cloning is cheap.
/// Ask it questions instead of matching on kinds:
///
/// ```
/// # fn respond(error: &tricache::Error) -> u16 {
/// match error {
///     error if error.is_absent() => 404,
///     error if error.is_timeout() => 504,
///     error if error.is_overloaded() || error.is_closed() => 503,
///     _ => 500,
/// }
/// # }
/// ```
#[derive(Clone)]
pub struct Error(Arc<Kind>);

enum Kind {
    Absent,
    Loader(BoxError),
    Panicked(String),
    Circular(String),
    Timeout(&'static str, Duration),
    Overloaded,
    Edge(BoxError),
    Config(String),
    Unavailable {
        attempted: String,
        source: Option<BoxError>,
    },
    Closed,
}

impl Error {
    /// Whether the loader said that there is no such value.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        matches!(*self.0, Kind::Absent)
    }

    /// Whether a load has failed: then a value from before may stand in.
    pub(crate) fn is_of_the_load(&self) -> bool {
        matches!(
            *self.0,
            Kind::Loader(_) | Kind::Panicked(_) | Kind::Timeout(..) | Kind::Overloaded
        )
    }

    /// Whether the call or the load took longer than its [`Policy`](crate::Policy) allows.
    ///
    /// A call that was late says nothing of the load it waited for: that goes on, and its value is for later reads.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        matches!(*self.0, Kind::Timeout(..))
    }

    /// Whether a server that had to answer could not be reached. Only starting up fails in this way.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        matches!(*self.0, Kind::Unavailable { .. })
    }

    /// Whether a setting, a name or an argument was refused.
    #[must_use]
    pub fn is_config(&self) -> bool {
        matches!(*self.0, Kind::Config(_))
    }

    /// Whether a load asked for a value whose load was waiting for it.
    #[must_use]
    pub fn is_circular(&self) -> bool {
        matches!(*self.0, Kind::Circular(_))
    }

    /// Whether the loader panicked. The message of the panic is in the error's text.
    #[must_use]
    pub fn is_panic(&self) -> bool {
        matches!(*self.0, Kind::Panicked(_))
    }

    /// Whether [`Tiers::shutdown`](crate::Tiers::shutdown) came first.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(*self.0, Kind::Closed)
    }

    /// The loader's own error, if it failed with an `E`.
    #[must_use]
    pub fn loader<E: StdError + 'static>(&self) -> Option<&E> {
        match &*self.0 {
            Kind::Loader(error) => error.downcast_ref(),
            _ => None,
        }
    }

    /// Whether the store was spared: as many loads run and queue as are allowed to.
    #[must_use]
    pub fn is_overloaded(&self) -> bool {
        matches!(*self.0, Kind::Overloaded)
    }

    /// Whether the edge will not do a purge: it refuses, or nobody follows it any more. Only
    /// [`Receipt::edge`](crate::Receipt::edge) answers so.
    #[must_use]
    pub fn is_edge(&self) -> bool {
        matches!(*self.0, Kind::Edge(_))
    }

    /// The edge's own error, if it refused with an `E`.
    #[must_use]
    pub fn edge<E: StdError + 'static>(&self) -> Option<&E> {
        match &*self.0 {
            Kind::Edge(error) => error.downcast_ref(),
            _ => None,
        }
    }

    pub(crate) fn of_edge(error: BoxError) -> Self {
        Kind::Edge(error).into()
    }

    pub(crate) fn absent() -> Self {
        Kind::Absent.into()
    }

    pub(crate) fn from_loader(error: BoxError) -> Self {
        // A loader that reads another cache hands its error on unchanged.
        match error.downcast::<Self>() {
            Ok(nested) => *nested,
            Err(error) => Kind::Loader(error).into(),
        }
    }

    /// A loader says that a value is as before, and was given none.
    pub(crate) fn nothing_to_confirm() -> Self {
        let message = "the loader answered `not_modified`, and was given no previous value";
        Kind::Loader(message.into()).into()
    }

    /// With the text of the panic, as far as it has one.
    pub(crate) fn panicked(panic: &(dyn Any + Send)) -> Self {
        Kind::Panicked(text_of(panic).to_owned()).into()
    }

    /// Calls what is the user's, whose panic must not end what calls it.
    pub(crate) fn catching<T>(call: impl FnOnce() -> T) -> Result<T, Self> {
        catch_unwind(AssertUnwindSafe(call)).map_err(|panic| Self::panicked(&*panic))
    }

    pub(crate) fn circular(what: String) -> Self {
        Kind::Circular(what).into()
    }

    /// A call that was not answered within its deadline.
    pub(crate) fn late_call(limit: Duration) -> Self {
        Kind::Timeout("the call was not answered", limit).into()
    }

    /// A load that was stopped.
    pub(crate) fn late_load(limit: Duration) -> Self {
        Kind::Timeout("the loader did not end", limit).into()
    }

    pub(crate) fn overloaded() -> Self {
        Kind::Overloaded.into()
    }

    pub(crate) fn config(message: impl Into<String>) -> Self {
        Kind::Config(message.into()).into()
    }

    pub(crate) fn unavailable(attempted: impl Into<String>, source: Option<BoxError>) -> Self {
        Kind::Unavailable {
            attempted: attempted.into(),
            source,
        }
        .into()
    }

    pub(crate) fn closed() -> Self {
        Kind::Closed.into()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Kind::Absent => f.write_str("the loader found no such value"),
            Kind::Loader(error) => write!(f, "the loader failed: {error}"),
            Kind::Panicked(message) => write!(f, "the loader panicked: {message}"),
            Kind::Circular(what) => write!(f, "loads wait for each other in a circle: {what}"),
            Kind::Timeout(what, limit) => write!(f, "{what} within {limit:?}"),
            Kind::Overloaded => f.write_str("too many loads run and queue already"),
            Kind::Edge(error) => write!(f, "the edge refuses a purge: {error}"),
            Kind::Config(message) => f.write_str(message),
            Kind::Unavailable {
                attempted,
                source: Some(source),
            } => {
                write!(f, "could not {attempted}: {source}")
            }
            Kind::Unavailable {
                attempted,
                source: None,
            } => write!(f, "could not {attempted}"),
            Kind::Closed => f.write_str("the cache is shut down"),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tricache::Error({self})")
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &*self.0 {
            Kind::Loader(error)
            | Kind::Edge(error)
            | Kind::Unavailable {
                source: Some(error),
                ..
            } => Some(&**error),
            _ => None,
        }
    }
}

impl From<Kind> for Error {
    fn from(kind: Kind) -> Self {
        Self(Arc::new(kind))
    }
}

/// Turns the error of an absent value into `Ok(None)`, as in `rusqlite`.
pub trait OptionalExt<T> {
    /// `Ok(Some(value))`, `Ok(None)` if the loader found no such value, or the error.
    ///
    /// # Errors
    /// Every error but the absent one is handed on.
    fn optional(self) -> Result<Option<T>, Error>;
}

impl<T> OptionalExt<T> for Result<T, Error> {
    fn optional(self) -> Result<Option<T>, Error> {
        match self {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.is_absent() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The text of a panic, as far as it has one.
pub(crate) fn text_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_pointer() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }

    #[test]
    fn the_loaders_own_error_comes_back_by_type() {
        let error = Error::from_loader(Box::new(std::io::Error::other("disk")));

        assert!(error.loader::<std::io::Error>().is_some());
        assert!(error.loader::<fmt::Error>().is_none());
        assert_eq!(error.to_string(), "the loader failed: disk");
    }

    #[test]
    fn a_nested_caches_error_keeps_its_answers() {
        let error = Error::from_loader(Box::new(Error::absent()));

        assert!(error.is_absent());
    }

    #[test]
    fn absent_becomes_none_and_other_errors_stay() {
        assert_eq!(Err::<u8, _>(Error::absent()).optional().unwrap(), None);
        assert_eq!(Ok(1).optional().unwrap(), Some(1));
        assert!(
            Err::<u8, _>(Error::closed())
                .optional()
                .unwrap_err()
                .is_closed()
        );
    }
}
