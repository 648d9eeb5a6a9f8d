//! Loopback ports that stay ours while nobody listens on them.
//!
//! A port that the system picks lies in the range from which outgoing connections take theirs. While a
//! test's server is down, a client that keeps reconnecting may be given just that port, connect to itself,
//! and so keep the server from coming back. We pick below that range.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

/// A port that was free a moment ago. Whoever binds it must be ready to lose a race and ask again.
///
/// # Panics
/// If no port of the range is free.
#[must_use]
pub fn free_port() -> u16 {
    let listener = free_listener();
    listener
        .local_addr()
        .expect("a bound listener has an address")
        .port()
}

/// A listener on a port of the range.
///
/// # Panics
/// If no port of the range is free.
pub(crate) fn free_listener() -> TcpListener {
    (0..ATTEMPTS)
        .find_map(|_| listen(fastrand::u16(FIRST..LAST)).ok())
        .expect("no free loopback port between 20000 and 32000")
}

/// A listener on `port` of the loopback interface.
///
/// # Errors
/// If the port is taken.
pub(crate) fn listen(port: u16) -> io::Result<TcpListener> {
    TcpListener::bind(loopback(port))
}

pub(crate) fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

const ATTEMPTS: usize = 200;
const FIRST: u16 = 20_000;
const LAST: u16 = 32_000;
