//! A directory for one server, removed with it.

use std::ops::Deref;
use std::path::{Path, PathBuf};

#[derive(Debug)]
pub(crate) struct Directory(PathBuf);

impl Directory {
    /// An empty one for a server of this kind.
    pub(crate) fn new(kind: &str) -> Self {
        let name = format!(
            "tricache-{kind}-{}-{:016x}",
            std::process::id(),
            fastrand::u64(..)
        );
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path)
            .unwrap_or_else(|error| panic!("cannot create {}: {error}", path.display()));
        Self(path)
    }
}

impl Deref for Directory {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // What cannot be removed is left to the system's own cleaning.
        let _removed = std::fs::remove_dir_all(&self.0);
    }
}
