//! The threshold in a rule's expression (PromQL), where it is a comparison with a number.
//!
//! A comparison leaves the values of its left side, or of the side that is no number, so that the value
//! beside the threshold is what Prometheus gives. Of `a > 5 and b < 3` that is `a`. What is more
//! complicated has no threshold here: the expression says it. Expressions come from outside: everything
//! is bounded, and nothing recurses further than [`DEEPEST`].

use super::Threshold;

/// Bytes of an expression that are looked at.
pub(super) const LONGEST: usize = 16 << 10;
/// How deeply a number may be in parentheses.
const DEEPEST: u32 = 32;

/// What an expression says of its value.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Rule {
    pub threshold: Option<Threshold>,
    /// Of the value, where the metric's name says it: `s`, `B`, `%`, `/s`; empty where not.
    pub unit: &'static str,
}

/// Reads an expression; nothing where it says nothing, never an error.
pub fn rule(expr: &str) -> Rule {
    if expr.len() > LONGEST {
        return Rule::default();
    }
    let tokens = tokens(expr);
    let Some(pairs) = pairs(&tokens) else { return Rule::default() };
    let whole = Part { tokens: &tokens, pairs: &pairs, from: 0, to: tokens.len() };
    let Some(first) = whole.leading() else { return Rule::default() };
    match first.comparison() {
        Some((left, compare, right)) => match (left.number(), right.number()) {
            (None, Some(limit)) => Rule { threshold: compare.threshold(limit), unit: left.unit() },
            (Some(limit), None) => Rule { threshold: compare.flipped().threshold(limit), unit: right.unit() },
            (None, None) => Rule { threshold: None, unit: left.unit() },
            (Some(_), Some(_)) => Rule::default(),
        },
        None => Rule { threshold: None, unit: first.unit() },
    }
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Token<'a> {
    Name(&'a str),
    Number(f64),
    Open,
    Close,
    Compare(Compare),
    /// `+ - * / % ^`
    Sign(char),
    /// Label matchers in braces: what stands before is a metric.
    Labels,
    /// Strings, ranges, commas, whatever else there is.
    Other,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Compare {
    Over,
    AtLeast,
    Under,
    AtMost,
    Is,
    Not,
}

impl Compare {
    const fn flipped(self) -> Compare {
        match self {
            Compare::Over => Compare::Under,
            Compare::AtLeast => Compare::AtMost,
            Compare::Under => Compare::Over,
            Compare::AtMost => Compare::AtLeast,
            Compare::Is => Compare::Is,
            Compare::Not => Compare::Not,
        }
    }

    fn threshold(self, limit: f64) -> Option<Threshold> {
        limit.is_finite().then_some(match self {
            Compare::Over => Threshold::Over(limit),
            Compare::AtLeast => Threshold::AtLeast(limit),
            Compare::Under => Threshold::Under(limit),
            Compare::AtMost => Threshold::AtMost(limit),
            Compare::Is => Threshold::Is(limit),
            Compare::Not => Threshold::Not(limit),
        })
    }
}

fn tokens(expr: &str) -> Vec<Token<'_>> {
    let mut out = Vec::new();
    let mut rest = expr;
    while let Some(c) = rest.chars().next() {
        let long = |wanted: fn(char) -> bool| rest.find(|c| !wanted(c)).unwrap_or(rest.len());
        let (token, length) = match c {
            c if c.is_whitespace() => (None, c.len_utf8()),
            '#' => (None, rest.find('\n').unwrap_or(rest.len())),
            'a'..='z' | 'A'..='Z' | '_' | ':' => {
                let end = long(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':'));
                (rest.get(..end).map(Token::Name), end)
            }
            '0'..='9' | '.' => {
                let end = number_end(rest);
                (Some(rest.get(..end).and_then(number).map_or(Token::Other, Token::Number)), end)
            }
            '"' | '\'' | '`' => (Some(Token::Other), rest.len() - after_string(rest, c).len()),
            '{' => (Some(Token::Labels), rest.len() - after_bracket(rest, '}').len()),
            '[' => (Some(Token::Other), rest.len() - after_bracket(rest, ']').len()),
            '(' => (Some(Token::Open), 1),
            ')' => (Some(Token::Close), 1),
            '+' | '-' | '*' | '/' | '%' | '^' => (Some(Token::Sign(c)), 1),
            '>' | '<' | '=' | '!' => match (c, rest.as_bytes().get(1)) {
                ('>', Some(b'=')) => (Some(Token::Compare(Compare::AtLeast)), 2),
                ('<', Some(b'=')) => (Some(Token::Compare(Compare::AtMost)), 2),
                ('=', Some(b'=')) => (Some(Token::Compare(Compare::Is)), 2),
                ('!', Some(b'=')) => (Some(Token::Compare(Compare::Not)), 2),
                ('>', _) => (Some(Token::Compare(Compare::Over)), 1),
                ('<', _) => (Some(Token::Compare(Compare::Under)), 1),
                _ => (Some(Token::Other), 1),
            },
            c => (Some(Token::Other), c.len_utf8()),
        };
        out.extend(token);
        rest = rest.get(length.max(1)..).unwrap_or("");
    }
    out
}

