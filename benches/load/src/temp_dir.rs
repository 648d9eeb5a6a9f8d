//! A folder of this run alone, removed with everything in it at the end.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The guard of the folder: dropping it removes the folder.
#[derive(Debug)]
pub(crate) struct TempDir(PathBuf);

impl TempDir {
    /// Makes a folder that did not exist, below the system's folder for temporary files.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub(crate) fn new() -> io::Result<Self> {
        let name = format!(
            "tricache-load-{}-{:016x}",
            std::process::id(),
            fastrand::u64(..)
        );
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path)?;
        Ok(Self(path))
    }

    /// Where the folder is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        // Nothing can be done about a folder that stays; the system clears it one day.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_goes_with_its_guard_and_takes_its_files_along() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().to_owned();
        fs::write(path.join("file"), "x").unwrap();

        drop(folder);

        assert!(!path.exists());
    }
}
