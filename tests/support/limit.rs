//! A time limit for each test, so that a deadlock fails instead of hanging: `let _limit = limit::within(60);` comes first.

use std::io::Write as _;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// The running tests: number, name and the time by which each must have ended.
type Watched = Mutex<Vec<(u64, String, Instant)>>;

/// Held while a test runs; dropping it ends the time limit.
#[must_use]
pub struct Limit(u64);

/// Ends the program, with the names of all its threads, if the test that holds the result takes longer than `seconds`.
/// `OCELLI_PATIENCE` multiplies all limits on slow machines.
pub fn within(seconds: u64) -> Limit {
    let patience = std::env::var("OCELLI_PATIENCE").ok().and_then(|text| text.parse().ok()).unwrap_or(1.0);
    let name = std::thread::current().name().unwrap_or("a test").to_owned();
    let mut all = watched().lock().unwrap_or_else(PoisonError::into_inner);
    let number = all.iter().map(|(number, ..)| number + 1).max().unwrap_or(0);
    all.push((number, name, Instant::now() + Duration::from_secs(seconds).mul_f64(patience)));
    Limit(number)
}

impl Drop for Limit {
    fn drop(&mut self) {
        watched().lock().unwrap_or_else(PoisonError::into_inner).retain(|(number, ..)| *number != self.0);
    }
}

fn watched() -> &'static Watched {
    static WATCHED: OnceLock<Watched> = OnceLock::new();
    WATCHED.get_or_init(|| {
        std::thread::Builder::new().name("test limits".into()).spawn(watch).expect("a thread");
        Watched::default()
    })
}

fn watch() {
    loop {
        std::thread::sleep(Duration::from_millis(200));
        let all = watched().lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, name, _)) = all.iter().find(|(.., end)| Instant::now() > *end) {
            // Bypasses the capture of output, because captured output would be lost with the process.
            let _ = writeln!(std::io::stderr(), "\ntest {name} takes too long: a deadlock? Threads: {}", threads());
            std::process::exit(101);
        }
    }
}

/// Returns the names of all threads of this process, if the system provides them.
fn threads() -> String {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    names.map(|name| name.trim().to_owned()).collect::<Vec<_>>().join(", ")
}
