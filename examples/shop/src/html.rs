//! What a browser is shown, of the same values that the JSON is made of.

use std::fmt::Write;

use tricache::Cached;

use crate::{
    model::{Product, Review},
    seed::CATEGORIES,
    shop::{Own, Page},
};

/// The front page: where to go, and what others say.
pub(crate) fn front(newest: &[Review]) -> String {
    let mut body = String::from("<ul>");
    for (category, _) in CATEGORIES {
        add(
            &mut body,
            format_args!("<li><a href=\"/c/{category}\">{category}</a></li>"),
        );
    }
    body.push_str("</ul><h2>What others say</h2>");
    reviews(&mut body, newest);
    document("The shop", &body)
}

/// A product, with what others say of it.
pub(crate) fn product(product: &Product, said: &[Review]) -> String {
    let mut body = String::new();
    price(&mut body, product);
    let category = escaped(&product.category);
    add(
        &mut body,
        format_args!("<p>One of our <a href=\"/c/{category}\">{category}</a></p>"),
    );
    reviews(&mut body, said);
    document(&product.name, &body)
}

/// A page of a category.
pub(crate) fn listing(page: &Page) -> String {
    let mut body = String::new();
    products(&mut body, &page.products);
    document(&page.category, &body)
}

/// What a customer sees of themselves.
pub(crate) fn account(own: &Own) -> String {
    let mut body = String::from("<h2>What you bought</h2>");
    products(&mut body, &own.products);
    document(&format!("Hello, {}", own.account.name), &body)
}

fn products(body: &mut String, products: &[Cached<Product>]) {
    for product in products {
        let (id, name) = (product.id, escaped(&product.name));
        add(
            body,
            format_args!("<h3><a href=\"/p/{id}\">{name}</a></h3>"),
        );
        price(body, product);
    }
}

fn price(body: &mut String, product: &Product) {
    let (whole, cents, sold) = (
        product.price_cents / 100,
        product.price_cents % 100,
        product.sold,
    );
    add(
        body,
        format_args!("<p>{whole}.{cents:02}, sold {sold} times</p>"),
    );
}

fn reviews(body: &mut String, reviews: &[Review]) {
    for review in reviews {
        let stars = "★".repeat(review.stars.into());
        let (id, author, text) = (
            review.product,
            escaped(&review.author),
            escaped(&review.text),
        );
        add(
            body,
            format_args!("<p>{stars} <a href=\"/p/{id}\">{author}</a>: {text}</p>"),
        );
    }
}

fn document(title: &str, body: &str) -> String {
    let title = escaped(title);
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title><h1>{title}</h1>{body}</html>\n"
    )
}

fn add(body: &mut String, what: std::fmt::Arguments<'_>) {
    body.write_fmt(what)
        .expect("a String takes all that is written");
}

/// As text and in quotes.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_visitors_wrote_is_shown_and_not_run() {
        let review = Review {
            product: 1,
            author: "<b>\"O'Neil\"".to_owned(),
            stars: 2,
            text: "<script>&".to_owned(),
        };

        let page = front(&[review]);

        assert!(page.contains(
            "★★ <a href=\"/p/1\">&lt;b&gt;&quot;O&#39;Neil&quot;</a>: &lt;script&gt;&amp;</p>"
        ));
        assert!(!page.contains("<script>"));
    }
}
