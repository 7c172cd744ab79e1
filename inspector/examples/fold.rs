//! How fast events are folded: `cargo run --release -p tinyio-inspector --example fold [COROUTINES]`.

use std::time::Instant;

use tinyio_inspector::event::{Event, Header, Kind, LoopMode, Outcome, Target, Waker};
use tinyio_inspector::model::Model;

fn main() {
    let live: u64 = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(1000);
    let mut events = Vec::new();
    let mut push = |at: u64, kind: Kind| events.push(Event { seq: events.len() as u64, at, kind });
    push(0, Kind::Name { id: 1, text: "main".into() });
    push(0, Kind::Name { id: 2, text: "work".into() });
    push(0, Kind::LoopStart { id: 1, parent: 0, mode: LoopMode::Run });
    push(0, Kind::Spawn { coro: 1, in_loop: 1, parent: 0, name: 1, site: 0 });
    push(0, Kind::StepBegin { coro: 1 });
    for coro in 2..live + 2 {
        push(coro, Kind::Spawn { coro, in_loop: 1, parent: 1, name: 2, site: 0 });
        push(coro, Kind::Wait { coro: 1, on: Target::Coro(coro), site: 0 });
    }
    push(live, Kind::StepEnd { coro: 1 });
    let mut at = live;
    while events_len(&events) < 1_000_000 {
        let coro = 2 + (at.wrapping_mul(2_654_435_761)) % live;
        at += 10;
        let mut push = |kind: Kind| events.push(Event { seq: events.len() as u64, at, kind });
        push(Kind::Wake { coro, by: Waker::Timer });
        push(Kind::StepBegin { coro });
        push(Kind::Wait { coro, on: Target::Timer(at + 100), site: 0 });
        push(Kind::StepEnd { coro });
    }
    for coro in 2..live + 2 {
        events.push(Event { seq: events.len() as u64, at, kind: Kind::End { coro, outcome: Outcome::Ok } });
    }
    let mut model = Model::new(&Header::default());
    let start = Instant::now();
    let mut copies = Vec::new();
    for (index, event) in events.iter().enumerate() {
        model.apply(event);
        if index % 131_072 == 131_071 {
            let begin = Instant::now();
            copies.push(model.clone());
            println!("copy of {} coroutines: {:?}", model.live_count(), begin.elapsed());
        }
    }
    let took = start.elapsed();
    println!("{} events, {live} coroutines: {took:?}, {:?} an event", events.len(), took / events.len() as u32);
}

fn events_len(events: &[Event]) -> usize {
    events.len()
}
