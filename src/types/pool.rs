//! Reusable buffers, so that a frame costs no allocation after warm-up.

use std::sync::Arc;

/// Values that are handed out behind `Arc` and refilled once every reader has dropped its pointer.
///
/// The pool keeps one pointer to each value it ever made; a value is free when that pointer is the
/// only one left. No locks and no `unsafe` are needed, and a reader sees a plain `Arc<T>`.
/// The pool grows to the number of values in flight and stays there.
#[derive(Debug, Default)]
pub struct Pool<T> {
    slots: Vec<Arc<T>>,
    next: usize,
}

impl<T: Default> Pool<T> {
    /// Creates an empty pool.
    #[must_use]
    pub const fn new() -> Self {
        Self { slots: Vec::new(), next: 0 }
    }

    /// Fills a free value (a new one if all are in use) and hands it out.
    ///
    /// The value still has its previous content; `fill` must overwrite all of it.
    ///
    /// # Errors
    /// Whatever `fill` returns; the value then stays in the pool.
    pub fn fill<E>(&mut self, fill: impl FnOnce(&mut T) -> Result<(), E>) -> Result<Arc<T>, E> {
        let count = self.slots.len();
        let free = (0..count)
            .map(|step| (self.next + step) % count)
            .find(|&slot| Arc::get_mut(&mut self.slots[slot]).is_some());
        let slot = free.unwrap_or_else(|| {
            self.slots.push(Arc::new(T::default()));
            self.slots.len() - 1
        });
        self.next = (slot + 1) % self.slots.len();
        // A fresh or free slot has one owner, so `make_mut`-like access cannot fail.
        if let Some(value) = Arc::get_mut(&mut self.slots[slot]) {
            fill(value)?;
        }
        Ok(Arc::clone(&self.slots[slot]))
    }

    /// How many values the pool has made.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether the pool has made no value yet.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(pool: &mut Pool<Vec<u8>>, byte: u8) -> Arc<Vec<u8>> {
        let filled: Result<_, ()> = pool.fill(|v| {
            v.clear();
            v.push(byte);
            Ok(())
        });
        filled.unwrap()
    }

    #[test]
    fn a_value_is_used_again_only_after_its_readers_are_gone() {
        let mut pool = Pool::new();
        let a = put(&mut pool, 1);
        let b = put(&mut pool, 2);
        assert_eq!((a[0], b[0], pool.len()), (1, 2, 2));
        drop(a);
        let c = put(&mut pool, 3);
        assert_eq!((b[0], c[0], pool.len()), (2, 3, 2));
    }

    #[test]
    fn a_failed_fill_keeps_the_slot() {
        let mut pool: Pool<u8> = Pool::new();
        assert_eq!(pool.fill(|_| Err("no")), Err("no"));
        assert_eq!(pool.len(), 1);
        assert!(
            pool.fill(|v| {
                *v = 7;
                Ok::<(), ()>(())
            })
            .is_ok()
        );
        assert_eq!(pool.len(), 1);
    }
}
