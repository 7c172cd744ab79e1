//! Finds coroutines that can never continue: read [`Executor::search`].
//!
//! The loop ends with a [`Deadlock`] only if that is certain: coroutines await each other in a cycle, or nothing is
//! left that could wake any of those that wait. A guard can be moved, so its acquirer only probably is the coroutine
//! that will drop it: a cycle through locks while anything else can continue is a warning.
//!
//! A search visits all coroutines, so it is made only after something happened that may close a cycle, and only when
//! the last one is paid for: see [`Budget`].

mod graph;

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::executor::context;
use crate::executor::context::warn;
use crate::executor::deadlock::graph::{Hope, Node, Nodes, Slots, What, list, sites};
use crate::executor::waits::{Lasting, On, Queuing, Resource};
use crate::executor::{Executor, Progress, ids};
use crate::failure::crash::{Deadlock, Failure};
use crate::task::{Kind, WakeToken, flag};

/// A search while the loop is idle is put off by this much: until then the coroutines may have gone on.
const PUT_OFF: Duration = Duration::from_millis(20);
/// Between two searches a busy loop makes this many steps for each coroutine, which takes more than twenty times as
/// long as the search. ...
const STEPS_EACH: u64 = 512;
/// ... A search of a few takes as long as one of this many more. ...
const STEPS_FIXED: u64 = 4;
/// ... For each slot of the table it reads one word, also where the coroutine has ended.
const STEPS_EACH_SLOT: u64 = 4;
/// The loop warns of a cycle through locks that lasts this long, ns.
const LASTING: u64 = 1_000_000_000;

impl Executor {
    /// Decides what to do when no coroutine is ready and the next timer is due at `until`.
    pub(super) fn before_idling(&self, until: Option<u64>) -> Progress {
        self.check_process();
        if self.failed() || self.inbox().has_mail() {
            return Progress::Ready;
        }
        let quiet = until.is_none()
            && self.jobs.count() == 0
            && self.inbox().wakers() == 0
            && self.inside().iter().all(|(_, guest)| guest.inbox().wakers() == 0);
        if !quiet {
            self.deadlocks.quiet_since.set(None);
        }
        let now = self.now();
        let due = self.due();
        let is_due = due.is_some_and(|due| due <= now);
        // Before the warning that all wait, another search: coroutines may have gone on meanwhile.
        let warns =
            self.deadlocks.quiet_since.get().is_some_and(|(since, said)| !said && now >= self.quiet_warning_at(since));
        if !(self.deadlocks.cycle_check_pending.get() || quiet || is_due) {
            return self.idle(until, due);
        }
        // Virtual time passes at once, so it does not limit the searches.
        let is_virtual = self.timers.clock.is_virtual();
        let timed = until.is_none() || !is_virtual;
        let put_off = now.saturating_add(PUT_OFF.as_nanos() as u64);
        let soon = self.deadlocks.search_at.get().unwrap_or_else(|| put_off.max(self.paid_at()));
        // The first search of a run that nothing outside can wake is not put off.
        let is_first = quiet && !std::mem::replace(&mut self.deadlocks.searches.borrow_mut().was_quiet, true);
        if !(is_first || is_due || warns || (is_virtual && self.has_stepped_enough()) || timed && now >= soon) {
            self.deadlocks.search_at.set(Some(soon));
            return self.idle(until, timed.then_some(soon).into_iter().chain(due).min());
        }
        match self.search_now(quiet) {
            Some(failure) => {
                self.fail(failure);
                Progress::Ready
            }
            None if self.deadlocks.cycle_check_pending.get() => Progress::Ready,
            // The enclosing loop knows more.
            None if quiet && !self.is_guest.get() => {
                let again = self.warn_of_quiet(now);
                self.idle(again, self.due())
            }
            None => self.idle(until, self.due()),
        }
    }

