//! The frame of the project: files stay short, and nothing in them names a place on one machine.

use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn no_source_file_is_longer_than_five_hundred_lines() {
    let long = sources().filter(|file| file.text.lines().count() > LONGEST);

    assert_none(long.map(|file| format!("{}: {} lines", file.path, file.text.lines().count())));
}

#[test]
fn no_file_names_a_place_on_one_machine() {
    let files = files();
    assert!(files.len() > 10, "only {} files to check", files.len());

    assert_none(files.iter().flat_map(|file| {
        let lines = file.text.lines().enumerate();
        let places = lines.filter_map(|(number, line)| Some((number + 1, place_in(line)?)));
        places
            .map(|(number, place)| format!("{}:{number}: {place}", file.path))
            .collect::<Vec<_>>()
    }));
}

#[test]
fn the_check_finds_places_and_leaves_addresses_alone() {
    for place in own_place().into_iter().chain(PLACES) {
        assert_eq!(place_in(&format!("see \"{place}someone/x\"")), Some(place));
        assert_eq!(place_in(&format!("{place}someone/x")), Some(place));
        assert_eq!(
            place_in(&format!("https://example.com{place}x and src{place}")),
            None
        );
    }
    assert_eq!(place_in("a file of src/ or ./target/"), None);
}

struct File {
    path: String,
    text: String,
}

/// The beginning of an absolute path that only some machines have, if the line has one.
fn place_in(line: &str) -> Option<&'static str> {
    own_place().into_iter().chain(PLACES).find(|place| {
        let mut starts = line.match_indices(place).map(|(start, _)| &line[..start]);
        starts
            .any(|before| !before.ends_with(|c: char| c.is_alphanumeric() || "._-~/}*".contains(c)))
    })
}

/// Where this very checkout lies; a short path, such as a container has, would match too much.
fn own_place() -> Option<&'static str> {
    Some(env!("CARGO_MANIFEST_DIR")).filter(|place| Path::new(place).components().count() > 2)
}

fn sources() -> impl Iterator<Item = File> {
    files()
        .into_iter()
        .filter(|file| file.path.ends_with(".rs") || file.path.ends_with(".lua"))
}

/// All text files of the project; what a build puts into the workspace is not ours.
fn files() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    collect(root, &mut paths);
    let text = |path: &PathBuf| fs::read_to_string(path).ok();
    let name = |path: &Path| {
        path.strip_prefix(root)
            .expect("below the root")
            .display()
            .to_string()
    };
    paths
        .iter()
        .filter_map(|path| {
            Some(File {
                path: name(path),
                text: text(path)?,
            })
        })
        .collect()
}

fn collect(directory: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        let name = path
            .file_name()
            .expect("an entry has a name")
            .to_string_lossy();
        if path.is_dir()
            && (name == ".ci" || !name.starts_with('.') && !path.join("CACHEDIR.TAG").exists())
        {
            collect(&path, paths);
        } else if path.is_file() && is_ours(&name) {
            paths.push(path);
        }
    }
}

/// A log or a database may lie about in a checkout without being part of the project.
fn is_ours(name: &str) -> bool {
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    !name.starts_with('.')
        && ["", "rs", "lua", "toml", "md", "json", "html", "sh"].contains(&ending)
}

#[track_caller]
fn assert_none(findings: impl Iterator<Item = String>) {
    let findings: Vec<_> = findings.collect();
    assert!(findings.is_empty(), "\n{}", findings.join("\n"));
}

const LONGEST: usize = 500;

/// In two parts, so that this file passes its own check.
const PLACES: [&str; 5] = [
    concat!("/", "root/"),
    concat!("/", "home/"),
    concat!("/", "Users/"),
    concat!("/", "tmp/"),
    concat!("C:\\", "Users"),
];
