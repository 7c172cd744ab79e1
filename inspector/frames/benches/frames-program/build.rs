//! Generates the modules: each has types, a coroutine of its own, and code around them that makes for debug info. Used
//! by the bench of `tinyio-tasks`, too.

use std::fmt::Write;
use std::path::Path;

/// As many as make about 100 MB.
const MODULES: usize = 75;

const MODULE: &str = r#"
pub mod m@ {
    use std::collections::{BTreeMap, HashMap, VecDeque};

    use crate::locals::Item;

    #[derive(Clone, Debug, Default, PartialEq, PartialOrd)]
    pub struct Part@ { pub name: String, pub weights: [f64; @ % 5 + 1], pub next: Option<Box<Part@>> }

    #[derive(Clone, Debug, PartialEq)]
    pub enum Step@ { Idle, Load { from: String, to: Vec<Part@> }, Done(Result<Part@, String>) }

    #[derive(Default)]
    pub struct Shop@ { parts: HashMap<String, Part@>, order: BTreeMap<u64, Vec<Step@>>, queue: VecDeque<Step@> }

    impl Shop@ {
        pub fn fill(&mut self, n: u64) -> usize {
            for at in 0..n {
                let part = Part@ { name: format!("part {at}"), ..Part@::default() };
                self.parts.entry(part.name.clone()).or_insert_with(|| part.clone()).next = Some(Box::new(part.clone()));
                self.order.entry(at % 7).or_default().push(Step@::Load { from: part.name.clone(), to: vec![part.clone()] });
                self.queue.push_back(if at % 2 == 0 { Step@::Done(Ok(part)) } else { Step@::Idle });
            }
            let mut sorted: Vec<&Part@> = self.parts.values().collect();
            sorted.sort_by(|a, b| a.name.len().cmp(&b.name.len()).then_with(|| a.name.cmp(&b.name)));
            let loads = self.order.values().flatten().filter(|step| matches!(step, Step@::Load { to, .. } if !to.is_empty()));
            let named: BTreeMap<usize, Vec<String>> = sorted.iter().enumerate().map(|(at, part)| (at, vec![part.name.clone()])).collect();
            let done: Result<Vec<Part@>, String> = self.queue.iter().filter_map(|step| match step {
                Step@::Done(done) => Some(done.clone()),
                _ => None,
            }).collect();
            loads.count() + named.values().map(Vec::len).sum::<usize>() + done.map_or(0, |done| done.len())
        }
    }

    /// A coroutine, and two more below it.
    pub async fn root(n: u64) -> crate::Result<u64> {
        let mut shop = Shop@::default();
        let filled = shop.fill(n % 3);
        Ok(middle(&shop, n).await? + filled as u64)
    }

    async fn middle(shop: &Shop@, n: u64) -> crate::Result<u64> {
        let name = format!("coroutine {n}");
        let first = shop.queue.front().cloned();
        let got = leaf(n, name.clone()).await?;
        Ok(got + first.is_some() as u64 + name.len() as u64)
    }

    async fn leaf(n: u64, name: String) -> crate::Result<u64> {
        let item = Item::number(n);
        crate::pause().await?;
        Ok(item.price as u64 + name.len() as u64)
    }
}
"#;

fn main() {
    println!("cargo::rerun-if-changed={}", file!());
    let mut code = String::new();
    for module in 0..MODULES {
        code.push_str(&MODULE.replace('@', &module.to_string()));
    }
    code.push_str("/// Suspends or spawns one future after another, of all types in turn.\n");
    code.push_str("pub fn each(count: u64, does: &mut impl crate::Does) {\n    for n in 0..count {\n        match n % crate::TYPES {\n");
    for module in 0..MODULES {
        writeln!(code, "            {module} => does.with(m{module}::root(n)),").unwrap();
    }
    code.push_str("            _ => unreachable!(),\n        }\n    }\n}\n");
    let out = std::env::var("OUT_DIR").unwrap();
    std::fs::write(Path::new(&out).join("modules.rs"), code).unwrap();
}