    /// Searches if one is due while some coroutine is ready, for loops in which one always is. Returns `true` if there
    /// is a deadlock.
    pub(super) fn search_while_busy(&self) -> bool {
        let is_pending = self.deadlocks.cycle_check_pending.get();
        if !self.has_stepped_enough() || !is_pending && self.deadlocks.searches.borrow().due.is_none() {
            return false;
        }
        let now = self.now();
        if now < self.paid_at() || !is_pending && self.due().is_none_or(|due| due > now) {
            // Not each turn reads the clock.
            self.deadlocks.cycle_check_steps.set(self.steps_of_a_search() / 2);
            return false;
        }
        let Some(failure) = self.search_now(false) else { return false };
        self.fail(failure);
        true
    }

    /// Whether the steps since the last search make its time negligible. They pay for it where time does not: while the
    /// clock is virtual, and while other programs have the processor.
    fn has_stepped_enough(&self) -> bool {
        self.deadlocks.cycle_check_steps.get() >= self.steps_of_a_search()
    }

    fn steps_of_a_search(&self) -> u64 {
        STEPS_EACH * (self.live() as u64 + STEPS_FIXED) + STEPS_EACH_SLOT * self.slots.slots() as u64
    }

    /// When the last search is paid for, and the next one with it. Virtual time passes at once, so it pays for none.
    fn paid_at(&self) -> u64 {
        if self.timers.clock.is_virtual() { 0 } else { self.deadlocks.searches.borrow().budget.next(self.live()) }
    }

    /// When the search for a cycle that lasts may begin.
    fn due(&self) -> Option<u64> {
        let due = self.deadlocks.searches.borrow().due;
        due.map(|due| due.max(self.paid_at()))
    }

    /// Sleeps until the next timer, or until `earlier`.
    fn idle(&self, until: Option<u64>, earlier: Option<u64>) -> Progress {
        match earlier.filter(|earlier| until.is_none_or(|until| *earlier < until)) {
            None if self.skip_time() => Progress::Ready,
            None => Progress::Idle(until),
            earlier => Progress::Idle(earlier),
        }
    }

    /// Searches, and records that it did.
    fn search_now(&self, quiet: bool) -> Option<Failure> {
        self.deadlocks.search_at.set(None);
        self.deadlocks.cycle_check_pending.set(false);
        self.deadlocks.cycle_check_steps.set(0);
        let began = self.now();
        let found = self.search(quiet);
        let mut loops = 1;
        context::each(|executor| loops = loops.max(1 + executor.inside().len() as u64));
        self.deadlocks.searches.borrow_mut().budget.spend(began, self.now(), self.live(), loops);
        // Meanwhile a thread woke a coroutine and then dropped its waker: the result may be false.
        if found.is_some()
            && (self.inbox().has_mail() || self.inside().iter().any(|(_, guest)| guest.inbox().has_mail()))
        {
            self.deadlocks.cycle_check_pending.set(true);
            self.deadlocks.searches.borrow_mut().was_quiet = false;
            return None;
        }
        found
    }

    /// Looks for a cycle of coroutines, and, if nothing outside can wake any coroutine, for those that only something
    /// outside can wake. Warns of cycles through locks that last.
    ///
    /// It marks nodes that can be woken from outside, then the nodes that wait for a marked node; a gathering waits for
    /// all its children, so it counts only the child that it waits for now. Unmarked nodes wait for unmarked nodes:
    /// following them leads to a cycle, or to a node that nothing will wake.
    fn search(&self, quiet: bool) -> Option<Failure> {
        let nodes = self.nodes();
        let mut alive = vec![false; nodes.all.len()];
        nodes.spread(Hope::Yes, &mut alive);
        let mut likely = None;
        if !quiet || alive.contains(&true) {
            nodes.spread(Hope::Shared, &mut alive);
            likely = Some(alive.clone());
            nodes.spread(Hope::Held, &mut alive);
        }
        if let Some(cycle) = nodes.cycles(&alive).first() {
            let (text, sites) = nodes.describe(cycle);
            let head = match sites.len() {
                1 => "deadlock: a coroutine waits for itself:".to_owned(),
                n => format!("deadlock: {n} coroutines wait for each other:"),
            };
            return Some(Failure::of_loop(Deadlock(head + &text).into(), sites));
        }
        // The enclosing loop sees more.
        if !self.is_guest.get() {
            let cycles = likely.as_ref().map(|alive| nodes.cycles(alive)).unwrap_or_default();
            self.note_cycles(&nodes, &cycles, &likely.unwrap_or_default());
        }
        if !quiet {
            return None;
        }
        let waiting = sites(nodes.all.iter().zip(&alive).filter(|(_, alive)| !**alive).map(|(node, _)| node));
        if waiting.is_empty() {
            return None;
        }
        let text = match waiting.len() {
            1 => "nothing can go on: a coroutine waits, and nobody is left to wake it:".to_owned(),
            n => format!("nothing can go on: {n} coroutines wait, and nobody is left to wake them:"),
        } + &list(&waiting);
        Some(Failure::of_loop(Deadlock(text).into(), waiting))
    }

