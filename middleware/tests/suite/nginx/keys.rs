//! How many keys of another edge's a page may carry past nginx, which needs none.

use tricache_middleware::Profile;

use super::site::{ROOM, Site, layer};

#[tokio::test]
async fn as_many_keys_as_another_edge_is_given_fit_through_nginx() {
    let site = Site::open(layer().and(Profile::varnish())).await;
    let mut visitor = site.visitor();

    for (path, length) in [("/many/236", 3_067), ("/many/400", "product._1".len())] {
        let seen = visitor.get(path).await;

        let keys = seen.header("surrogate-key");
        assert_eq!((seen.status.as_u16(), keys.len()), (200, length), "{path}");
    }
}

#[tokio::test]
async fn more_is_an_error_unless_nginx_is_given_more_room() {
    let layer = layer().and(Profile::varnish().key_budget(8_000));
    let (small, large) = (
        Site::open(layer.clone()).await,
        Site::with(layer, &[ROOM]).await,
    );

    assert_eq!(small.visitor().get("/many/400").await.status, 502);
    let seen = large.visitor().get("/many/400").await;
    assert_eq!(
        (seen.status.as_u16(), seen.header("surrogate-key").len()),
        (200, 5_199)
    );
}
