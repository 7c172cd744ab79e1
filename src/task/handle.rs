//! Handles: the type-erased part of a `Coro`.

use std::alloc::{self, Layout};
use std::cell::{Cell, UnsafeCell};
use std::future::Future;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::panic::Location;
use std::ptr::NonNull;

#[cfg(feature = "record")]
use tinyio_frames::FutureType;

use super::cell::{Body, Header, Profile, RawTask, TaskCell, flag};
use super::fault::BoxError;
use super::memory;
use super::release::release;
use super::schedule::Schedule;
use super::waiters::{CloneFn, Waiters};
use super::wake_token::WakeToken;

/// Of these flags, a coroutine that was scheduled, has not ended and belongs to its handles has only [`flag::SLOTTED`].
const OWNED: u16 = flag::BODY | flag::SLOTTED | flag::DETACHED | flag::ABANDONED;

/// One of the handles of a coroutine.
pub(crate) struct Handle(pub(super) NonNull<Header>);

impl Handle {
    /// Moves a future into a block of its own. The caller keeps the output's type.
    ///
    /// The future may borrow: see invariant 7 for the callers that pass one that does.
    pub(crate) fn new<F, T, E, P, S>(future: F, place: &'static Location<'static>, flags: u16) -> Handle
    where
        F: Future<Output = Result<T, E>>,
        E: Into<BoxError>,
        P: Profile<F, T, E>,
        S: Schedule,
    {
        let layout = Layout::new::<TaskCell<F, T>>();
        // SAFETY: a block has a header, so its size is not zero.
        let block = memory::with(|memory| unsafe { memory.take(layout) }).cast::<TaskCell<F, T>>();
        let Some(block) = NonNull::new(block) else { alloc::handle_alloc_error(layout) };
        let header = Header {
            vtable: const { &RawTask::<F, T, E, P, S>::VTABLE },
            link: Cell::new(None),
            waiters: Waiters::new(),
            wake_token: Cell::new(WakeToken::NONE),
            id: Cell::new(0),
            place: Cell::new(place),
            handles: Cell::new(1),
            queued: Cell::new(false),
            running: Cell::new(false),
            flags: Cell::new(flags),
        };
        // SAFETY: freshly allocated, with this type's layout; the two fields are written in place so that a large
        // future is copied once.
        unsafe {
            (&raw mut (*block.as_ptr()).header).write(header);
            UnsafeCell::raw_get(&raw const (*block.as_ptr()).body).write(Body { future: ManuallyDrop::new(future) });
        }
        Handle(block.cast())
    }

    /// Another handle of the same coroutine, whose output has the type `T`.
    ///
    /// # Safety
    ///
    /// `T` is the type of the output.
    pub(crate) unsafe fn share<T: Clone>(&self) -> Handle {
        unsafe fn clone_into<T: Clone>(source: NonNull<()>, target: NonNull<()>) {
            // SAFETY: the caller ensures that the source holds a `T` and the target has room for one.
            unsafe { target.cast::<T>().write(source.cast::<T>().as_ref().clone()) }
        }
        let clone: CloneFn = clone_into::<T>;
        self.waiters.make_shared().clone.set(Some(clone));
        // SAFETY: `self` owns it.
        unsafe { Handle::of(self.0) }
    }

    /// The future's type and address, for reading its frames. `None` once it is gone.
    #[cfg(feature = "record")]
    pub(crate) fn future(&self) -> Option<(FutureType, usize)> {
        let (mark, address) = self.future_at();
        (self.body() == 0).then(|| (mark.read(), address))
    }

    /// Has its loop cancel it, because its last handle was dropped.
    #[cold]
    #[inline(never)]
    fn abandon(&self) {
        self.set(flag::ABANDONED);
        (self.vtable.abandoned)(self.wake_token());
    }

    /// Whether there are other handles of the coroutine.
    pub(crate) fn is_shared(&self) -> bool {
        self.handles.get() > 1
    }

    /// One more handle.
    ///
    /// # Safety
    ///
    /// The block is alive.
    pub(super) unsafe fn of(header: NonNull<Header>) -> Handle {
        // SAFETY: required of the caller.
        let this = unsafe { header.as_ref() };
        let handles = this.handles.get().checked_add(1).expect("fewer than 2^32 handles of one coroutine");
        this.handles.set(handles);
        Handle(header)
    }

    /// The output: moved out by the last handle, a clone otherwise. `None` if it is not there.
    ///
    /// # Safety
    ///
    /// `T` is the type of the output.
    pub(crate) unsafe fn take<T>(&self) -> Option<T> {
        // SAFETY: required of the caller.
        let alone = unsafe { self.take_alone::<T>() };
        if alone.is_some() || !self.is_done() {
            return alone;
        }
        // SAFETY: required of the caller; the output is there.
        Some(unsafe { self.copy(self.output()) })
    }

    /// The output, moved out. `None` if it is not there, or this is not the only handle.
    ///
    /// # Safety
    ///
    /// `T` is the type of the output.
    #[inline]
    pub(crate) unsafe fn take_alone<T>(&self) -> Option<T> {
        if self.is_shared() || !self.is_done() {
            return None;
        }
        self.set_body(flag::GONE);
        self.set(flag::TAKEN);
        // SAFETY: the state was OUTPUT and is now GONE (2); the caller ensures that the output has type `T`.
        Some(unsafe { self.output::<T>().read() })
    }

    /// Where the output is while it is there, if it has the type `T`.
    #[inline]
    fn output<T>(&self) -> NonNull<T> {
        // SAFETY: the vtable is that of this block's type, so the field is in bounds.
        unsafe { self.0.cast::<u8>().add(self.vtable.offset).cast::<T>() }
    }

    /// A clone of the output, which is at this place.
    ///
    /// # Safety
    ///
    /// `T` is the type of the output, and the output is there.
    #[inline(never)]
    unsafe fn copy<T>(&self, place: NonNull<T>) -> T {
        let clone = self.waiters.boxed().and_then(|shared| shared.clone.get()).expect("`share` made the other handle");
        let mut copy = std::mem::MaybeUninit::<T>::uninit();
        // SAFETY: the output is there, and stays while its `clone` runs, because only the last handle moves it out, and
        // `self` is borrowed; so `copy` is written when `clone` returns.
        unsafe {
            clone(place.cast(), NonNull::from(&mut copy).cast());
            copy.assume_init()
        }
    }
}

impl Deref for Handle {
    type Target = Header;

    #[inline]
    fn deref(&self) -> &Header {
        // SAFETY: a handle owns (1).
        unsafe { self.0.as_ref() }
    }
}

impl Drop for Handle {
    #[inline]
    fn drop(&mut self) {
        let handles = self.handles.get() - 1;
        self.handles.set(handles);
        if handles == 0 && self.flags.get() & OWNED == flag::SLOTTED {
            // A slot owns it too.
            self.abandon();
        } else {
            // SAFETY: `self` owned it until now.
            unsafe { release(self.0) };
        }
    }
}
