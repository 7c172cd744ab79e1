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
            let begin = budget.may_search_at(coroutines as usize);
            // The other loops of the thread have the same.
            assert!(loops * spent * 20 <= begin, "{spent} of {begin}, search {number}");
            let took = cost(number, coroutines);
            budget.record(begin, begin + took, coroutines as usize, loops);
            spent += took;
        }
    }
    // More coroutines than before: that is paid in advance, and is no less than before for fewer.
    let mut budget = Budget::default();
    budget.record(0, 1_000, 10, 1);
    assert_eq!(budget.may_search_at(10), 20_000);
    assert_eq!(budget.may_search_at(1), 20_000);
    assert_eq!(budget.may_search_at(100_010), 20_000 + 19 * 100_000 * Budget::EACH);
}

#[test]
fn the_time_before_a_run_allows_none_of_its_searches() {
    let mut looped = Loop::new();
    let executor = looped.executor().clone();
    let may_search_at = |looped: &mut Loop| looped.run(async { crate::Ok(executor.may_search_at()) }).unwrap();
    let first = may_search_at(&mut looped);
    while executor.now() <= first {}
    let between = executor.now();
    assert!(may_search_at(&mut looped) > between);
}

#[test]
fn a_search_visits_coroutines_not_slots_in_which_they_have_ended() {
    let mut looped = Loop::new();
    let executor = looped.executor().clone();
    let main = async {
        let few = executor.steps_of_a_search();
        crate::gather((0..MANY).map(|_| yield_now()).collect::<Vec<_>>()).await?;
        executor.deadlocks.searches.take();
        assert_eq!((executor.wait_graph().nodes.len(), executor.live()), (1, 1));
        assert!(executor.deadlocks.searches.borrow().visited < 10);
        // The words of the table are read, and the number of steps grows with them.
        assert!(executor.steps_of_a_search() >= few + MANY as u64);
        crate::Ok(())
    };
    looped.run(main).unwrap();
}

#[test]
fn no_search_begins_before_the_time_budget_allows_it() {
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
                executor.deadlocks.searches.borrow_mut().was_quiescent = true;
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
        let quiescent_since = &executor.deadlocks.quiescent_since;
        for warned in [false, true] {
            quiescent_since.set(Some((0, warned)));
            // More than a turn.
            for _ in 0..200 {
                yield_now().await?;
            }
            // It warns once.
            assert_eq!(quiescent_since.get(), warned.then_some((0, true)));
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
