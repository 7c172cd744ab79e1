//! Errors between a loop and its host.

use std::sync::mpsc;

use tinyio::{Event, FailureKind, Group, Loop, from_tokio, run_in_thread, spawn, thread, yield_now};
use tokio::runtime::Builder;
use tokio::task::LocalSet;

use crate::common::{Broken, LONG, Log, OnDrop, naps};

/// tokio in tinyio, which fails.
#[test]
fn errors_cross_from_tokio_inside() {
    let log = Log::default();
    let noted = log.clone();
    let main = async move {
        spawn(naps(noted));
        yield_now().await?;
        from_tokio(async {
            tokio::task::yield_now().await;
            Err::<(), _>(Broken("tokio"))
        })
        .await?;
        tinyio::Ok(())
    };
    let crash = Loop::new().run(main).unwrap_err();
    assert_eq!(crash.downcast_ref(), Some(&Broken("tokio")));
    assert_eq!(log.entries(), ["cancelled"]);
    // A panic is one in the coroutine.
    let main = async {
        from_tokio(async {
            if std::hint::black_box(true) {
                panic!("in tokio");
            }
            std::io::Result::Ok(())
        })
        .await
    };
    let crash = Loop::new().run(main).unwrap_err();
    assert_eq!(
        (crash.failures()[0].kind(), &*crash.failures()[0].message()),
        (FailureKind::Panic, "panicked: in tokio")
    );
}

/// tokio in tinyio, and tinyio fails.
#[test]
fn errors_cross_to_tokio_inside() {
    let (ended, ends) = mpsc::channel();
    let began = Event::new();
    let begins = began.clone();
    let main = async move {
        spawn(from_tokio(async move {
            let _end = OnDrop(move || ended.send("dropped").expect("the receiver exists"));
            begins.set();
            tokio::time::sleep(LONG).await;
            std::io::Result::Ok(())
        }));
        began.wait().await?;
        Err::<(), _>(Broken("tinyio"))?;
        tinyio::Ok(())
    };
    let crash = Loop::new().group(Group::Always).run(main).unwrap_err();
    assert_eq!(crash.downcast_ref(), Some(&Broken("tinyio")));
    let kinds: Vec<_> = crash.failures().iter().map(|failure| failure.kind()).collect();
    assert_eq!(kinds, [FailureKind::Error, FailureKind::Cancelled]);
    // It has ended by now.
    assert_eq!(ends.try_recv(), Ok("dropped"));
}

/// tinyio in tokio, and a coroutine fails.
#[test]
fn errors_cross_from_tinyio_inside() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let log = Log::default();
    let (noted, dropped) = (log.clone(), log.clone());
    let ended = runtime.block_on(async move {
        let host = async {
            let _end = OnDrop(|| dropped.push("host dropped"));
            tokio::time::sleep(LONG).await;
            Ok::<(), tinyio::Crash>(())
        };
        let mut looped = Loop::new();
        let driven = looped.drive(async move {
            spawn(naps(noted));
            tokio::task::yield_now().await;
            Err::<(), _>(Broken("coroutine"))
        });
        tokio::try_join!(host, driven)
    });
    assert_eq!(ended.unwrap_err().downcast_ref(), Some(&Broken("coroutine")));
    assert_eq!(log.entries(), ["cancelled", "host dropped"]);
}

/// tinyio in tokio, and the host fails.
#[test]
fn errors_cross_to_tinyio_inside() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let log = Log::default();
    let (noted, noted_by_task) = (log.clone(), log.clone());
    let (ended, ends) = mpsc::channel();
    let loop_with = |began: Event, log: Log, ended: Option<mpsc::Sender<bool>>| async move {
        let mut looped = Loop::new();
        let main = async move {
            spawn(naps(log));
            let work = run_in_thread(move || {
                began.set();
                let slept = thread::sleep(LONG);
                if let Some(ended) = ended {
                    ended.send(slept.is_err()).expect("the receiver exists");
                }
                slept
            });
            tinyio::Ok(work.await?)
        };
        looped.drive(main).await.map_err(|_| Broken("crash"))
    };
    // By an error beside it,
    let failed = runtime.block_on(async {
        let began = Event::new();
        let driven = loop_with(began.clone(), noted, Some(ended.clone()));
        let host = async {
            while !began.is_set() {
                tokio::task::yield_now().await;
            }
            Err::<(), _>(Broken("host"))
        };
        tokio::try_join!(driven, host)
    });
    assert_eq!(failed.unwrap_err(), Broken("host"));
    assert_eq!((log.entries(), ends.try_recv()), (vec!["cancelled"], Ok(true)));
    // and by the end of its task.
    let local = LocalSet::new();
    let began = Event::new();
    let task = local.spawn_local(loop_with(began.clone(), noted_by_task, Some(ended)));
    let joined = runtime.block_on(local.run_until(async {
        while !began.is_set() {
            tokio::task::yield_now().await;
        }
        task.abort();
        task.await
    }));
    assert!(joined.unwrap_err().is_cancelled());
    assert_eq!((log.entries(), ends.try_recv()), (vec!["cancelled", "cancelled"], Ok(true)));
}
