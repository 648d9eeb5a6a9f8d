//! The layer as a service: readiness, errors, cancellation, any body, any server.

use std::{
    convert::Infallible,
    future::poll_fn,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use crate::support::*;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::{Body, Frame};
use tokio::sync::oneshot;
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};
use tricache::RequestScope;
use tricache_middleware::{EdgeLayer, Profile, Public};

#[tokio::test]
async fn an_error_of_the_inner_service_passes_through() {
    let failing = service_fn(|_: Request<()>| async { Err::<Response<String>, _>("out of order") });

    let answer = layer().layer(failing).oneshot(get()).await;

    assert_eq!(answer.unwrap_err(), "out of order");
}

#[tokio::test]
async fn the_inner_service_is_called_only_when_it_is_ready() {
    let mut service = layer().layer(OnlyWhenReady { ready: false });

    for _ in 0..3 {
        service.ready().await.unwrap().call(get()).await.unwrap();
    }
}

#[tokio::test]
async fn any_body_and_a_future_of_one_thread_will_do() {
    let local = service_fn(|request: Request<Rc<String>>| async move {
        tokio::task::yield_now().await;
        Ok::<_, Infallible>(Response::new(Rc::unwrap_or_clone(request.into_body())))
    });

    let response = layer()
        .layer(local)
        .oneshot(Request::new(Rc::new("body".to_owned())))
        .await
        .unwrap();

    assert_not_shared(response.headers());
    assert_eq!(response.body(), "body");
}

#[tokio::test]
async fn requests_at_the_same_time_do_not_mix_their_reads() {
    let shop = Shop::open().await;
    let (first, first_goes_on) = oneshot::channel::<()>();
    let reads = {
        let shop = shop.clone();
        async move {
            shop.read_product(1).await;
            first_goes_on.await.unwrap();
        }
    };
    let between = async move { shop.read_product(2).await };

    let one = headers(layer(), page(|| reads, public(StatusCode::OK, &[])), get());
    let two = async {
        let headers = headers(
            layer(),
            page(|| between, public(StatusCode::OK, &[])),
            get(),
        )
        .await;
        first.send(()).unwrap();
        headers
    };
    let (one, two) = tokio::join!(one, two);

    assert_shared(&one, 60, "product.1");
    assert_shared(&two, 60, "product.2");
}

#[tokio::test]
async fn a_dropped_request_leaves_nothing_behind() {
    let shop = Shop::open().await;
    let reads = {
        let shop = shop.clone();
        async move {
            shop.read_product(1).await;
            std::future::pending::<()>().await;
        }
    };
    let layer = layer();

    {
        let mut hanging = std::pin::pin!(headers(
            layer.clone(),
            page(|| reads, public(StatusCode::OK, &[])),
            get()
        ));
        tokio::select! { biased; _ = &mut hanging => unreachable!("it hangs"), () = tokio::task::yield_now() => {} }
    }
    let reads = async move { shop.read_product(2).await };
    let headers = headers(
        layer.clone(),
        page(|| reads, public(StatusCode::OK, &[])),
        get(),
    )
    .await;

    assert_shared(&headers, 60, "product.2");
    assert_eq!(
        (layer.report().shared(), layer.report().not_shared()),
        (1, 0)
    );
    assert!(RequestScope::current().is_none());
}

#[tokio::test]
async fn the_scope_is_there_before_the_first_poll() {
    let shop = Shop::open().await;
    let eager = service_fn(move |_: Request<()>| {
        let scope = RequestScope::current().expect("`call` runs inside the scope");
        let shop = shop.clone();
        async move {
            tokio::spawn(async move { scope.run(shop.read_product(42)).await })
                .await
                .unwrap();
            Ok(public(StatusCode::OK, &[]))
        }
    });

    let headers = headers(layer(), eager, get()).await;

    assert_shared(&headers, 60, "product.42");
}

