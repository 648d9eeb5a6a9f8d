vcl 4.1;
# Varnish in front of the shop: as docs/varnish.vcl, and each visitor is told how they were answered.
# `demo` sets the port and the token, and so must you.

import std;
import xkey;

backend default {
    .host = "127.0.0.1";
    .port = "8080";
}

# ---- How a visitor was answered, for `demo`: x-edge says hit, stale, miss or pass.

sub vcl_recv {
    unset req.http.x-edge;
}

sub vcl_hit {
    set req.http.x-edge = "hit";
    if (obj.ttl <= 0s) {
        set req.http.x-edge = "stale";
    }
}

sub vcl_miss {
    set req.http.x-edge = "miss";
}

sub vcl_pass {
    set req.http.x-edge = "pass";
}

sub vcl_backend_fetch {
    unset bereq.http.x-edge;
}

sub vcl_deliver {
    set resp.http.x-edge = req.http.x-edge;
    # What the shop's own caches said when the page was made says nothing of this visit.
    if (req.http.x-edge == "hit" || req.http.x-edge == "stale") {
        unset resp.http.x-cache;
    }
}

# ---- From here on docs/varnish.vcl, line for line.

sub vcl_recv {
    unset req.http.x-purged;
    if (req.method == "PURGE") {
        # Who may purge. An acl of the application's addresses does as well, or both.
        if (req.http.x-purge-token != "change-me") {
            return (synth(403, "Forbidden"));
        }
        if (req.http.xkey-purge) {
            set req.http.x-purged = xkey.purge(req.http.xkey-purge);
        } else if (req.http.xkey-softpurge) {
            set req.http.x-purged = xkey.softpurge(req.http.xkey-softpurge);
        } else if (req.http.xkey-purge-everything) {
            ban("obj.status != 0");
            set req.http.x-purged = "all";
        } else {
            return (synth(400, "Bad Request"));
        }
        return (synth(200, "Purged"));
    }
    # The page is the same for every visitor, or its headers say private: a session's cookie need not force a pass.
    if (req.method != "GET" && req.method != "HEAD" || req.http.Authorization) {
        return (pass);
    }
    return (hash);
}

sub vcl_synth {
    if (req.http.x-purged) {
        # Without this header the client would not know our 200 from one of the application's.
        set resp.http.x-purged = req.http.x-purged;
    }
}

sub vcl_backend_response {
    # A failed fetch in the background must not push out the stale page.
    if (beresp.status >= 500 && bereq.is_bgfetch) {
        return (abandon);
    }
    if (beresp.http.Surrogate-Control ~ "(?i)(^|[,\s])(no-store|private)($|[,\s])" || beresp.http.Set-Cookie || beresp.http.Vary == "*") {
        set beresp.uncacheable = true;
        set beresp.ttl = 1s;
        return (deliver);
    }
    if (beresp.http.Surrogate-Control ~ "(?i)(^|[,\s])max-age=[0-9]+") {
        set beresp.ttl = std.duration(regsub(beresp.http.Surrogate-Control, "(?i)^.*?(?:^|[,\s])max-age=([0-9]+).*$", "\1s"), 0s);
        # How long a page past its time, or purged softly, may still be served while a new one is fetched.
        set beresp.grace = 0s;
        if (beresp.http.Surrogate-Control ~ "(?i)(^|[,\s])stale-while-revalidate=[0-9]+") {
            set beresp.grace = std.duration(regsub(beresp.http.Surrogate-Control, "(?i)^.*(?:^|[,\s])stale-while-revalidate=([0-9]+).*$", "\1s"), 0s);
        }
    }
    # How long a page past all that may still be asked about: an answer 304 renews it, and sends no body.
    set beresp.keep = 10m;
    if (beresp.http.Surrogate-Key) {
        std.collect(beresp.http.Surrogate-Key, " ");
        set beresp.http.xkey = beresp.http.Surrogate-Key;
    }
    # No return: what says nothing to edges is judged by Varnish's own rules, which obey Cache-Control: private.
}

sub vcl_deliver {
    unset resp.http.Surrogate-Control;
    unset resp.http.Surrogate-Key;
    unset resp.http.xkey;
}
