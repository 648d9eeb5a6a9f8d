//! TLS: whoever is not who he should be is a clear error, at once, and a running node does without him.

use crate::certificates::{Authority, SecureServer, secure_sentinel};
use crate::node::{Node, builder, does_without_redis, refusal, works};
use tricache::{TiersBuilder, Tls};
use tricache_test_support::{CountingStore, RedisServer, SentinelGroup};

#[tokio::test]
async fn values_and_invalidations_travel_over_tls() {
    let authority = Authority::new();
    let server = SecureServer::start(&authority, &authority.sign("127.0.0.1"), &[]);
    let nodes = two(&server, &authority).await;

    works([&nodes[0], &nodes[1]], &CountingStore::new(), 0..5).await;

    for kind in ["normal", "pubsub"] {
        let clients = server.redis.command(&["CLIENT", "LIST", "TYPE", kind]);
        let of_tls = format!("laddr=127.0.0.1:{}", server.port);
        let count = clients
            .lines()
            .filter(|line| line.contains(&of_tls))
            .count();
        // Two of each node for calls, of which the large one may not be needed yet, and one for pushes.
        assert!(count >= 2, "{kind}: {clients}");
    }
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_is_an_error_at_the_start() {
    let authority = Authority::new();
    let server = SecureServer::start(&authority, &authority.sign("127.0.0.1"), &[]);
    let stranger = Tls::new().roots(Authority::new().pem());
    let localhost = format!("rediss://localhost:{}", server.port);
    let mine = Tls::new().roots(authority.pem());

    for (url, tls) in [
        (server.url(), stranger),
        // No machine trusts an authority that was made a moment ago.
        (server.url(), Tls::new()),
        // It is signed for another host.
        (localhost, mine),
    ] {
        let settings = || builder().redis(&url).redis_tls(tls.clone());
        is_refused(settings(), "certificate").await;
        is_refused(settings().start_without_redis(true), "certificate").await;
    }
}

#[tokio::test]
async fn a_certificate_that_has_run_out_is_an_error_at_the_start() {
    let authority = Authority::new();
    let old = authority.sign_for_long_ago("127.0.0.1");
    let server = SecureServer::start(&authority, &old, &[]);

    is_refused(trusting(&server, &authority), "certificate").await;
}

#[tokio::test]
async fn a_server_without_tls_is_an_error_at_the_start() {
    let plain = RedisServer::start();
    let url = format!("rediss://127.0.0.1:{}", plain.port());

    let error = refusal(builder().redis(&url)).await;

    // It may answer nonsense, or wait for more of it.
    assert!(error.is_config() || error.is_unavailable(), "{error}");
    assert!(error.to_string().contains("speak TLS there"), "{error}");
}

#[tokio::test]
async fn a_server_with_tls_that_is_spoken_to_in_the_clear_is_an_error_at_the_start() {
    let authority = Authority::new();
    let server = SecureServer::start(&authority, &authority.sign("127.0.0.1"), &[]);
    let url = format!("redis://127.0.0.1:{}", server.port);

    let error = refusal(builder().redis(&url)).await;

    assert!(error.is_unavailable(), "{error}");
}

#[tokio::test]
async fn a_server_that_asks_for_a_certificate_is_shown_one() {
    let authority = Authority::new();
    let own = authority.sign("127.0.0.1");
    let server = SecureServer::start(&authority, &own, &["--tls-auth-clients", "yes"]);
    let client = authority.sign("a-service");
    let stranger = Authority::new().sign("a-service");
    let tls = Tls::new().roots(authority.pem());

    let settings = builder().redis(&server.url());
    let known = tls.clone().client(client.certificate, client.key);
    let node = Node::start(settings.redis_tls(known.clone())).await;
    let other = Node::start(builder().redis(&server.url()).redis_tls(known)).await;
    works([&node, &other], &CountingStore::new(), 0..3).await;

    let unknown = tls.clone().client(stranger.certificate, stranger.key);
    for tls in [tls, unknown] {
        is_refused(builder().redis(&server.url()).redis_tls(tls), "TLS").await;
    }
}

#[tokio::test]
async fn an_address_that_wants_no_certificates_checked_is_refused() {
    is_refused(builder().redis("rediss://127.0.0.1/#insecure"), "checked").await;
}

#[tokio::test]
async fn a_certificate_that_turns_bad_costs_the_shared_tier_until_it_is_replaced() {
    let authority = Authority::new();
    let good = authority.sign("127.0.0.1");
    let server = SecureServer::start(&authority, &good, &[]);
    let [one, other] = two(&server, &authority).await;
    let store = CountingStore::new();
    works([&one, &other], &store, 0..3).await;

    server.change(&Authority::new().sign("127.0.0.1"));
    one.is_away().await;
    does_without_redis(&one, &store, 0..3).await;
    assert_eq!(one.tiers.report().pending(), 3);
    server.change(&good);

    works([&one, &other], &store, 0..3).await;
}

#[tokio::test]
async fn sentinels_and_the_master_that_they_name_are_reached_over_tls() {
    let authority = Authority::new();
    let own = authority.sign("127.0.0.1");
    let server = SecureServer::start(&authority, &own, &[]);
    let (sentinel, port) = secure_sentinel(&authority, &own, &server);
    let sentinels = [format!("rediss://127.0.0.1:{port}")];
    let master = format!("rediss://{}", SentinelGroup::MASTER);
    let settings = || builder().redis_sentinel(&sentinels, &master);
    let trusting = || settings().redis_tls(Tls::new().roots(authority.pem()));

    let nodes = [Node::start(trusting()).await, Node::start(trusting()).await];
    works([&nodes[0], &nodes[1]], &CountingStore::new(), 0..3).await;
    let named = format!("127.0.0.1:{}", server.port);
    assert_eq!(nodes[0].tiers.report().master(), Some(&*named));

    let stranger = Tls::new().roots(Authority::new().pem());
    is_refused(settings().redis_tls(stranger), "certificate").await;
    drop(sentinel);
}

async fn is_refused(builder: TiersBuilder, named: &str) {
    let error = refusal(builder).await;

    assert!(
        error.is_config() && error.to_string().contains(named),
        "{error}"
    );
}

async fn two(server: &SecureServer, authority: &Authority) -> [Node; 2] {
    [
        Node::start(trusting(server, authority)).await,
        Node::start(trusting(server, authority)).await,
    ]
}

fn trusting(server: &SecureServer, authority: &Authority) -> TiersBuilder {
    builder()
        .redis(&server.url())
        .redis_tls(Tls::new().roots(authority.pem()))
}
