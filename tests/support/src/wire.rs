//! Names of the commands in a stream of bytes that a Redis client sends, however it is cut into pieces.

/// Reads one connection's commands as they pass.
///
/// A stream that is not RESP (TLS, say) is read no further; its bytes pass all the same.
#[derive(Debug, Default)]
pub(crate) struct Commands {
    buffer: Vec<u8>,
    foreign: bool,
}

impl Commands {
    /// The names of the commands that `bytes` complete, in capitals.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut names = Vec::new();
        if self.foreign {
            return names;
        }
        self.buffer.extend_from_slice(bytes);
        let mut at = 0;
        while let Some(command) = self.next(at) {
            at = command.end;
            names.push(command.name);
        }
        self.buffer.drain(..at);
        names
    }

    /// The command that begins at `at`, once it is whole.
    fn next(&mut self, at: usize) -> Option<Command> {
        let (count, mut at) = self.header(b'*', at)?;
        let mut name = None;
        for _ in 0..count {
            let (length, start) = self.header(b'$', at)?;
            at = start.checked_add(length)?.checked_add(2)?;
            let argument = self.buffer.get(start..at)?;
            name.get_or_insert_with(|| {
                String::from_utf8_lossy(&argument[..length]).to_ascii_uppercase()
            });
        }
        Some(Command {
            name: name.unwrap_or_default(),
            end: at,
        })
    }

    /// A line such as `*3`: its number, and where the next line begins.
    fn header(&mut self, kind: u8, at: usize) -> Option<(usize, usize)> {
        let rest = self.buffer.get(at..).filter(|rest| !rest.is_empty())?;
        let length = rest.iter().position(|byte| *byte == b'\n');
        let line = &rest[..length.unwrap_or(rest.len())];
        if line.first() != Some(&kind) || line.len() > LONGEST_HEADER {
            self.foreign = true;
            return None;
        }
        let next = at + length? + 1;
        let number = std::str::from_utf8(&line[1..])
            .ok()
            .and_then(|text| text.trim_end().parse().ok());
        self.foreign = number.is_none();
        Some((number?, next))
    }
}

struct Command {
    name: String,
    end: usize,
}

const LONGEST_HEADER: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &[u8] = b"*1\r\n$4\r\nping\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$12\r\n\r\nSUBSCRIBE\n\r\n*2\r\n$10\r\nssubscribe\r\n$1\r\nc\r\n";

    #[test]
    fn names_every_command_in_capitals_and_no_argument() {
        let names = Commands::default().feed(STREAM);

        assert_eq!(names, ["PING", "SET", "SSUBSCRIBE"]);
    }

    #[test]
    fn pieces_of_any_size_give_the_same_names() {
        for size in 1..STREAM.len() {
            let mut commands = Commands::default();

            let names: Vec<_> = STREAM
                .chunks(size)
                .flat_map(|piece| commands.feed(piece))
                .collect();

            assert_eq!(names, ["PING", "SET", "SSUBSCRIBE"], "in pieces of {size}");
        }
    }

    #[test]
    fn a_stream_that_is_not_redis_is_left_alone() {
        let mut commands = Commands::default();

        assert!(commands.feed(b"\x16\x03\x01\x02").is_empty());
        assert!(commands.feed(STREAM).is_empty());
        assert!(commands.buffer.len() < 8);
    }

    #[test]
    fn the_empty_lines_of_a_replica_are_left_alone() {
        // A replica that loads its first copy keeps its connection awake with them.
        let mut commands = Commands::default();

        assert_eq!(commands.feed(b"*1\r\n$4\r\nPING\r\n"), ["PING"]);
        assert!(commands.feed(b"\n").is_empty());
        assert!(commands.feed(STREAM).is_empty());
    }
}
