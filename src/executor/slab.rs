//! Values under small indices that are reused.

/// A vector with holes, which are filled before it grows.
pub(crate) struct Slab<T> {
    entries: Vec<Entry<T>>,
    free: u32,
    len: usize,
}

enum Entry<T> {
    Full(T),
    /// The next free entry; `END` for the last.
    Free(u32),
}

const END: u32 = u32::MAX;

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Slab { entries: Vec::new(), free: END, len: 0 }
    }
}

impl<T> Slab<T> {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The index that the next `insert` gives.
    #[inline]
    pub(crate) fn next_key(&self) -> u32 {
        if self.free == END { self.entries.len() as u32 } else { self.free }
    }

    #[inline]
    pub(crate) fn insert(&mut self, value: T) -> u32 {
        let key = self.next_key();
        assert!(key < END, "fewer than 2^32 entries");
        if self.free == END {
            self.entries.push(Entry::Full(value));
        } else {
            let entry = std::mem::replace(&mut self.entries[key as usize], Entry::Full(value));
            let Entry::Free(next) = entry else { unreachable!("the free list holds free entries") };
            self.free = next;
        }
        self.len += 1;
        key
    }

    #[inline]
    pub(crate) fn get(&self, key: u32) -> Option<&T> {
        match self.entries.get(key as usize) {
            Some(Entry::Full(value)) => Some(value),
            _ => None,
        }
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, key: u32) -> Option<&mut T> {
        match self.entries.get_mut(key as usize) {
            Some(Entry::Full(value)) => Some(value),
            _ => None,
        }
    }

    #[inline]
    pub(crate) fn remove(&mut self, key: u32) -> Option<T> {
        let entry = self.entries.get_mut(key as usize)?;
        if matches!(entry, Entry::Free(_)) {
            return None;
        }
        let Entry::Full(value) = std::mem::replace(entry, Entry::Free(self.free)) else { return None };
        self.free = key;
        self.len -= 1;
        Some(value)
    }

    pub(crate) fn into_values(self) -> impl Iterator<Item = T> {
        self.entries.into_iter().filter_map(|entry| match entry {
            Entry::Full(value) => Some(value),
            Entry::Free(_) => None,
        })
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.entries.iter().enumerate().filter_map(|(key, entry)| match entry {
            Entry::Full(value) => Some((key as u32, value)),
            Entry::Free(_) => None,
        })
    }
}
