//! The threads of a session: they run the same steps side by side and wait for each other between them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

/// What all threads call, with their number.
type Job = &'static (dyn Fn(usize) + Sync);

struct Shared {
    /// The number of the current job, and the job; none when the team is dropped.
    job: Mutex<(usize, Option<Job>, bool)>,
    start: Condvar,
    running: AtomicUsize,
    failed: AtomicBool,
}

/// Threads that wait for work.
pub struct Team {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Team {
    /// A team of `size` with the calling thread as its first.
    ///
    /// # Errors
    /// If the system gives no more threads.
    pub fn new(size: usize) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            job: Mutex::new((0, None, false)),
            start: Condvar::new(),
            running: AtomicUsize::new(0),
            failed: AtomicBool::new(false),
        });
        let mut team = Self { shared: Arc::clone(&shared), threads: Vec::new() };
        for number in 1..size.max(1) {
            let shared = Arc::clone(&shared);
            let thread = std::thread::Builder::new().name(format!("kernels-{number}"));
            team.threads.push(thread.spawn(move || work(&shared, number))?);
        }
        Ok(team)
    }

    /// The number of threads, with the caller's.
    #[must_use]
    pub fn size(&self) -> usize {
        self.threads.len() + 1
    }

    /// Calls `job` on all threads and waits for them; `false` if one of them panicked.
    pub fn run(&self, job: &(dyn Fn(usize) + Sync)) -> bool {
        if self.threads.is_empty() {
            return catch_unwind(AssertUnwindSafe(|| job(0))).is_ok();
        }
        // SAFETY: this function does not return before all threads are done with the job.
        let lasting: Job = unsafe { std::mem::transmute::<&(dyn Fn(usize) + Sync), Job>(job) };
        self.shared.running.store(self.threads.len(), Ordering::Relaxed);
        self.shared.failed.store(false, Ordering::Relaxed);
        {
            let mut next = self.shared.job.lock().unwrap_or_else(PoisonError::into_inner);
            next.0 += 1;
            next.1 = Some(lasting);
        }
        self.shared.start.notify_all();
        let good = catch_unwind(AssertUnwindSafe(|| job(0))).is_ok();
        wait(|| self.shared.running.load(Ordering::Acquire) == 0);
        good && !self.shared.failed.load(Ordering::Relaxed)
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        self.shared.job.lock().unwrap_or_else(PoisonError::into_inner).2 = true;
        self.shared.start.notify_all();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn work(shared: &Shared, number: usize) {
    let mut seen = 0;
    loop {
        let job = {
            let mut next = shared.job.lock().unwrap_or_else(PoisonError::into_inner);
            loop {
                if next.2 {
                    return;
                }
                if next.0 != seen {
                    break;
                }
                next = shared.start.wait(next).unwrap_or_else(PoisonError::into_inner);
            }
            seen = next.0;
            next.1
        };
        if let Some(job) = job
            && catch_unwind(AssertUnwindSafe(|| job(number))).is_err()
        {
            shared.failed.store(true, Ordering::Relaxed);
        }
        shared.running.fetch_sub(1, Ordering::Release);
    }
}

/// Waits for a few microseconds at full speed, then lets others run.
fn wait(done: impl Fn() -> bool) {
    let mut tries = 0_u32;
    while !done() {
        tries += 1;
        if tries < 4000 { std::hint::spin_loop() } else { std::thread::yield_now() }
    }
}

/// A place where all threads of a team meet.
pub struct Barrier {
    size: usize,
    arrived: AtomicUsize,
    round: AtomicUsize,
}

impl Barrier {
    #[must_use]
    pub const fn new(size: usize) -> Self {
        Self { size, arrived: AtomicUsize::new(0), round: AtomicUsize::new(0) }
    }

    /// Returns when all have called it.
    pub fn meet(&self) {
        if self.size == 1 {
            return;
        }
        let round = self.round.load(Ordering::Acquire);
        if self.arrived.fetch_add(1, Ordering::AcqRel) + 1 == self.size {
            self.arrived.store(0, Ordering::Relaxed);
            self.round.store(round.wrapping_add(1), Ordering::Release);
        } else {
            wait(|| self.round.load(Ordering::Acquire) != round);
        }
    }
}
