//! The check itself is checked: it must find what is planted, and nothing else.

use crate::check::{Source, check};

fn findings(sources: &[(&str, &str)]) -> Vec<String> {
    let source = |(path, text): &(&str, &str)| Source {
        path: (*path).to_owned(),
        text: (*text).to_owned(),
    };
    check(&sources.iter().map(source).collect::<Vec<_>>())
        .iter()
        .map(ToString::to_string)
        .collect()
}

fn finds(path: &str, text: &str, expected: &str) {
    let found = findings(&[(path, text)]);
    assert!(
        found.len() == 1 && found[0].starts_with(expected),
        "{text}: {found:#?}"
    );
}

fn accepts(path: &str, text: &str) {
    assert_eq!(findings(&[(path, text)]), [""; 0], "{text}");
}

#[test]
fn finds_an_upward_import_with_its_line_and_its_rule() {
    let found = findings(&[(
        "src/model/key.rs",
        "//! Keys.\n\nuse crate::engine::Engine;\n",
    )]);

    let rule = "`model` (rank 0) imports `engine` (rank 4) by `crate::engine::Engine`: a module imports only lower ranks";
    assert_eq!(found, [format!("src/model/key.rs:3: {rule}")]);
}

#[test]
fn finds_an_upward_import_wherever_it_hides() {
    for text in [
        "use super::super::engine::Engine;",
        "use crate::{error::Error, engine::{Engine as E}};",
        "use crate::engine as below;",
        "fn f() -> crate::engine::Engine { start() }",
        "fn f() { let x = crate::engine::start(); }",
        "fn f() { matches!(x, crate::engine::Engine { .. }); }",
        "fn f() { println!(\"{}\", [crate::engine::VERSION]); }",
        "macro_rules! start { () => { $crate::engine::start() }; }",
        "impl crate::engine::Start for Key {}",
        "mod inner { use super::super::super::engine::Engine; }",
        "#[cfg(any(test, feature = \"proof\"))] mod inner { use crate::engine::Engine; }",
        "#[cfg(not(test))] use crate::engine::Engine;",
    ] {
        finds(
            "src/model/key.rs",
            text,
            "src/model/key.rs:1: `model` (rank 0) imports `engine` (rank 4)",
        );
    }
}

#[test]
fn finds_a_sideways_import() {
    finds(
        "src/load/mod.rs",
        "use crate::invalidate::Journal;",
        "src/load/mod.rs:1: `load` (rank 3)",
    );
    finds(
        "src/invalidate/mod.rs",
        "use crate::feed::Chain;",
        "src/invalidate/mod.rs:1: `invalidate` (rank 3)",
    );
    finds(
        "src/local.rs",
        "use super::remote::Remote;",
        "src/local.rs:1: `local` (rank 2) imports `remote`",
    );
    finds(
        "src/error.rs",
        "use crate::model::Key;",
        "src/error.rs:1: `error` (rank 0) imports `model`",
    );
}

#[test]
fn accepts_imports_of_lower_ranks_and_of_the_own_module() {
    accepts(
        "src/model/key.rs",
        "use crate::error::Error; use super::version::Version;",
    );
    accepts(
        "src/load/mod.rs",
        "use crate::{local::Local, remote::Remote}; use self::flight::Flight;",
    );
    accepts(
        "src/cache.rs",
        "use super::engine::Engine; use std::sync::Arc; use serde::Serialize;",
    );
    accepts("src/tiers.rs", "use crate::cache::TieredCache;");
    accepts(
        "src/remote/mod.rs",
        "mod store { pub(super) struct Store; pub(in crate::remote) fn f() {} }",
    );
}

#[test]
fn a_name_of_the_root_counts_as_the_module_it_comes_from() {
    let root = (
        "src/lib.rs",
        "pub use crate::{error::Error, tiers::Tiers as Everything};",
    );

    assert_eq!(
        findings(&[root, ("src/model/key.rs", "use crate::Error;")]),
        [""; 0]
    );
    let found = findings(&[
        root,
        ("src/model/key.rs", "use crate::Everything;\nuse crate::*;"),
    ]);
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(found[0].contains("imports `tiers` (rank 6)"), "{found:#?}");
    assert!(found[1].contains("imports `lib` (rank 6)"), "{found:#?}");
}

#[test]
fn tests_may_look_up() {
    accepts(
        "src/model/key.rs",
        "#[cfg(test)]\nmod tests { use crate::engine::Engine; }",
    );
    accepts(
        "src/model/key.rs",
        "#[cfg(all(test, unix))]\nuse crate::engine::Engine;",
    );
    let files = [
        ("src/model/mod.rs", "#[cfg(test)]\nmod tests;"),
        ("src/model/tests.rs", "use crate::engine::Engine;"),
    ];
    assert_eq!(findings(&files), [""; 0]);
}

#[test]
fn comments_and_texts_are_no_imports() {
    accepts(
        "src/model/key.rs",
        "//! See [`crate::engine::Engine`].\n// use redis::Client;\nconst A: &str = \"crate::engine::X redis::Y\";",
    );
}

#[test]
fn finds_a_foreign_crate_outside_its_home() {
    for (path, text) in [
        ("src/feed/mod.rs", "use redis::Client;"),
        ("src/feed/mod.rs", "use ::redis as r;"),
        ("src/feed/mod.rs", "fn f(x: redis::Value) {}"),
        (
            "src/feed/mod.rs",
            "fn f() { matches!(x, ::redis::Value::Nil); }",
        ),
        ("src/feed/mod.rs", "extern crate redis;"),
        (
            "src/feed/mod.rs",
            "#[cfg(test)] mod tests { use redis::Client; }",
        ),
        ("src/remote/mod.rs", "use bincode::Encode;"),
        ("src/cache.rs", "type Cache = moka::sync::Cache<u64, u64>;"),
        ("src/local.rs", "use twox_hash::XxHash3_64;"),
    ] {
        let found = findings(&[(path, text)]);
        assert!(
            found.len() == 1 && found[0].contains("names the crate"),
            "{text}: {found:#?}"
        );
    }
}

#[test]
fn accepts_a_foreign_crate_at_home() {
    accepts("src/remote/store.rs", "use redis::Client;");
    accepts(
        "src/codec/bincode.rs",
        "use bincode::Encode; use twox_hash::XxHash3_64;",
    );
    accepts("src/local.rs", "use moka::sync::Cache;");
    accepts(
        "src/tiers.rs",
        "fn f(builder: B) { builder.redis(url); dbg!(self.redis, x::redis::Y); }",
    );
}

#[test]
fn finds_a_module_without_a_rank() {
    finds(
        "src/helpers.rs",
        "",
        "src/helpers.rs:1: `helpers` has no rank",
    );
}
