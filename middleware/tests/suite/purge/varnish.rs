//! A real Varnish with the configuration of `docs/varnish.vcl`: what a purge does to the pages that it keeps.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use axum::{
    Router,
    extract::{Path, State},
    response::IntoResponse,
    routing::get,
};
use http::{HeaderMap, HeaderName};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::AbortHandle,
};
use tricache_middleware::purge::{Batch, Mode, Purge, PurgerReport, Secret, Varnish};
use tricache_test_support::{VarnishServer, eventually};

use super::clients::{done, quick};

#[tokio::test]
async fn varnish_drops_the_page_of_a_key_and_keeps_the_others() {
    let origin = Origin::start().await;
    let varnish = origin.varnish();
    assert_eq!(read(&varnish, "/lamp").await, "lamp 1");
    assert_eq!(read(&varnish, "/sofa").await, "sofa 1");
    assert_eq!(read(&varnish, "/lamp").await, "lamp 1");
    let purger = quick().vendors(nodes([&varnish])).build().unwrap();

    done(&purger.purge(["product.lamp"], Mode::Hard).unwrap()).await;

    assert_eq!(read(&varnish, "/lamp").await, "lamp 2");
    assert_eq!(read(&varnish, "/sofa").await, "sofa 1");
}

#[tokio::test]
async fn varnish_drops_all_pages_that_share_one_of_several_keys() {
    let origin = Origin::start().await;
    let varnish = origin.varnish();
    read(&varnish, "/lamp").await;
    read(&varnish, "/sofa").await;
    let purger = quick().vendors(nodes([&varnish])).build().unwrap();

    done(
        &purger
            .purge(["nothing-has-this", "furniture"], Mode::Hard)
            .unwrap(),
    )
    .await;

    assert_eq!(read(&varnish, "/lamp").await, "lamp 2");
    assert_eq!(read(&varnish, "/sofa").await, "sofa 2");
}

#[tokio::test]
async fn varnish_serves_a_page_that_was_purged_softly_until_it_has_a_new_one() {
    let origin = Origin::start().await;
    let varnish = origin.varnish();
    read(&varnish, "/lamp").await;
    let purger = quick().vendors(nodes([&varnish])).build().unwrap();

    done(&purger.purge(["product.lamp"], Mode::Soft).unwrap()).await;

    assert_eq!(read(&varnish, "/lamp").await, "lamp 1");
    eventually("the new page is served", async || {
        read(&varnish, "/lamp").await == "lamp 2"
    })
    .await;
}

#[tokio::test]
async fn varnish_drops_everything_when_it_is_told_to() {
    let origin = Origin::start().await;
    let varnish = origin.varnish();
    read(&varnish, "/lamp").await;
    read(&varnish, "/sofa").await;

    let answer = nodes([&varnish])
        .remove(0)
        .purge(&Batch::everything())
        .await;

    assert!(answer.is_done(), "{answer:?}");
    assert_eq!(read(&varnish, "/lamp").await, "lamp 2");
    assert_eq!(read(&varnish, "/sofa").await, "sofa 2");
}

#[tokio::test]
async fn varnish_takes_as_many_keys_in_a_call_as_we_send() {
    let origin = Origin::start().await;
    let varnish = origin.varnish();
    read(&varnish, "/lamp").await;
    let purger = quick().vendors(nodes([&varnish])).build().unwrap();
    let many = (0..3000).map(|n| format!("basket.6f9619ff-8b86-d011-b42d-{n:012}"));

    done(
        &purger
            .purge(many.chain(["product.lamp".to_owned()]), Mode::Hard)
            .unwrap(),
    )
    .await;

    assert_eq!(read(&varnish, "/lamp").await, "lamp 2");
    assert_eq!(purger.report().vendors()[0].last_error(), None);
}

#[tokio::test]
async fn varnish_refuses_whoever_has_not_the_token() {
    let origin = Origin::start().await;
    let varnish = origin.varnish();
    read(&varnish, "/lamp").await;
    let stranger = Varnish::builder([varnish.url()])
        .token(Secret::new("guessed").unwrap())
        .build()
        .unwrap();

    let answer = stranger[0]
        .purge(&Batch::new(["product.lamp"], Mode::Hard))
        .await;

    assert!(answer.failure().unwrap().is_locked_out(), "{answer:?}");
    assert_eq!(read(&varnish, "/lamp").await, "lamp 1");
}

