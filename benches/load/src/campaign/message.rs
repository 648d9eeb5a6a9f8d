//! What a node and the campaign tell each other: frames of 32 bytes over one connection, in order.
//!
//! ```text
//! kind u8 | level u8 | label u8 | 0 | entity u32 | x u64 | y u64 | z u64      little-endian
//! ```

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

use super::words::{Entity, Label, LevelName};

/// From a node.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum FromNode {
    /// The first frame: which node, and which of its processes.
    Hello { node: u64, life: u64 },
    /// The node is built.
    Ready,
    /// A load: what is the entity's commit number?
    Load { entity: Entity, request: u64 },
    /// A write: count it on.
    Commit { entity: Entity, request: u64 },
    /// A read that has ended.
    Read {
        entity: Entity,
        label: Label,
        begin: u64,
        end: u64,
        value: u64,
    },
    /// The invalidation of a commit is pending.
    Pending {
        entity: Entity,
        commit: u64,
        at: u64,
    },
    /// The invalidation of a commit is acknowledged.
    Acknowledged {
        entity: Entity,
        commit: u64,
        at: u64,
    },
    /// The last frame: nothing is left to tell.
    Done,
}

/// To a node.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum ToNode {
    /// The number that a load or a commit has asked for.
    Answer { request: u64, number: u64 },
    /// Steps the clock forward.
    Step { nanos: u64 },
    /// Write no more, look once more at everything, and end.
    Stop,
}

/// One message on the wire.
pub(super) type Frame = [u8; 32];

impl FromNode {
    pub(super) fn frame(self) -> Frame {
        match self {
            Self::Hello { node, life } => frame(0, None, 0, [node, life, 0]),
            Self::Ready => frame(1, None, 0, [0; 3]),
            Self::Load { entity, request } => frame(2, Some(entity), 0, [request, 0, 0]),
            Self::Commit { entity, request } => frame(3, Some(entity), 0, [request, 0, 0]),
            Self::Read {
                entity,
                label,
                begin,
                end,
                value,
            } => frame(4, Some(entity), label as u8, [begin, end, value]),
            Self::Pending { entity, commit, at } => frame(5, Some(entity), 0, [commit, at, 0]),
            Self::Acknowledged { entity, commit, at } => frame(6, Some(entity), 0, [commit, at, 0]),
            Self::Done => frame(7, None, 0, [0; 3]),
        }
    }

    pub(super) fn of(frame: &Frame) -> io::Result<Self> {
        let [x, y, z] = numbers(frame);
        let entity = || entity(frame);
        Ok(match frame[0] {
            0 => Self::Hello { node: x, life: y },
            1 => Self::Ready,
            2 => Self::Load {
                entity: entity()?,
                request: x,
            },
            3 => Self::Commit {
                entity: entity()?,
                request: x,
            },
            4 => Self::Read {
                entity: entity()?,
                label: Label::from_code(frame[2]).ok_or_else(unknown)?,
                begin: x,
                end: y,
                value: z,
            },
            5 => Self::Pending {
                entity: entity()?,
                commit: x,
                at: y,
            },
            6 => Self::Acknowledged {
                entity: entity()?,
                commit: x,
                at: y,
            },
            7 => Self::Done,
            _ => return Err(unknown()),
        })
    }
}

impl ToNode {
    pub(super) fn frame(self) -> Frame {
        match self {
            Self::Answer { request, number } => frame(0, None, 0, [request, number, 0]),
            Self::Step { nanos } => frame(1, None, 0, [nanos, 0, 0]),
            Self::Stop => frame(2, None, 0, [0; 3]),
        }
    }

    pub(super) fn of(frame: &Frame) -> io::Result<Self> {
        let [x, y, _] = numbers(frame);
        Ok(match frame[0] {
            0 => Self::Answer {
                request: x,
                number: y,
            },
            1 => Self::Step { nanos: x },
            2 => Self::Stop,
            _ => return Err(unknown()),
        })
    }
}

/// The next frame; an error where the connection ends, also within a frame.
///
/// # Cancel safety
/// None: what was read of a frame is lost.
pub(super) async fn next(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Frame> {
    let mut frame = Frame::default();
    from.read_exact(&mut frame).await?;
    Ok(frame)
}

fn frame(kind: u8, entity: Option<Entity>, label: u8, numbers: [u64; 3]) -> Frame {
    let mut frame = Frame::default();
    frame[0] = kind;
    frame[2] = label;
    if let Some(entity) = entity {
        frame[1] = entity.level as u8;
        frame[4..8].copy_from_slice(&entity.number.to_le_bytes());
    }
    for (part, number) in frame[8..].chunks_exact_mut(8).zip(numbers) {
        part.copy_from_slice(&number.to_le_bytes());
    }
    frame
}

fn entity(frame: &Frame) -> io::Result<Entity> {
    let [a, b, c, d] = [frame[4], frame[5], frame[6], frame[7]];
    Ok(Entity {
        level: LevelName::from_code(frame[1]).ok_or_else(unknown)?,
        number: u32::from_le_bytes([a, b, c, d]),
    })
}

fn numbers(frame: &Frame) -> [u64; 3] {
    let number = |at: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&frame[at..at + 8]);
        u64::from_le_bytes(bytes)
    };
    [number(8), number(16), number(24)]
}

fn unknown() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "an unknown frame")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTITY: Entity = Entity {
        level: LevelName::Strict,
        number: 70_000,
    };

    #[test]
    fn what_a_node_tells_comes_through() {
        for message in [
            FromNode::Hello { node: 2, life: 7 },
            FromNode::Ready,
            FromNode::Load {
                entity: ENTITY,
                request: 1,
            },
            FromNode::Commit {
                entity: ENTITY,
                request: u64::MAX,
            },
            FromNode::Read {
                entity: ENTITY,
                label: Label::RemoteHit,
                begin: 1,
                end: 2,
                value: 3,
            },
            FromNode::Pending {
                entity: ENTITY,
                commit: 4,
                at: 5,
            },
            FromNode::Acknowledged {
                entity: ENTITY,
                commit: 4,
                at: 6,
            },
            FromNode::Done,
        ] {
            assert_eq!(FromNode::of(&message.frame()).unwrap(), message);
        }
    }

    #[test]
    fn what_a_node_is_told_comes_through() {
        for message in [
            ToNode::Answer {
                request: 1,
                number: 2,
            },
            ToNode::Step { nanos: 3 },
            ToNode::Stop,
        ] {
            assert_eq!(ToNode::of(&message.frame()).unwrap(), message);
        }
    }

    #[test]
    fn an_unknown_frame_is_an_error() {
        assert!(FromNode::of(&[9; 32]).is_err());
        assert!(ToNode::of(&[9; 32]).is_err());
    }
}
