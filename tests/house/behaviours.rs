//! `docs/behaviours.md` names a test for each behaviour; one that is renamed or gone is found here.
//!
//! A name is a file and a function, `suite::tags::values::no_tag_at_all_and_the_same_tag_twice_are_fine`: its first part is one of
//! [`ROOTS`], the last the function, and what stands between leads to the file. A test that is never run is no test.

use std::{
    collections::{HashMap, HashSet},
    fs,
    path::Path,
};

use syn::{
    Attribute, ItemFn,
    visit::{self, Visit},
};

/// Where names begin, and the folder that each stands for.
const ROOTS: [(&str, &str); 12] = [
    ("suite", "tests/suite"),
    ("faults", "tests/faults"),
    ("src", "src"),
    ("middleware::suite", "middleware/tests/suite"),
    ("middleware::src", "middleware/src"),
    ("allocations", "tests/allocations"),
    ("metrics", "tests/metrics"),
    ("spans", "tests/spans"),
    ("testing", "tests/testing"),
    ("cluster", "tests/cluster"),
    ("topologies", "tests/topologies"),
    ("levels", "tests/levels"),
];

#[test]
fn every_behaviour_names_a_test_that_exists() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = package.join("docs/behaviours.md");
    let page = fs::read_to_string(page).expect("the page of behaviours");
    assert!(names(&page).count() > 100, "the names are not found");

    let findings = findings(&page, |path| fs::read_to_string(package.join(path)).ok());

    assert!(findings.is_empty(), "\n{}", findings.join("\n"));
}

/// Rows that name no test, and names without one.
fn findings(page: &str, read: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let unheld = rows(page)
        .filter(|row| names(row).next().is_none())
        .map(|row| format!("no test holds this: {row}"));
    let mut files = HashMap::new();
    let missing = names(page)
        .filter(|name| !exists(name, &mut files, &read))
        .map(|name| format!("there is no test `{name}`"));
    unheld.chain(missing).collect()
}

/// The rows of the tables whose last column is that of the tests.
fn rows(page: &str) -> impl Iterator<Item = &str> {
    let mut inside = false;
    page.lines().filter(move |line| {
        let row = line.starts_with('|');
        let head = line.ends_with(HEAD);
        let within = inside && row && !line.starts_with("|--");
        inside = head || inside && row;
        within
    })
}

/// Whatever stands in backticks and begins like a test's name.
fn names(page: &str) -> impl Iterator<Item = &str> {
    let quoted = page.split('`').skip(1).step_by(2);
    quoted.filter(|name| parts(name).is_some())
}

/// The file without its ending, and the function.
fn parts(name: &str) -> Option<(String, &str)> {
    let (modules, test) = name.rsplit_once("::")?;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let (root, folder) = ROOTS.iter().find(|(root, _)| {
        let rest = modules.strip_prefix(root);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    })?;
    let file = modules[root.len()..].replace("::", "/");
    name.chars()
        .all(plain)
        .then(|| (format!("{folder}{file}"), test))
}

/// `files`: the tests of those that were read already.
fn exists(
    name: &str,
    files: &mut HashMap<String, HashSet<String>>,
    read: impl Fn(&str) -> Option<String>,
) -> bool {
    let Some((file, test)) = parts(name) else {
        return false;
    };
    let tests = files.entry(file).or_insert_with_key(|file| {
        let endings = [".rs", "/mod.rs", "/main.rs"];
        let mut texts = endings
            .iter()
            .map(|ending| read(&format!("{file}{ending}")));
        texts
            .find_map(|text| text)
            .as_deref()
            .map(tests_in)
            .unwrap_or_default()
    });
    tests.contains(test)
}

fn tests_in(text: &str) -> HashSet<String> {
    let mut tests = Tests::default();
    tests.visit_file(&syn::parse_file(text).expect("a source that compiles"));
    tests.0
}

/// The functions that are run as tests.
#[derive(Default)]
struct Tests(HashSet<String>);

impl<'ast> Visit<'ast> for Tests {
    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        let has = |name: &str| item.attrs.iter().any(|attribute| is(attribute, name));
        if has("test") && !has("ignore") {
            self.0.insert(item.sig.ident.to_string());
        }
        visit::visit_item_fn(self, item);
    }
}

/// `#[test]`, and `#[tokio::test]` too.
fn is(attribute: &Attribute, name: &str) -> bool {
    let last = attribute.path().segments.last();
    last.is_some_and(|segment| segment.ident == name)
}

/// Of the column of the tests.
const HEAD: &str = "| held by |";

#[test]
fn finds_a_name_without_a_test_and_a_row_without_a_name() {
    let sources = |path: &str| match path {
        "tests/suite/basics.rs" => Some(SOURCE.to_owned()),
        "tests/suite/races/mod.rs" => Some("#[tokio::test] async fn one() {}".to_owned()),
        _ => None,
    };
    let found = |page: &str| findings(page, sources).len();

    for held in [
        "suite::basics::one",
        "suite::basics::two",
        "suite::races::one",
    ] {
        assert_eq!(found(&format!("see `{held}`")), 0, "{held}");
    }
    for missing in [
        "suite::basics::helper",
        "suite::basics::ignored",
        "suite::basics::three",
        "suite::gone::one",
        "src::basics::one",
    ] {
        assert_eq!(found(&format!("see `{missing}`")), 1, "{missing}");
    }
    for other in ["Policy::ttl", "tokio::test", "suite", "docs/behaviours.md"] {
        assert_eq!(found(&format!("see `{other}`")), 0, "{other}");
    }
    let table = "| a | held by |\n|---|---|\n| b | `suite::basics::one` |\n| c | by itself |\n";
    assert_eq!(found(table), 1);
    assert_eq!(found(&table.replace("| held by |", "| why |")), 0);
}

const SOURCE: &str = "
    #[test] fn one() {}
    fn helper() {}
    mod tests { #[tokio::test(start_paused = true)] async fn two() {} }
    #[test] #[ignore = \"slow\"] fn ignored() {}
";
