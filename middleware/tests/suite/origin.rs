//! A service on a port of its own, and what it has answered: so a test sees what a cache in front has answered itself.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    extract::{Request, State},
    middleware::{Next, from_fn_with_state},
    response::Response,
};
use tokio::{net::TcpListener, task::AbortHandle};

/// A router that is being served until this is dropped.
pub(crate) struct Origin {
    port: u16,
    answers: Answers,
    server: AbortHandle,
}

/// Path and status of each answer, in order.
type Answers = Arc<Mutex<Vec<(String, u16)>>>;

impl Origin {
    pub(crate) async fn start(router: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let answers = Answers::default();
        let router = router.layer(from_fn_with_state(Arc::clone(&answers), note));
        let server = tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            port,
            answers,
            server: server.abort_handle(),
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The statuses that it has answered for a path, in order.
    pub(crate) fn answers(&self, path: &str) -> Vec<u16> {
        let answers = self.answers.lock().unwrap();
        let of_path = answers.iter().filter(|(asked, _)| asked == path);
        of_path.map(|(_, status)| *status).collect()
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn note(State(answers): State<Answers>, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let response = next.run(request).await;
    let status = response.status().as_u16();
    answers.lock().unwrap().push((path, status));
    response
}