    /// Warns of each cycle through locks that lasts, once.
    fn note_cycles(&self, nodes: &Nodes, cycles: &[Vec<usize>], alive: &[bool]) {
        let now = self.now();
        let before = std::mem::take(&mut self.deadlocks.searches.borrow_mut().cycles);
        let mut due: Option<u64> = None;
        for cycle in cycles {
            let waits = nodes.around(cycle).filter_map(|node| match node.what {
                What::Coro { id, serial, .. } => Some((id, serial)),
                What::Resource { .. } => None,
            });
            let mut key: Vec<(u64, u64)> = waits.collect();
            key.sort_unstable();
            let fresh = Lasting { since: now, newest: ids::newest(), told: false };
            let mut lasting = before.get(&key).copied().unwrap_or(fresh);
            let at = lasting.since.saturating_add(LASTING);
            if !lasting.told && now < at {
                due = Some(due.map_or(at, |due| due.min(at)));
            } else if !lasting.told && nodes.may_be_moved(cycle, alive, lasting.newest) {
                // Virtual time passes at once: the loop would search for ever.
                let again = (!self.timers.clock.is_virtual()).then(|| now.saturating_add(LASTING));
                due = due.into_iter().chain(again).min();
            } else if !lasting.told {
                lasting.told = true;
                let (text, sites) = nodes.describe(cycle);
                let seconds = Duration::from_nanos(now - lasting.since).as_secs_f64();
                let who = match sites.len() {
                    1 => "a coroutine has waited for itself".to_owned(),
                    n => format!("{n} coroutines have waited for each other"),
                };
                warn(&format!(
                    "probably a deadlock: for {seconds:.1} s {who}, unless a guard was moved to another coroutine or a thread:{text}\n  \
                     The loop goes on, as others can. Take locks in one order everywhere, and drop guards before an await that needs them."
                ));
            }
            self.deadlocks.searches.borrow_mut().cycles.insert(key, lasting);
        }
        self.deadlocks.searches.borrow_mut().due = due;
    }

    /// Records that a cycle may have been closed, also one through the enclosing loops.
    pub(crate) fn suspect(&self) {
        self.deadlocks.cycle_check_pending.set(true);
        if self.is_guest.get() {
            context::each(|executor| executor.deadlocks.cycle_check_pending.set(true));
        }
    }

    /// The loops that coroutines of this one drive, and the loops inside those, with the coroutine that drives each.
    fn inside(&self) -> Vec<(WakeToken, Rc<Executor>)> {
        let guests = |executor: &Executor| -> Vec<(WakeToken, Rc<Executor>)> {
            let guests = executor.guests.borrow();
            guests.iter().filter_map(|(_, (host, guest))| Some((*host, guest.upgrade()?))).collect()
        };
        let mut all = guests(self);
        let mut at = 0;
        while let Some((_, guest)) = all.get(at) {
            let deeper = guests(guest);
            all.extend(deeper);
            at += 1;
        }
        all
    }

