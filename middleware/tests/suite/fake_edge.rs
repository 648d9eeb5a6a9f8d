//! An edge in memory: it keeps what `Surrogate-Control` lets it keep, and forgets what a purge names.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Body, to_bytes},
};
use http::{HeaderMap, Request};
use tower::ServiceExt;

use crate::support::only;

/// It knows no time: what it keeps it keeps, unless it is purged.
#[derive(Clone)]
pub(crate) struct FakeEdge {
    origin: Router,
    kept: Arc<Mutex<HashMap<String, Kept>>>,
}

#[derive(Clone)]
struct Kept {
    keys: Vec<String>,
    body: String,
}

impl FakeEdge {
    pub(crate) fn before(origin: Router) -> Self {
        Self {
            origin,
            kept: Arc::default(),
        }
    }

    /// The body of a page, kept or fetched.
    pub(crate) async fn get(&self, path: &str) -> String {
        let kept = self.kept.lock().unwrap().get(path).cloned();
        match kept {
            Some(kept) => kept.body,
            None => self.fetch(path).await.1,
        }
    }

    /// Fetches a page, whether it is kept or not, and keeps it if it may.
    pub(crate) async fn fetch(&self, path: &str) -> (HeaderMap, String) {
        let request = Request::builder().uri(path).body(Body::empty()).unwrap();
        let response = self.origin.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap();
        if is_to_be_kept(&head.headers) {
            let keys = only(&head.headers, "surrogate-key").split(' ');
            let keys = keys.map(str::to_owned).collect();
            let kept = Kept {
                keys,
                body: body.clone(),
            };
            self.kept.lock().unwrap().insert(path.to_owned(), kept);
        }
        (head.headers, body)
    }

    pub(crate) fn keeps(&self, path: &str) -> bool {
        self.kept.lock().unwrap().contains_key(path)
    }

    pub(crate) fn purge(&self, keys: &[String]) {
        let is_named = |kept: &Kept| kept.keys.iter().any(|key| keys.contains(key));
        self.kept.lock().unwrap().retain(|_, kept| !is_named(kept));
    }
}

fn is_to_be_kept(headers: &HeaderMap) -> bool {
    let seconds = only(headers, "surrogate-control").strip_prefix("max-age=");
    seconds.is_some_and(|seconds| seconds != "0")
}