/// Where a number ends: digits, a point, an exponent with its sign, the letters of a duration.
fn number_end(text: &str) -> usize {
    let hex = text.starts_with("0x") || text.starts_with("0X");
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        let exponent = !hex && matches!(before, 'e' | 'E') && matches!(c, '+' | '-');
        if !(c.is_ascii_alphanumeric() || c == '.' || exponent) {
            return at;
        }
        before = c;
    }
    text.len()
}

fn number(text: &str) -> Option<f64> {
    if let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return u32::from_str_radix(hex, 16).ok().map(f64::from);
    }
    text.parse::<f64>().ok().or_else(|| duration(text))
}

/// `1h30m`: newer Prometheus reads durations as seconds.
fn duration(text: &str) -> Option<f64> {
    let mut total = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit())?;
        let (count, tail) = rest.split_at_checked(end)?;
        let letters = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at_checked(letters)?;
        let one = match unit {
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3_600.0,
            "d" => 86_400.0,
            "w" => 604_800.0,
            "y" => 31_536_000.0,
            _ => return None,
        };
        total += count.parse::<f64>().ok()? * one;
        rest = tail;
    }
    Some(total)
}

/// What follows a string that begins here; nothing when it does not end.
fn after_string(text: &str, mark: char) -> &str {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' if mark != '`' => escaped = true,
            c if c == mark => return text.get(at + c.len_utf8()..).unwrap_or(""),
            _ => {}
        }
    }
    ""
}

/// What follows braces or brackets that begin here.
fn after_bracket(text: &str, close: char) -> &str {
    let mut rest = text.get(1..).unwrap_or("");
    while let Some(c) = rest.chars().next() {
        rest = match c {
            '"' | '\'' | '`' => after_string(rest, c),
            c => rest.get(c.len_utf8()..).unwrap_or(""),
        };
        if c == close {
            return rest;
        }
    }
    ""
}

/// For each opening parenthesis the place of the one that closes it; nothing when they do not pair.
fn pairs(tokens: &[Token<'_>]) -> Option<Vec<usize>> {
    let mut out = vec![0; tokens.len()];
    let mut open = Vec::new();
    for (place, token) in tokens.iter().enumerate() {
        match token {
            Token::Open => open.push(place),
            Token::Close => *out.get_mut(open.pop()?)? = place,
            _ => {}
        }
    }
    open.is_empty().then_some(out)
}

/// A part of an expression, as places of its tokens.
#[derive(Clone, Copy)]
struct Part<'a> {
    tokens: &'a [Token<'a>],
    /// For each opening parenthesis, where it closes.
    pairs: &'a [usize],
    from: usize,
    to: usize,
}

