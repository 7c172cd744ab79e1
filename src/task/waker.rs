//! Wakers, whose data is a wake token.

use std::mem::ManuallyDrop;
use std::ptr;
use std::task::{RawWaker, RawWakerVTable, Waker};

use super::schedule::{Schedule, WakerVtable};
use super::wake_token::WakeToken;

#[cfg(not(target_pointer_width = "64"))]
compile_error!("tinyio keeps 64-bit words in wakers: it needs a 64-bit target");

impl WakerVtable {
    pub(crate) const fn of<S: Schedule>() -> WakerVtable {
        WakerVtable(RawWakerVTable::new(clone::<S>, wake_owned::<S>, wake_by_ref::<S>, drop_waker::<S>))
    }
}

fn token_of(data: *const ()) -> WakeToken {
    WakeToken::from_bits(data.addr() as u64)
}

fn data_of(wake_token: WakeToken) -> *const () {
    ptr::without_provenance(wake_token.bits() as usize)
}

/// A waker of this task, lent to its poll: it is not counted, so it must not be dropped.
#[inline]
pub(crate) fn lend<S: Schedule>(wake_token: WakeToken) -> ManuallyDrop<Waker> {
    // SAFETY: the functions treat the data as a wake token, and uphold the contract of `RawWaker`: they may be called
    // from any thread, and `data` owns nothing.
    ManuallyDrop::new(unsafe { Waker::new(data_of(wake_token), &S::wakers().0) })
}

/// The wake token of a waker, if it is one of ours.
#[inline]
pub(crate) fn wake_token<S: Schedule>(waker: &Waker) -> Option<WakeToken> {
    ptr::eq(waker.vtable(), &S::wakers().0).then(|| token_of(waker.data()))
}

fn clone<S: Schedule>(data: *const ()) -> RawWaker {
    S::waker_cloned(token_of(data));
    RawWaker::new(data, &S::wakers().0)
}

fn wake_owned<S: Schedule>(data: *const ()) {
    S::wake_owned(token_of(data));
}

fn wake_by_ref<S: Schedule>(data: *const ()) {
    S::wake(token_of(data));
}

fn drop_waker<S: Schedule>(data: *const ()) {
    S::waker_dropped(token_of(data));
}
