//! What the layer writes after reads that carry tags and a visibility: the rules that look at those, and every
//! combination of what may make a page personal.

use std::time::Duration;

use http::{HeaderMap, StatusCode, header};
use tricache::{Tag, Visibility};

use super::*;
use crate::{public::Public, purge_keys_of_tag};

mod matrix;

#[test]
fn the_key_line_holds_entities_and_tags_each_once() {
    let case = Case::default().tags(&["Lamps & more", "product/42", "sale"]);

    assert_eq!(
        case.header("surrogate-key"),
        "product.42 _lamps_-20_-26_-20more sale"
    );
}

#[test]
fn f2_no_lifetime_is_longer_than_caches_can_read() {
    let edge = Edge::new(Profile::varnish().browser_ttl(Duration::MAX));

    let headers = Case {
        remaining: Some(u64::MAX),
        ..Case::default()
    }
    .write(&edge);

    assert_eq!(
        lines(&headers)[..2],
        [
            "cache-control: public, max-age=2147483647, must-revalidate",
            "surrogate-control: max-age=2147483647",
        ]
    );
}

#[test]
fn s5_data_of_one_user_makes_every_control_header_private_whatever_the_mark_says() {
    let own = [
        ("cache-control", "public, max-age=60, s-maxage=60"),
        ("surrogate-control", "max-age=60"),
        ("cdn-cache-control", "max-age=60"),
        ("x-accel-expires", "60"),
        ("surrogate-key", "front"),
    ];
    for (marked, method) in [(true, "GET"), (false, "GET"), (true, "POST")] {
        let case = Case {
            marked,
            method,
            visibility: Visibility::User,
            ..Case::default()
        };

        assert_eq!(
            case.says(&own).answer(),
            [
                "cache-control: private, no-store",
                "cdn-cache-control: private, no-store",
                "surrogate-control: private, no-store",
            ]
        );
    }
}

#[test]
fn s11_a_remembered_absence_is_shared_with_the_keys_that_its_creation_purges() {
    for status in [404, 410] {
        let case = Case {
            status,
            remaining: Some(5_900),
            ..Case::default()
        };

        assert_eq!(
            case.tags(&["category-7"]).answer(),
            [
                "cache-control: public, max-age=0, must-revalidate",
                "surrogate-control: max-age=5",
                "surrogate-key: product.42 category-7",
            ]
        );
    }
}

#[test]
fn s11_an_absence_that_is_not_remembered_is_private() {
    for status in [404, 410] {
        let case = Case {
            status,
            remaining: Some(0),
            ..Case::default()
        };

        assert_eq!(
            case.tags(&["category-7"]).answer(),
            [
                "cache-control: private, no-store",
                "surrogate-control: private, no-store",
            ]
        );
    }
}

#[test]
fn no_tag_can_break_out_of_its_header() {
    let texts = [
        "a,b",
        "a b",
        "a\r\nset-cookie: x=1",
        "caf\u{e9}",
        "\0",
        "",
        "\u{1f4a1}",
        "a;b",
    ];
    let case = Case::default().tags(&texts);

    let answer = case.answer();
    assert_eq!(answer.len(), 3, "{answer:?}");
    let keys = case.header("surrogate-key");
    assert_eq!(keys.split(' ').count(), 1 + texts.len());
    for text in texts {
        let purge = purge_keys_of_tag(&Tag::new(text));
        assert!(
            keys.split(' ').any(|key| purge[0] == key),
            "{text:?}: {keys}"
        );
    }
}

