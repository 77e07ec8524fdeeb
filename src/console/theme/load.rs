//! Reads a theme's TOML: `inherits`, a `[palette]` of names, and `[scopes]` that give roles a colour
//! (`"amber"`, `"#e0a458"`) or a table (`{ fg, bg, bold, dim, italic, underline, reverse }`).

use std::collections::BTreeMap;

use ratatui::style::{Color, Modifier, Style};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Role, SHIPPED};
use crate::model::nearest::{nearest, place};

/// All that is wrong with a theme, one `file:line:column: what` each.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct ThemeError(pub Vec<String>);

/// Themes inherit this deep at most, so that a circle ends.
const DEPTH: usize = 8;

/// The styles that a theme and those it inherits from name.
pub(super) type Named = BTreeMap<String, Style>;

/// A role's own style, or that of the role above it (`severity.critical`, `severity`), or plain text's.
pub(super) fn style_of(styles: &Named, role: Role) -> Style {
    let mut name = role.name();
    loop {
        if let Some(style) = styles.get(name) {
            return *style;
        }
        match name.rsplit_once('.') {
            Some((above, _)) => name = above,
            None => return Style::default(),
        }
    }
}

pub(super) fn load(name: &str, files: &[(String, String)]) -> Result<Named, ThemeError> {
    // The palettes of a whole line of themes count together: who inherits may change a colour alone.
    let mut line: Vec<(String, String)> = Vec::new();
    let mut next = Some(name.to_owned());
    while let Some(name) = next.take() {
        if line.len() >= DEPTH {
            return Err(ThemeError(vec![format!("theme {name}: themes inherit from each other in a circle, or more than {DEPTH} deep")]));
        }
        let text = find(&name, files)?;
        next = inherits(&name, &text)?;
        line.push((name, text));
    }
    let mut problems = Vec::new();
    let mut palette: BTreeMap<String, Color> = BTreeMap::new();
    let mut styles = Named::new();
    for (name, text) in line.iter().rev() {
        read(name, text, &mut palette, None, &mut problems);
    }
    for (name, text) in line.iter().rev() {
        read(name, text, &mut palette, Some(&mut styles), &mut problems);
    }
    if problems.is_empty() { Ok(styles) } else { Err(ThemeError(problems)) }
}

fn find(name: &str, files: &[(String, String)]) -> Result<String, ThemeError> {
    let user = files.iter().find(|(file, _)| file == name).map(|(_, text)| text.clone());
    let text = user.or_else(|| SHIPPED.iter().find(|(shipped, _)| *shipped == name).map(|(_, text)| (*text).to_owned()));
    text.ok_or_else(|| {
        let names: Vec<&str> = files.iter().map(|(file, _)| file.as_str()).chain(SHIPPED.iter().map(|(shipped, _)| *shipped)).collect();
        let hint = nearest(name, names.iter().copied()).map_or_else(|| format!("there are {}", names.join(", ")), |near| format!("did you mean `{near}`?"));
        ThemeError(vec![format!("there is no theme `{name}`; {hint}")])
    })
}

fn parse<'a>(name: &str, text: &'a str) -> Result<Spanned<DeTable<'a>>, ThemeError> {
    DeTable::parse(text).map_err(|error| {
        let (line, column) = place(text, error.span().map_or(0, |span| span.start));
        ThemeError(vec![format!("{name}.toml:{line}:{column}: {}", error.message().trim().replace('\n', ", "))])
    })
}

fn inherits(name: &str, text: &str) -> Result<Option<String>, ThemeError> {
    let table = parse(name, text)?;
    Ok(table.get_ref().iter().find(|(key, _)| key.get_ref() == "inherits").and_then(|(_, value)| match value.get_ref() {
        DeValue::String(other) => Some(other.to_string()),
        _ => None,
    }))
}

