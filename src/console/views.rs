//! Saved views: a pane with its filter, grouping and order, under a name. They stand in `views.toml` beside the
//! console's configuration, where a person may write them too; what is changed from the console changes that
//! view alone, and leaves comments and the rest as they are.

use toml::Spanned;
use toml::de::{DeTable, DeValue};
use toml_edit::{DocumentMut, Item, Table, value};

use crate::command::{Argument, GroupBy, Pane, SortBy};
use crate::model::filter::Filter;
use crate::model::nearest::{nearest, place};
use crate::model::time::Time;

/// Bytes of a name.
const LONGEST: usize = 60;
/// Views that a file may hold.
pub const MOST: usize = 500;

#[derive(Clone, PartialEq, Debug)]
pub struct View {
    pub name: String,
    pub pane: Pane,
    /// As the filter language has it; empty for everything.
    pub filter: String,
    pub group: Option<GroupBy>,
    pub sort: Option<SortBy>,
}

impl View {
    /// What it is, in words: "alerts, severity:critical, by system".
    pub fn words(&self) -> String {
        let mut out = self.pane.title().to_owned();
        if !self.filter.is_empty() {
            out.push_str(&format!(", {}", self.filter));
        }
        if let Some(group) = self.group {
            out.push_str(&format!(", by {group}"));
        }
        if let Some(sort) = self.sort {
            out.push_str(&format!(", sorted by {sort}"));
        }
        out
    }
}

/// What is to become of the file.
#[derive(Clone, PartialEq, Debug)]
pub enum Change {
    Save(View),
    Remove(String),
    Rename(String, String),
}

/// Whether it can be a view's name.
pub fn check_name(name: &str) -> Result<(), String> {
    match name {
        "" => Err("a view needs a name".to_owned()),
        name if name.len() > LONGEST => Err(format!("a view's name has at most {LONGEST} bytes")),
        name if name.chars().any(char::is_control) => Err("a view's name has no control characters".to_owned()),
        _ => Ok(()),
    }
}

/// The views of a file, and all that is wrong with it: `file:line:column: what` each. What is right counts.
pub fn read(text: &str, name: &str) -> (Vec<View>, Vec<String>) {
    let mut reader = Reader { text, file: name, problems: Vec::new() };
    let mut views = Vec::new();
    match DeTable::parse(text) {
        Ok(table) => {
            for (key, content) in table.get_ref() {
                views.extend(reader.view(key.get_ref(), key.span().start, content));
            }
        }
        Err(error) => reader.wrong(error.span().map_or(0, |span| span.start), &error.message().trim().replace('\n', ", ")),
    }
    if views.len() > MOST {
        reader.problems.push(format!("{name}: more than {MOST} views; the rest is left out"));
        views.truncate(MOST);
    }
    (views, reader.problems)
}

struct Reader<'a> {
    text: &'a str,
    file: &'a str,
    problems: Vec<String>,
}

impl Reader<'_> {
    fn wrong(&mut self, at: usize, what: &str) {
        let (line, column) = place(self.text, at);
        self.problems.push(format!("{}:{line}:{column}: {what}", self.file));
    }

    fn view(&mut self, name: &str, at: usize, content: &Spanned<DeValue<'_>>) -> Option<View> {
        if let Err(why) = check_name(name) {
            self.wrong(at, &why);
            return None;
        }
        let DeValue::Table(fields) = content.get_ref() else {
            self.wrong(at, &format!("`{name}` must be a section, written `[{name}]`"));
            return None;
        };
        let mut view = View { name: name.to_owned(), pane: Pane::Alerts, filter: String::new(), group: None, sort: None };
        let before = self.problems.len();
        for (key, part) in fields {
            let at = part.span().start;
            let DeValue::String(text) = part.get_ref() else {
                self.wrong(at, &format!("`{}` is written as text", key.get_ref()));
                continue;
            };
            let outcome = match key.get_ref().as_ref() {
                "pane" => named_pane(text).map(|pane| view.pane = pane),
                "filter" => {
                    Filter::new(text, Time::from_secs(0), &jiff::tz::TimeZone::UTC).map(|_| view.filter = text.to_string()).map_err(|error| error.to_string())
                }
                "group" => GroupBy::read(text).map(|group| view.group = Some(group)),
                "sort" => SortBy::read(text).map(|sort| view.sort = Some(sort)),
                other => {
                    const FIELDS: [&str; 4] = ["pane", "filter", "group", "sort"];
                    let hint = nearest(other, FIELDS).map_or_else(|| format!("there are {}", FIELDS.join(", ")), |near| format!("did you mean `{near}`?"));
                    self.wrong(key.span().start, &format!("a view has no `{other}`; {hint}"));
                    continue;
                }
            };
            if let Err(why) = outcome {
                self.wrong(at, &why);
            }
        }
        (self.problems.len() == before).then_some(view)
    }
}

