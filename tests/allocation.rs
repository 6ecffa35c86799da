//! After warm-up, a frame costs no allocations: a counting allocator watches whole pipelines, one of them with a model.
#![allow(clippy::unwrap_used)]

#[path = "support/limit.rs"]
mod limit;
mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use support::{cards, pipe};

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
fn allocations(lines: &str, models: &[PathBuf], frames: u64) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let text =
        lines.replace("FRAMES", &frames.to_string()).replace("OUT", &folder.path().join("out").display().to_string());
    let env = pipe::env(models);
    let before = COUNT.load(Relaxed);
    pipe::play(&text, &env).result.unwrap();
    COUNT.load(Relaxed) - before
}

/// There is only one test function, because the counter covers the whole process.
#[test]
fn a_frame_costs_no_allocation_after_warm_up() {
    let _limit = limit::within(300);
    let pipelines = [
        "pipeline:\n- scene: { frames: FRAMES, size: [160, 96] }\n- { id: a, jsonl: { path: 'OUT', truth: true } }\n- { id: b, jsonl: { path: 'OUT2' } }\n",
        "pipeline:\n- scene: { frames: FRAMES, size: [160, 96] }\n- resize: { size: [80, 80], fit: letterbox, filter: cv_nearest }\n- jsonl: { path: 'OUT' }\n",
        // A whole YOLO, whose graph is one compiled block.
        "pipeline:\n- scene: { frames: FRAMES, size: [320, 192] }\n- resize: { for: scene }\n- detect: { model: scene }\n- nms: { iou: 0.5 }\n- jsonl: { path: 'OUT' }\n",
    ];
    let mut all: Vec<(String, u64, u64)> = pipelines.into_iter().map(|lines| (lines.to_owned(), 3000, 0)).collect();
    let field = std::env::var_os("OCELLI_FIELD").map(|field| cards::models(field.as_ref()));
    let models: Vec<PathBuf> = field.iter().map(|field| field.path().to_owned()).collect();
    if let Some(field) = &field {
        // With the filters of the cards, `fast_image_resize` allocates its weights anew for each frame: two for the whole, and
        // one for each column and each row of the input.
        for (model, score, weights) in [("ssd_mobilenet_v1", 0.05, 606), ("yolox_nano", 0.02, 416 + 260)] {
            let card = std::fs::read_to_string(field.path().join(model).join("card.yaml")).unwrap();
            let own = field.path().join(format!("{model}.cv"));
            std::fs::rename(field.path().join(format!("{model}.as_is")), &own).unwrap();
            std::fs::write(own.join("card.yaml"), card.replace("filter: bilinear", "filter: cv_linear")).unwrap();
            // Low scores, so that there are boxes in each frame.
            let lines = |model: &str| {
                format!(
                    "pipeline:\n- scene: {{ frames: FRAMES, size: [320, 192] }}\n- resize: {{ for: {model} }}\n- detect: {{ model: {model}, min_score: {score} }}\n- nms: {{ iou: 0.5 }}\n- jsonl: {{ path: 'OUT' }}\n"
                )
            };
            all.push((lines(model), 300, weights));
            all.push((lines(&format!("{model}.cv")), 1000, 0));
        }
    } else {
        support::skipped("set OCELLI_FIELD");
    }
    for (lines, frames, each) in all {
        allocations(&lines, &models, 50);
        let (short, long) = (allocations(&lines, &models, 200), allocations(&lines, &models, 200 + frames));
        // A pool grows until it holds as many buffers as were ever in use at once. On a busy machine, a queue may fill up
        // for the first time late in the run, so a few buffers more are allowed (up to 79 were seen), not one per frame.
        let more = long.saturating_sub(short);
        eprintln!("{more} allocations for {frames} more frames ({short} for the first 200)");
        assert!(more < 150 + frames * each, "{more} allocations for {frames} frames:\n{lines}");
    }
}
