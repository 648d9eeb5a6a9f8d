//! A service behind a real nginx with the configuration of `docs/nginx.conf`: a plain cache that knows `s-maxage` and no names.

mod keys;
mod life;
mod sharing;
mod site;