fn named_pane(text: &str) -> Result<Pane, String> {
    Pane::named(text).ok_or_else(|| {
        let panes = Pane::ALL.map(Pane::name);
        let hint = nearest(text, panes).map_or_else(|| format!("there are {}", panes.join(", ")), |near| format!("did you mean `{near}`?"));
        format!("there is no pane `{text}`; {hint}")
    })
}

/// The file's text with a change made to it.
pub fn changed(text: &str, change: &Change) -> Result<String, String> {
    let mut document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| error.message().trim().replace('\n', ", "))?;
    let table = document.as_table_mut();
    match change {
        Change::Save(view) => {
            check_name(&view.name)?;
            let mut fields = match table.remove(&view.name) {
                Some(Item::Table(fields)) => fields,
                Some(_) | None => Table::new(),
            };
            fields.insert("pane", value(view.pane.name()));
            let optional = [
                ("filter", (!view.filter.is_empty()).then(|| view.filter.clone())),
                ("group", view.group.map(|group| group.word().to_owned())),
                ("sort", view.sort.map(|sort| sort.word().to_owned())),
            ];
            for (name, field) in optional {
                match field {
                    Some(text) => fields.insert(name, value(text)),
                    None => fields.remove(name),
                };
            }
            table.insert(&view.name, Item::Table(fields));
        }
        Change::Remove(name) => {
            table.remove(name).ok_or_else(|| format!("there is no view `{name}`"))?;
        }
        Change::Rename(from, to) => {
            check_name(to)?;
            if table.contains_key(to) {
                return Err(format!("there is a view `{to}` already"));
            }
            let fields = table.remove(from).ok_or_else(|| format!("there is no view `{from}`"))?;
            table.insert(to, fields);
        }
    }
    Ok(document.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn night() -> View {
        View { name: "night shift".into(), pane: Pane::Alerts, filter: "severity:critical not state:acked".into(), group: Some(GroupBy::System), sort: None }
    }

    #[test]
    fn a_view_is_saved_renamed_and_removed_and_the_rest_stays() {
        let text = "# mine\n[disks]\nfilter = \"kind:alert.*\" # all of them\n";
        let saved = changed(text, &Change::Save(night())).unwrap();
        let (views, problems) = read(&saved, "views.toml");
        assert!(problems.is_empty() && views.len() == 2 && views.contains(&night()), "{views:?} {problems:?}");
        assert!(saved.starts_with("# mine") && saved.contains("# all of them"));
        let renamed = changed(&saved, &Change::Rename("night shift".into(), "night".into())).unwrap();
        assert!(changed(&renamed, &Change::Rename("disks".into(), "night".into())).unwrap_err().contains("already"));
        assert_eq!(read(&renamed, "views.toml").0.iter().map(|view| view.name.as_str()).collect::<Vec<_>>(), ["disks", "night"]);
        let removed = changed(&renamed, &Change::Remove("night".into())).unwrap();
        assert_eq!(removed, text);
        assert!(changed(text, &Change::Remove("nigth".into())).is_err());
    }

    #[test]
    fn mistakes_have_their_place_and_spoil_no_other_view() {
        let text = "[a]\npane = \"alert\"\n[b]\nfilter = \"severty:critical\"\n[c]\nsrot = \"age\"\n[good]\nsort = \"age\"\n";
        let (views, problems) = read(text, "views.toml");
        assert_eq!(views.iter().map(|view| view.name.as_str()).collect::<Vec<_>>(), ["good"]);
        assert_eq!(problems[0], "views.toml:2:8: there is no pane `alert`; did you mean `alerts`?");
        assert!(problems[1].starts_with("views.toml:4:10: column 1"), "{}", problems[1]);
        assert_eq!(problems[2], "views.toml:6:1: a view has no `srot`; did you mean `sort`?");
        assert!(read("[a\n", "v").1[0].starts_with("v:1:"));
    }

    proptest! {
        #[test]
        fn what_is_saved_is_read_again(name in "[^\\p{Cc}]{1,20}", filter in prop::sample::select(vec!["", "severity:warning+", "\"exact words\" or label.env=prod"])) {
            let view = View { name, pane: Pane::Timeline, filter: filter.into(), group: None, sort: Some(SortBy::Age) };
            let text = changed("", &Change::Save(view.clone())).unwrap();
            prop_assert_eq!(read(&text, "v"), (vec![view], vec![]));
        }
    }
}