    /// Whether the loop of this tag is none of those inside this one, and this one does not block it.
    fn runs_elsewhere(&self, nodes: &Nodes, tag: u32) -> bool {
        let blocked = || !self.is_guest.get() && context::find_tag(tag, |executor| executor.is_some());
        !nodes.loops.contains_key(&tag) && !blocked()
    }

    /// All coroutines, also of the loops inside this one, and what they wait for.
    fn nodes(&self) -> Nodes {
        let inside = self.inside();
        let mut nodes = Nodes::default();
        let mut edges: Vec<(WakeToken, WakeToken)> = Vec::new();
        let cores = || std::iter::once(self).chain(inside.iter().map(|(_, guest)| &**guest));
        for executor in cores() {
            let mut slots = Slots::new(executor.slots.slots());
            let wakers = executor.inbox().wakers() > 0;
            executor.slots.each(|task| {
                let outside = !task.has(flag::STARTED)
                    || task.is_queued()
                    || task.has(flag::EXTERNAL_WAKE | flag::EVENT)
                    || (task.has(flag::CLONED) && wakers)
                    // An enclosing loop continues meanwhile if a coroutine of it drives this one: otherwise this one
                    // blocks its thread.
                    || (task.has(flag::OUTER_LOOP) && self.is_guest.get());
                let (wake_token, id, type_name, at) = (task.wake_token(), task.id(), task.type_name(), task.place());
                let hope = if outside { Hope::Yes } else { Hope::No };
                slots.insert(wake_token.slot(), nodes.all.len());
                nodes.all.push(Node::new(What::Coro { wake_token, id, type_name, at, serial: 0 }, hope));
                task.each_waiter(|waiter| edges.push((waiter, wake_token)));
            });
            nodes.loops.insert(executor.tag(), slots);
        }
        let mut blocked_jobs = 0;
        context::each(|executor| blocked_jobs += if executor.tag() == self.tag() { 0 } else { executor.jobs.count() });
        let mut wanted: HashMap<*const (), usize> = HashMap::new();
        for executor in cores() {
            for (_, Queuing { coro, on, serial }) in executor.deadlocks.queued.borrow().iter() {
                match on {
                    On::Resource(resource) => {
                        let address = Arc::as_ptr(resource).cast::<()>();
                        let known = wanted.get(&address).copied();
                        let index = known.unwrap_or_else(|| self.add_resource(&mut nodes, resource, blocked_jobs > 0));
                        wanted.insert(address, index);
                        let Some(waiter) = nodes.find(*coro) else { continue };
                        if let Node { what: What::Coro { serial: own, .. }, target, .. } = &mut nodes.all[waiter] {
                            *own = *serial;
                            target.get_or_insert(index);
                        }
                        nodes.all[index].waiters.push(waiter);
                    }
                    On::Barrier => {
                        let hope = if self.is_guest.get() { Hope::Yes } else { Hope::Shared };
                        if let Some(node) = nodes.find_mut(*coro).filter(|node| node.hope == Hope::No) {
                            node.hope = hope;
                        }
                    }
                    On::Any(others) => {
                        let others = others.borrow();
                        edges.extend(others.iter().map(|other| (*coro, *other)));
                        if others.iter().any(|other| self.runs_elsewhere(&nodes, other.tag())) {
                            nodes.give_hope(*coro);
                        }
                    }
                }
            }
        }
        for (host, guest) in &inside {
            // A loop that is being cancelled ends; one without coroutines has ended.
            if guest.failed() || guest.live() == 0 {
                nodes.give_hope(*host);
            }
            // The driving coroutine waits until all coroutines of the guest have ended, or one of them fails.
            guest.slots.each(|task| edges.push((*host, task.wake_token())));
        }
        #[cfg(test)]
        {
            self.deadlocks.searches.borrow_mut().visited += nodes.all.len() + edges.len();
        }
        for (waiter, target) in edges {
            let owner = match waiter.kind() {
                Kind::Foreign => {
                    cores().find(|executor| executor.tag() == waiter.tag()).map(|executor| executor.owner(waiter))
                }
                Kind::Task | Kind::Edge => Some(waiter),
            };
            let Some(owner) = owner.filter(|owner| !owner.is_none()) else { continue };
            let (Some(from), Some(to)) = (nodes.find(owner), nodes.find(target)) else { continue };
            let node = &mut nodes.all[from];
            node.target.get_or_insert(to);
            match waiter.kind() {
                // What a foreign waker wakes is unknown.
                Kind::Foreign => node.hope = Hope::Yes,
                Kind::Task => nodes.all[to].waiters.push(from),
                Kind::Edge => {}
            }
        }
        nodes
    }

