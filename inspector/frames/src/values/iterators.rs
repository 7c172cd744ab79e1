//! What iterators have given last: the variable of a `for` loop is mostly not kept over an `.await`, its iterator is.

use tinyio_events::event::Value;

use super::{Place, ValueReader, masked, plain, scalar};
use crate::shape::{Base, Glue, Shape, TypeRef};

impl ValueReader<'_> {
    /// Like [`given_last`](ValueReader::given_last), masked if the name of the variable says so.
    pub fn given_last_as(&mut self, name: &str, iter: TypeRef, place: Place<'_>, variable: TypeRef) -> Option<Value> {
        let given = self.given_last(iter, place, variable)?;
        Some(if self.is_secret(name) { masked(given.type_name) } else { given })
    }

    /// What an iterator gave last, as a variable of a type, where what the iterator consists of certainly tells it.
    fn given_last(&mut self, iter: TypeRef, place: Place<'_>, variable: TypeRef) -> Option<Value> {
        let known = self.types.get(iter);
        match known.path() {
            "core::slice::iter::Iter" => {
                let (element, at) = self.element_before(iter, place)?;
                if self.types.same(variable, element) {
                    // By a pattern such as `&x`.
                    return Some(self.at(element, at, 0));
                }
                let Shape::Pointer(Some(target)) = self.types.get(variable).shape else { return None };
                let is_it = self.types.get(variable).name.starts_with('&') && self.types.same(target, element);
                is_it.then(|| self.at(element, at, 0))
            }
            // Of what has drop glue the bytes may be stale: it was moved out.
            "alloc::vec::into_iter::IntoIter" => {
                let (element, at) = self.element_before(iter, place)?;
                let is_it = self.types.same(variable, element) && self.types.glue(element) == Glue::No;
                is_it.then(|| self.at(element, at, 0))
            }
            "core::array::iter::IntoIter" => {
                let element = known.param("T")?;
                let size = self.types.size(element).filter(|size| *size > 0)?;
                let (first, left) = self.array_iter(iter, place).ok()?;
                let last = left.start.checked_sub(1)?;
                let is_it = self.types.same(variable, element) && self.types.glue(element) == Glue::No;
                is_it.then(|| self.at(element, first.wrapping_add(last.wrapping_mul(size)), 0))
            }
            "core::ops::range::Range" => self.number_before(iter, "start", place, variable),
            "core::ops::range::RangeInclusive" => match self.number(iter, "exhausted", place).ok()? {
                0 => self.number_before(iter, "start", place, variable),
                _ => {
                    let (end, offset) = self.find(iter, "end")?;
                    let part = place.part(offset, self.types.size(end)?)?;
                    self.types.same(end, variable).then(|| self.value(end, part, 0))
                }
            },
            "core::iter::adapters::enumerate::Enumerate" => {
                let (inner, offset) = self.find(iter, "iter")?;
                let part = place.part(offset, self.types.size(inner)?)?;
                let given = self.given_last(inner, part, variable);
                let count = self.number_before(iter, "count", place, variable);
                // Where both have the type of the variable, nothing says which it is.
                match (given, count) {
                    (Some(only), None) | (None, Some(only)) => Some(only),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// The element before the first one that an iterator has left.
    fn element_before(&mut self, iter: TypeRef, place: Place<'_>) -> Option<(TypeRef, u64)> {
        let element = self.types.get(iter).param("T")?;
        let size = self.types.size(element).filter(|size| *size > 0)?;
        let next = self.word(iter, "ptr.pointer", place).ok()?;
        Some((element, next.checked_sub(size)?))
    }

    /// The whole number before the one in a field, which is of the type of the variable.
    fn number_before(&mut self, ty: TypeRef, field: &str, place: Place<'_>, variable: TypeRef) -> Option<Value> {
        let (number, offset) = self.find(ty, field)?;
        let known = self.types.get(number);
        let Shape::Base(base @ (Base::Signed | Base::Unsigned)) = known.shape else { return None };
        if !self.types.same(number, variable) {
            return None;
        }
        let part = place.part(offset, self.types.size(number)?)?;
        let before = part.number()?.wrapping_sub(1).to_le_bytes();
        let bytes = before.get(..part.bytes.len())?;
        let text = scalar(base, Place { address: part.address, bytes }).ok()?;
        Some(Value { type_name: known.shown.clone(), ..plain(text) })
    }
}
