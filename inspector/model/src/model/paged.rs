//! An ordered map from ids with cheap copies: the storage of key frames.
//!
//! Ids count up, so the live ones are close together. Sixty-four ids share a page, and copies share pages until one of
//! them changes. A copy of a hundred thousand entries costs two thousand reference counts.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Bits of an id that are its place in a page.
const BITS: u32 = 6;

/// An ordered map from ids to `V`.
#[derive(Clone, Debug, PartialEq)]
pub struct Paged<V> {
    pages: BTreeMap<u64, Arc<Page<V>>>,
    len: usize,
}

/// The entries of sixty-four ids: which there are, and their values in order.
#[derive(Clone, Debug, PartialEq)]
struct Page<V> {
    mask: u64,
    values: Vec<V>,
}

impl<V> Default for Paged<V> {
    fn default() -> Self {
        Paged { pages: BTreeMap::new(), len: 0 }
    }
}

impl<V> Page<V> {
    fn index(&self, bit: u64) -> usize {
        (self.mask & (bit - 1)).count_ones() as usize
    }

    fn iter(&self, page: u64) -> impl DoubleEndedIterator<Item = (u64, &V)> + '_ {
        Places(self.mask).map(move |place| page << BITS | place).zip(self.values.iter())
    }
}

/// The places of the bits of a mask.
struct Places(u64);

impl Iterator for Places {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let place = (self.0 != 0).then(|| u64::from(self.0.trailing_zeros()))?;
        self.0 &= self.0 - 1;
        Some(place)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let count = self.0.count_ones() as usize;
        (count, Some(count))
    }
}

impl DoubleEndedIterator for Places {
    fn next_back(&mut self) -> Option<u64> {
        let place = (self.0 != 0).then(|| 63 - u64::from(self.0.leading_zeros()))?;
        self.0 ^= 1 << place;
        Some(place)
    }
}

impl ExactSizeIterator for Places {}

fn split(id: u64) -> (u64, u64) {
    (id >> BITS, 1 << (id & ((1 << BITS) - 1)))
}

impl<V> Paged<V> {
    /// Number of entries.
    pub fn len(&self) -> usize {
        self.len
    }

    /// The entry of `id`.
    pub fn get(&self, id: u64) -> Option<&V> {
        let (page, bit) = split(id);
        let page = self.pages.get(&page).filter(|page| page.mask & bit != 0)?;
        page.values.get(page.index(bit))
    }

    /// Whether `id` has an entry.
    pub fn contains(&self, id: u64) -> bool {
        self.get(id).is_some()
    }

    /// The entries, by id.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (u64, &V)> + '_ {
        self.pages.iter().flat_map(|(page, entries)| entries.iter(*page))
    }

    /// The entries from `id` on.
    pub fn from(&self, id: u64) -> impl DoubleEndedIterator<Item = (u64, &V)> + '_ {
        let pages = self.pages.range(id >> BITS..).flat_map(|(page, entries)| entries.iter(*page));
        pages.filter(move |(one, _)| *one >= id)
    }

    /// The entries below `id`.
    pub fn until(&self, id: u64) -> impl DoubleEndedIterator<Item = (u64, &V)> + '_ {
        let pages = self.pages.range(..=id >> BITS).flat_map(|(page, entries)| entries.iter(*page));
        pages.filter(move |(one, _)| *one < id)
    }
}

impl<V: Clone> Paged<V> {
    /// The entry of `id`, to be changed.
    pub fn get_mut(&mut self, id: u64) -> Option<&mut V> {
        let (page, bit) = split(id);
        let page = self.pages.get_mut(&page).filter(|page| page.mask & bit != 0)?;
        let page = Arc::make_mut(page);
        let index = page.index(bit);
        page.values.get_mut(index)
    }

    /// Sets the entry of `id`.
    pub fn insert(&mut self, id: u64, value: V) {
        let (page, bit) = split(id);
        let page = self.pages.entry(page).or_insert_with(|| Arc::new(Page { mask: 0, values: Vec::new() }));
        let page = Arc::make_mut(page);
        let index = page.index(bit);
        if page.mask & bit != 0 {
            page.values[index] = value;
        } else {
            page.mask |= bit;
            page.values.insert(index, value);
            self.len += 1;
        }
    }

    /// Takes the entry of `id` out.
    pub fn remove(&mut self, id: u64) -> Option<V> {
        let (number, bit) = split(id);
        let page = self.pages.get_mut(&number).filter(|page| page.mask & bit != 0)?;
        self.len -= 1;
        if page.mask == bit {
            let page = self.pages.remove(&number)?;
            return Arc::unwrap_or_clone(page).values.pop();
        }
        let page = Arc::make_mut(page);
        let index = page.index(bit);
        page.mask ^= bit;
        Some(page.values.remove(index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn behaves_like_a_sorted_map() {
        let mut paged = Paged::default();
        let mut plain = BTreeMap::new();
        let mut seed = 3_u64;
        for turn in 0..4000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let id = match seed >> 62 {
                0 => u64::MAX - (seed >> 33) % 100,
                _ => (seed >> 33) % 500,
            };
            if seed & 0x1000 == 0 {
                assert_eq!(paged.remove(id), plain.remove(&id));
            } else {
                paged.insert(id, turn);
                plain.insert(id, turn);
            }
            assert_eq!((paged.len(), paged.get(id)), (plain.len(), plain.get(&id)));
        }
        let same = |left: Vec<(u64, &i32)>, right: Vec<(&u64, &i32)>| {
            assert_eq!(left, right.into_iter().map(|(id, value)| (*id, value)).collect::<Vec<_>>());
        };
        same(paged.iter().collect(), plain.iter().collect());
        same(paged.iter().rev().collect(), plain.iter().rev().collect());
        for id in [0, 63, 64, 65, 250, u64::MAX - 50, u64::MAX] {
            same(paged.from(id).collect(), plain.range(id..).collect());
            same(paged.until(id).rev().collect(), plain.range(..id).rev().collect());
        }
    }

    #[test]
    fn a_copy_does_not_see_later_changes() {
        let mut paged: Paged<u64> = Paged::default();
        (0..200).for_each(|id| paged.insert(id, id));
        let copy = paged.clone();
        paged.remove(5);
        paged.insert(6, 0);
        *paged.get_mut(130).unwrap() = 0;
        assert_eq!(copy.iter().map(|(id, value)| id + value).sum::<u64>(), 2 * (0..200).sum::<u64>());
        assert_eq!((paged.get(5), paged.get(6), paged.get(130), paged.len()), (None, Some(&0), Some(&0), 199));
    }
}
