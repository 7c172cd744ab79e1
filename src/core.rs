//! The loop itself: who is alive, who is ready, and one step after the other.
//!
//! Read [`Core::turn`] first, then [`Core::step`]. Cancelling is in [`crate::cancel`].

use std::cell::{Cell, RefCell};
use std::panic::Location;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::blocked;
use crate::crash::{Failure, Group};
use crate::error::{CancelledError, Reason};
use crate::record::{By, Rec, Target};
use crate::slab::Slab;
use crate::stuck::Queuing;
use crate::task::{
    self, Header, Inbox, Kind, MAX_SLOTS, Mail, Queue, Queued, Running, Slotted, Spot, Step, Word, flag,
};
use crate::threading;
use crate::wheel::{Key, TICK, Wheel};

/// Steps between two looks at inbox and timers.
const STEPS_PER_TURN: u32 = 64;

/// A loop, as its coroutines see it.
pub(crate) struct Core {
    inbox: Arc<Inbox>,
    /// The inbox's, close at hand: every wake compares it.
    tag: u32,
    /// Ready, in order.
    queue: Queue,
    /// Everyone who is scheduled and has not ended: this *is* the set of live coroutines.
    slots: RefCell<Slab<Slotted>>,
    pub(crate) timers: RefCell<Wheel>,
    /// Wakers of others (`FuturesUnordered`, `select!`) that coroutines of this loop have left at tinyio's await points.
    foreign: RefCell<Slab<Foreign>>,
    /// The coroutine that is running.
    pub(crate) spot: Spot,
    clock: Clock,
    /// What went wrong first.
    pub(crate) failure: RefCell<Option<Failure>>,
    /// What await points answer in a coroutine that is being cancelled.
    pub(crate) cancel: Cell<Cancel>,
    /// Somebody came to wait on a coroutine that had been scheduled before: without that there is no cycle.
    pub(crate) suspicious: Cell<bool>,
    /// Steps since the last search for a cycle.
    pub(crate) unsearched: Cell<u64>,
    /// When the search that was put off is due.
    pub(crate) search_at: Cell<Option<u64>>,
    /// The loops that coroutines of this one drive, by the coroutine.
    pub(crate) guests: RefCell<Slab<(Word, Weak<Core>)>>,
    /// A coroutine of another loop drives this one.
    pub(crate) is_guest: Cell<bool>,
    /// Wakers of others were left at await points in this turn.
    pub(crate) watched: Cell<bool>,
    /// Functions at work on threads.
    pub(crate) jobs: Cell<usize>,
    /// One of them was handed over, or ended, since the loop last slept: another may end any moment.
    pub(crate) expects_mail: Cell<bool>,
    /// Who waits for a lock, a semaphore or a barrier.
    pub(crate) queued: RefCell<Slab<Queuing>>,
    /// Since when nothing in the loop can change anything; and whether that was said.
    pub(crate) quiet_since: Cell<Option<(u64, bool)>>,
    pub(crate) quiescent_warning: Cell<Duration>,
    /// Who is waking others, when it is not the running coroutine.
    pub(crate) by: Cell<By>,
    pub(crate) group: Cell<Group>,
    /// How long cleanup code may await.
    pub(crate) grace: Cell<Option<Duration>>,
    /// With a seed: who is ready, to be taken at random.
    pub(crate) shuffled: RefCell<Option<Shuffled>>,
    pub(crate) rec: Rec,
}

/// Takes whoever is ready in an order that a seed decides.
pub(crate) struct Shuffled {
    state: u64,
    ready: Vec<Queued>,
}

impl Shuffled {
    pub(crate) fn new(seed: u64) -> Shuffled {
        Shuffled { state: seed, ready: Vec::new() }
    }

