//! Access traces: xz-compressed sequences of 32-bit big-endian ids, read as a stream.
//!
//! A trace is decoded once to check and count it before a run begins, and once more while it is replayed: a broken
//! file is an error before the first read instead of after hours. It never stands in memory as a whole.

use std::{
    fs::File,
    io::{self, BufReader, ErrorKind, Read},
    path::{Path, PathBuf},
};

use lzma_rust2::XzReader;

use crate::failure::Failure;

/// A trace that is being replayed.
pub(crate) struct Trace {
    path: PathBuf,
    bytes: BufReader<Decoded>,
}

type Decoded = XzReader<BufReader<File>>;

impl Trace {
    /// Opens the trace at its first id.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        let file = File::open(path).map_err(|error| broken(path, &error))?;
        let decoded = XzReader::new(BufReader::new(file), true);
        Ok(Self {
            path: path.to_owned(),
            bytes: BufReader::with_capacity(BUFFER, decoded),
        })
    }

    /// Decodes the whole file and returns how many ids it holds.
    ///
    /// # Errors
    /// When it cannot be read, is not xz, is damaged, or does not hold whole ids.
    pub(crate) fn check(path: &Path) -> Result<u64, Failure> {
        let mut trace = Self::open(path)?;
        let mut ids = 0;
        while trace.next_id()?.is_some() {
            ids += 1;
        }
        Ok(ids)
    }

    /// The next id; `None` at the end.
    pub(crate) fn next_id(&mut self) -> Result<Option<u32>, Failure> {
        let mut id = [0; 4];
        let filled = fill(&mut self.bytes, &mut id).map_err(|error| broken(&self.path, &error))?;
        match filled {
            0 => Ok(None),
            4 => Ok(Some(u32::from_be_bytes(id))),
            _ => Err(Failure::plain(format!(
                "the trace {} ends in the middle of an id: its length is not a multiple of 4",
                self.path.display()
            ))),
        }
    }
}

impl std::fmt::Debug for Trace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trace")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

fn fill(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match from.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

fn broken(path: &Path, error: &io::Error) -> Failure {
    let attempt = match error.kind() {
        ErrorKind::NotFound => {
            return Failure::plain(format!("there is no trace {}", path.display()));
        }
        ErrorKind::InvalidData | ErrorKind::InvalidInput | ErrorKind::UnexpectedEof => {
            "cannot decode, as xz, the trace"
        }
        _ => "cannot read the trace",
    };
    Failure::new(format!("{attempt} {}", path.display()), error)
}

const BUFFER: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use std::io::Write;

    use lzma_rust2::{XzOptions, XzWriter};

    use super::*;
    use crate::temp_dir::TempDir;

    fn written(folder: &TempDir, bytes: &[u8]) -> PathBuf {
        let path = folder.path().join("trace.xz");
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn xz(bytes: &[u8]) -> Vec<u8> {
        let mut writer = XzWriter::new(Vec::new(), XzOptions::with_preset(1)).unwrap();
        writer.write_all(bytes).unwrap();
        writer.finish().unwrap()
    }

    fn ids(trace: &mut Trace) -> Vec<u32> {
        std::iter::from_fn(|| trace.next_id().unwrap()).collect()
    }

    #[test]
    fn ids_come_in_order_and_big_endian() {
        let folder = TempDir::new().unwrap();
        let path = written(&folder, &xz(&[0, 0, 0, 7, 1, 2, 3, 4, 255, 255, 255, 255]));

        assert_eq!(Trace::check(&path).unwrap(), 3);
        assert_eq!(
            ids(&mut Trace::open(&path).unwrap()),
            [7, 0x0102_0304, u32::MAX]
        );
    }

    #[test]
    fn a_trace_longer_than_every_buffer_is_read_to_its_end() {
        let folder = TempDir::new().unwrap();
        let bytes: Vec<u8> = (0..100_000_u32).flat_map(u32::to_be_bytes).collect();
        let path = written(&folder, &xz(&bytes));

        assert!(
            ids(&mut Trace::open(&path).unwrap())
                .into_iter()
                .eq(0..100_000)
        );
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let failure = Trace::check(Path::new("no-such.trace.xz"))
            .unwrap_err()
            .to_string();

        assert_eq!(failure, "there is no trace no-such.trace.xz");
    }

    #[test]
    fn a_file_that_is_not_xz_is_refused() {
        let folder = TempDir::new().unwrap();

        for bytes in [&b"id,time\n1,2\n3,4\n5,6\n"[..], b"", b"x"] {
            let failure = Trace::check(&written(&folder, bytes))
                .unwrap_err()
                .to_string();
            assert!(
                failure.starts_with("cannot decode, as xz, the trace "),
                "{failure}"
            );
        }
    }

    #[test]
    fn a_file_that_was_cut_off_is_refused() {
        let folder = TempDir::new().unwrap();
        let whole = xz(&[7; 4000]);
        let path = written(&folder, &whole[..whole.len() - 20]);

        let failure = Trace::check(&path).unwrap_err().to_string();

        assert!(
            failure.starts_with("cannot decode, as xz, the trace "),
            "{failure}"
        );
    }

    #[test]
    fn a_length_that_is_not_a_multiple_of_four_is_refused() {
        let folder = TempDir::new().unwrap();
        let path = written(&folder, &xz(&[0, 0, 0, 1, 0, 0]));

        let failure = Trace::check(&path).unwrap_err().to_string();

        assert!(
            failure.ends_with("its length is not a multiple of 4"),
            "{failure}"
        );
    }
}
