//! The sample tables of a track (ISO/IEC 14496-12, §8.6 and §8.7), and the fragments that go on with it (§8.8).

use super::boxes::{below, child, inside, u32_at, u64_at};

/// A picture in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Where its bytes begin.
    pub offset: u64,
    /// The number of its bytes.
    pub size: u32,
    /// When it is decoded, in ticks.
    pub decoded: i64,
    /// When it is shown, in ticks.
    pub shown: i64,
    /// Whether decoding can begin here.
    pub key: bool,
}

/// What bounds a list of samples: the length of the file, which no list can exceed.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The length of the file.
    pub length: u64,
}

impl Bounds {
    /// A picture of H.264 has no fewer bytes than this, so that a file cannot claim more memory than it has itself.
    const LEAST: u64 = 8;

    /// Whether another sample may be there.
    const fn allow(self, samples: usize) -> bool {
        samples as u64 <= self.length / Self::LEAST
    }
}

/// The numbers of a table: its entries follow a count.
fn table<'a>(stbl: &'a [u8], name: &[u8; 4], at: usize, width: usize) -> impl Iterator<Item = &'a [u8]> + use<'a> {
    let body = child(stbl, name).unwrap_or_default();
    let count = u32_at(body, at).unwrap_or(0) as usize;
    body.get(at + 4..).unwrap_or_default().chunks_exact(width).take(count)
}

fn number(entry: &[u8], at: usize) -> u32 {
    u32_at(entry, at).unwrap_or(0)
}

/// Returns the samples of a track's `stbl`, in decoding order; `None` if there are more than a file of this length can
/// hold.
#[must_use]
pub fn samples(stbl: &[u8], bounds: Bounds) -> Option<Vec<Sample>> {
    let sizes = Sizes::of(stbl);
    let mut deltas = Runs::new(table(stbl, b"stts", 4, 8).map(|e| (number(e, 0), number(e, 4))));
    // Version 0 has unsigned offsets, but QuickTime and others write signed ones with it, and nobody needs 2^31 ticks.
    let mut offsets = Runs::new(table(stbl, b"ctts", 4, 8).map(|e| (number(e, 0), number(e, 4))));
    let mut keys = table(stbl, b"stss", 4, 4).map(|e| number(e, 0)).peekable();
    let all_keys = child(stbl, b"stss").is_none();
    let mut runs = table(stbl, b"stsc", 4, 12).map(|e| (number(e, 0), number(e, 4))).peekable();
    let wide = child(stbl, b"co64").is_some();
    let chunks = table(stbl, if wide { b"co64" } else { b"stco" }, 4, if wide { 8 } else { 4 });
    let mut all = Vec::new();
    let (mut decoded, mut per_chunk) = (0_i64, 0);
    for (chunk, entry) in (1_u32..).zip(chunks) {
        while let Some((_, count)) = runs.next_if(|(first, _)| *first <= chunk) {
            per_chunk = count;
        }
        let mut at = if wide { u64_at(entry, 0) } else { u32_at(entry, 0).map(u64::from) }.unwrap_or(u64::MAX);
        for _ in 0..per_chunk {
            let Some(size) = sizes.get(all.len()) else { return Some(all) };
            if !bounds.allow(all.len()) {
                return None;
            }
            let number = all.len() as u32 + 1;
            while keys.next_if(|key| *key < number).is_some() {}
            let key = all_keys || keys.peek() == Some(&number);
            let shown = decoded.saturating_add(i64::from(offsets.next().unwrap_or(0).cast_signed()));
            all.push(Sample { offset: at, size, decoded, shown, key });
            decoded = decoded.saturating_add(i64::from(deltas.next().unwrap_or(0)));
            at = at.saturating_add(u64::from(size));
        }
    }
    Some(all)
}

/// Values that are stored as runs of equal ones.
struct Runs<I> {
    more: I,
    left: u32,
    value: u32,
}

impl<I: Iterator<Item = (u32, u32)>> Runs<I> {
    fn new(runs: I) -> Self {
        Self { more: runs, left: 0, value: 0 }
    }

