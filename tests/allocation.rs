//! After warm-up, a frame costs no allocations: a counting allocator watches pipelines without inference.
#![allow(clippy::unwrap_used)]

#[path = "support/limit.rs"]
mod limit;
mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use support::pipe;

struct Counting;

static COUNT: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call is passed to the system allocator unchanged; only a counter is added.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.fetch_add(1, Relaxed);
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        COUNT.fetch_add(1, Relaxed);
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Returns the number of allocations in a whole run of `frames` frames.
fn allocations(lines: &str, frames: u64) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let text =
        lines.replace("FRAMES", &frames.to_string()).replace("OUT", &folder.path().join("out").display().to_string());
    let env = pipe::env(&[]);
    let before = COUNT.load(Relaxed);
    pipe::play(&text, &env).result.unwrap();
    COUNT.load(Relaxed) - before
}

/// There is only one test function, because the counter covers the whole process.
#[test]
fn a_frame_costs_no_allocation_after_warm_up() {
    let _limit = limit::within(120);
    let pipelines = [
        "pipeline:\n- scene: { frames: FRAMES, size: [160, 96] }\n- { id: a, jsonl: { path: 'OUT', truth: true } }\n- { id: b, jsonl: { path: 'OUT2' } }\n",
        "pipeline:\n- scene: { frames: FRAMES, size: [160, 96] }\n- resize: { size: [80, 80], fit: letterbox, filter: cv_nearest }\n- jsonl: { path: 'OUT' }\n",
    ];
    for lines in pipelines {
        allocations(lines, 50);
        let (short, long) = (allocations(lines, 200), allocations(lines, 1200));
        // A thousand more frames may cost a few more buffers (a queue that was never full before), not one per frame.
        let more = long.saturating_sub(short);
        eprintln!("{more} allocations for 1000 more frames ({short} for the first 200)");
        assert!(more < 50, "{more} allocations for 1000 frames:\n{lines}");
    }
}