    /// The next random number. SplitMix64 (Steele, Lea and Flood, 2014).
    pub(crate) fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut random = self.state;
        random = (random ^ (random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        random = (random ^ (random >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        random ^ (random >> 31)
    }
}

/// A waker of somebody else, and the coroutine that left it.
struct Foreign {
    waker: Waker,
    owner: Word,
}

/// Why a loop is stopped from outside.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stop {
    /// By its handle, or Ctrl-C.
    Interrupted,
    /// The future that drives it was dropped.
    Dropped,
}

/// Whether await points answer, and what they have answered in this poll.
#[derive(Clone, Copy, Default)]
pub(crate) struct Cancel {
    /// Set while a coroutine is polled to be told.
    pub(crate) reason: Option<Reason>,
    /// Await points that are reached after the first answer work as usual: the coroutine may await in its cleanup.
    pub(crate) gently: bool,
    /// An await point has answered.
    pub(crate) answered: bool,
    /// Await points that were reached after that, and the first of them.
    pub(crate) again: u32,
    pub(crate) again_at: Option<&'static Location<'static>>,
}

impl Cancel {
    /// Everyone is polled in order; nobody has a turn of his own.
    fn is_hard(&self) -> bool {
        self.reason == Some(Reason::Crash) && !self.gently
    }
}

/// Await points that answer a coroutine which goes on awaiting; after these it is cut off.
const PATIENCE: u32 = 1_000;

/// What there is to do after a turn.
pub(crate) enum Turn {
    /// More of the same.
    Ready,
    /// Nothing, before this time of the loop's clock or a word from outside.
    Idle(Option<u64>),
    /// Everyone has ended.
    Done,
    /// Somebody failed: everything is to be cancelled.
    Failed,
}

/// The loop's clock.
struct Clock {
    start: Instant,
    /// With virtual time: what it shows.
    shown: Cell<Option<u64>>,
    /// It is set by the loop around this one.
    guest: Cell<bool>,
}

/// No timer is set for later than 73 years, half of what the wheel can hold.
const FAR: Duration = Duration::from_nanos(1 << 61);

thread_local! {
    /// Coroutines are numbered by thread, as they are recorded by thread.
    static IDS: Cell<u64> = const { Cell::new(0) };
}

impl Core {
    pub(crate) fn new() -> Rc<Core> {
        let inbox = Inbox::new();
        Rc::new(Core {
            tag: inbox.tag(),
            inbox,
            queue: Queue::default(),
            slots: RefCell::default(),
            timers: RefCell::new(Wheel::new()),
            foreign: RefCell::default(),
            spot: Spot::default(),
            clock: Clock { start: Instant::now(), shown: Cell::new(None), guest: Cell::new(false) },
            failure: RefCell::new(None),
            cancel: Cell::default(),
            suspicious: Cell::new(false),
            unsearched: Cell::new(0),
            search_at: Cell::default(),
            guests: RefCell::default(),
            is_guest: Cell::default(),
            watched: Cell::default(),
            jobs: Cell::default(),
            expects_mail: Cell::default(),
            queued: RefCell::default(),
            quiet_since: Cell::default(),
            quiescent_warning: Cell::new(Duration::from_secs(5)),
            by: Cell::new(By::External),
            group: Cell::default(),
            grace: Cell::default(),
            shuffled: RefCell::default(),
            rec: Rec::default(),
        })
    }

    pub(crate) fn inbox(&self) -> &Arc<Inbox> {
        &self.inbox
    }

    #[inline]
    pub(crate) fn tag(&self) -> u32 {
        self.tag
    }

    /// Nanoseconds since the loop was made.
    pub(crate) fn now(&self) -> u64 {
        match self.clock.shown.get() {
            Some(shown) => shown,
            None => u64::try_from(self.clock.start.elapsed().as_nanos()).unwrap_or(u64::MAX),
        }
    }

    /// From now on the clock stands still while anybody is ready, and then goes on to the next timer.
    pub(crate) fn use_virtual_time(&self) {
        self.clock.shown.set(Some(self.now()));
    }

    /// Takes over the virtual time of the loop around this one, which alone goes on with it.
    pub(crate) fn follow_clock(&self, host: &Core) {
        if host.clock.shown.get().is_some() {
            self.clock.shown.set(host.clock.shown.get());
            self.clock.guest.set(true);
        }
    }

    /// With virtual time of its own: goes on to the next timer, unless a thread may come first.
    pub(crate) fn skip_time(&self) -> bool {
        let next = self.timers.borrow().earliest();
        !self.clock.guest.get() && next.is_some_and(|next| self.skip_to(next))
    }

    /// With virtual time: goes on to this moment, unless a thread may come first. For a loop that nobody polls meanwhile.
    pub(crate) fn skip_to(&self, until: u64) -> bool {
        let Some(now) = self.clock.shown.get().filter(|_| self.jobs.get() == 0 && until < u64::MAX) else {
            return false;
        };
        // Timers fire at the end of a tick.
        self.clock.shown.set(Some(until.checked_next_multiple_of(TICK).unwrap_or(until).max(now)));
        true
    }

    /// When it will be `after` from now.
    pub(crate) fn deadline(&self, after: Duration) -> u64 {
        self.now().saturating_add(after.min(FAR).as_nanos() as u64)
    }

    /// Live coroutines.
    pub(crate) fn live(&self) -> usize {
        self.slots.borrow().len()
    }

    // ---- One turn ----

    /// Runs what is ready, up to a number of steps, then looks at inbox and timers.
    pub(crate) fn turn(&self) -> Turn {
        for _ in 0..STEPS_PER_TURN {
            let Some((task, step)) = self.poll_next() else { break };
            match step {
                Step::Pending => continue,
                Step::Done => self.end(&task, None),
                Step::Failed(error) if task.has(flag::TOLD) && crate::error::cancellation(&*error).is_some() => {
                    self.end(&task, Some(crate::FailureKind::Cancelled)); // A thread whose time was up.
                }
                // It keeps its place until everyone's place has been noted: see `Cancelling::begin`.
                Step::Failed(error) => self.fail(Failure::of_error(self, &task, error)),
                Step::Panicked(payload) => self.fail(Failure::of_panic(self, &task, payload)),
            }
            if self.failed() {
                return Turn::Failed;
            }
        }
        self.unsearched.set(self.unsearched.get() + u64::from(STEPS_PER_TURN));
        self.look_around();
        if self.failed() {
            Turn::Failed
        } else if !self.is_idle() {
            Turn::Ready
        } else if self.live() == 0 {
            Turn::Done
        } else {
            Turn::Idle(self.timers.borrow().next())
        }
    }

    /// Nobody is ready.
    pub(crate) fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.shuffled.borrow().as_ref().is_none_or(|shuffled| shuffled.ready.is_empty())
    }

    /// Reads the inbox and fires what timers are due.
    pub(crate) fn look_around(&self) {
        self.end_watch();
        self.read_inbox();
        self.fire_timers();
    }

    /// Polls whoever's turn it is. `None`: nobody is ready.
    #[inline(always)]
    pub(crate) fn poll_next(&self) -> Option<(Running, Step)> {
        loop {
            let Some(mut task) = self.next_ready()?.run() else { continue };
            // It may have ended while it was queued.
            if task.is_alive() {
                let step = self.poll(&mut task);
                return Some((task, step));
            }
        }
    }

    /// Takes the next one from the queue; with a seed, any one of those who are ready.
    #[inline]
    fn next_ready(&self) -> Option<Queued> {
        if self.shuffled.borrow().is_none() { self.queue.pop() } else { self.any_ready() }
    }

    #[cold]
    fn any_ready(&self) -> Option<Queued> {
        let mut shuffled = self.shuffled.borrow_mut();
        let shuffled = shuffled.as_mut()?;
        shuffled.ready.extend(std::iter::from_fn(|| self.queue.pop()));
        let index = shuffled.random().checked_rem(shuffled.ready.len() as u64)?;
        Some(shuffled.ready.swap_remove(index as usize))
    }

    /// Polls one coroutine.
    #[inline(always)]
    pub(crate) fn poll(&self, task: &mut Running) -> Step {
        self.rec.step_begin(task);
        let waker = task::lend(task.word());
        let step = task.poll(&self.spot, &mut Context::from_waker(&waker));
        self.rec.step_end(task);
        step
    }

    pub(crate) fn failed(&self) -> bool {
        self.failure.borrow().is_some()
    }

    /// Notes what went wrong. The first failure is the one that counts.
    pub(crate) fn fail(&self, failure: Failure) {
        self.failure.borrow_mut().get_or_insert(failure);
    }

    /// Takes a coroutine that has ended out of the table and wakes whoever waits for its output.
    #[inline]
    pub(crate) fn end(&self, task: &Header, how: Option<crate::FailureKind>) {
        self.rec.end(task, how);
        self.leave(task);
    }

    /// Takes it out without a word.
    #[inline]
    pub(crate) fn leave(&self, task: &Header) {
        let slotted = self.slots.borrow_mut().remove(task.word().slot());
        let by = self.by.replace(By::Coro(task.id()));
        task.take_waiters(task::wake);
        self.by.set(by);
        drop(slotted);
    }

    pub(crate) fn read_inbox(&self) {
        if !self.inbox.has_mail() {
            return;
        }
        let Mail { words, cancel, notes } = self.inbox.take();
        for note in notes {
            self.rec.note(note);
        }
        self.by.set(By::External);
        for word in words {
            self.wake(word);
        }
        if let Some(stop) = cancel {
            self.fail(Failure::of_stop(stop));
        }
    }

    fn fire_timers(&self) {
        if self.timers.borrow().is_empty() {
            return;
        }
        let now = self.now();
        let mut due = Vec::new();
        self.timers.borrow_mut().expire(now, |word| due.push(word));
        self.by.set(By::Timer);
        for word in due {
            self.wake(word);
        }
        self.by.set(By::External);
    }

    /// Sleeps until `until` or until there is mail.
    pub(crate) fn park(&self, until: Option<u64>) {
        if until.is_some_and(|until| self.skip_to(until)) {
            return;
        }
        if self.expects_mail.take() && self.jobs.get() > 0 {
            crate::pool::search(|| self.inbox.has_mail());
        }
        self.rec.park(self, until);
        while !self.inbox.has_mail() {
            match until.map(|until| until.saturating_sub(self.now())) {
                Some(0) => break,
                Some(left) => threading::park_timeout(Duration::from_nanos(left)),
                None => threading::park(),
            }
        }
        self.rec.unpark();
    }

    // ---- Scheduling and waking ----

    /// Gives a coroutine its place in this loop, and its first turn.
    pub(crate) fn schedule(&self, coro: &Header) {
        IDS.set(IDS.get() + 1);
        let id = IDS.get();
        let mut slots = self.slots.borrow_mut();
        let slot = slots.next_key();
        assert!((slot as usize) < MAX_SLOTS, "tinyio: more than {MAX_SLOTS} coroutines at once in this loop");
        let slotted = coro.schedule(id, Word::task(self.tag(), id, slot));
        self.rec.spawn(self, coro);
        // While everything is being cancelled nobody starts any more.
        if !self.cancel.get().is_hard()
            && let Some(task) = slotted.queue()
        {
            self.queue.push(task);
        }
        slots.insert(slotted);
    }

    /// Wakes whomever a word of this loop names.
    #[inline]
    pub(crate) fn wake(&self, word: Word) {
        match word.kind() {
            Kind::Edge => {}
            Kind::Task => {
                let slots = self.slots.borrow();
                let Some(task) = slots.get(word.slot()).filter(|task| task.word() == word) else { return };
                if self.cancel.get().is_hard() {
                    return; // Everyone is polled in order; nobody has a turn of his own.
                }
                if let Some(queued) = task.queue() {
                    self.rec.wake(self, &queued);
                    self.queue.push(queued);
                }
            }
            Kind::Foreign => self.wake_behind(word.slot()),
        }
    }

    /// Calls a foreign waker, which stays where it is until the await point that left it is done. The waker's code runs while
    /// nothing is borrowed.
    #[cold]
    fn wake_behind(&self, slot: u32) {
        let exchange = |waker| {
            let mut foreign = self.foreign.borrow_mut();
            foreign.get_mut(slot).map(|foreign| std::mem::replace(&mut foreign.waker, waker))
        };
        if let Some(waker) = exchange(Waker::noop().clone()) {
            waker.wake_by_ref();
            drop(exchange(waker));
        }
    }

    /// The numbers of the live coroutines by the address of their blocks, which is what handles hold.
    #[cfg(feature = "record")]
    pub(crate) fn addresses(&self) -> std::collections::HashMap<u64, u64> {
        self.slots
            .borrow()
            .iter()
            .map(|(_, task)| (std::ptr::from_ref::<Header>(task).addr() as u64, task.id()))
            .collect()
    }

    /// Empties the ready queue.
    pub(crate) fn clear_queue(&self) {
        while self.next_ready().is_some() {}
    }

    /// Calls `f` with the live coroutine of this word, if there is one.
    pub(crate) fn with_task<R>(&self, word: Word, f: impl FnOnce(&Slotted) -> R) -> Option<R> {
        let slots = self.slots.borrow();
        slots.get(word.slot()).filter(|task| task.word() == word.woken()).map(f)
    }

    /// Calls `f` with each live coroutine. `f` must run no code of the user.
    pub(crate) fn each_task(&self, mut f: impl FnMut(&Slotted)) {
        self.slots.borrow().iter().for_each(|(_, task)| f(task));
    }

    /// Removes everyone, whatever they are at.
    pub(crate) fn abandon(&self) {
        self.clear_queue();
        loop {
            let tasks: Vec<Slotted> = self.slots.borrow_mut().drain().collect();
            if tasks.is_empty() {
                break;
            }
            for task in tasks {
                if let Some(mut running) = task.run() {
                    let _ = running.discard();
                }
            }
        }
        self.clear_queue();
        // Timers, wakers and places in queues have gone with their futures; those that are left are of futures that the caller has
        // kept, and may poll in the next run.
        self.quiet_since.set(None);
    }

    /// Somebody cloned the waker that his coroutine was polled with: from now on it may be woken by whoever has the clone.
    pub(crate) fn waker_cloned(&self, word: Word) {
        self.spot.with(|coro| {
            if let Some(coro) = coro.filter(|coro| coro.word() == word) {
                coro.set(flag::CLONED);
            }
        });
    }

    /// The coroutine that stands behind a word: itself, or the one that left the foreign waker.
    pub(crate) fn owner(&self, word: Word) -> Word {
        match word.kind() {
            Kind::Foreign => self.foreign.borrow().get(word.slot()).map_or(Word::NONE, |foreign| foreign.owner),
            Kind::Task | Kind::Edge if word.is_none() => Word::NONE,
            Kind::Task | Kind::Edge => word.woken(),
        }
    }

    /// Wakes the foreign wakers that this coroutine has left, or all: whoever waits behind one is polled again.
    pub(crate) fn wake_foreign(&self, owner: Option<Word>) {
        let left_by = |foreign: &Foreign| owner.is_none_or(|owner| foreign.owner == owner);
        let slots: Vec<u32> =
            self.foreign.borrow().iter().filter(|(_, foreign)| left_by(foreign)).map(|(slot, _)| slot).collect();
        slots.into_iter().for_each(|slot| self.wake_behind(slot));
    }

    // ---- What await points do ----

    /// What an await point has to answer before anything else, if the coroutine is being cancelled. `fresh`: it is polled for the
    /// first time.
    #[inline]
    pub(crate) fn cancelled(&self, fresh: bool, at: &'static Location<'static>) -> Option<Poll<CancelledError>> {
        let mut cancel = self.cancel.get();
        let reason = cancel.reason?;
        if fresh && cancel.answered && cancel.gently {
            return None;
        }
        if fresh && cancel.answered {
            cancel.again += 1;
            cancel.again_at.get_or_insert(at);
        }
        cancel.answered = true;
        self.cancel.set(cancel);
        Some(if cancel.again > PATIENCE { Poll::Pending } else { Poll::Ready(CancelledError::new(reason)) })
    }

    /// The running coroutine waits here, on this.
    #[inline]
    pub(crate) fn waits(&self, on: Target, mut at: &'static Location<'static>) {
        self.spot.with(|coro| {
            if let Some(coro) = coro {
                if coro.has(flag::OURS | flag::BLOCKED) {
                    // Its own place says more.
                    at = coro.place();
                    if coro.has(flag::BLOCKED) {
                        blocked::panic(coro, on, at);
                    }
                }
                coro.set_place(at);
                match on {
                    Target::Timer(_) | Target::Thread(_) => coro.set(flag::OUTSIDE),
                    _ => {}
                }
                self.rec.wait(self, coro, on, at);
            }
        });
    }

    /// The running coroutine waits on one of the loop of this tag.
    #[cold]
    pub(crate) fn waits_for_loop(&self, tag: u32) {
        let above = task::find(tag, |core| core.is_some());
        if above {
            self.suspect();
        }
        self.spot.with(|coro| coro.map(|coro| coro.set(if above { flag::ABOVE } else { flag::OUTSIDE })));
    }

    /// The running coroutine no longer waits on this, and was not woken by it.
    #[inline]
    pub(crate) fn stops_waiting(&self, on: Target) {
        self.spot.with(|coro| coro.inspect(|coro| self.rec.clear(coro, on)).is_some());
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        // Coroutines that are still here belong to a `drive` that was forgotten: what they borrow may be gone.
        self.slots.get_mut().drain().for_each(std::mem::forget);
        self.inbox.close();
    }
}

/// What wakes an await point: the running coroutine, or whoever's waker it was polled with.
#[derive(Default)]
pub(crate) struct Waiter(Word);

impl Waiter {
    /// The word to be woken; the same as before if it still fits.
    #[inline]
    pub(crate) fn word(&mut self, core: &Core, cx: &Context<'_>) -> Word {
        let here = core.spot.with(|coro| coro.map_or(Word::NONE, Header::word));
        if task::word(cx.waker()) == Some(here) {
            self.release();
            self.0 = here;
            return here;
        }
        let waker = cx.waker().clone();
        core.watch_turn(&waker);
        let mut foreign = core.foreign.borrow_mut();
        if self.0.kind() == Kind::Foreign
            && self.0.tag() == core.tag()
            && let Some(entry) = foreign.get_mut(self.0.slot())
        {
            let old = std::mem::replace(entry, Foreign { waker, owner: here });
            drop(foreign);
            drop(old);
            return self.0;
        }
        let word = Word::foreign(core.tag(), foreign.insert(Foreign { waker, owner: here }));
        drop(foreign);
        self.release();
        self.0 = word;
        word
    }