    fn next(&mut self) -> Option<u32> {
        while self.left == 0 {
            (self.left, self.value) = self.more.next()?;
        }
        self.left -= 1;
        Some(self.value)
    }
}

/// The sizes of samples.
enum Sizes<'a> {
    /// All alike.
    Same(u32, usize),
    /// 32 bits each.
    Wide(&'a [u8]),
    /// 4, 8 or 16 bits each.
    Compact(&'a [u8], u8, usize),
}

impl<'a> Sizes<'a> {
    fn of(stbl: &'a [u8]) -> Self {
        if let Some(body) = child(stbl, b"stsz") {
            let (same, count) = (number(body, 4), number(body, 8) as usize);
            let list = body.get(12..).unwrap_or_default();
            return if same > 0 { Self::Same(same, count) } else { Self::Wide(&list[..list.len().min(4 * count)]) };
        }
        let body = child(stbl, b"stz2").unwrap_or_default();
        let bits = body.get(7).copied().unwrap_or(8);
        Self::Compact(body.get(12..).unwrap_or_default(), bits, number(body, 8) as usize)
    }

    fn get(&self, index: usize) -> Option<u32> {
        match *self {
            Self::Same(size, count) => (index < count).then_some(size),
            Self::Wide(list) => u32_at(list, 4 * index),
            Self::Compact(_, _, count) if index >= count => None,
            Self::Compact(list, 16, _) => {
                list.get(2 * index..2 * index + 2).map(|b| u32::from(b[0]) << 8 | u32::from(b[1]))
            }
            Self::Compact(list, 4, _) => {
                list.get(index / 2).map(|b| u32::from(if index.is_multiple_of(2) { b >> 4 } else { b & 15 }))
            }
            Self::Compact(list, ..) => list.get(index).map(|b| u32::from(*b)),
        }
    }
}

/// What a track's fragments take from `mvex` if they do not say it themselves.
#[derive(Clone, Copy, Debug, Default)]
pub struct Defaults {
    duration: u32,
    size: u32,
    flags: u32,
}

impl Defaults {
    /// Reads `trex` of a track.
    #[must_use]
    pub fn of(moov: &[u8], track: u32) -> Self {
        let mvex = child(moov, b"mvex").unwrap_or_default();
        let mut all = inside(mvex).filter(|(name, body)| name == b"trex" && u32_at(body, 4) == Some(track));
        let body = all.next().map(|(_, body)| body).unwrap_or_default();
        Self { duration: number(body, 12), size: number(body, 16), flags: number(body, 20) }
    }
}

/// Reads a `moof` and adds the track's samples. Returns `false` if there are more than a file of this length can hold.
pub fn fragment(
    moof: &[u8],
    start: u64,
    track: u32,
    defaults: Defaults,
    bounds: Bounds,
    all: &mut Vec<Sample>,
    decoded: &mut i64,
) -> bool {
    // Where the data of a track begins, if it does not say: at the `moof`, then behind that of the track before.
    let mut behind = start;
    for (_, traf) in inside(moof).filter(|(name, _)| name == b"traf") {
        let head = child(traf, b"tfhd").unwrap_or_default();
        let (flags, mut at) = (number(head, 0) & 0x00FF_FFFF, 8);
        let mut take = |flag: u32, width: usize| {
            let found = (flags & flag != 0).then_some(at);
            at += if found.is_some() { width } else { 0 };
            found
        };
        let base = take(1, 8).and_then(|at| u64_at(head, at));
        let _ = take(2, 4);
        let [duration, size, kind] = [(8, defaults.duration), (0x10, defaults.size), (0x20, defaults.flags)]
            .map(|(flag, default)| take(flag, 4).and_then(|at| u32_at(head, at)).unwrap_or(default));
        let base = base.unwrap_or(if flags & 0x0002_0000 == 0 { behind } else { start });
        let ours = u32_at(head, 4) == Some(track);
        if let Some(time) = child(traf, b"tfdt").filter(|_| ours) {
            let wide = time.first() == Some(&1);
            let time = if wide { u64_at(time, 4) } else { u32_at(time, 4).map(u64::from) };
            *decoded = time.and_then(|time| i64::try_from(time).ok()).unwrap_or(*decoded);
        }
        let mut next = base;
        for (_, run) in inside(traf).filter(|(name, _)| name == b"trun") {
            let flags = number(run, 0) & 0x00FF_FFFF;
            let (count, mut at) = (number(run, 4), 8);
            if flags & 1 != 0 {
                next = base.saturating_add_signed(i64::from(number(run, at).cast_signed()));
                at += 4;
            }
            let first = (flags & 4 != 0).then(|| number(run, at));
            at += if first.is_some() { 4 } else { 0 };
            if !ours && flags & 0xF00 == 0 {
                next = next.saturating_add(u64::from(size) * u64::from(count));
                continue;
            }
            for index in 0..count {
                let mut take = |flag: u32| {
                    let found = (flags & flag != 0).then(|| u32_at(run, at));
                    at += if found.is_some() { 4 } else { 0 };
                    found
                };
                let [own_duration, own_size, own_kind, offset] = [0x100, 0x200, 0x400, 0x800].map(&mut take);
                // The table is shorter than it says.
                if [own_duration, own_size, own_kind, offset].contains(&Some(None)) {
                    break;
                }
                let value = |own: Option<Option<u32>>| own.flatten();
                let size = value(own_size).unwrap_or(size);
                let kind = value(own_kind).or(first.filter(|_| index == 0)).unwrap_or(kind);
                if ours {
                    if !bounds.allow(all.len()) {
                        return false;
                    }
                    // Signed in version 1, and in version 0 nobody needs 2^31 ticks.
                    let shown = decoded.saturating_add(i64::from(value(offset).unwrap_or(0).cast_signed()));
                    all.push(Sample { offset: next, size, decoded: *decoded, shown, key: kind & 0x0001_0000 == 0 });
                    *decoded = decoded.saturating_add(i64::from(value(own_duration).unwrap_or(duration)));
                }
                next = next.saturating_add(u64::from(size));
            }
        }
        behind = next;
    }
    true
}

/// Parts of a movie's timeline that show parts of a track (§8.6.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edit {
    /// When it begins on the timeline, in ticks of the track.
    pub at: i64,
    /// The first tick of the track that is shown.
    pub from: i64,
    /// The first tick that is not.
    pub to: i64,
}

