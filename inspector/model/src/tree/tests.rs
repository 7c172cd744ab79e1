//! What the tree looks like in each format.

use tinyio_events::event::{Kind, LoopMode, Target};

use super::*;
use crate::test_script::{Script, crawl};

fn written(model: &Model, format: Format) -> String {
    let mut out = Vec::new();
    write(model, format, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// Loops inside loops, many of a name, references, hostile names.
fn crowd() -> Script {
    let mut s = Script::new("crowd");
    s.start().spawn(1, 0, "crowd::main", "a.rs:1:1").begin(1);
    for id in 2..1000 {
        s.spawn(id, 1, "crowd::<&\"work;|`\\>\u{1b}", "a.rs:2:1").wait(1, Target::Coro(id), "a.rs:3:1");
    }
    s.pause(1).step(500, Target::Timer(7_000_000), "a.rs:4:1").spawn(1001, 2, "crowd::child", "a.rs:5:1");
    s.step(2, Target::Coro(3), "a.rs:6:1").begin(4);
    s.push(Kind::LoopStart { id: 2, parent: 4, mode: LoopMode::Isolate });
    let (name, site) = (s.name("crowd::inner"), s.site("a.rs:7:1"));
    s.push(Kind::Spawn { coro: 1002, in_loop: 2, parent: 0, name, site });
    s
}

#[test]
fn text_is_a_tree_with_siblings_folded() {
    insta::assert_snapshot!(format!(
        "{}\n{}",
        written(&crawl().model(), Format::Text),
        written(&crowd().model(), Format::Text)
    ));
}

#[test]
fn dot_draws_waits_holders_and_threads() {
    insta::assert_snapshot!(written(&crawl().model(), Format::Dot));
}

#[test]
fn mermaid_draws_the_same() {
    insta::assert_snapshot!(written(&crawl().model(), Format::Mermaid));
}

#[test]
fn alike_leaves_are_one_node_whatever_their_name() {
    for format in [Format::Dot, Format::Mermaid] {
        let text = written(&crowd().model(), format);
        assert!(text.lines().count() < 40, "{text}");
        assert!(!text.contains('\u{1b}'));
        assert!(text.contains("×995"), "{text}");
    }
}

#[test]
fn json_lists_everything() {
    let value: serde_json::Value = serde_json::from_str(&written(&crawl().model(), Format::Json)).unwrap();
    assert_eq!(value["coroutines"].as_array().unwrap().len(), 13);
    let writer = value["coroutines"].as_array().unwrap().iter().find(|coro| coro["coro"] == 5).unwrap();
    assert_eq!(writer["waits"][0]["on"], serde_json::json!({"res": 1}), "{writer}");
    assert_eq!(value["resources"][0]["holders"], serde_json::json!([9]));
    assert_eq!(value["threads"][0]["name"], "net::read_to_string");
    assert_eq!(value["loops"][0]["mode"], "run");
    let empty: serde_json::Value =
        serde_json::from_str(&written(&Model::new(&tinyio_events::event::Header::default()), Format::Json)).unwrap();
    assert_eq!(empty["coroutines"], serde_json::json!([]));
}

#[test]
fn a_chain_as_long_as_memory_is_cut() {
    let mut s = Script::new("deep");
    s.start().spawn(1, 0, "link", "a.rs:1:1");
    for id in 1..20_000 {
        s.spawn(id + 1, id, "link", "a.rs:1:1").step(id, Target::Coro(id + 1), "a.rs:2:1");
    }
    let text = written(&s.model(), Format::Text);
    assert!(text.lines().count() < 110 && text.ends_with("… and what is beneath\n"), "{text}");
}

#[test]
fn that_no_coroutine_is_alive_is_shown() {
    let model = crate::test_script::verify().model();
    assert!(written(&model, Format::Text).ends_with("no coroutine is alive; --at shows an earlier moment\n"));
}
