//! Structured Fields (RFC 9651) as a strict reader sees them: what it cannot read, a cache ignores as a whole.
//!
//! Written from the grammar of the RFC and nothing else, so that what the layer writes is not checked by what has written it.
//! Dictionaries and lists of integers, booleans, tokens and strings; what the layer never writes is not read.

/// A value without its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Bare {
    Integer(i64),
    Boolean(bool),
    Token(String),
    Text(String),
}

/// A value with its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) bare: Bare,
    pub(crate) parameters: Vec<(String, Bare)>,
}

impl Item {
    pub(crate) fn parameter(&self, name: &str) -> Option<&Bare> {
        let named = self.parameters.iter().find(|(own, _)| own == name);
        named.map(|(_, bare)| bare)
    }
}

/// The members of a dictionary; `None` if it is empty or not one.
pub(crate) fn dictionary(text: &str) -> Option<Vec<(String, Item)>> {
    let mut reader = Reader(text.trim_matches(' '));
    let mut members: Vec<(String, Item)> = Vec::new();
    loop {
        let key = reader.key()?;
        let item = if reader.takes('=') {
            reader.item()?
        } else {
            reader.with_parameters(Bare::Boolean(true))?
        };
        // A key that comes twice is legal, and a trap: the last one counts.
        if members.iter().any(|(earlier, _)| *earlier == key) {
            return None;
        }
        members.push((key, item));
        if !reader.goes_on()? {
            return Some(members);
        }
    }
}

/// The members of a list; `None` if it is empty or not one.
pub(crate) fn list(text: &str) -> Option<Vec<Item>> {
    let mut reader = Reader(text.trim_matches(' '));
    let mut members = Vec::new();
    loop {
        members.push(reader.item()?);
        if !reader.goes_on()? {
            return Some(members);
        }
    }
}

struct Reader<'a>(&'a str);

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.0.chars().next()
    }

    fn takes(&mut self, expected: char) -> bool {
        let rest = self.0.strip_prefix(expected);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn take_while(&mut self, fits: impl Fn(char) -> bool) -> String {
        let end = self.0.find(|c| !fits(c)).unwrap_or(self.0.len());
        let (taken, rest) = self.0.split_at(end);
        self.0 = rest;
        taken.to_owned()
    }

    /// Whether another member follows; `None` if something else does.
    fn goes_on(&mut self) -> Option<bool> {
        self.take_while(|c| c == ' ' || c == '\t');
        if self.0.is_empty() {
            return Some(false);
        }
        let comma = self.takes(',');
        self.take_while(|c| c == ' ' || c == '\t');
        (comma && !self.0.is_empty()).then_some(true)
    }

    fn key(&mut self) -> Option<String> {
        let starts = self
            .peek()
            .is_some_and(|c| c.is_ascii_lowercase() || c == '*');
        let rest = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-.*".contains(c);
        starts.then(|| self.take_while(rest))
    }

    fn item(&mut self) -> Option<Item> {
        let bare = self.bare()?;
        self.with_parameters(bare)
    }

    fn with_parameters(&mut self, bare: Bare) -> Option<Item> {
        let mut parameters = Vec::new();
        while self.takes(';') {
            self.take_while(|c| c == ' ');
            let name = self.key()?;
            let value = if self.takes('=') {
                self.bare()?
            } else {
                Bare::Boolean(true)
            };
            parameters.push((name, value));
        }
        Some(Item { bare, parameters })
    }

    fn bare(&mut self) -> Option<Bare> {
        match self.peek()? {
            '"' => self.text(),
            '?' => self.boolean(),
            c if c == '-' || c.is_ascii_digit() => self.integer(),
            c if c.is_ascii_alphabetic() || c == '*' => {
                let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~:/".contains(c);
                Some(Bare::Token(self.take_while(token)))
            }
            _ => None,
        }
    }

    fn integer(&mut self) -> Option<Bare> {
        let sign = if self.takes('-') { -1 } else { 1 };
        let digits = self.take_while(|c| c.is_ascii_digit());
        let number: i64 = (digits.len() <= 15)
            .then(|| digits.parse().ok())
            .flatten()?;
        (self.peek() != Some('.')).then_some(Bare::Integer(sign * number))
    }

    fn boolean(&mut self) -> Option<Bare> {
        self.takes('?');
        if self.takes('1') {
            Some(Bare::Boolean(true))
        } else {
            self.takes('0').then_some(Bare::Boolean(false))
        }
    }

    fn text(&mut self) -> Option<Bare> {
        self.takes('"');
        let mut text = String::new();
        loop {
            text += &self.take_while(|c| (' '..='~').contains(&c) && c != '"' && c != '\\');
            if self.takes('"') {
                return Some(Bare::Text(text));
            }
            if !self.takes('\\') {
                return None;
            }
            let escaped = self.peek().filter(|c| *c == '"' || *c == '\\')?;
            self.takes(escaped);
            text.push(escaped);
        }
    }
}

#[test]
fn the_reader_takes_what_the_rfc_shows() {
    let policy = dictionary("max-age=600, stale-while-revalidate=60,must-revalidate").unwrap();
    let statuses = list("ExampleCache; hit; ttl=-5, \"CDN\\\" Ltd\";fwd=stale;stored=?0").unwrap();

    assert_eq!(policy[0].1.bare, Bare::Integer(600));
    assert_eq!(policy[2].1.bare, Bare::Boolean(true));
    assert_eq!(statuses[0].parameter("ttl"), Some(&Bare::Integer(-5)));
    assert_eq!(statuses[1].bare, Bare::Text("CDN\" Ltd".to_owned()));
    assert_eq!(statuses[1].parameter("stored"), Some(&Bare::Boolean(false)));
}

#[test]
fn the_reader_refuses_what_caches_ignore() {
    for broken in [
        "",
        "Max-Age=5",
        "max-age=",
        "max-age=5,",
        "max-age=5.5",
        "a b",
        "max-age='5'",
        "a, a",
        "max-age=1234567890123456",
        "\u{e9}",
    ] {
        assert_eq!(dictionary(broken), None, "{broken}");
    }
    for broken in ["", "\"a", "a,,b", "a;;b", "\"\u{e9}\"", "a;=1", "\"\\a\""] {
        assert_eq!(list(broken), None, "{broken}");
    }
}
