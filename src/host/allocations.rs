//! Counts allocations by thread, for `ocelli bench` and the tests that hold "a frame costs no allocation".
//!
//! Own code, because the counters of `stats_alloc` and `cap` are the process's, and a line of a pipeline is a thread.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    // Neither lazy nor dropped, so that the allocator itself may use it.
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, counted. A program makes it its own by `#[global_allocator]`.
#[derive(Debug, Default)]
pub struct CountingAllocator;

fn count() {
    // A thread that is ending counts no more.
    let _ = COUNT.try_with(|count| count.set(count.get() + 1));
}

// SAFETY: every call goes to the system's allocator unchanged; only a counter of the thread is added to.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// Allocations of this thread so far; always 0 in a program that does not use [`CountingAllocator`].
#[must_use]
pub fn thread_allocations() -> u64 {
    COUNT.try_with(Cell::get).unwrap_or(0)
}
