//! A vector that takes a body up to a length, so that a value of gigabytes is not encoded whole to be refused.
//!
//! Each codec has an error of its own for a full writer; the appender remembers that it was full, and says so once for all.

use crate::codec::EncodeError;
use std::{error::Error, io};

/// Appends to a vector up to a length.
pub(super) struct Appender<'a> {
    out: &'a mut Vec<u8>,
    room: usize,
    limit: usize,
    full: bool,
}

impl<'a> Appender<'a> {
    /// Takes at most `limit` bytes behind what stands in `out` already.
    pub(super) fn new(out: &'a mut Vec<u8>, limit: usize) -> Self {
        Self {
            out,
            room: limit,
            limit,
            full: false,
        }
    }

    /// Appends all of these bytes or, if there is no room, none.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), Full> {
        match self.room.checked_sub(bytes.len()) {
            Some(room) => self.room = room,
            None => {
                self.full = true;
                return Err(Full);
            }
        }
        self.out.extend_from_slice(bytes);
        Ok(())
    }

    /// Why the encoding failed: for want of room, or as the codec says.
    pub(super) fn error(&self, source: impl Into<Box<dyn Error + Send + Sync>>) -> EncodeError {
        if self.full {
            EncodeError::too_large(self.limit)
        } else {
            EncodeError::new(source)
        }
    }
}

impl io::Write for Appender<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.append(bytes) {
            Ok(()) => Ok(bytes.len()),
            Err(Full) => Err(io::ErrorKind::StorageFull.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// There is no room for the bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_taken_up_to_the_limit_and_not_beyond() {
        let mut out = vec![9];
        let mut appender = Appender::new(&mut out, 3);

        assert_eq!(appender.append(&[1, 2]), Ok(()));
        assert_eq!(appender.append(&[3, 4]), Err(Full));
        assert!(appender.error("no").is_too_large());
        assert_eq!(appender.append(&[5]), Ok(()));

        assert_eq!(out, [9, 1, 2, 5]);
    }

    #[test]
    fn an_error_of_another_kind_is_the_codecs_own() {
        let mut out = Vec::new();
        let appender = Appender::new(&mut out, 3);

        assert!(!appender.error("no").is_too_large());
    }
}
