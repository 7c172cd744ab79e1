//! Where the elements of collections are in memory.

use std::ops::Range;

use super::{LARGEST, Place, ValueReader};
use crate::shape::{Member, Shape, Type, TypeRef};

/// Elements one after another in memory.
pub(crate) struct Row {
    pub element: TypeRef,
    pub start: u64,
    pub length: u64,
}

/// Elements that are not in a row: as many addresses as the limits allow.
pub(crate) struct Scattered {
    pub element: TypeRef,
    pub length: u64,
    pub at: Vec<u64>,
}

/// Entries of a map: as many as the limits allow, each the addresses that the offsets of key and value lead from.
pub(crate) struct Entries {
    pub key: Member,
    pub value: Member,
    pub length: u64,
    pub at: Vec<(u64, u64)>,
}

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

    /// Of a `Vec`.
    pub(crate) fn in_vec(&mut self, ty: TypeRef, known: &Type, place: Place<'_>) -> Result<Row, String> {
        let (start, length, capacity) = self.buffer(ty, "", place)?;
        let element = known.param("T").ok_or("unknown layout")?;
        if length > capacity && self.types.size(element) != Some(0) {
            return Err(format!("a length of {length} with a capacity of {capacity}"));
        }
        Ok(Row { element, start, length })
    }

    /// Of a vector that is being consumed: those that are left.
    pub(crate) fn in_rest(&mut self, ty: TypeRef, known: &Type, place: Place<'_>) -> Result<Row, String> {
        let start = self.word(ty, "ptr.pointer", place)?;
        let end = self.word(ty, "end", place)?;
        let element = known.param("T").ok_or("unknown layout")?;
        let size = self.types.size(element).ok_or("the size of its elements is not known")?;
        // Of elements without a size the end is not an address but a count further.
        let length =
            end.checked_sub(start).filter(|length| size == 0 || length % size == 0).ok_or("not a valid iterator")?;
        Ok(Row { element, start, length: length / size.max(1) })
    }

    /// Of an array that is being consumed: those that are left.
    pub(crate) fn in_rest_of_array(&mut self, ty: TypeRef, known: &Type, place: Place<'_>) -> Result<Row, String> {
        let element = known.param("T").ok_or("unknown layout")?;
        let size = self.types.size(element).ok_or("the size of its elements is not known")?;
        let (first, left) = self.array_iter(ty, place)?;
        let length = left.end.checked_sub(left.start).ok_or("not a valid iterator")?;
        Ok(Row { element, start: first.wrapping_add(left.start.wrapping_mul(size)), length })
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

    /// Of a `VecDeque`.
    pub(crate) fn in_deque(&mut self, ty: TypeRef, known: &Type, place: Place<'_>) -> Result<Scattered, String> {
        let pointer = self.word(ty, "buf.inner.ptr", place)?;
        let capacity = self.word(ty, "buf.inner.cap", place)?;
        let head = self.word(ty, "head", place)?;
        let length = self.word(ty, "len", place)?;
        let element = known.param("T").ok_or("unknown layout")?;
        let size = self.types.size(element).ok_or("the size of its elements is not known")?;
        if size > 0 && (capacity >= 1 << 63 || length > capacity || (head >= capacity && length > 0)) {
            return Err("not a valid ring buffer".into());
        }
        let nth = |index: u64| match size {
            0 => pointer,
            _ => pointer.wrapping_add(((head + index) % capacity).wrapping_mul(size)),
        };
        let at = (0..length.min(self.limits.elements as u64)).map(nth).collect();
        Ok(Scattered { element, length, at })
    }

    /// Of a `LinkedList`.
    pub(crate) fn in_list(&mut self, ty: TypeRef, known: &Type, place: Place<'_>) -> Result<Scattered, String> {
        let length = self.word(ty, "len", place)?;
        let element = known.param("T").ok_or("unknown layout")?;
        let (head, offset) = self.find(ty, "head").ok_or("unknown layout")?;
        let (size, option) = (self.types.size(head).ok_or("unknown layout")?, self.types.get(head));
        let head = place.part(offset, size).ok_or("unknown layout")?;
        let some = self.variant(&option, head)?;
        if some.name != "Some" {
            let empty = Scattered { element, length, at: Vec::new() };
            return if length == 0 { Ok(empty) } else { Err("not a valid list".into()) };
        }
        let (pointer, offset) = self.find(some.ty, "__0.pointer").ok_or("unknown layout")?;
        let Shape::Pointer(Some(node)) = self.types.get(pointer).shape else { return Err("unknown layout".into()) };
        let ((_, next), (inner, value)) =
            (self.find(node, "next").ok_or("unknown layout")?, self.find(node, "element").ok_or("unknown layout")?);
        if self.types.size(element) != self.types.size(inner) {
            return Err("unknown layout".into());
        }
        let mut node = head.word(some.offset.saturating_add(offset)).ok_or("unknown layout")?;
        let mut at = Vec::new();
        for _ in 0..length.min(self.limits.elements as u64) {
            // `next` is an option of a pointer, which is null for none.
            if node == 0 {
                return Err(format!("{} elements found where {length} are counted", at.len()));
            }
            at.push(node.wrapping_add(value));
            node = self.types.memory.word(node.wrapping_add(next)).ok_or("its memory cannot be read")?;
        }
        if at.len() as u64 == length && node != 0 {
            return Err(format!("more elements found than the {length} counted"));
        }
        Ok(Scattered { element, length, at })
    }

    /// Of the table of a hash map or set.
    pub(crate) fn in_table(&mut self, table: TypeRef, place: Place<'_>) -> Result<Scattered, String> {
        let element = self.types.get(table).param("T").ok_or("unknown layout")?;
        let size = self.types.size(element).ok_or("the size of its elements is not known")?;
        let mask = self.word(table, "table.bucket_mask", place)?;
        let control = self.word(table, "table.ctrl", place)?;
        let length = self.word(table, "table.items", place)?;
        let buckets = mask.checked_add(1).filter(|n| n.is_power_of_two()).ok_or("not a valid hash table")?;
        if length > buckets {
            return Err("not a valid hash table".into());
        }
        let mut at = Vec::new();
        let (mut full, mut next) = (0, 0);
        while next < buckets && (buckets <= LARGEST || at.len() < self.limits.elements) {
            let bytes = (buckets - next).min(4096);
            let control_bytes = self.types.memory.bytes(control.wrapping_add(next), bytes as usize);
            for (index, byte) in (next..).zip(control_bytes.ok_or("its memory cannot be read")?) {
                if byte & 0x80 == 0 {
                    full += 1;
                    if at.len() < self.limits.elements {
                        at.push(control.wrapping_sub((index + 1).wrapping_mul(size)));
                    }
                }
            }
            next += bytes;
        }
        if next >= buckets && full != length {
            return Err(format!("{full} entries found where {length} are counted"));
        }
        Ok(Scattered { element, length, at })
    }

    /// Of a `BTreeMap`; `None` if it is empty.
    pub(crate) fn in_tree(&mut self, map: TypeRef, place: Place<'_>) -> Result<Option<Entries>, String> {
        let length = self.word(map, "length", place)?;
        let (root, offset) = self.find(map, "root").ok_or("unknown layout")?;
        let known = self.types.get(root);
        let size = self.types.size(root).ok_or("unknown layout")?;
        let root_place = place.part(offset, size).ok_or("unknown layout")?;
        let some = self.variant(&known, root_place)?;
        if some.name != "Some" {
            return Ok(None);
        }
        let node_ref = self.find(some.ty, "__0").ok_or("unknown layout")?;
        let (_, height_at) = self.find(node_ref.0, "height").ok_or("unknown layout")?;
        let (pointer, node_at) = self.find(node_ref.0, "node.pointer").ok_or("unknown layout")?;
        let base = some.offset + node_ref.1;
        let height = root_place.word(base + height_at).ok_or("unknown layout")?;
        let node = root_place.word(base + node_at).ok_or("unknown layout")?;
        let Shape::Pointer(Some(leaf)) = self.types.get(pointer).shape else { return Err("unknown layout".into()) };
        let tree = self.tree(leaf).ok_or("unknown layout")?;
        let mut at = Vec::new();
        if height > 16 {
            return Err("not a valid tree".into());
        }
        self.node(&tree, node, height, &mut at)?;
        if at.len() < self.limits.elements && at.len() as u64 != length {
            return Err(format!("{} entries found where {length} are counted", at.len()));
        }
        at.truncate(self.limits.elements);
        Ok(Some(Entries { key: tree.key, value: tree.value, length, at }))
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