    /// Adds a lock or a semaphore that a coroutine waits for. Its guards may be anywhere on this thread, and, with
    /// `blocked_jobs`, on threads of a loop that this one blocks.
    fn add_resource(&self, nodes: &mut Nodes, resource: &Arc<dyn Resource>, blocked_jobs: bool) -> usize {
        let index = nodes.all.len();
        let holders = resource.holders();
        let outside = |coro: WakeToken| coro.is_none() || self.runs_elsewhere(nodes, coro.tag());
        let places: Option<Vec<usize>> = holders.iter().map(|holder| nodes.find(holder.coro)).collect();
        let hope = match &places {
            _ if self.is_guest.get() || blocked_jobs => Hope::Yes,
            _ if holders.iter().any(|holder| outside(holder.coro)) => Hope::Yes,
            Some(places) if !places.is_empty() => Hope::Held,
            _ => Hope::Shared,
        };
        let newest = holders.first().map_or(0, |holder| holder.newest);
        let mut node = Node::new(What::Resource { resource: resource.clone(), newest }, hope);
        for place in places.into_iter().flatten() {
            node.target.get_or_insert(place);
            nodes.all[place].waiters.push(index);
        }
        nodes.all.push(node);
        #[cfg(test)]
        {
            self.deadlocks.searches.borrow_mut().visited += holders.len();
        }
        index
    }

    /// When the loop warns that all its coroutines have waited since then.
    fn quiet_warning_at(&self, since: u64) -> u64 {
        since.saturating_add(self.deadlocks.quiescent_warning.get().as_nanos() as u64)
    }

