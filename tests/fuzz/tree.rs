//! Good examples in JSON whose parts changed their places: what a program says that knows the format and means harm.

use bolero::TypeGenerator;
use serde_json::{Value, json};

/// An example by its number, and what is done to it.
#[derive(Clone, Debug, TypeGenerator)]
pub struct Moved {
    example: u16,
    moves: Vec<Move>,
}

#[derive(Clone, Debug, TypeGenerator)]
enum Move {
    /// One part stands where another of its kind stood.
    Copy(u16, u16),
    /// Whatever stood there.
    Replace(u16, u16),
    Extreme(u16, u8),
    Drop(u16),
    Twice(u16),
    /// A name of a part becomes another's.
    Rename(u16, u16),
}

/// Every part, and its place: depth first.
fn places(value: &Value) -> Vec<String> {
    fn visit(value: &Value, at: &str, out: &mut Vec<String>) {
        out.push(at.to_owned());
        match value {
            Value::Array(items) => items.iter().enumerate().for_each(|(place, item)| visit(item, &format!("{at}/{place}"), out)),
            Value::Object(map) => map.iter().for_each(|(key, item)| visit(item, &format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")), out)),
            _ => {}
        }
    }
    let mut out = Vec::new();
    visit(value, "", &mut out);
    out
}

fn extreme(number: u8) -> Value {
    match number % 16 {
        0 => json!(0),
        1 => json!(-1),
        2 => json!(u64::MAX),
        3 => json!(i64::MAX),
        4 => json!(i64::MIN),
        5 => json!(1.0e308),
        6 => json!(""),
        7 => json!("x".repeat(3_000)),
        8 => json!(null),
        9 => json!([]),
        10 => json!({}),
        11 => json!(true),
        12 => json!("shop/varnish"),
        13 => json!("\u{202e}\u{1b}]0;x\u{7}"),
        14 => json!("9999-12-31T23:59:59Z"),
        _ => json!("-009999-01-01T00:00:00Z"),
    }
}

impl Moved {
    /// Nothing: the example is no JSON.
    pub fn of(&self, examples: &[Vec<u8>]) -> Option<Vec<u8>> {
        let mut value: Value = serde_json::from_slice(&examples[usize::from(self.example) % examples.len()]).ok()?;
        for one in self.moves.iter().take(12) {
            let places = places(&value);
            let place = |at: u16| places[usize::from(at) % places.len()].as_str();
            match *one {
                Move::Copy(from, to) => {
                    let part = value.pointer(place(from))?.clone();
                    let kind = std::mem::discriminant(&part);
                    // The next of the same kind.
                    let to = places.iter().cycle().skip(usize::from(to) % places.len()).take(places.len());
                    let to = to.into_iter().find(|to| value.pointer(to).is_some_and(|there| std::mem::discriminant(there) == kind && *there != part));
                    if let Some(there) = to.and_then(|to| value.pointer_mut(to)) {
                        *there = part;
                    }
                }
                Move::Replace(from, to) => {
                    let part = value.pointer(place(from))?.clone();
                    *value.pointer_mut(place(to))? = part;
                }
                Move::Extreme(at, number) => *value.pointer_mut(place(at))? = extreme(number),
                Move::Drop(at) | Move::Twice(at) => {
                    let Some((above, key)) = place(at).rsplit_once('/') else { continue };
                    match value.pointer_mut(above) {
                        Some(Value::Array(items)) => {
                            let at = key.parse().unwrap_or(0).min(items.len().saturating_sub(1));
                            if matches!(one, Move::Drop(_)) {
                                items.remove(at);
                            } else {
                                items.insert(at, items[at].clone());
                            }
                        }
                        Some(Value::Object(map)) if matches!(one, Move::Drop(_)) => {
                            map.remove(&key.replace("~1", "/").replace("~0", "~"));
                        }
                        _ => {}
                    }
                }
                Move::Rename(at, to) => {
                    let name = place(to).rsplit('/').next().unwrap_or_default().replace("~1", "/").replace("~0", "~");
                    let Some((above, key)) = place(at).rsplit_once('/') else { continue };
                    if let Some(Value::Object(map)) = value.pointer_mut(above)
                        && let Some(part) = map.remove(&key.replace("~1", "/").replace("~0", "~"))
                    {
                        map.insert(name, part);
                    }
                }
            }
            if value.to_string().len() > 256 << 10 {
                break;
            }
        }
        serde_json::to_vec(&value).ok()
    }
}
