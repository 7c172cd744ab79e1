//! Paths to values among the locals of a frame: `entry.sum`, `items[3].name`.

use crate::event::{Frame, Value};

/// Looks a path such as `entry.sum` or `items[3].name` up among the locals of a frame.
///
/// # Errors
///
/// When there is nothing of that name; the message says what there is.
pub fn look_up<'a>(frame: &'a Frame, path: &str) -> Result<&'a Value, String> {
    let mut parts = segments(path).into_iter();
    let Some(first) = parts.next() else { return Err("name a variable, such as one of those listed here".to_owned()) };
    let Some(local) = frame.locals.iter().find(|local| local.name == first) else {
        let known: Vec<_> = frame.locals.iter().map(|local| local.name.as_str()).collect();
        let known =
            if known.is_empty() { "no variables here".to_owned() } else { format!("here are {}", known.join(", ")) };
        return Err(format!("no variable {first:?}: {known}"));
    };
    let mut value = &local.value;
    let mut so_far = first;
    for part in parts {
        value = behind_pointers(value, &part);
        let Some((_, child)) = value.children.iter().find(|(name, _)| strip(name) == part) else {
            let known: Vec<_> = value.children.iter().map(|(name, _)| name.as_str()).take(12).collect();
            let known =
                if known.is_empty() { "it has no parts".to_owned() } else { format!("it has {}", known.join(", ")) };
            return Err(format!("no {part:?} in {so_far}: {known}"));
        };
        so_far = format!("{so_far}.{part}");
        value = child;
    }
    Ok(value)
}

/// What a path goes on in: as in Rust, a part of what a reference or a box points to is named without `*`.
fn behind_pointers<'a>(mut value: &'a Value, part: &str) -> &'a Value {
    while let [(name, target)] = &value.children[..]
        && name == "*"
        && part != "*"
    {
        value = target;
    }
    value
}

/// The ways to go on with a path that is being typed: full paths.
pub fn completions(frame: &Frame, typed: &str) -> Vec<String> {
    let cut = typed.rfind(['.', '[']).map_or(0, |at| at + 1);
    let (base, tail) = typed.split_at(cut);
    if cut == 0 {
        let names = frame.locals.iter().map(|local| local.name.clone());
        return names.filter(|name| name.starts_with(tail)).collect();
    }
    let Ok(value) = look_up(frame, base.trim_end_matches(['.', '['])) else { return Vec::new() };
    let value = behind_pointers(value, tail);
    let parts = value.children.iter().map(|(name, _)| strip(name).to_owned());
    parts.filter(|name| name.starts_with(tail)).map(|name| format!("{base}{name}")).collect()
}

fn segments(path: &str) -> Vec<String> {
    let parts = path.split(['.', '[']).map(|part| strip(part.trim()).to_owned());
    parts.filter(|part| !part.is_empty()).collect()
}

/// An index may be written `3`, `[3]` or `3]`.
fn strip(name: &str) -> &str {
    name.trim_start_matches('[').trim_end_matches(']')
}

#[cfg(test)]
mod tests {
    use super::super::located::frames;
    use super::*;
    use crate::test_script::verify;

    #[test]
    fn a_path_is_looked_up_and_completed() {
        let model = verify().model();
        let all = frames(&model, &model.crash().unwrap().failures[0]);
        let frame = &all[2].frame;
        assert_eq!(look_up(frame, "entry.sum").unwrap().text, "a31f…9e");
        assert_eq!(look_up(frame, " path ").unwrap().text, "\"file 777.txt\"");
        assert!(look_up(frame, "entry.what").unwrap_err().contains("it has line, sum"));
        assert!(look_up(frame, "nothing").unwrap_err().contains("path, entry, found"));
        assert!(look_up(frame, "").is_err());
        assert_eq!(completions(frame, "e"), ["entry"]);
        assert_eq!(completions(frame, "entry."), ["entry.line", "entry.sum"]);
        assert_eq!(completions(frame, "entry.s"), ["entry.sum"]);
        assert_eq!(completions(frame, "entry.sum.x"), Vec::<String>::new());
    }

    #[test]
    fn a_path_goes_through_pointers_by_itself() {
        use crate::event::{Local, Value};
        let of = |children: Vec<(&str, Value)>| Value {
            children: children.into_iter().map(|(name, value)| (name.into(), value)).collect(),
            ..Value::default()
        };
        let text = Value { text: "\"a.html\"".into(), ..Value::default() };
        let link = of(vec![("*", of(vec![("*", of(vec![("target", text)]))]))]);
        let local = Local { name: "link".into(), value: link, mark: String::new() };
        let frame = Frame { locals: vec![local], ..Frame::default() };
        for path in ["link.target", "link.*.target", "link.*.*.target"] {
            assert_eq!(look_up(&frame, path).unwrap().text, "\"a.html\"", "{path}");
        }
        assert!(look_up(&frame, "link.what").unwrap_err().contains("it has target"));
        assert_eq!(completions(&frame, "link.t"), ["link.target"]);
    }
}
