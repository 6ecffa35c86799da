//! Resizing of maps: nearest pixels and linear interpolation, by tables made once.

use super::Isa;
use super::pack::share;
use super::siblings::{sibling, siblings};
use super::view::Map;

/// Two neighbours on an axis and the weight of the second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tap {
    pub at: [usize; 2],
    pub weight: f32,
}

siblings! {
    /// Four pixels weighted into one; the weights are of the second row and of the second column.
    fn blend<V>(corners: [*const f32; 4], down: f32, across: f32, channels: usize, to: *mut f32, spill: bool) {
        // SAFETY: the caller has the features of `V`; all pixels have these channels.
        unsafe {
            let (first, second) = (V::splat(1.0 - down), V::splat(down));
            let (left, right) = (V::splat(1.0 - across), V::splat(across));
            let mut channel = 0;
            while channel < channels {
                let [a, b, c, d] = [
                    V::load(corners[0].add(channel)), V::load(corners[1].add(channel)),
                    V::load(corners[2].add(channel)), V::load(corners[3].add(channel)),
                ];
                let one = a.mul(first).add(c.mul(second));
                let other = b.mul(first).add(d.mul(second));
                let value = one.mul(left).add(other.mul(right));
                let to = to.add(channel);
                if spill || channels - channel >= V::LANES { value.store(to) } else { value.store_first(to, channels - channel) }
                channel += V::LANES;
            }
        }
    }
}

siblings! {
    /// `a` and `b` weighted; the weight is that of `b`. Whole vectors are written.
    fn mix<V>(a: *const f32, b: *const f32, weight: f32, count: usize, to: *mut f32) {
        // SAFETY: the caller has the features of `V`; all lines have `count` values, and room for whole vectors.
        unsafe {
            let (first, second) = (V::splat(1.0 - weight), V::splat(weight));
            for at in (0..count).step_by(V::LANES) {
                let value = V::load(a.add(at)).mul(first).add(V::load(b.add(at)).mul(second));
                value.store(to.add(at));
            }
        }
    }
}

siblings! {
    /// A row of pixels resized.
    fn along<V>(row: *const f32, taps: &[Tap], pixel: usize, to: *mut f32) {
        for (x, tap) in taps.iter().enumerate() {
            // SAFETY: as above; taps lie on the row.
            unsafe { mix::<V>(row.add(tap.at[0] * pixel), row.add(tap.at[1] * pixel), tap.weight, pixel, to.add(x * pixel)) };
        }
    }
}

pub(super) type MixFn = unsafe fn(*const f32, *const f32, f32, usize, *mut f32);
pub(super) type AcrossFn = unsafe fn(*const f32, &[Tap], usize, *mut f32);

pub(super) fn mix_sibling(isa: Isa) -> MixFn {
    sibling!(isa, mix)
}

pub(super) fn across_sibling(isa: Isa) -> AcrossFn {
    sibling!(isa, along)
}

type BlendFn = unsafe fn([*const f32; 4], f32, f32, usize, *mut f32, bool);

/// Resizing with its places.
pub struct Resize {
    from: Map,
    to: Map,
    spill: bool,
    down: Vec<Tap>,
    across: Vec<Tap>,
    nearest: bool,
    blend: BlendFn,
}

impl Resize {
    /// With the neighbours of each row and column of the output; `nearest` takes the first of them.
    #[must_use]
    pub fn new(isa: Isa, [from, to]: [Map; 2], spill: bool, [down, across]: [Vec<Tap>; 2], nearest: bool) -> Self {
        Self { from, to, spill, down, across, nearest, blend: sibling!(isa, blend) }
    }

    /// # Safety
    /// As of [`super::Conv::run`].
    pub(super) unsafe fn run(&self, memory: *mut f32, part: usize, parts: usize) {
        let (from, to) = (&self.from, &self.to);
        let (first, count) = share(to.height, parts, part);
        for y in first..first + count {
            let down = self.down[y];
            for (x, across) in self.across.iter().enumerate() {
                // SAFETY: taps lie on the map; both maps were checked against the arena.
                unsafe {
                    let out = memory.add(to.offset + y * to.row + x * to.pixel);
                    let corner = |row: usize, column: usize| {
                        memory.add(from.offset + down.at[row] * from.row + across.at[column] * from.pixel).cast_const()
                    };
                    if self.nearest {
                        std::ptr::copy_nonoverlapping(corner(0, 0), out, to.channels);
                    } else {
                        let corners = [corner(0, 0), corner(0, 1), corner(1, 0), corner(1, 1)];
                        (self.blend)(corners, down.weight, across.weight, to.channels, out, self.spill);
                    }
                }
            }
        }
    }
}
