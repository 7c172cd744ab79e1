//! The programs of tokio and of smol in docs/COMING-FROM.md do what it states.

use std::time::Duration;

/// The code between this and the end of its block, in the documentation.
fn documented(start: &str) -> String {
    let text = include_str!("../../../docs/COMING-FROM.md");
    let block = &text[text.find(start).expect("it is there")..];
    let block = &block[..block.find("```\n").expect("its end")];
    bare(block)
}

/// Without spaces and comments.
fn bare(text: &str) -> String {
    let code = text.lines().map(|line| line.split(" // ").next().expect("a first part"));
    code.flat_map(str::chars).filter(|char| !char.is_whitespace() && *char != ',').collect()
}

/// Runs a block and compares it with the documentation.
macro_rules! documented {
    ($start:literal, $($code:tt)*) => {
        assert_eq!(documented($start), bare(stringify!($($code)*)));
        $($code)*
    };
}

#[test]
fn tokio_is_as_documented() -> std::io::Result<()> {
    documented! { "async fn work(n: u32) -> Result<(), String> {  // tokio",
        async fn work(n: u32) -> Result<(), String> {
            tokio::time::sleep(Duration::from_millis(1)).await;
            if n == 2 {
                return Err("two".to_owned());
            }
            Ok(())
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let ended = runtime.block_on(async {
            let mut jobs = tokio::task::JoinSet::new();
            jobs.spawn(work(1));
            jobs.spawn(work(2));
            while let Some(job) = jobs.join_next().await {
                job.expect("no panic")?;
            }
            Ok(())
        });
        assert_eq!(ended, Err("two".to_owned()));
    }
    Ok(())
}

#[test]
fn smol_is_as_documented() {
    documented! { "async fn work(n: u32) -> Result<(), String> {  // smol",
        async fn work(n: u32) -> Result<(), String> {
            smol::Timer::after(Duration::from_millis(1)).await;
            if n == 2 {
                return Err("two".to_owned());
            }
            Ok(())
        }
        let executor = smol::LocalExecutor::new();
        let ended = smol::block_on(executor.run(async {
            let jobs = [executor.spawn(work(1)), executor.spawn(work(2))];
            for job in jobs {
                job.await?;
            }
            Ok(())
        }));
        assert_eq!(ended, Err("two".to_owned()));
    }
}