#[tokio::test]
async fn what_a_body_reads_later_is_not_in_the_headers() {
    let shop = Shop::open().await;
    let streaming = service_fn(move |_: Request<()>| {
        let shop = shop.clone();
        async move {
            shop.read_product(1).await;
            let mut response = Response::new(reads_later(shop));
            response.extensions_mut().insert(Public);
            Ok::<_, Infallible>(response)
        }
    });

    let (head, mut body) = layer()
        .layer(streaming)
        .oneshot(get())
        .await
        .unwrap()
        .into_parts();
    let end = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;

    assert!(end.is_none());
    assert_shared(&head.headers, 60, "product.1");
}

#[tokio::test]
async fn two_layers_say_what_one_says() {
    for response in [
        public(StatusCode::OK, &[]),
        unmarked(StatusCode::OK, &[]),
        public(StatusCode::BAD_GATEWAY, &[]),
    ] {
        let (once, twice) = (
            nested(false, response.clone()).await,
            nested(true, response).await,
        );

        assert_eq!(once, twice);
    }
}

#[tokio::test]
async fn a_request_within_a_request_adds_to_the_outer_ones_reads() {
    let shop = Shop::open().await;
    let reads = async move {
        let inner = shop.clone();
        let part = page(
            move || async move { inner.read_list("lamps").await },
            unmarked(StatusCode::OK, &[]),
        );
        headers(layer(), part, get()).await;
        shop.read_product(42).await;
    };

    let headers = headers(layer(), page(|| reads, public(StatusCode::OK, &[])), get()).await;

    assert_shared(&headers, 20, "list.lamps product.42");
}

#[tokio::test]
async fn the_mark_is_a_layer_too() {
    let shop = Shop::open().await;
    let reads = async move { shop.read_product(42).await };
    let service = ServiceBuilder::new()
        .layer(layer())
        .layer(Public)
        .service(page(|| reads, unmarked(StatusCode::OK, &[])));

    let response = service.oneshot(get()).await.unwrap();

    assert_shared(response.headers(), 60, "product.42");
}

#[tokio::test]
async fn the_report_counts_each_decision_once() {
    let layer = layer();
    let own = [("cache-control", "public, max-age=60")];
    for response in [
        unmarked(StatusCode::OK, &[]),
        unmarked(StatusCode::OK, &own),
    ] {
        headers(layer.clone(), page(|| async {}, response), get()).await;
    }

    let report = layer.report();

    assert_eq!(
        (
            report.shared(),
            report.not_shared(),
            report.untouched(),
            report.over_budget()
        ),
        (0, 1, 1, 0)
    );
}

fn layer() -> EdgeLayer {
    EdgeLayer::new(Profile::fastly())
}

async fn nested(twice: bool, response: Response<String>) -> HeaderMap {
    let shop = Shop::open().await;
    let reads = async move { shop.read_product(42).await };
    let service = ServiceBuilder::new()
        .layer(layer())
        .option_layer(twice.then(layer))
        .service(page(|| reads, response));
    service.oneshot(get()).await.unwrap().into_parts().0.headers
}

/// A body that reads product 2 before it ends.
#[derive(Default)]
struct ReadsLater(Option<Pin<Box<dyn Future<Output = ()>>>>);

fn reads_later(shop: Shop) -> ReadsLater {
    ReadsLater(Some(Box::pin(async move { shop.read_product(2).await })))
}

impl Body for ReadsLater {
    type Data = &'static [u8];
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Infallible>>> {
        if let Some(reads) = &mut self.0 {
            ready!(reads.as_mut().poll(cx));
            self.0 = None;
        }
        Poll::Ready(None)
    }
}

/// Refuses to be called before `poll_ready` said so, each time anew.
struct OnlyWhenReady {
    ready: bool,
}

impl Service<Request<()>> for OnlyWhenReady {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Response<String>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        assert!(
            std::mem::take(&mut self.ready),
            "called before it was ready"
        );
        std::future::ready(Ok(Response::new(String::new())))
    }
}
