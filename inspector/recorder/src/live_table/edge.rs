//! An edge: that a coroutine waits on something.

use tinyio_events::event::SiteId;

/// One thing that a coroutine waits on.
#[derive(Clone, Copy)]
pub(super) struct Edge {
    pub(super) value: u64,
    pub(super) since: u64,
    /// Slot of the coroutine it is on.
    pub(super) slot: u32,
    /// Where (24 bits), and what it is on (8).
    place: u32,
}

impl Edge {
    #[inline(always)]
    pub(super) fn new(tag: u8, value: u64, since: u64, slot: u32, site: SiteId) -> Edge {
        // The table of names ends long before that.
        let site = if site <= tinyio_events::ring_words::MAX_NAME { site } else { 0 };
        Edge { value, since, slot, place: site << 8 | tag as u32 }
    }

    #[inline(always)]
    pub(super) fn tag(&self) -> u8 {
        self.place as u8
    }

    #[inline(always)]
    pub(super) fn site(&self) -> SiteId {
        self.place >> 8
    }

    pub(super) fn key(&self) -> (u8, u64) {
        (self.tag(), self.value)
    }
}
