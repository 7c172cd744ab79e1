//! Names of tasks.

use tinyio_frames::{Frames, TypeRef};

/// The future that a box or a pin holds.
pub fn content(frames: &mut Frames, ty: TypeRef) -> TypeRef {
    let path = frames.type_path(ty);
    let inner = match path.as_str() {
        "core::pin::Pin" => frames.parameter(ty, "Ptr"),
        "alloc::boxed::Box" => frames.pointee(ty),
        _ => None,
    };
    inner.map_or(ty, |inner| content(frames, inner))
}
