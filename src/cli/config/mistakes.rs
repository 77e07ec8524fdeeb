//! Every mistake of a file in one run. A reader stops at the first thing that is wrong; so what is wrong
//! is noted, cut out of the table, and the rest is read again, until it is right or nothing can be cut.

use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::toml_file::{DEEPEST, too_deep, words};
use crate::model::nearest::{nearest, place};

/// Mistakes that are told of one file. With more than that, it is another file than was meant.
const MOST: usize = 100;

/// What is wrong, and where in the text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mistake {
    pub span: Option<Range<usize>>,
    pub why: String,
    /// What to do; may be empty.
    pub hint: String,
}

impl Mistake {
    pub fn of(error: &toml::de::Error) -> Mistake {
        let (why, hint) = words(error);
        Mistake { span: error.span(), why, hint }
    }

    /// `file:line:column: what. Hint`.
    pub fn line(&self, path: &Path, text: &str) -> String {
        let (line, column) = self.span.as_ref().map_or((1, 1), |span| place(text, span.start));
        let hint = if self.hint.is_empty() { String::new() } else { format!(". {}", self.hint) };
        format!("{}:{line}:{column}: {}{hint}", path.display(), self.why)
    }
}

/// Reads the text with `read`, and says all that is wrong, in the order of the text; and what could be
/// read of it, without what is wrong.
pub fn mistakes<T>(text: &str, read: impl Fn(DeTable<'_>) -> Result<T, Mistake>) -> (Option<T>, Vec<Mistake>) {
    if let Some(at) = too_deep(text) {
        let why = format!("brackets within brackets, more than {DEEPEST} deep");
        return (None, vec![Mistake { span: Some(at..at), why, hint: "Flatten it".into() }]);
    }
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut found: Vec<Mistake> = errors.iter().map(Mistake::of).collect();
    // A table that was read half has holes: what would be said of it is not true of the file.
    let whole = found.is_empty();
    let mut table = table.into_inner();
    let mut gone: Vec<String> = Vec::new();
    let mut read_at_last = None;
    while whole && found.len() < MOST {
        match read(table.clone()) {
            Ok(value) => {
                read_at_last = Some(value);
                break;
            }
            Err(mistake) => {
                let cut = mistake.span.as_ref().and_then(|span| cut(&mut table, span));
                // What was cut out is not missing.
                let missing = mistake.why.strip_prefix("missing field `").and_then(|rest| rest.split('`').next());
                let follows = missing.is_some_and(|name| gone.iter().any(|gone| gone == name || nearest(gone, [name]).is_some()));
                if !follows {
                    found.push(mistake);
                }
                match cut {
                    Some(name) => gone.push(name),
                    None => break,
                }
            }
        }
    }
    found.sort_by_key(|mistake| mistake.span.as_ref().map_or(usize::MAX, |span| span.start));
    found.truncate(MOST);
    (read_at_last, found)
}

/// Takes out the innermost entry that the span lies in; says its name.
fn cut(table: &mut DeTable<'_>, span: &Range<usize>) -> Option<String> {
    let inner = table.iter_mut().find_map(|(_, value)| cut_value(value, span));
    if inner.is_some() {
        return inner;
    }
    let covers = |whole: Range<usize>| whole.start <= span.start && span.end <= whole.end;
    let found = table.iter().find(|(key, value)| covers(key.span()) || covers(value.span())).map(|(key, _)| key.clone())?;
    table.remove(&found);
    Some(found.get_ref().to_string())
}

fn cut_value(value: &mut Spanned<DeValue<'_>>, span: &Range<usize>) -> Option<String> {
    match value.get_mut() {
        DeValue::Table(table) => cut(table, span),
        DeValue::Array(list) => {
            let inner = list.iter_mut().find_map(|value| cut_value(value, span));
            if inner.is_some() {
                return inner;
            }
            let at = list.iter().position(|value| value.span().start <= span.start && span.end <= value.span().end)?;
            *list = list.iter().enumerate().filter(|(i, _)| *i != at).map(|(_, value)| value.clone()).collect();
            Some(String::new())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    fn server(text: &str) -> Vec<String> {
        let read = |table: DeTable<'_>| {
            let table = toml::de::Deserializer::from(Spanned::new(0..text.len(), table));
            crate::server::Config::deserialize(table).map_err(|error| Mistake::of(&error))
        };
        mistakes(text, read).1.iter().map(|mistake| mistake.line(Path::new("s.toml"), text)).collect()
    }

    #[test]
    fn all_that_is_wrong_is_said_once_and_in_order() {
        let said = server(
            "lisen = \"127.0.0.1:1\"\nname = 7\n[rules]\ngrace = \"soon\"\nattemps = 2\n[[system]]\nid = \"a\"\n[[system]]\nid = \"b c\"\ntitel = \"x\"\n[[source]]\nkind = \"prometheus\"\nulr = \"http://x\"\n[retention]\nkeep = \"9d\"\n",
        );
        let places: Vec<&str> = said.iter().map(|line| line.split(": ").next().unwrap()).collect();
        assert_eq!(places, ["s.toml:1:1", "s.toml:2:8", "s.toml:4:9", "s.toml:5:1", "s.toml:9:6", "s.toml:10:1", "s.toml:13:1"], "{said:#?}");
        assert!(
            said[0].ends_with("Did you mean `listen`?") && said[5].ends_with("Did you mean `title`?") && said[6].ends_with("Did you mean `url`?"),
            "{said:#?}"
        );
    }

    #[test]
    fn what_is_missing_is_said_where_it_is_missing() {
        let said = server("[[source]]\nkind = \"prometheus\"\n\n[[source]]\nurl = \"http://x\"\n");
        assert_eq!(said.len(), 2, "{said:#?}");
        assert!(said[0].starts_with("s.toml:1:1: missing field `url`") && said[1].starts_with("s.toml:4:1: missing field `kind`"), "{said:#?}");
    }

    #[test]
    fn every_slip_of_the_pen_is_said() {
        let said = server("name = \"x\nenv = \nlisten = \"127.0.0.1:1\"\nname = \"y\"\n");
        assert!(said.len() >= 2, "{said:#?}");
        assert!(said[0].starts_with("s.toml:1:"), "{said:#?}");
    }

    #[test]
    fn b1_deep_nesting_is_refused_before_it_is_read() {
        let said = server(&format!("name = {}{}", "[".repeat(100_000), "]".repeat(100_000)));
        assert!(said.len() == 1 && said[0].contains("deep"), "{said:?}");
    }
}
