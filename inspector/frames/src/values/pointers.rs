//! Values behind pointers: references, boxes, slices, trait objects, and reference-counted values.

use tinyio_events::event::Value;

use super::wide::{Extra, Target};
use super::{Place, Printed, ValueReader, plain};
use crate::names;
use crate::shape::{Shape, Type, TypeRef};

impl ValueReader<'_> {
    pub(super) fn pointer(&mut self, known: &Type, target: Option<TypeRef>, place: Place<'_>, depth: usize) -> Printed {
        let address = place.word(0).ok_or("it is no pointer of this machine")?;
        let raw = known.name.starts_with('*');
        let function = target.is_some_and(|target| matches!(self.types.get(target).shape, Shape::Function));
        if function && self.types.images.find(&self.types.memory, address).is_err() {
            // There is no code: the type identifies the function, and these bytes belong to another value.
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

    /// What a pointer points to; a wide one leads to a type with the size that it says.
    pub fn target(&mut self, pointer: TypeRef, place: Place<'_>) -> Result<Target, String> {
        let known = self.types.get(pointer);
        let pointee = |reader: &mut Self, thin: TypeRef| match reader.types.get(thin).shape {
            Shape::Pointer(Some(pointee)) => Ok(pointee),
            _ => Err("unknown layout".to_owned()),
        };
        let mut direct = None;
        let (address, ty, concrete) = match (&known.shape, known.members()) {
            (Shape::Pointer(_), _) => {
                let address = place.word(0).ok_or("it is no pointer of this machine")?;
                (address, pointee(self, pointer)?, None)
            }
            (_, [data, length]) if data.name == "data_ptr" && length.name == "length" => {
                let address = place.word(data.offset).ok_or("unknown layout")?;
                let length = place.word(length.offset).ok_or("unknown layout")?;
                let element = pointee(self, data.ty)?;
                let ty = match names::pointee(&known.name) {
                    "str" => self.slice_of_elements(element, length, true),
                    name if names::is_slice(name) => self.slice_of_elements(element, length, false),
                    _ => self.sized(element, Extra::Length(length))?,
                };
                (address, ty, None)
            }
            (_, [data, vtable]) if data.name == "pointer" && vtable.name == "vtable" => {
                let address = place.word(data.offset).ok_or("unknown layout")?;
                let vtable = place.word(vtable.offset).ok_or("unknown layout")?;
                let extra = self.concrete(vtable)?;
                let pointee = pointee(self, data.ty)?;
                let Extra::Concrete(concrete, _) = extra else { return Err("unknown layout".into()) };
                let ty = self.sized(pointee, extra)?;
                direct = (ty == concrete).then_some(vtable);
                (address, ty, Some(self.name(concrete)))
            }
            _ => return Err("unknown layout".into()),
        };
        match address {
            0 => Err("null, where no null can be".into()),
            _ => Ok(Target { address, ty, concrete, vtable: direct }),
        }
    }

    /// `&str`, `&[T]`, `Box<[T]>`, `&Path`, `&dyn Trait`, `Box<dyn Trait>`.
    pub(super) fn wide(&mut self, ty: TypeRef, known: &Type, place: Place<'_>, depth: usize) -> Printed {
        if known.name.starts_with('*') {
            let address = place.word(known.members()[0].offset).ok_or("unknown layout")?;
            return Ok(plain(format!("{address:#x}")));
        }
        let target = self.target(ty, place)?;
        let behind = self.types.get(target.ty);
        match behind.shape {
            Shape::Array { element, count: Some(count) } => self.elements(element, target.address, count, depth),
            Shape::Text(length) => {
                let text = self.read_text(target.address, length)?;
                self.string(text)
            }
            _ => {
                let mut value = self.follow(target.ty, target.address, depth)?;
                if let Some(concrete) = &target.concrete {
                    value.type_name = format!("{} ({concrete})", known.shown);
                }
                Ok(value)
            }
        }
    }

    /// What a guard leads to: the pointer at a path, and a field of what that points to. Printed as itself.
    pub(super) fn guarded(
        &mut self,
        ty: TypeRef,
        pointer: &str,
        field: &str,
        place: Place<'_>,
        depth: usize,
    ) -> Printed {
        let path = format!("{pointer}.pointer");
        let (pointer, offset) = self.find(ty, &path).or_else(|| self.find(ty, pointer)).ok_or("unknown layout")?;
        let size = self.types.size(pointer).ok_or("unknown layout")?;
        let target = self.target(pointer, place.part(offset, size).ok_or("unknown layout")?)?;
        let (inner, at) = self.find(target.ty, field).ok_or("unknown layout")?;
        self.follow(inner, target.address.wrapping_add(at), depth)
    }

    /// `Rc<T>`, `Arc<T>`: the value, and how many own it.
    pub(super) fn counted(&mut self, ty: TypeRef, place: Place<'_>, depth: usize) -> Printed {
        let (pointer, offset) = self.find(ty, "ptr.pointer").ok_or("unknown layout")?;
        let size = self.types.size(pointer).ok_or("unknown layout")?;
        let block = self.target(pointer, place.part(offset, size).ok_or("unknown layout")?)?;
        let ((strong, strong_at), (weak, weak_at)) = (
            self.find(block.ty, "strong").ok_or("unknown layout")?,
            self.find(block.ty, "weak").ok_or("unknown layout")?,
        );
        let (target, value_at) =
            self.find(block.ty, "value").or_else(|| self.find(block.ty, "data")).ok_or("unknown layout")?;
        if self.types.size(strong) != Some(8) || self.types.size(weak) != Some(8) {
            return Err("unknown layout".into());
        }
        let strong = self.types.memory.word(block.address.wrapping_add(strong_at));
        let weak = self.types.memory.word(block.address.wrapping_add(weak_at));
        let (strong, weak) = (strong.ok_or("its memory cannot be read")?, weak.ok_or("its memory cannot be read")?);
        if strong == 0 {
            return Err("no owner is left".into());
        }
        let at = block.address.wrapping_add(value_at);
        let mut value = match self.types.get(target).shape {
            Shape::Array { element, count: Some(count) } => self.elements(element, at, count, depth)?,
            _ => self.follow(target, at, depth)?,
        };
        value.children.push(("strong".into(), plain(strong.to_string())));
        // All strong owners together hold one weak count.
        value.children.push(("weak".into(), plain(weak.wrapping_sub(1).to_string())));
        if let Some(concrete) = &block.concrete {
            value.type_name = format!("{} ({concrete})", self.name(ty));
        }
        Ok(value)
    }
}