    /// Handles a loop in which all coroutines wait, some of them for something outside the loop that may never happen.
    /// Warns once the time set by `warn_quiescent` has passed; returns when to call it again.
    fn warn_of_quiet(&self, now: u64) -> Option<u64> {
        let (since, said) = self.deadlocks.quiet_since.get().unwrap_or((now, false));
        let at = self.quiet_warning_at(since);
        self.deadlocks.quiet_since.set(Some((since, said || now >= at)));
        if said {
            return None;
        }
        if now < at {
            return Some(at);
        }
        let nodes = self.nodes().all;
        let waiting = sites(nodes.iter());
        warn(&format!(
            "all {} coroutines wait, and only an event that is set from outside can wake them, or a guard that is dropped there:{}",
            waiting.len(),
            list(&waiting)
        ));
        None
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::Poll;
    use std::time::Duration;

    use crate::Event;
    use crate::Lock;
    use crate::Loop;
    use crate::Semaphore;
    use crate::executor::waits::Budget;
    use crate::sleep;
    use crate::spawn;
    use crate::yield_now;

    const MANY: usize = 2_000;
    /// In nanoseconds.
    const HOUR: u64 = 3_600_000_000_000;

    /// Runs many coroutines that acquire the same few permits, a few times each, and sleep while they hold them. Gives
    /// the least number of steps that takes, and the number of nodes that the searches visit.
    fn crowd(looped: &mut Loop, permits: usize, rounds: usize) -> (usize, usize) {
        let executor = looped.executor().clone();
        let main = async {
            let semaphore = Semaphore::new(permits);
            for _ in 0..MANY {
                let semaphore = semaphore.clone();
                spawn(async move {
                    for _ in 0..rounds {
                        let _permit = semaphore.acquire().await?;
                        yield_now().await?;
                        sleep(Duration::from_millis(1)).await?;
                    }
                    crate::Ok(())
                });
            }
            sleep(Duration::from_secs(3600)).await?;
            // The state of the searches is dropped when the run is over.
            crate::Ok(executor.deadlocks.searches.borrow().visited)
        };
        (MANY * rounds * 3, looped.run(main).unwrap())
    }

    #[test]
    fn searches_take_a_twentieth_of_the_time_at_most() {
        let costs: [fn(u64, u64) -> u64; 4] = [
            |_, coroutines| 1_000 + 100 * coroutines,
            |_, coroutines| 5 * coroutines,
            |number, coroutines| if number % 7 == 0 { 1_000_000_000 } else { 300 * coroutines },
            |number, coroutines| number * number * coroutines,
        ];
        for (cost, loops) in costs.into_iter().zip([1, 1, 3, 3]) {
            let mut budget = Budget::default();
            let mut spent = 0;
            for number in 0..300 {
                let coroutines = [1, 10, 100_000, 1_000][number as usize % 4];
                let begin = budget.next(coroutines as usize);
                // The other loops of the thread have the same.
                assert!(loops * spent * 20 <= begin, "{spent} of {begin}, search {number}");
                let took = cost(number, coroutines);
                budget.spend(begin, begin + took, coroutines as usize, loops);
                spent += took;
            }
        }
        // More coroutines than before: that is paid in advance, and is no less than before for fewer.
        let mut budget = Budget::default();
        budget.spend(0, 1_000, 10, 1);
        assert_eq!(budget.next(10), 20_000);
        assert_eq!(budget.next(1), 20_000);
        assert_eq!(budget.next(100_010), 20_000 + 19 * 100_000 * Budget::EACH);
    }

    #[test]
    fn the_time_before_a_run_pays_for_none_of_its_searches() {
        let mut looped = Loop::new();
        let executor = looped.executor().clone();
        let paid_at = |looped: &mut Loop| looped.run(async { crate::Ok(executor.paid_at()) }).unwrap();
        let first = paid_at(&mut looped);
        while executor.now() <= first {}
        let between = executor.now();
        assert!(paid_at(&mut looped) > between);
    }

    #[test]
    fn a_search_visits_coroutines_not_slots_in_which_they_have_ended() {
        let mut looped = Loop::new();
        let executor = looped.executor().clone();
        let main = async {
            let few = executor.steps_of_a_search();
            crate::gather((0..MANY).map(|_| yield_now()).collect::<Vec<_>>()).await?;
            executor.deadlocks.searches.take();
            assert_eq!((executor.nodes().all.len(), executor.live()), (1, 1));
            assert!(executor.deadlocks.searches.borrow().visited < 10);
            // The words of the table are read, and the steps pay for that.
            assert!(executor.steps_of_a_search() >= few + MANY as u64);
            crate::Ok(())
        };
        looped.run(main).unwrap();
    }

    #[test]
    fn no_search_begins_before_the_last_one_is_paid_for() {
        let mut looped = Loop::new();
        let executor = looped.executor().clone();
        let visited = || executor.deadlocks.searches.borrow().visited;
        let main = async {
            let lock = Lock::new();
            let _held = lock.acquire().await?;
            spawn(async move { lock.acquire().await.map(drop) });
            yield_now().await?;
            executor.deadlocks.searches.borrow_mut().budget =
                Budget { ended: executor.now(), took: HOUR, visited: 2, loops: 1 };
            let before = visited();
            // Busy, and idle for longer than a search is put off, each with an await that may close a cycle.
            for _ in 0..10_000 {
                spawn(yield_now()).await?;
            }
            spawn(sleep(2 * super::PUT_OFF)).await?;
            sleep(2 * super::PUT_OFF).await?;
            assert_eq!(visited(), before);
            executor.deadlocks.searches.borrow_mut().budget = Budget::default();
            while visited() == before {
                spawn(yield_now()).await?;
            }
            Err::<(), _>(crate::Error::msg("enough"))
        };
        assert_eq!(looped.run(main).unwrap_err().error().to_string(), "enough");
    }

    #[test]
    fn not_each_event_that_is_set_from_outside_makes_a_search() {
        let mut looped = Loop::new();
        let executor = looped.executor().clone();
        let visited = || executor.deadlocks.searches.borrow().visited;
        let (ask, asked) = std::sync::mpsc::channel::<Event>();
        let thread = std::thread::spawn(move || asked.iter().for_each(|event| event.set()));
        let main = async {
            let mut before = 0;
            for round in 0..100 {
                let event = Event::new();
                ask.send(event.clone()).expect("the thread waits");
                event.wait().await?;
                if round == 50 {
                    // The first time that nothing but the thread can wake the loop it is searched at once.
                    executor.deadlocks.searches.borrow_mut().was_quiet = true;
                    // Nor is one due that was put off before.
                    executor.deadlocks.search_at.set(None);
                    executor.deadlocks.searches.borrow_mut().budget =
                        Budget { ended: executor.now(), took: HOUR, visited: 1, loops: 1 };
                    before = visited();
                }
            }
            crate::Ok(visited() - before)
        };
        assert_eq!(looped.run(main).unwrap(), 0);
        drop(ask);
        thread.join().unwrap();
    }

    #[test]
    fn a_step_ends_the_time_for_which_all_have_waited() {
        let mut looped = Loop::new();
        let executor = looped.executor().clone();
        let main = async {
            let quiet_since = &executor.deadlocks.quiet_since;
            for said in [false, true] {
                quiet_since.set(Some((0, said)));
                // More than a turn.
                for _ in 0..200 {
                    yield_now().await?;
                }
                // It warns once.
                assert_eq!(quiet_since.get(), said.then_some((0, true)));
            }
            crate::Ok(())
        };
        looped.run(main).unwrap();
    }

    #[test]
    fn the_result_of_a_search_is_void_if_a_thread_woke_a_coroutine_meanwhile() {
        let mut looped = Loop::new();
        let executor = looped.executor().clone();
        let main = async {
            spawn(std::future::pending::<crate::Result<()>>());
            yield_now().await?;
            assert!(executor.search_now(true).is_some());
            let waker = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
            std::thread::spawn(move || waker.wake()).join().unwrap();
            assert!(executor.search_now(true).is_none());
            assert!(executor.deadlocks.cycle_check_pending.get(), "another is due");
            Err::<(), _>(crate::Error::msg("enough"))
        };
        assert_eq!(looped.run(main).unwrap_err().error().to_string(), "enough");
    }

    #[test]
    fn a_search_visits_few_nodes_for_each_step() {
        for permits in [1, MANY / 2] {
            let (steps, visited) = crowd(&mut Loop::new().virtual_time(), permits, 5);
            assert!(visited * 4 < steps, "{permits} permits: {visited} visited in {steps} steps");
        }
    }

    #[test]
    fn a_search_is_linear_in_waiters_and_holders() {
        let visited = |many: usize| {
            let mut looped = Loop::new();
            let executor = looped.executor().clone();
            let main = async {
                let (semaphore, lock) = (Semaphore::new(many), Lock::new());
                let _held = lock.acquire().await?;
                for _ in 0..2 * many {
                    let (semaphore, lock) = (semaphore.clone(), lock.clone());
                    spawn(async move {
                        let _permit = semaphore.acquire().await?;
                        drop(lock.acquire().await?);
                        crate::Ok(())
                    });
                }
                yield_now().await?;
                executor.deadlocks.searches.take();
                assert!(executor.search(false).is_none());
                crate::Ok(executor.deadlocks.searches.borrow().visited)
            };
            looped.run(main).unwrap()
        };
        let (small, large) = (visited(100), visited(1_000));
        assert!(large <= 10 * small + 100, "{small}, then {large}");
    }
}
