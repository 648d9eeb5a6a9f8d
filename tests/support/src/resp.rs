//! A Redis client of sixty lines: enough to look into a server without the client that is under test.

use std::fmt::{self, Display, Formatter};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::port::loopback;

/// What Redis answered.
///
/// Its text is that of a simple client: bytes as they are, integers in decimal, nothing for nil, the
/// elements of an array one per line.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reply {
    /// No such thing.
    Nil,
    /// A status such as `OK`.
    Simple(String),
    /// An error, with its code: `WRONGTYPE ...`.
    Error(String),
    /// An integer.
    Integer(i64),
    /// A string of bytes.
    Bulk(Vec<u8>),
    /// Several replies.
    Array(Vec<Reply>),
}

impl Display for Reply {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nil => Ok(()),
            Self::Simple(text) | Self::Error(text) => f.write_str(text),
            Self::Integer(number) => write!(f, "{number}"),
            Self::Bulk(bytes) => f.write_str(&String::from_utf8_lossy(bytes)),
            Self::Array(replies) => {
                let lines: Vec<_> = replies.iter().map(Self::to_string).collect();
                f.write_str(&lines.join("\n"))
            }
        }
    }
}

/// Sends one command on a connection of its own and reads its reply, each step within `limit`.
pub(crate) fn ask<A: AsRef<[u8]>>(
    port: u16,
    arguments: &[A],
    limit: Duration,
) -> io::Result<Reply> {
    let mut stream = TcpStream::connect_timeout(&loopback(port), limit)?;
    stream.set_read_timeout(Some(limit))?;
    stream.set_write_timeout(Some(limit))?;
    stream.write_all(&encode(arguments))?;
    read(&mut BufReader::new(stream))
}

fn encode<A: AsRef<[u8]>>(arguments: &[A]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", arguments.len()).into_bytes();
    for argument in arguments.iter().map(AsRef::as_ref) {
        bytes.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
        bytes.extend_from_slice(argument);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

fn read(from: &mut impl BufRead) -> io::Result<Reply> {
    let line = read_line(from)?;
    let (kind, rest) = line.split_at_checked(1).ok_or_else(|| malformed(&line))?;
    match kind {
        "+" => Ok(Reply::Simple(rest.to_owned())),
        "-" => Ok(Reply::Error(rest.to_owned())),
        ":" => Ok(Reply::Integer(number(rest)?)),
        "$" | "*" if rest == "-1" => Ok(Reply::Nil),
        "$" => read_bulk(from, number(rest)?),
        "*" => (0..number::<usize>(rest)?)
            .map(|_| read(from))
            .collect::<io::Result<_>>()
            .map(Reply::Array),
        _ => Err(malformed(&line)),
    }
}

fn read_line(from: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    if from.read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line.trim_end().to_owned())
}

fn read_bulk(from: &mut impl Read, length: usize) -> io::Result<Reply> {
    let mut bytes = vec![0; length + 2];
    from.read_exact(&mut bytes)?;
    bytes.truncate(length);
    Ok(Reply::Bulk(bytes))
}

fn number<N: std::str::FromStr>(text: &str) -> io::Result<N> {
    text.parse().map_err(|_| malformed(text))
}

fn malformed(text: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("not a Redis reply: {text:?}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(mut bytes: &[u8]) -> io::Result<Reply> {
        read(&mut bytes)
    }

    #[test]
    fn reads_nested_replies() {
        let reply = parse(b"*4\r\n:-3\r\n$2\r\n\r\n\r\n*1\r\n+OK\r\n$-1\r\n").unwrap();

        let inner = Reply::Array(vec![Reply::Simple("OK".into())]);
        assert_eq!(
            reply,
            Reply::Array(vec![
                Reply::Integer(-3),
                Reply::Bulk(b"\r\n".to_vec()),
                inner,
                Reply::Nil
            ])
        );
    }

    #[test]
    fn prints_one_element_per_line() {
        let reply = parse(b"*2\r\n$1\r\na\r\n:7\r\n").unwrap();

        assert_eq!(reply.to_string(), "a\n7");
    }

    #[test]
    fn refuses_what_is_not_a_reply_or_not_whole() {
        assert_eq!(
            parse(b"hello\r\n").unwrap_err().kind(),
            io::ErrorKind::InvalidData
        );
        assert_eq!(
            parse(b"\r\n").unwrap_err().kind(),
            io::ErrorKind::InvalidData
        );
        assert_eq!(
            parse(b"$5\r\nabc").unwrap_err().kind(),
            io::ErrorKind::UnexpectedEof
        );
        assert_eq!(parse(b"").unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn writes_a_command_as_an_array_of_bulks() {
        assert_eq!(encode(&["GET", "a b"]), b"*2\r\n$3\r\nGET\r\n$3\r\na b\r\n");
    }
}
