//! What SQLite is asked.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params, params_from_iter};

use crate::{
    model::{Account, Bought, Change, Moved, NewProduct, NewReview, Product, Review},
    store::PAGE,
};

pub(crate) fn products(
    connection: &Connection,
    ids: &[u32],
) -> rusqlite::Result<HashMap<u32, Product>> {
    let marks = vec!["?"; ids.len()].join(", ");
    let sql = format!(
        "SELECT id, name, category, price_cents,
                (SELECT COALESCE(SUM(pieces), 0) FROM orders WHERE product_id = products.id)
         FROM products WHERE id IN ({marks})"
    );
    let read = |row: &rusqlite::Row<'_>| {
        let product = Product {
            id: row.get(0)?,
            name: row.get(1)?,
            category: row.get(2)?,
            price_cents: row.get(3)?,
            sold: row.get(4)?,
        };
        Ok((product.id, product))
    };
    let mut statement = connection.prepare(&sql)?;
    statement.query_map(params_from_iter(ids), read)?.collect()
}

pub(crate) fn listing(
    connection: &Connection,
    category: &str,
    page: u32,
) -> rusqlite::Result<Vec<u32>> {
    let mut statement = connection.prepare(
        "SELECT id FROM products WHERE category = ?1 ORDER BY id LIMIT ?2 OFFSET ?2 * ?3",
    )?;
    statement
        .query_map(params![category, PAGE, page], |row| row.get(0))?
        .collect()
}

pub(crate) fn create(connection: &Connection, product: &NewProduct) -> rusqlite::Result<u32> {
    let NewProduct {
        name,
        category,
        price_cents,
    } = product;
    connection.query_row(
        "INSERT INTO products (name, category, price_cents) VALUES (?1, ?2, ?3) RETURNING id",
        params![name, category, price_cents],
        |row| row.get(0),
    )
}

pub(crate) fn change(
    connection: &mut Connection,
    id: u32,
    change: &Change,
) -> rusqlite::Result<Option<Moved>> {
    // Takes the write lock at once: two writers that both begin with a read could not both go on.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let from = transaction.query_row("SELECT category FROM products WHERE id = ?1", [id], |row| {
        row.get(0)
    });
    let Some(from) = from.optional()? else {
        return Ok(None);
    };
    let to = transaction.query_row(
        "UPDATE products SET name = COALESCE(?2, name), category = COALESCE(?3, category),
                             price_cents = COALESCE(?4, price_cents)
         WHERE id = ?1 RETURNING category",
        params![id, change.name, change.category, change.price_cents],
        |row| row.get(0),
    )?;
    transaction.commit()?;
    Ok(Some(Moved { from, to }))
}

/// The newest reviews of a product, the newest first.
pub(crate) fn reviews_of(connection: &Connection, product: u32) -> rusqlite::Result<Vec<Review>> {
    reviews(connection, "WHERE product = ?1", params![product])
}

/// The newest reviews of all products, the newest first.
pub(crate) fn newest_reviews(connection: &Connection) -> rusqlite::Result<Vec<Review>> {
    reviews(connection, "", params![])
}

fn reviews(
    connection: &Connection,
    which: &str,
    values: impl rusqlite::Params,
) -> rusqlite::Result<Vec<Review>> {
    let mut statement = connection.prepare(&format!(
        "SELECT product, author, stars, text FROM reviews {which} ORDER BY id DESC LIMIT {REVIEWS}"
    ))?;
    let read = |row: &rusqlite::Row<'_>| {
        Ok(Review {
            product: row.get(0)?,
            author: row.get(1)?,
            stars: row.get(2)?,
            text: row.get(3)?,
        })
    };
    statement.query_map(values, read)?.collect()
}

/// Answers whether there is such a product.
pub(crate) fn review(
    connection: &Connection,
    product: u32,
    review: &NewReview,
) -> rusqlite::Result<bool> {
    let NewReview {
        author,
        stars,
        text,
    } = review;
    let added = connection.execute(
        "INSERT INTO reviews (product, author, stars, text)
         SELECT id, ?2, ?3, ?4 FROM products WHERE id = ?1",
        params![product, author, stars, text],
    )?;
    Ok(added > 0)
}

pub(crate) fn account(connection: &Connection, customer: u32) -> rusqlite::Result<Option<Account>> {
    let name = connection.query_row(
        "SELECT name FROM customers WHERE id = ?1",
        [customer],
        |row| row.get(0),
    );
    let Some(name) = name.optional()? else {
        return Ok(None);
    };
    let mut statement = connection.prepare(
        "SELECT product_id, pieces FROM orders WHERE customer_id = ?1 ORDER BY id DESC LIMIT 5",
    )?;
    let read = |row: &rusqlite::Row<'_>| {
        Ok(Bought {
            product: row.get(0)?,
            pieces: row.get(1)?,
        })
    };
    let bought = statement.query_map([customer], read)?;
    Ok(Some(Account {
        name,
        bought: bought.collect::<Result<_, _>>()?,
    }))
}

/// How many reviews are shown at most.
const REVIEWS: u32 = 10;
