//! Types behind a wide pointer: sized and laid out by their last field, as the language does it.
//!
//! Debug info describes an unsized structure up to its last field: the offset of that field is not rounded up for the
//! alignment of the concrete type, a slice is described by the type of one element, a trait object by a structure
//! without fields.

use super::ValueReader;
use crate::names;
use crate::shape::{Base, Member, Shape, Type, TypeRef};

/// What a wide pointer says beside the address.
#[derive(Clone, Copy)]
pub(super) enum Extra {
    Length(u64),
    /// The concrete type and its alignment.
    Concrete(TypeRef, u64),
}

/// A pointer, taken apart.
pub struct Target {
    pub address: u64,
    /// The type there, with a size.
    pub ty: TypeRef,
    /// The name of the concrete type behind a `dyn`.
    pub concrete: Option<String>,
    /// The vtable, if `ty` is the type that it is of.
    pub vtable: Option<u64>,
}

/// What a slice of bytes holds, by the generic arguments around it.
#[derive(Clone, Copy, PartialEq)]
enum Holds {
    Text,
    Elements,
    /// Nothing around it says so.
    Unsaid,
}

impl ValueReader<'_> {
    /// The concrete type of a vtable, and its alignment.
    pub(super) fn concrete(&mut self, vtable: u64) -> Result<Extra, String> {
        let concrete = self.types.of_vtable(vtable).ok_or_else(|| {
            let image = self.types.images.find(&self.types.memory, vtable);
            let missing = image.map(|image| self.types.images.get(image).missing.clone());
            missing.unwrap_or_else(Some).unwrap_or_else(|| "its concrete type is not described".into())
        })?;
        let align = self.types.memory.word(vtable.wrapping_add(16)).filter(|align| align.is_power_of_two());
        Ok(Extra::Concrete(concrete, align.filter(|align| *align <= 1 << 29).ok_or("not a valid vtable")?))
    }

    /// The type behind a wide pointer, with the size that the pointer gives it.
    pub(super) fn sized(&mut self, ty: TypeRef, extra: Extra) -> Result<TypeRef, String> {
        if let (Extra::Concrete(concrete, _), true) = (extra, self.types.get(ty).members().is_empty()) {
            return Ok(concrete);
        }
        Ok(self.sized_struct(ty, extra, Holds::Unsaid, 0)?.0)
    }

    /// A structure with an unsized last field: with its size, and its alignment.
    fn sized_struct(
        &mut self,
        ty: TypeRef,
        extra: Extra,
        outer: Holds,
        depth: usize,
    ) -> Result<(TypeRef, u64), String> {
        let known = self.types.get(ty);
        let (Shape::Struct(members), Some(prefix), Some(align)) = (&known.shape, known.size, known.align) else {
            return Err("unknown layout".into());
        };
        let last = members.last().filter(|_| depth < 16).ok_or("unknown layout")?;
        let holds = holds(&known.name).unwrap_or(outer);
        let (tail, tail_align) = match extra {
            Extra::Concrete(concrete, align) if self.types.get(last.ty).members().is_empty() => (concrete, align),
            Extra::Length(count) if self.is_element(prefix, last)? => (self.slice_of(last.ty, count, holds), 1),
            _ => self.sized_struct(last.ty, extra, holds, depth + 1)?,
        };
        let offset = last.offset.checked_next_multiple_of(tail_align).ok_or("unknown layout")?;
        // In a packed structure nothing is rounded up. One may end in a trait object only if that is not dropped.
        if offset != last.offset && align == 1 && self.types.get(last.ty).path() == MANUALLY_DROP {
            return Err("unknown layout".into());
        }
        let align = align.max(tail_align);
        let end = self.types.size(tail).and_then(|size| offset.checked_add(size)).ok_or("unknown layout")?;
        let size = end.max(prefix).checked_next_multiple_of(align).ok_or("unknown layout")?;
        let mut members = members.clone();
        if let Some(last) = members.last_mut() {
            (last.ty, last.offset) = (tail, offset);
        }
        let made = Type {
            name: known.name.clone(),
            shown: known.shown.clone(),
            size: Some(size),
            align: Some(align),
            shape: Shape::Struct(members),
            params: known.params.clone(),
            function: Default::default(),
        };
        Ok((self.types.add(made), align))
    }

    /// Whether the last field of an unsized structure is described by an element of the slice that it is, not as a
    /// structure that is unsized itself: such an element reaches beyond the part of the structure that has a size.
    fn is_element(&mut self, prefix: u64, last: &Member) -> Result<bool, String> {
        let size = self.types.size(last.ty).ok_or("the size of its elements is not known")?;
        if size > 0 {
            return Ok(last.offset.saturating_add(size) > prefix);
        }
        let (mut known, mut certain) = (self.types.get(last.ty), false);
        if known.members().is_empty() {
            return Ok(true);
        }
        // Without a size are elements that hold nothing, and structures that hold nothing but a slice.
        for _ in 0..16 {
            certain |= holds(&known.name).is_some();
            let Some(inner) = known.members().last().map(|inner| inner.ty).filter(|_| !certain) else { break };
            certain = self.types.size(inner).is_some_and(|size| size > 0);
            known = self.types.get(inner);
        }
        if certain { Ok(false) } else { Err("unknown layout".into()) }
    }

    /// A slice of these elements, or the text they are.
    pub(super) fn slice_of_elements(&mut self, element: TypeRef, count: u64, is_text: bool) -> TypeRef {
        self.slice_of(element, count, if is_text { Holds::Text } else { Holds::Elements })
    }

    fn slice_of(&mut self, element: TypeRef, count: u64, holds: Holds) -> TypeRef {
        let known = self.types.get(element);
        let bytes = matches!(known.shape, Shape::Base(Base::Unsigned)) && known.size == Some(1);
        let (name, shape) = match holds {
            Holds::Text => ("str".to_owned(), Shape::Text(count)),
            Holds::Unsaid if bytes => ("str or [u8]".to_owned(), Shape::TextOrBytes { element, count }),
            _ => (format!("[{}]", known.shown), Shape::Array { element, count: Some(count) }),
        };
        let size = known.size.unwrap_or(0).saturating_mul(count);
        let size = if matches!(shape, Shape::Array { .. }) { None } else { Some(size) };
        self.types.add(Type {
            shown: name.clone(),
            name,
            size,
            align: Some(1),
            shape,
            params: Vec::new(),
            function: Default::default(),
        })
    }
}

const MANUALLY_DROP: &str = "core::mem::manually_drop::ManuallyDrop";

/// What the generic arguments of a type say of the slice that it ends with.
fn holds(name: &str) -> Option<Holds> {
    names::arguments(name).into_iter().find_map(|argument| match argument {
        "str" => Some(Holds::Text),
        _ => names::is_slice(argument).then_some(Holds::Elements),
    })
}