#[tokio::test]
async fn varnish_keeps_nothing_that_is_private_in_either_header() {
    let origin = Origin::start().await;
    let varnish = origin.varnish();

    for path in ["/private", "/private-to-edges"] {
        let first = read(&varnish, path).await;
        assert_ne!(read(&varnish, path).await, first);
    }
}

#[tokio::test]
async fn each_varnish_of_a_farm_is_purged_though_one_is_down() {
    let origin = Origin::start().await;
    let (one, two, down) = (origin.varnish(), origin.varnish(), origin.varnish());
    for varnish in [&one, &two] {
        assert_eq!(read(varnish, "/lamp").await, read(varnish, "/lamp").await);
    }
    let renders = origin.renders();
    let nodes = nodes([&one, &two, &down]);
    drop(down);
    let purger = quick().vendors(nodes).build().unwrap();

    let receipt = purger.purge(["product.lamp"], Mode::Hard).unwrap();
    let unsent = |report: &PurgerReport| {
        report
            .vendors()
            .iter()
            .map(|node| node.waiting())
            .collect::<Vec<_>>()
    };
    eventually("the nodes that are up have purged", async || {
        unsent(&purger.report()) == [0, 0, 1]
    })
    .await;

    read(&one, "/lamp").await;
    read(&two, "/lamp").await;
    assert_eq!(origin.renders(), renders + 2);
    drop(purger);
    assert!(receipt.acknowledged().await.unwrap_err().is_closed());
}

/// An application whose pages count how often they were made.
pub(crate) struct Origin {
    port: u16,
    renders: Arc<AtomicUsize>,
    server: AbortHandle,
}

#[derive(Clone)]
struct Pages {
    lamps: Arc<AtomicUsize>,
    sofas: Arc<AtomicUsize>,
    renders: Arc<AtomicUsize>,
}

impl Origin {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let renders = Arc::new(AtomicUsize::new(0));
        let pages = Pages {
            lamps: Arc::default(),
            sofas: Arc::default(),
            renders: Arc::clone(&renders),
        };
        let app = Router::new().route("/{name}", get(page)).with_state(pages);
        let server = tokio::spawn(async move { axum::serve(listener, app).await });
        Self {
            port,
            renders,
            server: server.abort_handle(),
        }
    }

    fn renders(&self) -> usize {
        self.renders.load(SeqCst)
    }

    /// A Varnish in front of it, as the documentation configures it.
    pub(crate) fn varnish(&self) -> VarnishServer {
        let documented = include_str!("../../../../docs/varnish.vcl");
        let configuration = documented
            .replacen(".port = \"8080\"", &format!(".port = \"{}\"", self.port), 1)
            .replacen("change-me", TOKEN, 1);
        VarnishServer::start(&configuration)
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn page(State(pages): State<Pages>, Path(name): Path<String>) -> impl IntoResponse {
    pages.renders.fetch_add(1, SeqCst);
    let count = if name == "lamp" {
        &pages.lamps
    } else {
        &pages.sofas
    };
    let times = count.fetch_add(1, SeqCst) + 1;
    let shared = "max-age=600, stale-while-revalidate=60";
    let (cache_control, surrogate_control) = match &*name {
        "private" => ("private, max-age=600", None),
        "private-to-edges" => ("public, max-age=600", Some("private, no-store")),
        _ => ("public, max-age=0", Some(shared)),
    };
    let mut headers = HeaderMap::new();
    headers.insert("cache-control", cache_control.parse().unwrap());
    headers.extend(surrogate_control.map(|text| {
        (
            HeaderName::from_static("surrogate-control"),
            text.parse().unwrap(),
        )
    }));
    headers.insert(
        "surrogate-key",
        format!("product.{name} furniture").parse().unwrap(),
    );
    (headers, format!("{name} {times}"))
}

pub(crate) fn nodes<const N: usize>(servers: [&VarnishServer; N]) -> Vec<Varnish> {
    let token = Secret::new(TOKEN).unwrap();
    Varnish::builder(servers.map(VarnishServer::url))
        .token(token)
        .build()
        .unwrap()
}

/// The body that the server answers to a visitor.
pub(crate) async fn read(varnish: &VarnishServer, path: &str) -> String {
    let mut stream = TcpStream::connect(varnish.address()).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{response}");
    body.to_owned()
}

const TOKEN: &str = "hunter2-s3cret";
