//! Any event at all, for `proptest`.

use proptest::prelude::*;
use tinyio_inspector::event::*;

fn id() -> BoxedStrategy<u64> {
    let all = { prop_oneof![0..10u64, 0..1u64 << 56, any::<u64>()] };
    all.boxed()
}

fn small() -> BoxedStrategy<u32> {
    let all = { prop_oneof![0..10u32, 0..1u32 << 24, any::<u32>()] };
    all.boxed()
}

fn text() -> BoxedStrategy<String> {
    let all = { prop_oneof!["[ -~]{0,12}", "\\PC{0,12}", any::<String>(), Just("\"\\\n\u{0}\u{2028}".to_string())] };
    all.boxed()
}

fn of<T: Clone + std::fmt::Debug + 'static>(values: &'static [T]) -> impl Strategy<Value = T> {
    proptest::sample::select(values)
}

fn outcome() -> BoxedStrategy<Outcome> {
    let all = {
        use Outcome::*;
        of(&[Ok, Error, Panic, Cancelled, Improper, NeverStarted])
    };
    all.boxed()
}

fn mode() -> BoxedStrategy<LoopMode> {
    let all = { of(&[LoopMode::Run, LoopMode::Drive, LoopMode::Isolate, LoopMode::Observed, LoopMode::Worker]) };
    all.boxed()
}

fn target() -> BoxedStrategy<Target> {
    let all = {
        prop_oneof![
            id().prop_map(Target::Coro),
            id().prop_map(Target::Res),
            id().prop_map(Target::Thread),
            id().prop_map(Target::Timer),
            small().prop_map(Target::Loop),
            Just(Target::Turn),
            Just(Target::External),
        ]
    };
    all.boxed()
}

fn waker() -> BoxedStrategy<Waker> {
    let all = {
        prop_oneof![
            id().prop_map(Waker::Coro),
            id().prop_map(Waker::Res),
            id().prop_map(Waker::Thread),
            small().prop_map(Waker::Loop),
            of(&[Waker::Timer, Waker::Own, Waker::Cancel, Waker::External]),
        ]
    };
    all.boxed()
}

fn value() -> BoxedStrategy<Value> {
    let all = {
        let leaf = (text(), text(), id()).prop_map(|(text, type_name, coro)| Value {
            text,
            type_name,
            children: vec![],
            coro,
        });
        leaf.prop_recursive(3, 12, 4, |inner| {
            (text(), proptest::collection::vec((text(), inner), 0..4)).prop_map(|(text, children)| Value {
                text,
                children,
                ..Value::default()
            })
        })
    };
    all.boxed()
}

fn frame() -> BoxedStrategy<Frame> {
    let all =
        {
            let local = (text(), value(), text()).prop_map(|(name, value, mark)| Local { name, value, mark });
            let leaf =
                (
                    (text(), text(), small(), small()),
                    proptest::collection::vec((small(), text()), 0..3),
                    proptest::collection::vec(local, 0..3),
                    (any::<bool>(), text()),
                )
                    .prop_map(|((function, file, line, column), source, locals, (hidden, note))| {
                        Frame { function, file, line, column, source, locals, branches: vec![], hidden, note }
                    });
            leaf.prop_recursive(2, 6, 2, |inner| {
                let branch =
                    (text(), proptest::collection::vec(inner, 0..3)).prop_map(|(name, frames)| Branch { name, frames });
                proptest::collection::vec(branch, 0..3).prop_map(|branches| Frame { branches, ..Frame::default() })
            })
        };
    all.boxed()
}

fn stack() -> BoxedStrategy<Stack> {
    let all = {
        (proptest::collection::vec(frame(), 0..3), proptest::option::of(text()), any::<bool>())
            .prop_map(|(frames, missing, mid_step)| Stack { frames, missing, mid_step })
    };
    all.boxed()
}

fn sites() -> BoxedStrategy<Vec<TraceSite>> {
    let all = {
        let site = (id(), text(), text(), small(), small(), any::<bool>()).prop_map(
            |(coro, name, file, line, column, last_await)| TraceSite { coro, name, file, line, column, last_await },
        );
        proptest::collection::vec(site, 0..3)
    };
    all.boxed()
}

fn failure() -> BoxedStrategy<Failure> {
    let all = {
        (
            (outcome(), id(), id(), text(), text(), text(), text()),
            proptest::collection::vec(text(), 0..3),
            (sites(), proptest::option::of(stack()), proptest::collection::vec((text(), text()), 0..3)),
            (sites(), sites()),
        )
            .prop_map(
                |(
                    (kind, coro, thread, name, given_name, message, error_type),
                    sources,
                    (trace, stack, fields),
                    (backtrace, error_backtrace),
                )| Failure {
                    kind,
                    coro,
                    thread,
                    name,
                    given_name,
                    message,
                    error_type,
                    sources,
                    trace,
                    stack,
                    fields,
                    backtrace,
                    error_backtrace,
                },
            )
    };
    all.boxed()
}

