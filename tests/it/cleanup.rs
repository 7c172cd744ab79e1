//! Cleanup that awaits.

use std::time::Duration;

use tinyio::FailureKind::{Cancelled, Error, Improper};
use tinyio::{Group, Loop, Result, coro, isolate, sleep, spawn, yield_now};

use crate::check::{Log, turns, watched};

const DAY: Duration = Duration::from_secs(24 * 3600);

#[test]
fn async_cleanup() {
    let _watched = watched();
    /// Closes a connection, which takes this long.
    async fn connection(log: Log<&'static str>, goodbye: Duration) -> Result<()> {
        let work = sleep(100 * DAY).await;
        if work.is_err() {
            log.push("begins");
            turns(3).await?;
            if goodbye == Duration::MAX {
                std::future::pending::<()>().await;
            }
            sleep(goodbye).await.inspect_err(|_| log.push("is cut short"))?;
            coro(async { tinyio::Ok(yield_now().await?) }).await?;
            log.push("has ended");
        }
        Ok(work?)
    }
    let run = |looped: Loop, goodbye: Duration, nested: bool| {
        let log = Log::new();
        let noted = log.clone();
        let main = async move {
            let connection = connection(noted, goodbye);
            match nested {
                true => drop(spawn(async { tinyio::Ok(isolate(connection).await??) })),
                false => drop(spawn(connection)),
            }
            turns(5).await?;
            Err::<(), _>(tinyio::Error::msg("enough"))
        };
        let crash = looped.group(Group::Always).run(main).unwrap_err();
        let members: Vec<_> = crash.failures().iter().map(|failure| (failure.kind(), failure.message())).collect();
        assert_eq!(members[0], (Error, "enough".to_owned()));
        (log.entries(), members[1..].to_vec())
    };
    let cancelled = vec![(Cancelled, "cancelled".to_owned())];
    let cut_off = vec![(Improper, "was cut off when the grace period was over".to_owned())];
    let cut_short = vec!["begins", "is cut short"];
    let grace = || Loop::new().grace(Duration::from_secs(3600));
    for nested in [false, true] {
        // Within the period.
        assert_eq!(run(grace(), Duration::from_millis(5), nested), (vec!["begins", "has ended"], cancelled.clone()));
        assert_eq!(run(grace().virtual_time(), DAY / 48, nested), (vec!["begins", "has ended"], cancelled.clone()));
    }
    // After it the cancellation is delivered once more, and a coroutine in a future that tinyio does not know is
    // dropped.
    for nested in [false, true] {
        assert_eq!(run(grace().virtual_time(), DAY, nested), (cut_short.clone(), cancelled.clone()));
        let short = Loop::new().grace(Duration::from_millis(5));
        assert_eq!(run(short, DAY, nested), (cut_short.clone(), cancelled.clone()));
    }
    assert_eq!(run(grace().virtual_time(), Duration::MAX, false), (vec!["begins"], cut_off));
    // A coroutine in such a future when the period begins cannot be reached: it is dropped at once, a proper answer.
    let main = async {
        spawn(async {
            std::future::pending::<()>().await;
            tinyio::Ok(())
        });
        turns(5).await?;
        Err::<(), _>(tinyio::Error::msg("enough"))
    };
    let crash = grace().group(Group::Always).run(main).unwrap_err();
    assert_eq!((crash.failures().len(), crash.failures()[1].kind()), (2, Cancelled));
    // Without a period, no coroutine can await.
    let (entries, members) = run(Loop::new(), Duration::ZERO, false);
    assert_eq!((entries, members.len(), members[0].0), (vec!["begins"], 1, Improper));
    assert!(members[0].1.starts_with("awaited again at "), "{members:?}");
}
