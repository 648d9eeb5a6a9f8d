//! Where Redis is and how it is reached: over TLS, by a user whose rights change, and by sentinels.

mod certificates;
mod node;
mod revoked;
mod sentinel;
mod tls;