/// Longer lists are left to `ffmpeg`: each edit looks through all samples.
const MAX_EDITS: usize = 256;

/// Reads a track's edit list; empty if it has none, `None` if it is too long. Empty edits only move what follows.
#[must_use]
pub fn edits(trak: &[u8], movie_scale: u32, track_scale: u32) -> Option<Vec<Edit>> {
    let Some(list) = below(trak, &[b"edts", b"elst"]) else { return Some(Vec::new()) };
    let wide = list.first() == Some(&1);
    let (width, count) = (if wide { 20 } else { 12 }, number(list, 4) as usize);
    if count > MAX_EDITS {
        return None;
    }
    let (mut at, mut all) = (0_i64, Vec::new());
    for entry in list.get(8..).unwrap_or_default().chunks_exact(width).take(count) {
        let (duration, from) = if wide {
            (u64_at(entry, 0).unwrap_or(0), u64_at(entry, 8).unwrap_or(0).cast_signed())
        } else {
            (number(entry, 0).into(), i64::from(number(entry, 4).cast_signed()))
        };
        let ticks = u128::from(duration) * u128::from(track_scale) / u128::from(movie_scale.max(1));
        let ticks = i64::try_from(ticks).unwrap_or(i64::MAX / 4).min(i64::MAX / 4);
        if from >= 0 {
            // A length of zero means: up to the end.
            let to = if duration == 0 { i64::MAX } else { from.saturating_add(ticks) };
            all.push(Edit { at, from, to });
        }
        at = at.saturating_add(ticks);
    }
    Some(all)
}
