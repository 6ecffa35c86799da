//! Counts allocations per thread, for `ocelli bench` and for the tests that check "a frame costs no allocation".
//!
//! Our own code, because `stats_alloc` and `cap` count for the whole process, and a line of a pipeline is a thread.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    // Neither lazily initialised nor dropped, so that the allocator itself may use it.
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

/// The system allocator with a counter. A program installs it with `#[global_allocator]`.
#[derive(Debug, Default)]
pub struct CountingAllocator;

fn count() {
    // A thread that is ending no longer counts.
    let _ = COUNT.try_with(|count| count.set(count.get() + 1));
}

// SAFETY: every call is forwarded unchanged to the system allocator; only a thread-local counter is incremented.
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

/// The number of allocations of this thread so far; always 0 in a program that does not use [`CountingAllocator`].
#[must_use]
pub fn thread_allocations() -> u64 {
    COUNT.try_with(Cell::get).unwrap_or(0)
}
