//! The threads of a session: they share the parts of one step after the other.
//!
//! Nobody waits for a thread that has nothing in hand: a thread takes a part when it comes by, and a step ends with its last
//! part. So a thread that the system keeps off its processor, or that is slow to wake, costs at most the part that it
//! holds, not a wait in each step. Those who find no part left spin for a moment and then sleep, so that the processor goes
//! to those who work. All of it runs on a state of one word.

use super::seat::{Seat, here};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The most threads of a team, and parts of a step.
pub const MOST: usize = 16;

/// How long a thread looks for a part before it sleeps: longer than threads usually wait for each other in a step, and
/// about what it takes to wake one.
const SPIN: Duration = Duration::from_micros(50);

/// What is called for a step, one of its parts, and the number of the thread.
type Call<'a> = dyn Fn(usize, usize, usize) + Sync + 'a;

/// A run: its number, what is called, and the number of parts of each step.
#[derive(Clone, Copy)]
struct Job {
    run: u32,
    call: *const Call<'static>,
    parts: *const [u8],
}

// SAFETY: what the pointers lead to may be used by several threads; those who do hold a part (see `Shared::work`).
unsafe impl Send for Job {}

/// What is going on, in one word: which run, which of its steps, how many parts that has, and which of them nobody has
/// taken. A step without parts is the end of its run.
#[derive(Clone, Copy, PartialEq)]
struct State(u64);

impl State {
    fn new(run: u32, step: usize, parts: usize) -> Self {
        Self(u64::from(run) << 37 | (step as u64 & 0xFFFF) << 21 | (parts as u64) << 16 | ((1 << parts) - 1))
    }

    /// The number of the run. It repeats after 130 million runs: a thread would have to sleep for weeks, exactly as long,
    /// between two instructions to take one for the other.
    fn run(self) -> u32 {
        (self.0 >> 37) as u32
    }

    fn step(self) -> usize {
        (self.0 >> 21 & 0xFFFF) as usize
    }

    fn parts(self) -> usize {
        (self.0 >> 16 & 0x1F) as usize
    }

    /// The part that thread `number` of `size` takes: of its own share, which it had in the step before, if one is left.
    fn pick(self, number: usize, size: usize) -> Option<usize> {
        let (parts, open) = (self.parts(), self.0 & 0xFFFF);
        if open == 0 {
            return None;
        }
        let first = number * parts / size;
        let behind = open >> first << first;
        Some(if behind == 0 { open } else { behind }.trailing_zeros() as usize)
    }

    fn without(self, part: usize) -> Self {
        Self(self.0 & !(1 << part))
    }
}

struct Shared {
    size: usize,
    /// Of the threads beside the caller.
    seats: Vec<Seat>,
    state: AtomicU64,
    /// Parts of the current step that are not done.
    left: AtomicUsize,
    /// Threads that sleep until the step ends.
    sleepers: AtomicUsize,
    failed: AtomicBool,
    job: Mutex<Option<Job>>,
    over: AtomicBool,
    /// A new job.
    start: Condvar,
    /// A new step.
    next: Condvar,
    /// Held during a run.
    turn: Mutex<()>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Option<Job>> {
        self.job.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes parts of a run until it ends.
    fn work(&self, job: Job, number: usize) {
        loop {
            let now = State(self.state.load(Ordering::Acquire));
            if now.run() != job.run || now.parts() == 0 {
                return;
            }
            let Some(part) = now.pick(number, self.size) else {
                self.wait(now);
                continue;
            };
            let taken =
                self.state.compare_exchange(now.0, now.without(part).0, Ordering::AcqRel, Ordering::Relaxed).is_ok();
            if !taken {
                continue;
            }
            // SAFETY: `Team::run` returns when all parts of all steps are done, and this one is not.
            let (call, parts) = unsafe { (&*job.call, &*job.parts) };
            if catch_unwind(AssertUnwindSafe(|| call(now.step(), part, number))).is_err() {
                self.failed.store(true, Ordering::Relaxed);
            }
            let next = now.step() + 1;
            let count = parts.get(next).map_or(0, |count| usize::from(*count));
            // The last to end a part opens the next step. From here on the job may be gone.
            if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
                self.left.store(count, Ordering::Relaxed);
                self.state.store(State::new(job.run, next, count).0, Ordering::SeqCst);
                if self.sleepers.load(Ordering::SeqCst) > 0 {
                    drop(self.lock());
                    self.next.notify_all();
                }
            }
        }
    }

    /// Returns when the state is another one.
    fn wait(&self, now: State) {
        let start = Instant::now();
        while start.elapsed() < SPIN {
            for _ in 0..16 {
                if self.state.load(Ordering::Acquire) != now.0 {
                    return;
                }
                std::hint::spin_loop();
            }
        }
        let mut lock = self.lock();
        self.sleepers.fetch_add(1, Ordering::SeqCst);
        // Either this sees the new state, or who wrote it sees the sleeper.
        while self.state.load(Ordering::SeqCst) == now.0 {
            lock = self.next.wait(lock).unwrap_or_else(PoisonError::into_inner);
        }
        self.sleepers.fetch_sub(1, Ordering::SeqCst);
    }

    /// The work of a thread of the team.
    fn help(&self, number: usize) {
        let (mut seen, seat) = (0, &self.seats[number - 1]);
        seat.take();
        loop {
            seat.leave();
            let job = {
                let mut lock = self.lock();
                loop {
                    if self.over.load(Ordering::Relaxed) {
                        return;
                    }
                    match *lock {
                        Some(job) if job.run != seen => break job,
                        _ => lock = self.start.wait(lock).unwrap_or_else(PoisonError::into_inner),
                    }
                }
            };
            seen = job.run;
            seat.back();
            self.work(job, number);
        }
    }
}

