//! `docs/http.md` maps each rule to its tests: no test that it names is missing, and none of a rule is left out.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

#[test]
fn each_test_that_the_book_names_exists_and_each_test_of_a_rule_is_named() {
    let (named, there) = (named(), there());
    assert!(named.len() > 100, "only {} tests are named", named.len());

    let missing: Vec<_> = named.difference(&there).collect();
    let forgotten: Vec<_> = there
        .difference(&named)
        .filter(|test| is_of_a_rule(test))
        .collect();

    assert!(missing.is_empty(), "named, but not there: {missing:#?}");
    assert!(forgotten.is_empty(), "there, but not named: {forgotten:#?}");
}

/// What stands in backquotes in the last column of a table.
fn named() -> BTreeSet<String> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let book = fs::read_to_string(package.join("../docs/http.md")).unwrap();
    let rows = book.lines().filter(|line| line.starts_with("| "));
    let columns = rows.filter_map(|row| row.trim_end_matches(" |").rsplit(" | ").next());
    columns
        .flat_map(|column| column.split('`').skip(1).step_by(2))
        .filter(|name| name.contains('_'))
        .map(str::to_owned)
        .collect()
}

/// The functions in the sources of this package.
fn there() -> BTreeSet<String> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    collect(&package.join("src"), &mut files);
    collect(&package.join("tests"), &mut files);
    files
        .iter()
        .flat_map(|file| functions(&fs::read_to_string(file).unwrap()))
        .collect()
}

fn functions(source: &str) -> Vec<String> {
    let after = source.split("fn ").skip(1);
    after
        .filter_map(|rest| rest.split(['(', '<']).next())
        .map(|name| name.trim().to_owned())
        .collect()
}

/// A letter, a number, and then its sentence.
fn is_of_a_rule(test: &str) -> bool {
    let number = test.strip_prefix(['s', 'f', 't', 'v', 'g', 'c', 'm']);
    let rest = number.map(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()));
    matches!((number, rest), (Some(number), Some(rest)) if number.len() > rest.len() && rest.starts_with('_'))
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.push(path);
        }
    }
}
