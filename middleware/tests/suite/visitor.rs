//! A visitor of a server that is asked over a real socket: just enough of an HTTP client, on one connection that is kept.

use std::net::SocketAddr;

use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

/// One visitor, with a connection of its own.
pub(crate) struct Visitor {
    server: SocketAddr,
    connection: Option<BufReader<TcpStream>>,
}

/// What a visitor was answered.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
    /// The body did not break off.
    pub(crate) is_whole: bool,
}

impl Visitor {
    pub(crate) fn of(server: SocketAddr) -> Self {
        Self {
            server,
            connection: None,
        }
    }

    pub(crate) async fn get(&mut self, path: &str) -> Seen {
        self.ask(&Request::get(path).body(()).unwrap()).await
    }

    pub(crate) async fn ask(&mut self, request: &Request<()>) -> Seen {
        let connection = match self.connection.take() {
            Some(kept) => kept,
            None => BufReader::new(TcpStream::connect(self.server).await.unwrap()),
        };
        let mut exchange = Exchange(connection);
        exchange.send(request).await;
        let mut seen = exchange.head().await;
        let has_body = request.method() != http::Method::HEAD && seen.status != 304;
        if has_body {
            exchange.body(&mut seen).await;
        }
        let closes = seen.header("connection") == "close";
        self.connection = (seen.is_whole && !closes).then_some(exchange.0);
        seen
    }
}

impl Seen {
    /// A header's value; empty if there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }

    /// Varnish names two requests if it answers from what it keeps: this one, and the one that brought the page.
    pub(crate) fn is_hit(&self) -> bool {
        self.header("x-varnish").contains(' ')
    }
}

struct Exchange(BufReader<TcpStream>);

impl Exchange {
    async fn send(&mut self, request: &Request<()>) {
        let mut text = format!("{} {} HTTP/1.1\r\n", request.method(), request.uri());
        text.push_str("host: shop\r\ncontent-length: 0\r\n");
        for (name, value) in request.headers() {
            text.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap()));
        }
        text.push_str("\r\n");
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    async fn head(&mut self) -> Seen {
        let first = self.line().await.expect("an answer");
        let status = first.split(' ').nth(1).expect("a status");
        let mut headers = HeaderMap::new();
        loop {
            let line = self.line().await.expect("a head");
            let Some((name, value)) = line.split_once(':') else {
                break;
            };
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.append(name, HeaderValue::from_str(value.trim()).unwrap());
        }
        Seen {
            status: status.parse().unwrap(),
            headers,
            body: String::new(),
            is_whole: true,
        }
    }

    async fn body(&mut self, seen: &mut Seen) {
        if seen.header("transfer-encoding") == "chunked" {
            seen.is_whole = self.chunks(&mut seen.body).await.is_some();
        } else if let Ok(length) = seen.header("content-length").parse() {
            seen.is_whole = self.exactly(length, &mut seen.body).await.is_some();
        }
    }

    async fn chunks(&mut self, body: &mut String) -> Option<()> {
        loop {
            let length = usize::from_str_radix(&self.line().await?, 16).ok()?;
            self.exactly(length, body).await?;
            self.line().await?;
            if length == 0 {
                return Some(());
            }
        }
    }

    async fn exactly(&mut self, length: usize, body: &mut String) -> Option<()> {
        let mut bytes = vec![0; length];
        self.0.read_exact(&mut bytes).await.ok()?;
        body.push_str(&String::from_utf8(bytes).unwrap());
        Some(())
    }

    async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.0.read_line(&mut line).await.ok()?;
        (read > 0).then(|| line.trim_end().to_owned())
    }
}
