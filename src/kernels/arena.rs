//! One block of memory for all values of a program: which buffer lies where, so that buffers that are not needed at the
//! same time share their place.

/// A buffer before it has its place.
#[derive(Clone, Debug)]
pub struct Buffer {
    /// Floats.
    pub length: usize,
    /// The geometry of a map with a border of zeros. Such buffers share their place only with their like, so that nobody
    /// writes into the border.
    pub border: Option<[usize; 5]>,
    /// Whether it holds levels: they never lie where floats do, because vectors of floats reach into the room behind the
    /// channels of a map, and bytes are denormal as floats, which is slow.
    pub levels: bool,
    /// The first and the last step that uses it; before and after all steps, it lives from the start and to the end.
    pub from: usize,
    pub until: usize,
}

/// Floats behind the last buffer that vectors may touch, and the granularity of places: a cache line.
const LINE: usize = 16;

/// Gives each buffer its place; returns the places and the length of all.
#[must_use]
pub fn place(buffers: &[Buffer]) -> (Vec<usize>, usize) {
    let mut places = vec![0; buffers.len()];
    let mut total = 0;
    let round = |length: usize| length.next_multiple_of(LINE) + LINE;
    // Maps with borders: by geometry, one after the other.
    let mut shared: Vec<([usize; 5], usize, usize)> = Vec::new();
    let mut order: Vec<usize> = (0..buffers.len()).collect();
    order.sort_by_key(|at| buffers[*at].from);
    for at in order {
        let buffer = &buffers[at];
        let Some(border) = buffer.border else { continue };
        // The one that was free last is still in the cache.
        let free = shared.iter_mut().filter(|(like, _, until)| *like == border && *until < buffer.from);
        if let Some((_, place, until)) = free.max_by_key(|(_, _, until)| *until) {
            (places[at], *until) = (*place, buffer.until);
        } else {
            shared.push((border, total, buffer.until));
            places[at] = total;
            total += round(buffer.length);
        }
    }
    // The others: the largest first, each at the lowest place that is free while it lives.
    let start = total;
    let mut order: Vec<usize> = (0..buffers.len()).filter(|at| buffers[*at].border.is_none()).collect();
    order.sort_by_key(|at| (std::cmp::Reverse(buffers[*at].length), buffers[*at].from));
    let mut placed: Vec<usize> = Vec::new();
    for at in order {
        let own = &buffers[at];
        let mut taken: Vec<(usize, usize)> = placed
            .iter()
            .filter(|other| {
                let other = &buffers[**other];
                other.levels != own.levels || (other.from <= own.until && own.from <= other.until)
            })
            .map(|other| (places[*other], places[*other] + round(buffers[*other].length)))
            .collect();
        taken.sort_unstable();
        let mut place = start;
        for (from, until) in taken {
            if place + round(own.length) <= from {
                break;
            }
            place = place.max(until);
        }
        places[at] = place;
        total = total.max(place + round(own.length));
        placed.push(at);
    }
    (places, total + LINE)
}

/// Floats at addresses that are multiples of a cache line.
pub struct Arena {
    floats: Vec<Line>,
}

#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line(#[allow(dead_code, reason = "read through a pointer")] [f32; LINE]);

impl Arena {
    /// Zeros.
    #[must_use]
    pub fn new(length: usize) -> Self {
        Self { floats: vec![Line([0.0; LINE]); length.div_ceil(LINE)] }
    }

    /// A copy of these.
    #[must_use]
    pub fn of(floats: &[f32]) -> Self {
        let mut arena = Self::new(floats.len() + LINE);
        arena.floats_mut()[..floats.len()].copy_from_slice(floats);
        arena
    }

    /// A copy of these bytes.
    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> Self {
        let mut arena = Self::new(bytes.len().div_ceil(4) + LINE);
        arena.bytes_mut()[..bytes.len()].copy_from_slice(bytes);
        arena
    }

    /// A pointer to the byte at this place.
    #[must_use]
    pub fn byte(&self, place: usize) -> *const u8 {
        debug_assert!(place <= self.floats.len() * LINE * 4);
        self.floats.as_ptr().cast::<u8>().wrapping_add(place)
    }

    /// A pointer to the float at this place.
    #[must_use]
    pub fn at(&self, place: usize) -> *const f32 {
        debug_assert!(place <= self.floats.len() * LINE);
        self.floats.as_ptr().cast::<f32>().wrapping_add(place)
    }

    #[must_use]
    pub fn pointer(&mut self) -> *mut f32 {
        self.floats.as_mut_ptr().cast()
    }

    /// All floats, to write.
    #[must_use]
    pub fn floats_mut(&mut self) -> &mut [f32] {
        // SAFETY: a line is an array of floats without padding.
        unsafe { std::slice::from_raw_parts_mut(self.floats.as_mut_ptr().cast(), self.floats.len() * LINE) }
    }

    /// All bytes, to write.
    #[must_use]
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above; any four bytes are a float.
        unsafe { std::slice::from_raw_parts_mut(self.floats.as_mut_ptr().cast(), self.floats.len() * LINE * 4) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_share_what_is_free() {
        let plain = |length, from, until| Buffer { length, border: None, levels: false, from, until };
        let border = |from, until| Buffer { length: 100, border: Some([1, 2, 3, 4, 5]), levels: false, from, until };
        let buffers =
            [plain(1000, 0, 1), plain(1000, 1, 2), plain(1000, 2, 3), border(0, 1), border(2, 3), border(3, 4)];
        let (places, total) = place(&buffers);
        assert_eq!(places[0], places[2]);
        assert_ne!(places[0], places[1]);
        assert_eq!(places[3], places[4]);
        assert_ne!(places[4], places[5]);
        assert!(total < 2400, "{total}");
    }
}