/// Threads that wait for work.
pub struct Team {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Team {
    /// A team of `size`, at most [`MOST`], with the calling thread as its first.
    ///
    /// # Errors
    /// If the system gives no more threads.
    pub fn new(size: usize) -> std::io::Result<Self> {
        let size = size.clamp(1, MOST);
        let shared = Arc::new(Shared {
            size,
            seats: (1..size).map(|_| Seat::default()).collect(),
            state: AtomicU64::new(0),
            left: AtomicUsize::new(0),
            sleepers: AtomicUsize::new(0),
            failed: AtomicBool::new(false),
            job: Mutex::new(None),
            over: AtomicBool::new(false),
            start: Condvar::new(),
            next: Condvar::new(),
            turn: Mutex::new(()),
        });
        let mut team = Self { shared: Arc::clone(&shared), threads: Vec::new() };
        for number in 1..size {
            let shared = Arc::clone(&shared);
            let thread = std::thread::Builder::new().name(format!("kernels-{number}"));
            team.threads.push(thread.spawn(move || shared.help(number))?);
        }
        Ok(team)
    }

    /// The number of threads, with the caller's.
    #[must_use]
    pub fn size(&self) -> usize {
        self.shared.size
    }

    /// Calls `call` with each step, each of its parts and the number of the thread, the parts of a step when all of the
    /// step before are done. `parts` has their number for each step, 1 to [`MOST`]. `false` if a call panicked; the others
    /// were made all the same.
    ///
    /// # Panics
    /// If there are more than 65,535 steps, or a step has no part or too many.
    pub fn run(&self, parts: &[u8], call: &Call<'_>) -> bool {
        assert!(parts.len() < 1 << 16 && parts.iter().all(|count| (1..=MOST).contains(&usize::from(*count))), "parts");
        let shared = &*self.shared;
        let Some(first) = parts.first() else { return true };
        let _turn = shared.turn.lock().unwrap_or_else(PoisonError::into_inner);
        shared.failed.store(false, Ordering::Relaxed);
        // SAFETY: only its lifetime changes. This function does not return before all parts are done, and nobody follows
        // the pointer who does not hold one.
        let call: *const Call<'static> = unsafe { std::mem::transmute::<&Call<'_>, &Call<'static>>(call) };
        let job = {
            let mut lock = shared.lock();
            // 27 bits, as in the state; 0 is none.
            let run = lock.map_or(0, |job| job.run) % ((1 << 27) - 1) + 1;
            let job = Job { run, call, parts };
            *lock = Some(job);
            shared.left.store(usize::from(*first), Ordering::Relaxed);
            shared.state.store(State::new(run, 0, usize::from(*first)).0, Ordering::Release);
            job
        };
        let here = here();
        shared.seats.iter().for_each(|seat| seat.avoid(here));
        shared.start.notify_all();
        shared.work(job, 0);
        !shared.failed.load(Ordering::Relaxed)
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        {
            let _lock = self.shared.lock();
            self.shared.over.store(true, Ordering::Relaxed);
        }
        self.shared.start.notify_all();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    #[test]
    fn every_part_is_called_once_and_after_the_step_before() {
        let _limit = crate::limit::within(60);
        for size in [1, 2, 3, 5, 16] {
            let team = Team::new(size).unwrap();
            for round in 0..200 {
                let parts: Vec<u8> = (0..40).map(|step| 1 + ((step * 7 + round) % MOST) as u8).collect();
                let calls: Vec<AtomicU32> = parts.iter().map(|_| AtomicU32::new(0)).collect();
                let good = team.run(&parts, &|step, part, thread| {
                    assert!(thread < size && part < usize::from(parts[step]));
                    // All parts of the step before, and none of the next.
                    assert!(step == 0 || calls[step - 1].load(Ordering::Relaxed) == (1 << parts[step - 1]) - 1);
                    assert!(calls.get(step + 1).is_none_or(|next| next.load(Ordering::Relaxed) == 0));
                    let before = calls[step].fetch_or(1 << part, Ordering::Relaxed);
                    assert_eq!(before & 1 << part, 0);
                });
                assert!(good);
                let all =
                    calls.iter().zip(&parts).all(|(calls, parts)| calls.load(Ordering::Relaxed) == (1 << parts) - 1);
                assert!(all);
            }
        }
    }

    #[test]
    fn a_panic_is_told_and_stops_nothing() {
        let _limit = crate::limit::within(60);
        let team = Team::new(3).unwrap();
        let calls = AtomicU32::new(0);
        for good in [false, true] {
            calls.store(0, Ordering::Relaxed);
            let run = team.run(&[4, 1, 3], &|step, part, _| {
                calls.fetch_add(1, Ordering::Relaxed);
                assert!(good || step != 0 || part != 2, "as asked for");
            });
            assert_eq!((run, calls.load(Ordering::Relaxed)), (good, 8));
        }
    }

    #[test]
    fn those_who_wait_sleep_until_the_next_step() {
        let _limit = crate::limit::within(60);
        let team = Team::new(2).unwrap();
        let threads = Mutex::new(Vec::new());
        let good = team.run(&[1, 2, 1, 2], &|step, part, thread| {
            std::thread::sleep(Duration::from_millis(20));
            threads.lock().unwrap().push((step, part, thread));
        });
        assert!(good);
        let threads = threads.into_inner().unwrap();
        assert_eq!(threads.len(), 6);
        // Both took part where there was work for both.
        for step in [1, 3] {
            let mut of: Vec<usize> =
                threads.iter().filter(|(at, ..)| *at == step).map(|(.., thread)| *thread).collect();
            of.sort_unstable();
            assert_eq!(of, [0, 1], "{threads:?}");
        }
    }
}
