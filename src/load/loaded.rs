//! What a loader is given and what it answers.

/// What a loader is told. Owned, so that it may move into the loader's future.
#[derive(Debug)]
pub struct LoadContext<K> {
    key: K,
}

impl<K> LoadContext<K> {
    pub(crate) fn new(key: K) -> Self {
        Self { key }
    }

    /// The key to load.
    #[must_use]
    pub fn key(&self) -> &K {
        &self.key
    }

    /// The key to load, owned.
    #[must_use]
    pub fn into_key(self) -> K {
        self.key
    }
}

/// What a loader answers.
///
/// A plain value and an `Option` become one by themselves, so most loaders never name it.
#[derive(Debug)]
pub struct Loaded<V>(Answer<V>);

#[derive(Debug)]
pub(crate) enum Answer<V> {
    Value(V),
    Absent,
}

impl<V> Loaded<V> {
    /// The value.
    #[must_use]
    pub fn new(value: V) -> Self {
        Self(Answer::Value(value))
    }

    /// There is no such value: the callers get an error with [`is_absent`](crate::Error::is_absent), and nothing is kept.
    #[must_use]
    pub fn absent() -> Self {
        Self(Answer::Absent)
    }

    /// The value, if there is one.
    pub(crate) fn into_value(self) -> Option<V> {
        match self.0 {
            Answer::Value(value) => Some(value),
            Answer::Absent => None,
        }
    }

    pub(crate) fn into_answer(self) -> Answer<V> {
        self.0
    }
}

impl<V> From<V> for Loaded<V> {
    fn from(value: V) -> Self {
        Self::new(value)
    }
}

impl<V> From<Option<V>> for Loaded<V> {
    fn from(value: Option<V>) -> Self {
        value.map_or_else(Self::absent, Self::new)
    }
}
