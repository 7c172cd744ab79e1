//! Collections: vectors, queues, maps and sets.

use std::ops::Range;

use tinyio_events::event::Value;

use super::{LARGEST, Place, Printed, ValueReader, masked, note_rest, plain};
use crate::shape::{Member, Shape, Type, TypeRef};

impl ValueReader<'_> {
    /// Pointer, length and capacity of a vector, checked.
    pub(super) fn buffer(&mut self, ty: TypeRef, path: &str, place: Place<'_>) -> Result<(u64, u64, u64), String> {
        let path = if path.is_empty() { String::new() } else { format!("{path}.") };
        let pointer = self.word(ty, &format!("{path}buf.inner.ptr"), place)?;
        let capacity = self.word(ty, &format!("{path}buf.inner.cap"), place)?;
        let length = self.word(ty, &format!("{path}len"), place)?;
        if capacity >= 1 << 63 || pointer == 0 {
            return Err("not a valid buffer".into());
        }
        Ok((pointer, length, capacity))
    }

    pub(super) fn vec(&mut self, ty: TypeRef, known: &Type, place: Place<'_>, depth: usize) -> Printed {
        let (pointer, length, capacity) = self.buffer(ty, "", place)?;
        let element = known.param("T").ok_or("unknown layout")?;
        if length > capacity && self.types.size(element) != Some(0) {
            return Err(format!("a length of {length} with a capacity of {capacity}"));
        }
        self.elements(element, pointer, length, depth)
    }

    /// What is left of a vector that is being consumed: `IntoIter([2, 3])`.
    pub(super) fn rest(&mut self, ty: TypeRef, known: &Type, place: Place<'_>, depth: usize) -> Printed {
        let start = self.word(ty, "ptr.pointer", place)?;
        let end = self.word(ty, "end", place)?;
        let element = known.param("T").ok_or("unknown layout")?;
        let size = self.types.size(element).ok_or("the size of its elements is not known")?;
        // Of elements without a size the end is not an address but a count further.
        let length =
            end.checked_sub(start).filter(|length| size == 0 || length % size == 0).ok_or("not a valid iterator")?;
        let list = self.elements(element, start, length / size.max(1), depth)?;
        Ok(Value { text: format!("IntoIter({})", list.text), ..list })
    }

    /// What is left of an array that is being consumed: `IntoIter([2, 3])`.
    pub(super) fn rest_of_array(&mut self, ty: TypeRef, known: &Type, place: Place<'_>, depth: usize) -> Printed {
        let element = known.param("T").ok_or("unknown layout")?;
        let size = self.types.size(element).ok_or("the size of its elements is not known")?;
        let (first, left) = self.array_iter(ty, place)?;
        let length = left.end.checked_sub(left.start).ok_or("not a valid iterator")?;
        let list = self.elements(element, first.wrapping_add(left.start.wrapping_mul(size)), length, depth)?;
        Ok(Value { text: format!("IntoIter({})", list.text), ..list })
    }

    /// Of an array that is being consumed: the address of its first element, and the indices of those that are left.
    pub(super) fn array_iter(&mut self, ty: TypeRef, place: Place<'_>) -> Result<(u64, Range<u64>), String> {
        // Compilers differ in what they put around it.
        let mut paths = ["inner.value.__0.", "inner.value.", ""].into_iter();
        let path = paths.find(|path| self.find(ty, &format!("{path}alive.start")).is_some()).ok_or("unknown layout")?;
        let (_, data) = self.find(ty, &format!("{path}data")).ok_or("unknown layout")?;
        let start = self.word(ty, &format!("{path}alive.start"), place)?;
        let end = self.word(ty, &format!("{path}alive.end"), place)?;
        Ok((place.address.wrapping_add(data), start..end))
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
        let pointer = self.word(ty, "buf.inner.ptr", place)?;
        let capacity = self.word(ty, "buf.inner.cap", place)?;
        let head = self.word(ty, "head", place)?;
        let length = self.word(ty, "len", place)?;
        let element = known.param("T").ok_or("unknown layout")?;
        let size = self.types.size(element).ok_or("the size of its elements is not known")?;
        if size == 0 {
            return self.list(element, length, depth, ("[", "]"), |_| Some(Place { address: pointer, bytes: &[] }));
        }
        if capacity >= 1 << 63 || length > capacity || (head >= capacity && length > 0) {
            return Err("not a valid ring buffer".into());
        }
        let mut read = Vec::new();
        for index in 0..length.min(self.limits.elements as u64) {
            let at = pointer.wrapping_add(((head + index) % capacity).wrapping_mul(size));
            read.push((at, self.types.memory.bytes(at, size as usize).ok_or("its memory cannot be read")?));
        }
        self.list(element, length, depth, ("[", "]"), |index| {
            read.get(index as usize).map(|(address, bytes)| Place { address: *address, bytes })
        })
    }

    pub(super) fn linked(&mut self, ty: TypeRef, known: &Type, place: Place<'_>, depth: usize) -> Printed {
        let length = self.word(ty, "len", place)?;
        let element = known.param("T").ok_or("unknown layout")?;
        let (head, offset) = self.find(ty, "head").ok_or("unknown layout")?;
        let (size, option) = (self.types.size(head).ok_or("unknown layout")?, self.types.get(head));
        let head = place.part(offset, size).ok_or("unknown layout")?;
        let some = self.variant(&option, head)?;
        if some.name != "Some" {
            return if length == 0 { Ok(plain("[]".into())) } else { Err("not a valid list".into()) };
        }
        let (pointer, at) = self.find(some.ty, "__0.pointer").ok_or("unknown layout")?;
        let Shape::Pointer(Some(node)) = self.types.get(pointer).shape else { return Err("unknown layout".into()) };
        let ((_, next), (inner, value)) =
            (self.find(node, "next").ok_or("unknown layout")?, self.find(node, "element").ok_or("unknown layout")?);
        let size = self.types.size(element).filter(|size| self.types.size(inner) == Some(*size));
        let size = size.ok_or("unknown layout")?;
        let mut at = head.word(some.offset.saturating_add(at)).ok_or("unknown layout")?;
        let mut read = Vec::new();
        for _ in 0..length.min(self.limits.elements as u64) {
            // `next` is an option of a pointer, which is null for none.
            if at == 0 {
                return Err(format!("{} elements found where {length} are counted", read.len()));
            }
            let address = at.wrapping_add(value);
            let bytes = self.types.memory.bytes(address, usize::try_from(size).map_err(|_| "unknown layout")?);
            read.push((address, bytes.ok_or("its memory cannot be read")?));
            at = self.types.memory.word(at.wrapping_add(next)).ok_or("its memory cannot be read")?;
        }
        if read.len() as u64 == length && at != 0 {
            return Err(format!("more elements found than the {length} counted"));
        }
        self.list(element, length, depth, ("[", "]"), |index| {
            read.get(index as usize).map(|(address, bytes)| Place { address: *address, bytes })
        })
    }

    pub(super) fn hash(&mut self, ty: TypeRef, path: &str, place: Place<'_>, depth: usize, map: bool) -> Printed {
        let (table, _) = self.find(ty, path).ok_or("unknown layout")?;
        let pair = self.types.get(table).param("T").ok_or("unknown layout")?;
        let size = self.types.size(pair).ok_or("the size of its elements is not known")?;
        let mask = self.word(ty, &format!("{path}.table.bucket_mask"), place)?;
        let control = self.word(ty, &format!("{path}.table.ctrl"), place)?;
        let items = self.word(ty, &format!("{path}.table.items"), place)?;
        let buckets = mask.checked_add(1).filter(|n| n.is_power_of_two()).ok_or("not a valid hash table")?;
        if items > buckets {
            return Err("not a valid hash table".into());
        }
        let mut entries = Vec::new();
        let (mut full, mut at) = (0, 0);
        while at < buckets && (buckets <= LARGEST || entries.len() < self.limits.elements) {
            let length = (buckets - at).min(4096);
            let bytes = self.types.memory.bytes(control.wrapping_add(at), length as usize);
            for (index, byte) in (at..).zip(bytes.ok_or("its memory cannot be read")?) {
                if byte & 0x80 == 0 {
                    full += 1;
                    if entries.len() < self.limits.elements {
                        entries.push(control.wrapping_sub((index + 1).wrapping_mul(size)));
                    }
                }
            }
            at += length;
        }
        if at >= buckets && full != items {
            return Err(format!("{full} entries found where {items} are counted"));
        }
        let known = self.types.get(pair);
        let [key, value] = known.members() else { return Err("unknown layout".into()) };
        let (key, value) = (key.clone(), value.clone());
        self.entries(&key, &value, entries.iter().map(|&entry| (entry, entry)), items, depth, map)
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
        let length = self.word(ty, &format!("{path}length"), place)?;
        let (root, offset) = self.find(ty, &format!("{path}root")).ok_or("unknown layout")?;
        let known = self.types.get(root);
        let size = self.types.size(root).ok_or("unknown layout")?;
        let root_place = place.part(offset, size).ok_or("unknown layout")?;
        let some = self.variant(&known, root_place)?;
        if some.name != "Some" {
            return Ok(plain("{}".into()));
        }
        let node_ref = self.find(some.ty, "__0").ok_or("unknown layout")?;
        let (_, height_at) = self.find(node_ref.0, "height").ok_or("unknown layout")?;
        let (pointer, node_at) = self.find(node_ref.0, "node.pointer").ok_or("unknown layout")?;
        let base = some.offset + node_ref.1;
        let height = root_place.word(base + height_at).ok_or("unknown layout")?;
        let node = root_place.word(base + node_at).ok_or("unknown layout")?;
        let Shape::Pointer(Some(leaf)) = self.types.get(pointer).shape else { return Err("unknown layout".into()) };
        let tree = self.tree(leaf).ok_or("unknown layout")?;
        let mut entries = Vec::new();
        if height > 16 {
            return Err("not a valid tree".into());
        }
        self.node(&tree, node, height, &mut entries)?;
        let whole = entries.len() < self.limits.elements;
        if whole && entries.len() as u64 != length {
            return Err(format!("{} entries found where {length} are counted", entries.len()));
        }
        let (key, value) = (tree.key.clone(), tree.value.clone());
        entries.truncate(self.limits.elements);
        self.entries(&key, &value, entries.into_iter(), length, depth, map)
    }

    fn tree(&mut self, leaf: TypeRef) -> Option<Tree> {
        let (keys, values) = (self.find(leaf, "keys")?, self.find(leaf, "vals")?);
        let (_, len) = self.find(leaf, "len")?;
        let (parent, _) = self.find(leaf, "parent")?;
        // The type of inner nodes is what the pointer to the parent points to.
        let known = self.types.get(parent);
        let Shape::Enum { variants, .. } = &known.shape else { return None };
        let some = variants.iter().find(|variant| variant.member.name == "Some")?.member.ty;
        let (pointer, _) = self.find(some, "__0.pointer")?;
        let Shape::Pointer(Some(internal)) = self.types.get(pointer).shape else { return None };
        let (_, edges) = self.find(internal, "edges")?;
        let element = |reader: &mut Self, (array, offset): (TypeRef, u64)| {
            let Shape::Array { element, .. } = reader.types.get(array).shape else { return None };
            let inner = reader.types.get(element).param("T")?;
            Some(Member { name: String::new(), ty: inner, offset, file: None, line: 0 })
        };
        let (key, value) = (element(self, keys)?, element(self, values)?);
        let strides = (self.types.size(key.ty)?, self.types.size(value.ty)?);
        Some(Tree { key, value, strides, len, edges })
    }

    /// The entries below a node, in order, as addresses that the offsets of key and value lead from.
    fn node(&mut self, tree: &Tree, node: u64, height: u64, entries: &mut Vec<(u64, u64)>) -> Result<(), String> {
        let mut len = [0; 2];
        if !self.types.memory.read(node.wrapping_add(tree.len), &mut len) {
            return Err(format!("memory at {node:#x} cannot be read"));
        }
        let len = u64::from(u16::from_le_bytes(len));
        if len > 11 {
            return Err("not a valid tree".into());
        }
        for index in 0..=len {
            if entries.len() >= self.limits.elements {
                return Ok(());
            }
            if height > 0 {
                let edge =
                    self.types.memory.word(node.wrapping_add(tree.edges + index * 8)).ok_or("not a valid tree")?;
                self.node(tree, edge, height - 1, entries)?;
            }
            if index < len {
                entries.push((node.wrapping_add(index * tree.strides.0), node.wrapping_add(index * tree.strides.1)));
            }
        }
        Ok(())
    }
}

/// How the nodes of a B-tree are laid out.
struct Tree {
    key: Member,
    value: Member,
    strides: (u64, u64),
    len: u64,
    edges: u64,
}