#[test]
fn ten_thousand_tags_are_not_cut_but_not_shared_and_counted() {
    let texts: Vec<String> = (0..10_000).map(|n| format!("tag {n}")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let edge = edge();

    let headers = Case::default().tags(&texts).write(&edge);

    assert_eq!(
        lines(&headers),
        [
            "cache-control: private, no-store",
            "surrogate-control: private, no-store",
        ]
    );
    let report = edge.counts.report();
    assert_eq!(
        (report.over_budget(), report.not_shared(), report.shared()),
        (1, 1, 0)
    );
}

#[test]
fn shortened_and_coarsened_pages_are_shared_and_counted() {
    let edge = Edge::new(Profile::varnish().key_budget(64));
    let long = format!("list/{}", "x".repeat(80));
    let many: Vec<String> = (0..50).map(|n| format!("product/{n}")).collect();

    let shortened = Case {
        entities: vec![long],
        ..Case::default()
    }
    .write(&edge);
    let coarsened = Case {
        entities: many,
        ..Case::default()
    }
    .write(&edge);

    assert_eq!(shortened["surrogate-key"].len(), 14);
    assert_eq!(coarsened["surrogate-key"], "product._1");
    let report = edge.counts.report();
    assert_eq!(
        (report.shortened(), report.coarsened(), report.shared()),
        (1, 1, 2)
    );
}

fn edge() -> Edge {
    Edge::new(Profile::varnish())
}

/// A request, what was read for it, and what its handler answered. By default a page that is shared for a minute.
#[derive(Clone, Debug)]
struct Case {
    method: &'static str,
    authorized: bool,
    cookie: bool,
    status: u16,
    marked: bool,
    entities: Vec<String>,
    tags: Vec<Tag>,
    visibility: Visibility,
    /// Milliseconds; `None` if nothing was read.
    remaining: Option<u64>,
    own: Vec<(&'static str, &'static str)>,
}

impl Default for Case {
    fn default() -> Self {
        Self {
            method: "GET",
            authorized: false,
            cookie: false,
            status: 200,
            marked: true,
            entities: vec!["product/42".to_owned()],
            tags: Vec::new(),
            visibility: Visibility::Public,
            remaining: Some(60_000),
            own: Vec::new(),
        }
    }
}

impl Case {
    fn tags(&self, texts: &[&str]) -> Self {
        let tags = texts.iter().map(|text| Tag::new(text)).collect();
        Self {
            tags,
            ..self.clone()
        }
    }

    fn says(&self, own: &[(&'static str, &'static str)]) -> Self {
        Self {
            own: own.to_vec(),
            ..self.clone()
        }
    }

    /// All headers of the response, sorted.
    fn answer(&self) -> Vec<String> {
        lines(&self.write(&edge()))
    }

    fn header(&self, name: &str) -> String {
        self.write(&edge())[name].to_str().unwrap().to_owned()
    }

    fn write(&self, edge: &Edge) -> HeaderMap {
        let mut response = self.response();
        let read = Read {
            entities: self.entities.iter().map(String::as_str).collect(),
            tags: self.tags.iter().map(Tag::as_str).collect(),
            shown: &[],
            objected: false,
            visibility: self.visibility,
            remaining: self.remaining.map(Duration::from_millis),
        };
        let own = own_keys(response.headers(), &edge.edges);
        let request = RequestFacts::of(&self.request());
        edge.write_headers(request, &read, None, own.as_deref(), &mut response);
        response.into_parts().0.headers
    }

    fn request(&self) -> Request<()> {
        let mut request = Request::builder().method(self.method);
        if self.authorized {
            request = request.header(header::AUTHORIZATION, "Bearer x");
        }
        if self.cookie {
            request = request.header(header::COOKIE, "session=1");
        }
        request.body(()).unwrap()
    }

    fn response(&self) -> Response<String> {
        let mut response = Response::new(String::new());
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap();
        for (name, value) in &self.own {
            response.headers_mut().append(*name, value.parse().unwrap());
        }
        if self.marked {
            response.extensions_mut().insert(Public);
        }
        response
    }
}

fn lines(headers: &HeaderMap) -> Vec<String> {
    let mut lines: Vec<String> = headers
        .iter()
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .collect();
    lines.sort();
    lines
}
