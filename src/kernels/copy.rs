//! Copies between values that lie in different orders, inside the arena and at its ends.

use super::loops::Loops;

/// Copies the second operand into the first.
pub struct Copy {
    loops: Loops<2>,
}

impl Copy {
    #[must_use]
    pub fn new(loops: Loops<2>) -> Self {
        Self { loops }
    }

    /// # Safety
    /// As of [`super::Conv::run`].
    pub(super) unsafe fn run(&self, memory: *mut f32, part: usize, parts: usize) {
        // SAFETY: both views were checked against the arena.
        unsafe { copy(&self.loops, memory, memory, part, parts) }
    }
}

/// Copies from one block of memory into another.
///
/// # Safety
/// The loops' operands lie in the blocks.
pub(super) unsafe fn copy(loops: &Loops<2>, to_memory: *mut f32, from_memory: *const f32, part: usize, parts: usize) {
    let [to_stride, from_stride] = loops.strides;
    let count = loops.inner;
    loops.each(part, parts, |[to, from]| {
        // SAFETY: as of this function.
        unsafe {
            let (to, from) = (to_memory.add(to), from_memory.add(from));
            match (to_stride, from_stride) {
                (1, 1) => std::ptr::copy_nonoverlapping(from, to, count),
                (_, 1) => (0..count).for_each(|at| *to.add(at * to_stride) = *from.add(at)),
                (1, _) => (0..count).for_each(|at| *to.add(at) = *from.add(at * from_stride)),
                _ => (0..count).for_each(|at| *to.add(at * to_stride) = *from.add(at * from_stride)),
            }
        }
    });
}

/// Copies levels from one block of memory into another, each changed by `flip`.
///
/// # Safety
/// The loops' operands lie in the blocks.
pub(super) unsafe fn copy_levels(loops: &Loops<2>, to_memory: *mut u8, from_memory: *const u8, flip: u8) {
    let [to_stride, from_stride] = loops.strides;
    let count = loops.inner;
    loops.each(0, 1, |[to, from]| {
        // SAFETY: as of this function.
        unsafe {
            let (to, from) = (to_memory.add(to), from_memory.add(from));
            if to_stride == 1 && from_stride == 1 && flip == 0 {
                std::ptr::copy_nonoverlapping(from, to, count);
            } else {
                (0..count).for_each(|at| *to.add(at * to_stride) = *from.add(at * from_stride) ^ flip);
            }
        }
    });
}