impl<'a> Part<'a> {
    fn get(&self, place: usize) -> Option<Token<'a>> {
        self.tokens.get(place).copied().filter(|_| place < self.to)
    }

    fn between(self, from: usize, to: usize) -> Part<'a> {
        Part { from, to, ..self }
    }

    /// Without parentheses around all of it.
    fn bare(mut self) -> Part<'a> {
        while self.get(self.from) == Some(Token::Open) && self.pairs.get(self.from).is_some_and(|close| close + 1 == self.to) {
            (self.from, self.to) = (self.from + 1, self.to - 1);
        }
        self
    }

    /// The tokens that are in no parentheses, with their places.
    fn top(self) -> impl Iterator<Item = (usize, Token<'a>)> {
        let mut place = self.from;
        std::iter::from_fn(move || {
            let token = self.get(place)?;
            let here = place;
            place = if token == Token::Open { self.pairs.get(place).map_or(self.to, |close| close + 1) } else { place + 1 };
            Some((here, token))
        })
    }

    /// What `and` and `unless` leave of their first operand is its values; `or` has no one value.
    fn leading(self) -> Option<Part<'a>> {
        let mut part = self.bare();
        loop {
            let mut end = part.to;
            for (place, token) in part.top() {
                let Token::Name(name) = token else { continue };
                if name.eq_ignore_ascii_case("or") {
                    return None;
                }
                if name.eq_ignore_ascii_case("and") || name.eq_ignore_ascii_case("unless") {
                    end = end.min(place);
                }
            }
            let next = part.between(part.from, end).bare();
            if (next.from, next.to) == (part.from, part.to) {
                return (part.from < part.to).then_some(part);
            }
            part = next;
        }
    }

    /// The two sides of the only comparison. `bool` makes 0 and 1 of it, which is no comparison here.
    fn comparison(self) -> Option<(Part<'a>, Compare, Part<'a>)> {
        let mut found = self.top().filter_map(|(place, token)| if let Token::Compare(compare) = token { Some((place, compare)) } else { None });
        let (place, compare) = found.next()?;
        if found.next().is_some() || matches!(self.get(place + 1), Some(Token::Name(name)) if name.eq_ignore_ascii_case("bool")) {
            return None;
        }
        Some((self.between(self.from, place), compare, self.between(place + 1, self.to)))
    }

    /// Its number, when it is made of numbers alone: `0.9 * 1024 ^ 3`.
    fn number(self) -> Option<f64> {
        let mut at = Sum { part: self, place: self.from, depth: 0 };
        let number = at.sum()?;
        (at.place == self.to).then_some(number)
    }

    /// The unit of its values, where names and functions leave no doubt.
    fn unit(self) -> &'static str {
        let mut seen = Seen::default();
        let mut place = self.from;
        while let Some(token) = self.get(place) {
            let next = self.get(place + 1);
            match token {
                Token::Name(name) if is_grouping(name) => {
                    // Labels, not metrics.
                    if next == Some(Token::Open) {
                        place = self.pairs.get(place + 1).copied().unwrap_or(self.to);
                    }
                }
                Token::Name("offset" | "bool") => {}
                Token::Name(name) if next == Some(Token::Open) || (next.is_some_and(|next| matches!(next, Token::Name(by) if is_grouping(by)))) => {
                    seen.function(name);
                }
                Token::Name(name) => seen.metrics.push(name),
                Token::Number(number) if (number - 100.0).abs() < 1e-9 => {
                    let before = place.checked_sub(1).filter(|before| *before >= self.from).and_then(|before| self.get(before));
                    seen.percent |= next == Some(Token::Sign('*')) || before == Some(Token::Sign('*'));
                }
                Token::Sign(sign) => seen.signs.push(sign),
                Token::Number(_) | Token::Open | Token::Close | Token::Compare(_) | Token::Labels | Token::Other => {}
            }
            place += 1;
        }
        seen.unit()
    }
}

fn is_grouping(name: &str) -> bool {
    matches!(name.to_ascii_lowercase().as_str(), "by" | "without" | "on" | "ignoring" | "group_left" | "group_right")
}