/// Kinds that a recorder takes.
pub fn emitted() -> BoxedStrategy<Kind> {
    let all = {
        let coro = prop_oneof![
            (id(), small(), id(), small(), small())
                .prop_map(|(coro, in_loop, parent, name, site)| { Kind::Spawn { coro, in_loop, parent, name, site } }),
            (target(), small()).prop_map(|(what, name)| Kind::Named { what, name }),
            (id(), target(), small()).prop_map(|(coro, on, site)| Kind::Wait { coro, on, site }),
            (id(), target()).prop_map(|(coro, on)| Kind::Clear { coro, on }),
            (id(), waker()).prop_map(|(coro, by)| Kind::Wake { coro, by }),
            id().prop_map(|coro| Kind::StepBegin { coro }),
            id().prop_map(|coro| Kind::StepEnd { coro }),
            (id(), outcome()).prop_map(|(coro, outcome)| Kind::End { coro, outcome }),
            id().prop_map(|coro| Kind::CancelDeliver { coro }),
        ];
        let loops = prop_oneof![
            (small(), id(), mode()).prop_map(|(id, parent, mode)| Kind::LoopStart { id, parent, mode }),
            (small(), of(&[LoopOutcome::Ok, LoopOutcome::Crashed, LoopOutcome::Dropped]))
                .prop_map(|(id, outcome)| Kind::LoopEnd { id, outcome }),
            (small(), proptest::option::of(id())).prop_map(|(id, until)| Kind::Park { id, until }),
            small().prop_map(|id| Kind::Unpark { id }),
        ];
        let resources = prop_oneof![
            (id(), of(&[ResKind::Event, ResKind::Lock, ResKind::Semaphore, ResKind::Barrier]), id(), small(), small())
                .prop_map(|(res, what, size, site, name)| Kind::ResNew { res, what, size, site, name }),
            (id(), id(), small()).prop_map(|(res, coro, site)| Kind::Hold { res, coro, site }),
            (id(), id()).prop_map(|(res, coro)| Kind::Release { res, coro }),
            (id(), any::<bool>()).prop_map(|(res, set)| Kind::Set { res, set }),
            id().prop_map(|res| Kind::ResDrop { res }),
        ];
        let threads = prop_oneof![
            (id(), id(), small(), small()).prop_map(|(thread, coro, name, site)| Kind::ThreadQueue {
                thread,
                coro,
                name,
                site
            }),
            id().prop_map(|thread| Kind::ThreadStart { thread }),
            (id(), outcome()).prop_map(|(thread, outcome)| Kind::ThreadEnd { thread, outcome }),
            id().prop_map(|thread| Kind::ThreadCancel { thread }),
            id().prop_map(|thread| Kind::ThreadNotice { thread }),
        ];
        let texts = prop_oneof![
            (id(), stack()).prop_map(|(coro, stack)| Kind::Frames { coro, stack }),
            (small(), proptest::collection::vec(failure(), 0..3))
                .prop_map(|(id, failures)| Kind::Crash { id, failures }),
            (small(), id(), text(), proptest::option::of(failure())).prop_map(|(id, origin, reason, failure)| {
                Kind::CancelBegin { id, origin, reason, failure: failure.map(Box::new) }
            }),
            (id(), text(), text(), text(), proptest::collection::vec((text(), text()), 0..3))
                .prop_map(|(coro, level, target, message, fields)| Kind::Log { coro, level, target, message, fields }),
            (any::<u8>(), text(), any::<u64>()).prop_map(|(stream, text, printed)| Kind::Output {
                stream,
                text,
                printed
            }),
            (id(), text()).prop_map(|(coro, text)| Kind::Diag { coro, text }),
            (id(), id()).prop_map(|(coro, nanos)| Kind::Away { coro, nanos }),
            (id(), small()).prop_map(|(coro, to)| Kind::Moved { coro, to }),
            (id(), text()).prop_map(|(events, why)| Kind::Lost { events, why }),
        ];
        prop_oneof![coro, loops, resources, threads, texts, Just(Kind::TraceEnd {})]
    };
    all.boxed()
}

/// All kinds there are, but for the unknown.
pub fn kinds() -> BoxedStrategy<Kind> {
    let all = {
        let made = prop_oneof![
            (small(), text()).prop_map(|(id, text)| Kind::Name { id, text }),
            (small(), text(), small(), small()).prop_map(|(id, file, line, column)| Kind::Site {
                id,
                file,
                line,
                column
            }),
            (id(), id()).prop_map(|(coros, left_out)| Kind::Checkpoint { coros, left_out }),
            (small(), id(), mode(), id()).prop_map(|(id, parent, mode, since)| Kind::LoopState {
                id,
                parent,
                mode,
                since
            }),
            ((id(), small(), id(), small(), small()), of(&[State::Ready, State::Running, State::Waiting]), id())
                .prop_map(|((coro, in_loop, parent, name, site), state, since)| Kind::CoroState {
                    coro,
                    in_loop,
                    parent,
                    name,
                    site,
                    state,
                    since
                }),
            Just(Kind::CheckpointEnd {}),
        ];
        prop_oneof![4 => emitted(), 1 => made]
    };
    all.boxed()
}

pub fn events() -> BoxedStrategy<Event> {
    let all = { (id(), id(), kinds()).prop_map(|(seq, at, kind)| Event { seq, at, kind }) };
    all.boxed()
}
