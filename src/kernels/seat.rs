//! Where a thread wakes up. Linux likes to wake a thread on the processor that it last ran on, even if the thread that wakes
//! it is running there and will not stop; on machines with few processors it often does not look for an idle one. Then a
//! helper only begins when the work is done. So a helper that last ran where the caller runs now is barred from there for
//! one wake.

#[cfg(target_os = "linux")]
mod linux {
    use rustix::thread::{CpuSet, Pid, gettid, sched_getaffinity, sched_getcpu, sched_setaffinity};
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    /// A helper's processor.
    #[derive(Default)]
    pub struct Seat {
        /// The thread, and where it may run.
        thread: OnceLock<(Pid, CpuSet)>,
        /// Where it last ran.
        last: AtomicUsize,
        barred: AtomicBool,
    }

    impl Seat {
        /// The helper calls it when it begins.
        pub fn take(&self) {
            if let Ok(allowed) = sched_getaffinity(None) {
                let _ = self.thread.set((gettid(), allowed));
            }
        }

        /// The helper calls it before it sleeps.
        pub fn leave(&self) {
            self.last.store(sched_getcpu(), Ordering::Relaxed);
        }

        /// The helper calls it when it wakes up.
        pub fn back(&self) {
            if let Some((_, allowed)) = self.thread.get()
                && self.barred.swap(false, Ordering::Relaxed)
            {
                let _ = sched_setaffinity(None, allowed);
            }
        }

        /// Who is about to wake the helper calls it, with the processor that it runs on.
        pub fn avoid(&self, here: usize) {
            let Some((thread, allowed)) = self.thread.get().filter(|_| self.last.load(Ordering::Relaxed) == here)
            else {
                return;
            };
            let mut others = *allowed;
            others.unset(here);
            // It is as good as before if the system refuses.
            if others.count() > 0 && !self.barred.swap(true, Ordering::Relaxed) {
                let _ = sched_setaffinity(Some(*thread), &others);
            }
        }
    }

    /// The processor that runs this.
    pub fn here() -> usize {
        sched_getcpu()
    }
}

#[cfg(target_os = "linux")]
pub use linux::{Seat, here};

#[cfg(not(target_os = "linux"))]
mod other {
    /// Other systems choose by themselves.
    #[derive(Default)]
    pub struct Seat;

    impl Seat {
        pub fn take(&self) {}
        pub fn leave(&self) {}
        pub fn back(&self) {}
        pub fn avoid(&self, _: usize) {}
    }

    pub fn here() -> usize {
        0
    }
}

#[cfg(not(target_os = "linux"))]
pub use other::{Seat, here};
