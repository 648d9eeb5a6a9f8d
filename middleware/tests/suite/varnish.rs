//! A service behind a real Varnish with the configuration of `docs/varnish.vcl`: what it keeps, for how long, for whom, and what
//! becomes of it when something changes.

mod bodies;
mod hits;
mod personal;
mod purges;
mod races;
mod site;
mod validators;

use tricache_test_support::VarnishServer;

use crate::origin::Origin;

/// A Varnish in front of `origin`, as the documentation configures it. It also tells how many seconds a page has left.
fn varnish_before(origin: &Origin) -> VarnishServer {
    let documented = include_str!("../../../docs/varnish.vcl");
    let port = format!(".port = \"{}\"", origin.port());
    let configuration =
        documented
            .replacen(".port = \"8080\"", &port, 1)
            .replacen("change-me", TOKEN, 1);
    VarnishServer::start(&format!("{configuration}\n{TELL_WHAT_IS_LEFT}"))
}

const TOKEN: &str = "hunter2-s3cret";

const TELL_WHAT_IS_LEFT: &str = "sub vcl_deliver { set resp.http.x-left = obj.ttl; }\n";
