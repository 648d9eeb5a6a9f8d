//! The names of levels, entities and answers, which all processes of a campaign share.

use clap::ValueEnum;
use serde::Serialize;

/// A level of the cache, by its name.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LevelName {
    /// At most two heartbeats behind, or labelled unproven.
    Eventual,
    /// At most 500 ms behind.
    Bounded,
    /// Never behind.
    Strict,
}

impl LevelName {
    /// Its name on the command line, in the report, and of its cache.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Eventual => "eventual",
            Self::Bounded => "bounded",
            Self::Strict => "strict",
        }
    }

    pub(super) fn from_code(code: u8) -> Option<Self> {
        Self::value_variants()
            .iter()
            .copied()
            .find(|level| *level as u8 == code)
    }
}

/// One thing that is read and written: a level has its own, so that no level sees what another has loaded.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct Entity {
    pub(super) level: LevelName,
    pub(super) number: u32,
}

/// How a read was answered, as far as the checker cares, and in the words of the cache.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(super) enum Label {
    LocalHit,
    LocalRevalidated,
    LocalUnproven,
    RemoteHit,
    Loaded,
    /// Some other outcome of the cache.
    Other,
    /// The caller got an error.
    Failed,
    /// The value belongs to another entity.
    Foreign,
}

impl Label {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::LocalHit => "local_hit",
            Self::LocalRevalidated => "local_revalidated",
            Self::LocalUnproven => "local_unproven",
            Self::RemoteHit => "remote_hit",
            Self::Loaded => "loaded",
            Self::Other => "other",
            Self::Failed => "failed",
            Self::Foreign => "foreign",
        }
    }

    pub(super) fn from_code(code: u8) -> Option<Self> {
        LABELS.into_iter().find(|label| *label as u8 == code)
    }
}

const LABELS: [Label; 8] = [
    Label::LocalHit,
    Label::LocalRevalidated,
    Label::LocalUnproven,
    Label::RemoteHit,
    Label::Loaded,
    Label::Other,
    Label::Failed,
    Label::Foreign,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_comes_back_from_its_code() {
        for level in LevelName::value_variants() {
            assert_eq!(LevelName::from_code(*level as u8), Some(*level));
        }
        for label in LABELS {
            assert_eq!(Label::from_code(label as u8), Some(label));
        }
        assert_eq!(
            (LevelName::from_code(9), Label::from_code(99)),
            (None, None)
        );
    }
}