/// First pass (no styles): the palette. Second pass: the roles.
fn read(name: &str, text: &str, palette: &mut BTreeMap<String, Color>, styles: Option<&mut Named>, problems: &mut Vec<String>) {
    let Ok(table) = parse(name, text) else { return };
    let mut wrong = |at: usize, what: String| {
        let (line, column) = place(text, at);
        problems.push(format!("{name}.toml:{line}:{column}: {what}"));
    };
    let section = |wanted: &str| {
        table.get_ref().iter().find(|(key, _)| key.get_ref() == wanted).and_then(|(_, value)| match value.get_ref() {
            DeValue::Table(table) => Some(table),
            _ => None,
        })
    };
    let Some(styles) = styles else {
        for (key, _) in table.get_ref().iter().filter(|(key, _)| !["inherits", "palette", "scopes"].contains(&key.get_ref().as_ref())) {
            wrong(key.span().start, format!("there is no section `{}`; there are inherits, palette, scopes", key.get_ref()));
        }
        for (key, value) in section("palette").into_iter().flatten() {
            match value.get_ref() {
                DeValue::String(text) => match colour(text, palette) {
                    Ok(colour) => {
                        palette.insert(key.get_ref().to_string(), colour);
                    }
                    Err(error) => wrong(value.span().start, error),
                },
                _ => wrong(value.span().start, "a colour is written as text, like \"#e0a458\"".into()),
            }
        }
        return;
    };
    for (key, value) in section("scopes").into_iter().flatten() {
        let scope: &str = key.get_ref();
        let known = Role::ALL.iter().any(|role| role.name() == scope || role.name().strip_prefix(scope).is_some_and(|rest| rest.starts_with('.')));
        if !known {
            let hint = nearest(scope, Role::ALL.iter().map(|role| role.name())).map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            wrong(key.span().start, format!("there is no scope `{scope}`{hint}"));
            continue;
        }
        match style(value, palette) {
            Ok(style) => {
                styles.insert(scope.to_owned(), style);
            }
            Err((at, error)) => wrong(at, error),
        }
    }
}

fn style(value: &Spanned<DeValue<'_>>, palette: &BTreeMap<String, Color>) -> Result<Style, (usize, String)> {
    let mut style = Style::default();
    match value.get_ref() {
        DeValue::String(text) => style.fg = Some(colour(text, palette).map_err(|error| (value.span().start, error))?),
        DeValue::Table(table) => {
            for (key, part) in table {
                let name: &str = key.get_ref();
                let modifier = match (name, part.get_ref()) {
                    ("fg" | "bg", DeValue::String(text)) => {
                        let colour = colour(text, palette).map_err(|error| (part.span().start, error))?;
                        if name == "fg" {
                            style.fg = Some(colour);
                        } else {
                            style.bg = Some(colour);
                        }
                        continue;
                    }
                    ("bold", DeValue::Boolean(_)) => Modifier::BOLD,
                    ("dim", DeValue::Boolean(_)) => Modifier::DIM,
                    ("italic", DeValue::Boolean(_)) => Modifier::ITALIC,
                    ("underline", DeValue::Boolean(_)) => Modifier::UNDERLINED,
                    ("reverse", DeValue::Boolean(_)) => Modifier::REVERSED,
                    ("crossed", DeValue::Boolean(_)) => Modifier::CROSSED_OUT,
                    _ => {
                        let text = format!("`{name}` is not fg or bg with a colour, nor bold, dim, italic, underline, reverse or crossed with true or false");
                        return Err((key.span().start, text));
                    }
                };
                if matches!(part.get_ref(), DeValue::Boolean(true)) {
                    style = style.add_modifier(modifier);
                }
            }
        }
        _ => return Err((value.span().start, "a style is a colour, or a table like { fg = \"amber\", bold = true }".into())),
    }
    Ok(style)
}

const NAMES: &[(&str, Color)] = &[
    ("default", Color::Reset),
    ("black", Color::Black),
    ("red", Color::Red),
    ("green", Color::Green),
    ("yellow", Color::Yellow),
    ("blue", Color::Blue),
    ("magenta", Color::Magenta),
    ("cyan", Color::Cyan),
    ("gray", Color::Gray),
    ("dark-gray", Color::DarkGray),
    ("light-red", Color::LightRed),
    ("light-green", Color::LightGreen),
    ("light-yellow", Color::LightYellow),
    ("light-blue", Color::LightBlue),
    ("light-magenta", Color::LightMagenta),
    ("light-cyan", Color::LightCyan),
    ("white", Color::White),
];

/// `#rrggbb`, a number of xterm's 256, a name of the palette, or one of the terminal's 16.
fn colour(text: &str, palette: &BTreeMap<String, Color>) -> Result<Color, String> {
    if let Some(hex) = text.strip_prefix('#') {
        return match u32::from_str_radix(hex, 16) {
            Ok(rgb) if hex.len() == 6 => {
                let [_, r, g, b] = rgb.to_be_bytes();
                Ok(Color::Rgb(r, g, b))
            }
            _ => Err(format!("`{text}` is no colour; write it like #e0a458")),
        };
    }
    if let Some(colour) = palette.get(text) {
        return Ok(*colour);
    }
    if let Some((_, colour)) = NAMES.iter().find(|(name, _)| *name == text) {
        return Ok(*colour);
    }
    if let Ok(index) = text.parse::<u8>() {
        return Ok(Color::Indexed(index));
    }
    let names = palette.keys().map(String::as_str).chain(NAMES.iter().map(|(name, _)| *name));
    Err(match nearest(text, names) {
        Some(near) => format!("there is no colour `{text}`; did you mean `{near}`?"),
        None => format!("there is no colour `{text}`; write it like #e0a458, or name one of the palette"),
    })
}
