//! Named faults that need a server, a network or a process of their own, and servers that are not what they should be.
//! The others are in `suite`.

mod buffers;
mod clocks;
mod loading;
mod paused;
mod refusing;
mod scene;
mod stopped;
mod told;
