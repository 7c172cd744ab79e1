//! What the locals of the leaves are; the bench formats the same.

use std::collections::HashMap;

#[derive(Clone, Debug)]
pub struct Item {
    pub name: String,
    pub price: f64,
    pub tags: Vec<&'static str>,
    pub counts: HashMap<u32, String>,
    pub parent: Option<Box<Item>>,
}

impl Item {
    pub fn number(n: u64) -> Item {
        let mut item = Item {
            name: format!("item {n}"),
            price: n as f64 / 4.0,
            tags: vec!["red", "round", "sweet"],
            counts: (0..4).map(|at| (at, format!("{at} times"))).collect(),
            parent: None,
        };
        item.parent = Some(Box::new(Item { counts: HashMap::new(), ..item.clone() }));
        item
    }
}
