//! Reads one file and collects what is against the order.

use std::collections::{HashMap, HashSet};

use proc_macro2::{Span, TokenStream, TokenTree};
use syn::Attribute;
use syn::visit::{self, Visit};

use crate::check::{File, Finding, imports, is_test_only};
use crate::{HOMES, may_import, rank};

pub(crate) struct Reader<'a> {
    path: &'a str,
    module: Vec<String>,
    test_only: bool,
    exports: &'a HashMap<String, String>,
    findings: Vec<Finding>,
}

impl<'a> Reader<'a> {
    pub(crate) fn read(
        file: &'a File<'_>,
        exports: &'a HashMap<String, String>,
        tests: &HashSet<Vec<String>>,
    ) -> Vec<Finding> {
        let inside_tests =
            (1..=file.module.len()).any(|length| tests.contains(&file.module[..length]));
        let test_only = inside_tests || is_test_only(&file.syntax.attrs);
        let mut reader = Self {
            path: file.path,
            module: file.module.clone(),
            test_only,
            exports,
            findings: Vec::new(),
        };
        if rank(reader.top()).is_none() {
            let rule = format!(
                "`{}` has no rank: add it to RANKS and to CONTRIBUTING.md",
                reader.top()
            );
            reader.find(1, rule);
        }
        reader.visit_file(&file.syntax);
        reader.findings
    }

    fn top(&self) -> &str {
        self.module.first().map_or("lib", String::as_str)
    }

    /// Judges one path, given by its names.
    fn judge(&mut self, names: &[String], span: Span) {
        self.judge_crate(&names[0], span);
        if let Some(to) = self
            .target(names)
            .filter(|to| !self.test_only && !may_import(self.top(), to))
        {
            let from = self.top();
            let place =
                |module| rank(module).map_or("no rank".to_owned(), |rank| format!("rank {rank}"));
            let rule = format!(
                "`{from}` ({}) imports `{to}` ({}) by `{}`: a module imports only lower ranks",
                place(from),
                place(&to),
                names.join("::"),
            );
            self.find(span.start().line, rule);
        }
    }

    fn judge_crate(&mut self, name: &str, span: Span) {
        let home = HOMES
            .iter()
            .find(|(foreign, homes)| *foreign == name && !homes.contains(&self.top()));
        if let Some((_, homes)) = home {
            let rule = format!(
                "`{}` names the crate `{name}`, whose home is `{}`",
                self.top(),
                homes.join("` and `")
            );
            self.find(span.start().line, rule);
        }
    }

    /// The top-level module that a path leads to; `None` if it does not start inside this crate.
    fn target(&self, names: &[String]) -> Option<String> {
        let relative = |name: &&String| ["self", "super"].contains(&name.as_str());
        let start = names.iter().take_while(relative).count();
        let (base, rest) = match names[0].as_str() {
            "crate" => (0, &names[1..]),
            "self" | "super" => {
                let supers = names[..start].iter().filter(|name| *name == "super");
                let depth = self.module.len().saturating_sub(supers.count());
                (depth, &names[start..])
            }
            _ => return None,
        };
        let top = self.module[..base].iter().chain(rest).next()?;
        match self.exports.get(top) {
            _ if rank(top).is_some() => Some(top.clone()),
            Some(module) => Some(module.clone()),
            None => Some("lib".to_owned()),
        }
    }

    fn find(&mut self, line: usize, rule: String) {
        let finding = Finding {
            path: self.path.to_owned(),
            line,
            rule,
        };
        // `use a::{B, C}` is one mistake, not two.
        if self.findings.last() != Some(&finding) {
            self.findings.push(finding);
        }
    }

    fn within(&mut self, attributes: &[Attribute], read: impl FnOnce(&mut Self)) {
        let outside = self.test_only;
        self.test_only |= is_test_only(attributes);
        read(self);
        self.test_only = outside;
    }

    /// Paths among the tokens of a macro call, which have no syntax tree.
    fn scan(&mut self, tokens: TokenStream) {
        let tokens: Vec<_> = tokens.into_iter().collect();
        for (at, token) in tokens.iter().enumerate() {
            match token {
                TokenTree::Group(group) => self.scan(group.stream()),
                TokenTree::Ident(first) if !continues_path(&tokens[..at]) => {
                    let names = path_from(&tokens[at..]);
                    if names.len() > 1 {
                        self.judge(&names, first.span());
                    }
                }
                _ => {}
            }
        }
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.module.push(item.ident.to_string());
        self.within(&item.attrs, |reader| visit::visit_item_mod(reader, item));
        self.module.pop();
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.within(&item.attrs, |reader| visit::visit_item_fn(reader, item));
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        self.within(&item.attrs, |reader| visit::visit_item_impl(reader, item));
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.within(&item.attrs, |reader| {
            for import in imports(&item.tree) {
                reader.judge(&import.names, import.span);
            }
        });
    }

    fn visit_item_extern_crate(&mut self, item: &'ast syn::ItemExternCrate) {
        self.judge_crate(&item.ident.to_string(), item.ident.span());
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<_> = path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string())
            .collect();
        if names.len() > 1 {
            self.judge(&names, path.segments[0].ident.span());
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        visit::visit_macro(self, call);
        self.scan(call.tokens.clone());
    }
}

fn is_colon(token: Option<&TokenTree>) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == ':')
}

/// Whether these tokens end in `name::` or in a dot, so that what follows does not begin a path.
fn continues_path(before: &[TokenTree]) -> bool {
    match before {
        [.., TokenTree::Ident(_), first, second] => is_colon(Some(first)) && is_colon(Some(second)),
        [.., TokenTree::Punct(punct)] => punct.as_char() == '.',
        _ => false,
    }
}

fn path_from(tokens: &[TokenTree]) -> Vec<String> {
    let mut names = vec![tokens[0].to_string()];
    let mut rest = &tokens[1..];
    while let [first, second, TokenTree::Ident(name), more @ ..] = rest {
        if !is_colon(Some(first)) || !is_colon(Some(second)) {
            break;
        }
        names.push(name.to_string());
        rest = more;
    }
    names
}
