//! JSON of libFuzzer's choice: a valid object with some other values, or any text.

use arbitrary::{Result, Unstructured};
use serde_json::{Map, Number, Value, json};

/// Most changes of one object.
const EDITS: usize = 8;
/// Deepest nesting of a made value.
const DEPTH: usize = 4;
/// Most members and items of one made value.
const MEMBERS: usize = 4;

/// A base with some of its values changed, removed or added. `words` are keys and strings that mean
/// something.
///
/// # Errors
/// Never; `arbitrary`'s functions could.
pub fn edited(u: &mut Unstructured<'_>, base: &Value, words: &[&str]) -> Result<Value> {
    let mut value = base.clone();
    for _ in 0..EDITS {
        if u.is_empty() {
            break;
        }
        edit(&mut value, u, words)?;
    }
    Ok(value)
}

/// Goes down from the root, and changes what is there.
fn edit(root: &mut Value, u: &mut Unstructured<'_>, words: &[&str]) -> Result<()> {
    let mut value = root;
    loop {
        let has_some = match &*value {
            Value::Object(members) => !members.is_empty(),
            Value::Array(items) => !items.is_empty(),
            _ => false,
        };
        if !has_some || !u.ratio(7, 8)? {
            *value = made(u, words, DEPTH)?;
            return Ok(());
        }
        let removes = u.ratio(1, 12)?;
        value = match value {
            Value::Object(members) => {
                let at = u.choose_index(members.len() + 1)?;
                let key = match members.keys().nth(at) {
                    Some(key) => key.clone(),
                    None => (*u.choose(words)?).to_owned(),
                };
                if removes {
                    members.remove(&key);
                    return Ok(());
                }
                members.entry(key).or_insert(Value::Null)
            }
            Value::Array(items) => {
                let at = u.choose_index(items.len())?;
                if removes {
                    items.remove(at);
                    return Ok(());
                }
                if u.ratio(1, 8)? {
                    let copied = items[at].clone();
                    items.push(copied);
                }
                &mut items[at]
            }
            _ => return Ok(()),
        };
    }
}

/// Any value.
///
/// # Errors
/// Never; `arbitrary`'s functions could.
pub fn made(u: &mut Unstructured<'_>, words: &[&str], depth: usize) -> Result<Value> {
    Ok(match u.int_in_range(0..=if depth == 0 { 9 } else { 12 })? {
        0 => Value::Null,
        1 => json!(u.arbitrary::<bool>()?),
        2 => json!(u.int_in_range(0..=9)?),
        3 => json!(u.arbitrary::<u16>()?),
        4 => json!(u.arbitrary::<i64>()?),
        5 => Number::from_f64(u.arbitrary()?).map_or(Value::Null, Value::Number),
        6..=8 => json!(u.choose(words)?),
        9 => json!(u.arbitrary::<String>()?),
        10 => {
            let items = u.int_in_range(0..=MEMBERS)?;
            (0..items).map(|_| made(u, words, depth - 1)).collect::<Result<Vec<_>>>()?.into()
        }
        _ => {
            let mut members = Map::new();
            for _ in 0..u.int_in_range(0..=MEMBERS)? {
                members.insert((*u.choose(words)?).to_owned(), made(u, words, depth - 1)?);
            }
            members.into()
        }
    })
}
