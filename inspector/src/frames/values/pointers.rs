//! What is behind pointers: references, boxes, slices, trait objects, and what is counted.

use super::{Look, Place, Printed, plain};
use crate::event::Value;
use crate::frames::types::{Shape, Type, TypeRef};

impl Look<'_> {
    pub(super) fn pointer(&mut self, known: &Type, target: Option<TypeRef>, place: Place<'_>, depth: usize) -> Printed {
        let address = place.word(0).ok_or("it is no pointer of this machine")?;
        let raw = known.name.starts_with('*');
        let function = target.is_some_and(|target| matches!(self.types.get(target).shape, Shape::Function));
        if function && self.types.images.find(&self.types.memory, address).is_err() {
            // No code is there: the function is told by the type, and these bytes are somebody else's.
            return Ok(plain(format!("<{}>", known.shown)));
        }
        if raw || function {
            return Ok(plain(format!("{address:#x}")));
        }
        let target = target.ok_or("what it points to is not described")?;
        if address == 0 {
            return Err("null, where no null can be".into());
        }
        self.follow(target, address, depth)
    }

    /// What is behind a pointer; printed as itself, as `{:?}` does.
    fn follow(&mut self, target: TypeRef, address: u64, depth: usize) -> Printed {
        if self.trail.contains(&address) && self.types.size(target) != Some(0) {
            return Ok(plain(format!("<cycle to {address:#x}>")));
        }
        self.trail.push(address);
        let value = self.at(target, address, depth + 1);
        self.trail.pop();
        Ok(Value { text: value.text.clone(), children: vec![("*".into(), value)], ..Value::default() })
    }

    /// `&str`, `&[T]`, `Box<[T]>`, `&Path`.
    pub(super) fn slice(&mut self, known: &Type, place: Place<'_>, depth: usize) -> Printed {
        let pointer = place.word(known.members()[0].offset).ok_or("unknown layout")?;
        let length = place.word(known.members()[1].offset).ok_or("unknown layout")?;
        if known.name.starts_with('*') {
            return Ok(plain(format!("{pointer:#x}")));
        }
        if pointer == 0 {
            return Err("null, where no null can be".into());
        }
        let target = known.name.trim_start_matches('&').trim_start_matches("mut ");
        let target = target.strip_prefix("alloc::boxed::Box<").unwrap_or(target);
        if target == "str" || target.starts_with("str,") || target.starts_with("str>") {
            let bytes = self.read_text(pointer, length)?;
            return self.string(bytes);
        }
        if target.starts_with("std::path::Path") || target.starts_with("std::ffi::os_str::OsStr") {
            let bytes = self.read_text(pointer, length)?;
            return self.lossy(bytes);
        }
        let data = self.types.get(known.members()[0].ty);
        let Shape::Pointer(Some(element)) = data.shape else { return Err("unknown layout".into()) };
        self.elements(element, pointer, length, depth)
    }

    /// `&dyn Trait`, `Box<dyn Trait>`: by the concrete type.
    pub(super) fn object(&mut self, known: &Type, place: Place<'_>, depth: usize) -> Printed {
        let pointer = place.word(known.members()[0].offset).ok_or("unknown layout")?;
        let vtable = place.word(known.members()[1].offset).ok_or("unknown layout")?;
        let concrete = self.types.of_vtable(vtable).ok_or("its concrete type is not described")?;
        if known.name.starts_with('*') {
            return Ok(plain(format!("{pointer:#x}")));
        }
        let mut value = self.follow(concrete, pointer, depth)?;
        let behind = self.types.get(concrete).shown.clone();
        value.type_name = format!("{} ({behind})", known.shown.clone());
        Ok(value)
    }

    pub(super) fn counted(&mut self, ty: TypeRef, place: Place<'_>, depth: usize) -> Printed {
        let (pointer, offset) = self.find(ty, "ptr.pointer").ok_or("unknown layout")?;
        let block = place.word(offset).ok_or("unknown layout")?;
        let known = self.types.get(pointer);
        let inner = match &known.shape {
            Shape::Pointer(Some(inner)) => *inner,
            _ => return self.counted_unsized(pointer, offset, place, depth),
        };
        let ((strong, strong_at), (weak, weak_at)) =
            (self.find(inner, "strong").ok_or("unknown layout")?, self.find(inner, "weak").ok_or("unknown layout")?);
        let (target, value_at) =
            self.find(inner, "value").or_else(|| self.find(inner, "data")).ok_or("unknown layout")?;
        if self.types.size(strong) != Some(8) || self.types.size(weak) != Some(8) {
            return Err("unknown layout".into());
        }
        let strong = self.types.memory.word(block.wrapping_add(strong_at)).ok_or("its memory cannot be read")?;
        let weak = self.types.memory.word(block.wrapping_add(weak_at)).ok_or("its memory cannot be read")?;
        if strong == 0 {
            return Err("no owner is left".into());
        }
        let mut value = self.follow(target, block.wrapping_add(value_at), depth)?;
        value.children.push(("strong".into(), plain(strong.to_string())));
        // All strong owners together hold one weak count.
        value.children.push(("weak".into(), plain(weak.wrapping_sub(1).to_string())));
        Ok(value)
    }

    /// `Rc<str>`, `Arc<[T]>`, `Rc<dyn Trait>`: counts, then the value at its alignment.
    fn counted_unsized(&mut self, pointer: TypeRef, offset: u64, place: Place<'_>, depth: usize) -> Printed {
        let block = place.word(offset).ok_or("unknown layout")?;
        let strong = self.types.memory.word(block).ok_or("its memory cannot be read")?;
        if strong == 0 {
            return Err("no owner is left".into());
        }
        let known = self.types.get(pointer);
        let second = place.word(offset + 8).ok_or("unknown layout")?;
        if known.member("vtable").is_some() {
            let concrete = self.types.of_vtable(second).ok_or("its concrete type is not described")?;
            let align = self.types.memory.word(second.wrapping_add(16)).filter(|align| align.is_power_of_two());
            let align = align.ok_or("not a valid vtable")?.max(8);
            return self.follow(concrete, block.wrapping_add(16_u64.next_multiple_of(align)), depth);
        }
        let (data, _) = self.find(pointer, "data_ptr").ok_or("unknown layout")?;
        let Shape::Pointer(Some(inner)) = self.types.get(data).shape else { return Err("unknown layout".into()) };
        let (value, at) = self.find(inner, "value").or_else(|| self.find(inner, "data")).ok_or("unknown layout")?;
        let name = known.shown.clone();
        if name.contains("<str>") {
            let text = self.read_text(block.wrapping_add(at), second)?;
            return self.string(text);
        }
        // The last field of a block with a slice in it is described by the type of one element.
        self.elements(value, block.wrapping_add(at), second, depth)
    }
}