/// What was seen of an expression that may tell its unit.
#[derive(Default)]
struct Seen<'a> {
    metrics: Vec<&'a str>,
    signs: Vec<char>,
    /// Something times 100.
    percent: bool,
    time: bool,
    rate: bool,
    quantile: bool,
    /// A function that makes another thing of it.
    strange: bool,
}

impl<'a> Seen<'a> {
    fn function(&mut self, name: &'a str) {
        match name.to_ascii_lowercase().as_str() {
            "time" => self.time = true,
            "rate" | "irate" => self.rate = true,
            "histogram_quantile" => self.quantile = true,
            "sum" | "avg" | "min" | "max" | "quantile" | "topk" | "bottomk" | "abs" | "ceil" | "floor" | "round" | "sort" | "sort_desc" | "label_replace"
            | "label_join" | "clamp" | "clamp_min" | "clamp_max" | "avg_over_time" | "min_over_time" | "max_over_time" | "last_over_time"
            | "quantile_over_time" => {}
            _ => self.strange = true,
        }
    }

    fn unit(&self) -> &'static str {
        if self.percent {
            return "%";
        }
        let [metric] = self.metrics.as_slice() else { return "" };
        let since = self.time && self.signs == ['-'];
        if self.strange || (!self.signs.is_empty() && !since) {
            return "";
        }
        let ends = |end: &str| metric.ends_with(end);
        match () {
            () if self.quantile => {
                if ends("_seconds_bucket") || ends("_seconds") {
                    "s"
                } else if ends("_bytes_bucket") || ends("_bytes") {
                    "B"
                } else {
                    ""
                }
            }
            () if self.rate => {
                if ends("_bytes_total") || ends("_bytes") {
                    "B/s"
                } else if ends("_seconds_total") {
                    ""
                } else if ends("_total") {
                    "/s"
                } else {
                    ""
                }
            }
            () if since || ends("_seconds") => {
                if ends("_seconds") {
                    "s"
                } else {
                    ""
                }
            }
            () if ends("_bytes") => "B",
            () if ends("_percent") => "%",
            () if ends("_celsius") => "°C",
            () => "",
        }
    }
}

/// Arithmetic on numbers: `^` before `* / %` before `+ -`, as in PromQL.
struct Sum<'a> {
    part: Part<'a>,
    place: usize,
    depth: u32,
}

impl Sum<'_> {
    fn sign(&mut self, signs: &[char]) -> Option<char> {
        match self.part.get(self.place) {
            Some(Token::Sign(sign)) if signs.contains(&sign) => {
                self.place += 1;
                Some(sign)
            }
            _ => None,
        }
    }

    fn sum(&mut self) -> Option<f64> {
        let mut total = self.product()?;
        while let Some(sign) = self.sign(&['+', '-']) {
            let next = self.product()?;
            total = if sign == '+' { total + next } else { total - next };
        }
        Some(total)
    }

    fn product(&mut self) -> Option<f64> {
        let mut total = self.power()?;
        while let Some(sign) = self.sign(&['*', '/', '%']) {
            let next = self.power()?;
            total = match sign {
                '*' => total * next,
                '/' => total / next,
                _ => total % next,
            };
        }
        Some(total)
    }

    fn power(&mut self) -> Option<f64> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return None;
        }
        let out = match self.sign(&['+', '-']) {
            Some('-') => self.power().map(|number| -number),
            Some(_) => self.power(),
            None => {
                let base = self.atom()?;
                match self.sign(&['^']) {
                    Some(_) => self.power().map(|exponent| base.powf(exponent)),
                    None => Some(base),
                }
            }
        };
        self.depth -= 1;
        out
    }

    fn atom(&mut self) -> Option<f64> {
        match self.part.get(self.place)? {
            Token::Number(number) => {
                self.place += 1;
                Some(number)
            }
            Token::Open => {
                self.place += 1;
                let number = self.sum()?;
                (self.part.get(self.place)? == Token::Close).then(|| self.place += 1)?;
                Some(number)
            }
            _ => None,
        }
    }
}
