//! A service that does database calls, with a cache in front of it.

use crate::support::Shop;
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    task::{Context, Poll},
};
use tower::{Layer, Service, ServiceExt, service_fn};
use tricache::{Loaded, Outcome};
use tricache_middleware::{CacheLayer, CacheService};

type Names<S> = CacheService<S, u64, String, fn(&Ask) -> u64>;

struct Ask {
    id: u64,
}

fn layered<S>(shop: &Shop, inner: S) -> Names<S> {
    let id: fn(&Ask) -> u64 = |ask| ask.id;
    CacheLayer::new(shop.products.clone(), id).layer(inner)
}

#[tokio::test]
async fn the_service_is_called_on_a_miss_only() {
    let (shop, calls) = (Shop::open().await, Arc::new(AtomicU64::new(0)));
    let counted = Arc::clone(&calls);
    let database = service_fn(move |ask: Ask| {
        let call = counted.fetch_add(1, SeqCst);
        async move { Ok::<_, io::Error>(Loaded::new(format!("{} {call}", ask.id)).tag("lamps")) }
    });
    let service = layered(&shop, database);

    let first = service.clone().oneshot(Ask { id: 1 }).await.unwrap();
    let second = service.clone().oneshot(Ask { id: 1 }).await.unwrap();
    let other = service.clone().oneshot(Ask { id: 2 }).await.unwrap();
    shop.tiers.invalidate_tags(["lamps"]).await.unwrap();
    let later = service.oneshot(Ask { id: 1 }).await.unwrap();

    assert_eq!(first.outcome(), Outcome::Loaded);
    assert_ne!(second.outcome(), Outcome::Loaded);
    assert_eq!(
        [&*first, &*second, &*other, &*later],
        ["1 0", "1 0", "2 1", "1 2"]
    );
    assert_eq!(calls.load(SeqCst), 3);
}

#[tokio::test]
async fn an_error_of_the_service_passes_through_and_is_not_kept() {
    let shop = Shop::open().await;
    let broken = service_fn(|_: Ask| async { Err::<String, _>(io::Error::other("no table")) });
    let empty = service_fn(|_: Ask| async { Ok::<_, io::Error>(None::<String>) });

    let failed = layered(&shop, broken).oneshot(Ask { id: 1 }).await;
    let absent = layered(&shop, empty).oneshot(Ask { id: 1 }).await;

    assert!(failed.unwrap_err().loader::<io::Error>().is_some());
    assert!(absent.unwrap_err().is_absent());
}

/// It is asked whether it is ready by the load, and only by that.
#[tokio::test]
async fn a_hit_does_not_ask_whether_the_service_is_ready() {
    let (shop, asked) = (Shop::open().await, Arc::new(AtomicU64::new(0)));
    let service = layered(&shop, NeverReady(Arc::clone(&asked)));

    let failed = service.clone().oneshot(Ask { id: 1 }).await;
    assert!(failed.unwrap_err().loader::<io::Error>().is_some());
    shop.read_product(1).await;
    let hit = service.oneshot(Ask { id: 1 }).await.unwrap();

    assert_ne!(hit.outcome(), Outcome::Loaded);
    assert_eq!(asked.load(SeqCst), 1);
}

#[derive(Clone)]
struct NeverReady(Arc<AtomicU64>);

impl Service<Ask> for NeverReady {
    type Response = String;
    type Error = io::Error;
    type Future = std::future::Pending<io::Result<String>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.fetch_add(1, SeqCst);
        Poll::Ready(Err(io::Error::other("no connection is left")))
    }

    fn call(&mut self, _: Ask) -> Self::Future {
        std::future::pending()
    }
}
