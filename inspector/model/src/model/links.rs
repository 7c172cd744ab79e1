//! A small ordered map from ids: empty, one entry in place, or a tree.
//!
//! Nearly every coroutine waits on one other and is waited on by one; a few gather a hundred thousand. Both must be
//! cheap: no allocation for one, no linear search for many.

use super::paged::Paged;

/// An ordered map from ids to `V`.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Links<V> {
    /// Nothing.
    #[default]
    None,
    /// One entry.
    One(u64, V),
    /// Two or more (or fewer, once there were two).
    Many(Box<Paged<V>>),
}

impl<V> Links<V> {
    /// Number of entries.
    pub fn len(&self) -> usize {
        match self {
            Links::None => 0,
            Links::One(..) => 1,
            Links::Many(map) => map.len(),
        }
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The entry of `id`.
    pub fn get(&self, id: u64) -> Option<&V> {
        match self {
            Links::One(key, value) if *key == id => Some(value),
            Links::Many(map) => map.get(id),
            _ => None,
        }
    }

    /// Whether `id` has an entry.
    pub fn contains(&self, id: u64) -> bool {
        self.get(id).is_some()
    }

    /// The entries, by id.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &V)> + '_ {
        let (one, many) = match self {
            Links::None => (None, None),
            Links::One(id, value) => (Some((*id, value)), None),
            Links::Many(map) => (None, Some(map)),
        };
        one.into_iter().chain(many.into_iter().flat_map(|map| map.iter()))
    }

    /// The ids, in order.
    pub fn ids(&self) -> impl Iterator<Item = u64> + '_ {
        self.iter().map(|(id, _)| id)
    }

    /// The smallest id.
    pub fn first(&self) -> Option<u64> {
        self.ids().next()
    }

    /// The largest id.
    pub fn last(&self) -> Option<u64> {
        match self {
            Links::Many(map) => map.iter().next_back().map(|(id, _)| id),
            _ => self.first(),
        }
    }

    /// The smallest id above `id`.
    pub fn after(&self, id: u64) -> Option<u64> {
        match self {
            Links::Many(map) => map.from(id.checked_add(1)?).next().map(|(id, _)| id),
            _ => self.first().filter(|only| *only > id),
        }
    }

    /// The largest id below `id`.
    pub fn before(&self, id: u64) -> Option<u64> {
        match self {
            Links::Many(map) => map.until(id).next_back().map(|(id, _)| id),
            _ => self.first().filter(|only| *only < id),
        }
    }
}

impl<V: Clone> Links<V> {
    pub(super) fn insert(&mut self, id: u64, value: V) {
        match self {
            Links::Many(map) => map.insert(id, value),
            Links::One(key, old) if *key == id => *old = value,
            Links::None => *self = Links::One(id, value),
            Links::One(..) => {
                let Links::One(key, old) = std::mem::take(self) else { return };
                let mut map = Paged::default();
                map.insert(key, old);
                map.insert(id, value);
                *self = Links::Many(Box::new(map));
            }
        }
    }

    pub(super) fn remove(&mut self, id: u64) -> Option<V> {
        match self {
            Links::Many(map) => map.remove(id),
            Links::One(key, _) if *key == id => match std::mem::take(self) {
                Links::One(_, value) => Some(value),
                _ => None,
            },
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn behaves_like_a_sorted_map_at_every_size() {
        let mut links = Links::None;
        for id in [5, 1, 9, 5] {
            links.insert(id, id * 10);
        }
        assert_eq!(links.iter().collect::<Vec<_>>(), [(1, &10), (5, &50), (9, &90)]);
        assert_eq!((links.first(), links.last()), (Some(1), Some(9)));
        assert_eq!((links.after(5), links.before(5)), (Some(9), Some(1)));
        assert_eq!((links.after(9), links.after(u64::MAX), links.before(1)), (None, None, None));
        assert_eq!((links.remove(5), links.remove(5), links.len()), (Some(50), None, 2));
    }

    #[test]
    fn one_entry_knows_its_neighbours() {
        let mut links = Links::None;
        assert_eq!((links.after(0), links.remove(1)), (None, None));
        links.insert(4, ());
        assert_eq!((links.after(3), links.after(4), links.before(5), links.before(4)), (Some(4), None, Some(4), None));
        assert_eq!((links.remove(3), links.remove(4), links.is_empty()), (None, Some(()), true));
    }
}
