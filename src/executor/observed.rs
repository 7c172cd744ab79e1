//! A loop, as its observer sees it.

use crate::executor::Executor;
use crate::observe::Observed;

impl Observed for Executor {
    #[inline]
    fn rec(&self) -> &crate::observe::Rec {
        &self.rec
    }

    #[inline]
    fn tag(&self) -> u32 {
        self.tag()
    }

    fn now(&self) -> u64 {
        self.now()
    }

    fn tasks(&self) -> &crate::task::TaskTable {
        &self.slots
    }

    #[inline]
    fn current_task(&self) -> &crate::task::CurrentTask {
        &self.current_task
    }

    fn is_cancelling(&self) -> bool {
        self.cancellation.delivery.get().reason.is_some()
    }

    fn mailbox(&self) -> std::sync::Arc<dyn crate::observe::Mailbox> {
        self.inbox().clone()
    }

    fn read_notes(&self) {
        self.read_notes();
    }
}
