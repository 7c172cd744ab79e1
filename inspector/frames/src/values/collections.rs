//! Collections: vectors, queues, maps and sets.

use tinyio_events::event::Value;

use super::elements::{Row, Scattered};
use super::{LARGEST, Place, Printed, ValueReader, masked, note_rest, plain};
use crate::shape::{Member, Type, TypeRef};

impl ValueReader<'_> {
    pub(super) fn vec(&mut self, ty: TypeRef, known: &Type, place: Place<'_>, depth: usize) -> Printed {
        let Row { element, start, length } = self.in_vec(ty, known, place)?;
        self.elements(element, start, length, depth)
    }

    /// What is left of a vector that is being consumed: `IntoIter([2, 3])`.
    pub(super) fn rest(&mut self, ty: TypeRef, known: &Type, place: Place<'_>, depth: usize) -> Printed {
        let row = self.in_rest(ty, known, place)?;
        self.left_over(row, depth)
    }

    /// What is left of an array that is being consumed: `IntoIter([2, 3])`.
    pub(super) fn rest_of_array(&mut self, ty: TypeRef, known: &Type, place: Place<'_>, depth: usize) -> Printed {
        let row = self.in_rest_of_array(ty, known, place)?;
        self.left_over(row, depth)
    }

    fn left_over(&mut self, Row { element, start, length }: Row, depth: usize) -> Printed {
        let list = self.elements(element, start, length, depth)?;
        Ok(Value { text: format!("IntoIter({})", list.text), ..list })
    }

    /// Elements one after another in memory; bytes that are text as text.
    pub(super) fn elements(&mut self, element: TypeRef, pointer: u64, length: u64, depth: usize) -> Printed {
        if self.is_byte(element)
            && let Some(text) = self.text_at(pointer, length)
        {
            return Ok(text);
        }
        self.listed(element, pointer, length, depth)
    }

    /// Elements one after another in memory, each by itself.
    pub(super) fn listed(&mut self, element: TypeRef, pointer: u64, length: u64, depth: usize) -> Printed {
        let size = self.types.size(element).ok_or("the size of its elements is not known")?;
        let shown = length.min(self.limits.elements as u64);
        let total = size.checked_mul(shown).filter(|total| *total <= LARGEST).ok_or("its elements are too large")?;
        let bytes = self.types.memory.bytes(pointer, total as usize);
        let bytes = bytes.ok_or_else(|| format!("memory at {pointer:#x} cannot be read"))?;
        let place = Place { address: pointer, bytes: &bytes };
        self.list(element, length, depth, ("[", "]"), |index| place.part(index.wrapping_mul(size), size))
    }

    pub(super) fn deque(&mut self, ty: TypeRef, known: &Type, place: Place<'_>, depth: usize) -> Printed {
        let elements = self.in_deque(ty, known, place)?;
        self.scattered(elements, depth)
    }

    pub(super) fn linked(&mut self, ty: TypeRef, known: &Type, place: Place<'_>, depth: usize) -> Printed {
        let elements = self.in_list(ty, known, place)?;
        self.scattered(elements, depth)
    }

    fn scattered(&mut self, Scattered { element, length, at }: Scattered, depth: usize) -> Printed {
        let size = self.types.size(element).and_then(|size| usize::try_from(size).ok()).ok_or("unknown layout")?;
        let mut read = Vec::new();
        for address in at {
            read.push((address, self.types.memory.bytes(address, size).ok_or("its memory cannot be read")?));
        }
        self.list(element, length, depth, ("[", "]"), |index| {
            read.get(index as usize).map(|(address, bytes)| Place { address: *address, bytes })
        })
    }

    pub(super) fn hash(&mut self, ty: TypeRef, path: &str, place: Place<'_>, depth: usize, map: bool) -> Printed {
        let (table, offset) = self.find(ty, path).ok_or("unknown layout")?;
        let size = self.types.size(table).ok_or("unknown layout")?;
        let Scattered { element, length, at } =
            self.in_table(table, place.part(offset, size).ok_or("unknown layout")?)?;
        let known = self.types.get(element);
        let [key, value] = known.members() else { return Err("unknown layout".into()) };
        let (key, value) = (key.clone(), value.clone());
        self.entries(&key, &value, at.iter().map(|&entry| (entry, entry)), length, depth, map)
    }

    /// Entries of a map or a set, from the addresses of what holds each key and each value.
    fn entries(
        &mut self,
        key: &Member,
        value: &Member,
        entries: impl Iterator<Item = (u64, u64)>,
        count: u64,
        depth: usize,
        map: bool,
    ) -> Printed {
        let mut children = Vec::new();
        for (key_at, value_at) in entries {
            let shown = self.at(key.ty, key_at.wrapping_add(key.offset), depth + 1);
            if map {
                let value = match self.limits.secrets.has(&shown.text) {
                    true => masked(self.name(value.ty)),
                    false => self.at(value.ty, value_at.wrapping_add(value.offset), depth + 1),
                };
                children.push((shown.text, value));
            } else {
                children.push((children.len().to_string(), shown));
            }
            if self.out_of_time() {
                break;
            }
        }
        let more = count > children.len() as u64;
        let text = self.join("{", &children, "}", more, |(name, value)| match map {
            true => format!("{name}: {}", value.text),
            false => value.text.clone(),
        });
        let children = if more { note_rest(children, count) } else { children };
        Ok(Value { text, children, ..Value::default() })
    }

    pub(super) fn btree(&mut self, ty: TypeRef, path: &str, place: Place<'_>, depth: usize, map: bool) -> Printed {
        let (tree, tree_place) = match path {
            "" => (ty, place),
            _ => {
                let (tree, offset) = self.find(ty, path).ok_or("unknown layout")?;
                let size = self.types.size(tree).ok_or("unknown layout")?;
                (tree, place.part(offset, size).ok_or("unknown layout")?)
            }
        };
        match self.in_tree(tree, tree_place)? {
            Some(found) => self.entries(&found.key, &found.value, found.at.into_iter(), found.length, depth, map),
            None => Ok(plain("{}".into())),
        }
    }
}
