//! From sources to findings: what has to be known about all files before one of them can be judged.

use std::collections::{HashMap, HashSet};
use std::fmt::{self, Display, Formatter};

use proc_macro2::Span;
use syn::punctuated::Punctuated;
use syn::{Attribute, Item, Meta, Token, UseTree};

use crate::reader::Reader;

/// One file of the library; its path is relative to the package and has `/` in it.
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) path: String,
    pub(crate) line: usize,
    pub(crate) rule: String,
}

impl Display for Finding {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.rule)
    }
}

pub(crate) fn check(sources: &[Source]) -> Vec<Finding> {
    let files: Vec<_> = sources.iter().map(File::parse).collect();
    let exports = files
        .iter()
        .find(|file| file.module.is_empty())
        .map(root_exports)
        .unwrap_or_default();
    let test_only: HashSet<_> = files.iter().flat_map(test_only_modules).collect();
    files
        .iter()
        .flat_map(|file| Reader::read(file, &exports, &test_only))
        .collect()
}

pub(crate) struct File<'a> {
    pub(crate) path: &'a str,
    /// `["codec", "envelope"]` for `src/codec/envelope.rs`; empty for the root.
    pub(crate) module: Vec<String>,
    pub(crate) syntax: syn::File,
}

impl<'a> File<'a> {
    fn parse(source: &'a Source) -> Self {
        let syntax = syn::parse_file(&source.text)
            .unwrap_or_else(|error| panic!("{}: {error}", source.path));
        Self {
            path: &source.path,
            module: module_of(&source.path),
            syntax,
        }
    }
}

fn module_of(path: &str) -> Vec<String> {
    let inner = path
        .strip_prefix("src/")
        .and_then(|path| path.strip_suffix(".rs"))
        .expect("a source below src");
    let mut names: Vec<_> = inner.split('/').map(str::to_owned).collect();
    if names.last().is_some_and(|name| name == "mod") || names == ["lib"] {
        names.pop();
    }
    names
}

/// What the root re-exports: `crate::Error` is an import of `error`, not of the root.
fn root_exports(root: &File<'_>) -> HashMap<String, String> {
    let uses = root.syntax.items.iter().filter_map(|item| match item {
        Item::Use(item) => Some(&item.tree),
        _ => None,
    });
    uses.flat_map(imports)
        .filter_map(|import| {
            let module = import
                .names
                .iter()
                .find(|name| !["crate", "self"].contains(&name.as_str()))?;
            Some((import.alias, module.clone()))
        })
        .collect()
}

/// Modules in files of their own that only a test build has.
fn test_only_modules(file: &File<'_>) -> Vec<Vec<String>> {
    let outline = file.syntax.items.iter().filter_map(|item| match item {
        Item::Mod(item) if item.content.is_none() && is_test_only(&item.attrs) => {
            Some(item.ident.to_string())
        }
        _ => None,
    });
    outline
        .map(|name| [file.module.clone(), vec![name]].concat())
        .collect()
}

pub(crate) struct Import {
    pub(crate) names: Vec<String>,
    alias: String,
    pub(crate) span: Span,
}

/// The paths of a `use`, one for each name it brings in; `*` for all names.
pub(crate) fn imports(tree: &UseTree) -> Vec<Import> {
    let leaf = |name: String, alias: String, span| {
        vec![Import {
            names: vec![name],
            alias,
            span,
        }]
    };
    match tree {
        UseTree::Name(name) => leaf(
            name.ident.to_string(),
            name.ident.to_string(),
            name.ident.span(),
        ),
        UseTree::Rename(name) => leaf(
            name.ident.to_string(),
            name.rename.to_string(),
            name.ident.span(),
        ),
        UseTree::Glob(glob) => leaf("*".into(), "*".into(), glob.star_token.spans[0]),
        UseTree::Group(group) => group.items.iter().flat_map(imports).collect(),
        UseTree::Path(path) => {
            let mut inner = imports(&path.tree);
            inner
                .iter_mut()
                .for_each(|import| import.names.insert(0, path.ident.to_string()));
            inner
        }
    }
}

/// `#[cfg(test)]`, also inside `all(..)`; `any(test, ..)` is in other builds too.
pub(crate) fn is_test_only(attributes: &[Attribute]) -> bool {
    fn requires_test(meta: &Meta) -> bool {
        let parts = |meta: &Meta| match meta {
            Meta::List(list) => list
                .parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)
                .ok(),
            _ => None,
        };
        meta.path().is_ident("test")
            || (meta.path().is_ident("cfg") || meta.path().is_ident("all"))
                && parts(meta).is_some_and(|parts| parts.iter().any(requires_test))
    }
    attributes
        .iter()
        .any(|attribute| requires_test(&attribute.meta))
}
