//! Templates of mapping rules: `shop/{service}`, `{service|app}`, `{annotation:summary}`; `{{` and `}}`
//! stand for braces. A template with a field that the alert lacks gives nothing, and the next rule counts.

use super::Raw;

/// A template, read once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    /// The first of these that the alert has.
    Field(Vec<Field>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Field {
    Label(String),
    Annotation(String),
}

impl Template {
    pub fn parse(text: &str) -> Result<Template, String> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text.chars().peekable();
        while let Some(c) = rest.next() {
            match c {
                '{' | '}' if rest.peek() == Some(&c) => {
                    rest.next();
                    literal.push(c);
                }
                '{' => {
                    let inner: String = rest.by_ref().take_while(|c| *c != '}').collect();
                    let fields: Vec<Field> =
                        inner.split('|').map(field).collect::<Option<_>>().ok_or_else(|| {
                            format!("`{{{inner}}}` in \"{text}\" names no label; write {{service}}, {{service|app}} or {{annotation:summary}}")
                        })?;
                    if !literal.is_empty() {
                        parts.push(Part::Text(std::mem::take(&mut literal)));
                    }
                    parts.push(Part::Field(fields));
                }
                '}' => return Err(format!("`}}` without `{{` in \"{text}\"; a brace itself is written `}}}}`")),
                c => literal.push(c),
            }
        }
        if text.matches('{').count() != text.matches('}').count() {
            return Err(format!("a `{{` in \"{text}\" is not closed"));
        }
        if !literal.is_empty() {
            parts.push(Part::Text(literal));
        }
        Ok(Template(parts))
    }

    /// The text for this alert; nothing when a field is absent or empty.
    pub fn fill(&self, raw: &Raw<'_>) -> Option<String> {
        let mut out = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Field(fields) => out.push_str(fields.iter().find_map(|field| match field {
                    Field::Label(name) => raw.labels.some(name),
                    Field::Annotation(name) => raw.annotations.some(name),
                })?),
            }
        }
        Some(out)
    }
}

fn field(text: &str) -> Option<Field> {
    let text = text.trim();
    let (field, name) = match text.strip_prefix("annotation:") {
        Some(name) => (Field::Annotation(name.to_owned()), name),
        None => (Field::Label(text.to_owned()), text),
    };
    let named = !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || matches!(c, '{' | '}'));
    named.then_some(field)
}

#[cfg(test)]
mod tests {
    use super::super::Pairs;
    use super::*;

    #[test]
    fn templates_are_filled_or_give_nothing() {
        let raw = Raw { labels: Pairs::of([("service", "varnish"), ("empty", "")]), annotations: Pairs::of([("team", "web")]), generator: "".into() };
        let fill = |text: &str| Template::parse(text).unwrap().fill(&raw);
        assert_eq!(fill("shop/{service}").as_deref(), Some("shop/varnish"));
        assert_eq!(fill("{app|service}-{annotation:team}").as_deref(), Some("varnish-web"));
        assert_eq!(fill("{{{service}}}").as_deref(), Some("{varnish}"));
        assert_eq!((fill("{missing}"), fill("x{empty}")), (None, None));
    }

    #[test]
    fn what_is_no_template_is_said() {
        for bad in ["{", "}", "{}", "a{b", "{a b}", "{annotation:}", "{a|}"] {
            assert!(Template::parse(bad).is_err(), "{bad}");
        }
    }
}