    /// Nobody is to be woken through it any more.
    #[inline]
    pub(crate) fn release(&mut self) {
        let word = std::mem::replace(&mut self.0, Word::NONE);
        if !word.is_none() && word.kind() == Kind::Foreign {
            let foreign = task::find(word.tag(), |core| core.map(|core| core.foreign.borrow_mut().remove(word.slot())));
            drop(foreign);
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.release();
    }
}

/// Calls `f` with the loop of this thread.
///
/// # Panics
///
/// If there is none. The message names `what` and the caller's line.
#[inline]
#[track_caller]
pub(crate) fn with<R>(what: &str, f: impl FnOnce(&Core) -> R) -> R {
    let at = Location::caller();
    task::current(|core| match core {
        Some(core) => f(core),
        None => no_loop(what, at),
    })
}

#[cold]
fn no_loop(what: &str, at: &'static Location<'static>) -> ! {
    panic!(
        "tinyio::{what} was awaited at {at}, where no tinyio loop is running. Run the future with `tinyio::Loop::run`, or drive a loop inside \
         another runtime with `tinyio::Loop::drive`"
    )
}

/// A timer that has been set, and is taken out when it is dropped.
#[derive(Default)]
pub(crate) struct Timer(Option<(u32, Key)>);

impl Timer {
    /// Sets it, unless it is set in this loop already; wakes `word` at `deadline`.
    pub(crate) fn set(&mut self, core: &Core, deadline: u64, word: Word) {
        match self.0 {
            Some((tag, key)) if tag == core.tag() => core.timers.borrow_mut().set_word(key, word),
            _ => {
                self.clear();
                self.0 = Some((core.tag(), core.timers.borrow_mut().insert(deadline, word)));
            }
        }
    }

    /// It was set in this loop, and has fired.
    pub(crate) fn has_fired(&self, core: &Core) -> bool {
        self.0.is_some_and(|(tag, key)| tag == core.tag() && !core.timers.borrow().contains(key))
    }

    pub(crate) fn clear(&mut self) {
        if let Some((tag, key)) = self.0.take() {
            task::find(tag, |core| core.map(|core| core.timers.borrow_mut().remove(key)));
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Says something to whoever reads stderr, and to the record.
pub(crate) fn warn(text: &str) {
    eprintln!("tinyio: warning: {text}");
    task::current(|core| core.map(|core| core.rec.diag(text)));
}
