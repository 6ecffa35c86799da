//! Writes fragmented MP4: one H.264 track, one fragment per group of pictures.
//!
//! A fragment is complete once written, so a truncated file plays up to its last fragment. This is our own code
//! (ISO/IEC 14496-12 and -15): the well-maintained muxers we found need a seekable output or many crates.

use crate::types::Size;

/// Ticks per second in the files we write.
pub const TIMESCALE: u32 = 90_000;

/// Makes the bytes of a file with one track, to be appended piece by piece. Each piece is whole: the head of the file
/// with its first fragment, or one more fragment.
pub struct Fmp4 {
    size: Size,
    sequence: u32,
    /// The head of the file, and the number of the fragment that it was written with.
    head: Vec<u8>,
    headed: Option<u32>,
    pending: Vec<Sample>,
}

struct Sample {
    data: Vec<u8>,
    time: u64,
    key: bool,
}

impl Fmp4 {
    /// Creates the writer of a track with pictures of this size.
    #[must_use]
    pub const fn new(size: Size) -> Self {
        Self { size, sequence: 0, head: Vec::new(), headed: None, pending: Vec::new() }
    }

    /// Takes an access unit (Annex B) shown at `time` ticks. A keyframe completes the fragment before it, which is
    /// appended to `out`.
    pub fn push(&mut self, annex_b: &[u8], time: u64, out: &mut Vec<u8>) {
        let (mut sps, mut pps, mut key) = (None, None, false);
        let mut data = Vec::with_capacity(annex_b.len() + 16);
        for nal in split_annex_b(annex_b) {
            match nal.first().map(|byte| byte & 31) {
                Some(7) => sps = Some(nal),
                Some(8) => pps = Some(nal),
                Some(9) | None => {}
                Some(kind) => {
                    key |= kind == 5;
                    data.extend((nal.len() as u32).to_be_bytes());
                    data.extend_from_slice(nal);
                }
            }
        }
        if self.head.is_empty() {
            let (Some(sps), Some(pps)) = (sps, pps) else { return };
            self.head = self.init(sps, pps);
        }
        if key && !self.pending.is_empty() {
            self.fragment(time, out);
        }
        if !data.is_empty() {
            self.pending.push(Sample { data, time, key });
        }
    }

    /// Appends what is left to `out`; the last picture is shown until `end` ticks.
    pub fn finish(&mut self, end: u64, out: &mut Vec<u8>) {
        if !self.pending.is_empty() {
            self.fragment(end, out);
        }
    }

    /// Takes back the last piece: it could not be written.
    pub fn lost(&mut self) {
        self.headed = self.headed.filter(|with| *with != self.sequence);
    }

    /// The number of pictures that are not in a piece yet.
    #[must_use]
    pub const fn held(&self) -> u64 {
        self.pending.len() as u64
    }

    /// The bytes of the pictures that are not in a piece yet, and of the boxes around them.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        const BOXES: usize = 1024;
        BOXES + self.pending.iter().map(|sample| sample.data.len() + 12).sum::<usize>()
    }

    fn fragment(&mut self, next: u64, out: &mut Vec<u8>) {
        self.sequence += 1;
        if self.headed.is_none() {
            out.extend_from_slice(&self.head);
            self.headed = Some(self.sequence);
        }
        let samples = std::mem::take(&mut self.pending);
        let mut moof = Vec::new();
        let mut offset_at = 0;
        boxed(&mut moof, b"moof", |o| {
            full(o, b"mfhd", 0, 0, |o| put(o, &[self.sequence]));
            boxed(o, b"traf", |o| {
                full(o, b"tfhd", 0, 0x02_0000, |o| put(o, &[1]));
                full(o, b"tfdt", 1, 0, |o| o.extend(samples[0].time.to_be_bytes()));
                full(o, b"trun", 0, 0x701, |o| {
                    put(o, &[samples.len() as u32]);
                    offset_at = o.len();
                    put(o, &[0]);
                    for (index, sample) in samples.iter().enumerate() {
                        let end = samples.get(index + 1).map_or(next.max(sample.time + 1), |s| s.time);
                        let flags = if sample.key { 0x0200_0000 } else { 0x0101_0000 };
                        put(o, &[(end - sample.time) as u32, sample.data.len() as u32, flags]);
                    }
                });
            });
        });
        let offset = moof.len() as u32 + 8;
        moof[offset_at..offset_at + 4].copy_from_slice(&offset.to_be_bytes());
        let bytes: usize = samples.iter().map(|sample| sample.data.len()).sum();
        put(&mut moof, &[8 + bytes as u32]);
        moof.extend(b"mdat");
        out.extend(moof);
        samples.iter().for_each(|sample| out.extend_from_slice(&sample.data));
    }

    fn init(&self, sps: &[u8], pps: &[u8]) -> Vec<u8> {
        let Size { width, height } = self.size;
        let mut out = Vec::new();
        boxed(&mut out, b"ftyp", |o| o.extend(b"isom\0\0\x02\0isomiso5iso6mp41avc1"));
        boxed(&mut out, b"moov", |o| {
            full(o, b"mvhd", 0, 0, |o| {
                put(o, &[0, 0, TIMESCALE, 0, 0x1_0000, 0x100_0000, 0, 0]);
                put(o, &MATRIX);
                put(o, &[0, 0, 0, 0, 0, 0, 2]);
            });
            boxed(o, b"trak", |o| {
                full(o, b"tkhd", 0, 7, |o| {
                    put(o, &[0, 0, 1, 0, 0, 0, 0, 0, 0]);
                    put(o, &MATRIX);
                    put(o, &[width << 16, height << 16]);
                });
                boxed(o, b"mdia", |o| {
                    full(o, b"mdhd", 0, 0, |o| put(o, &[0, 0, TIMESCALE, 0, 0x55c4_0000]));
                    full(o, b"hdlr", 0, 0, |o| {
                        put(o, &[0, u32::from_be_bytes(*b"vide"), 0, 0, 0]);
                        o.extend(b"video\0");
                    });
                    boxed(o, b"minf", |o| {
                        full(o, b"vmhd", 0, 1, |o| put(o, &[0, 0]));
                        boxed(o, b"dinf", |o| {
                            full(o, b"dref", 0, 0, |o| {
                                put(o, &[1]);
                                full(o, b"url ", 0, 1, |_| {});
                            });
                        });
                        boxed(o, b"stbl", |o| sample_table(o, self.size, sps, pps));
                    });
                });
            });
            boxed(o, b"mvex", |o| full(o, b"trex", 0, 0, |o| put(o, &[1, 1, 0, 0, 0])));
        });
        out
    }
}

const MATRIX: [u32; 9] = [0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000];

fn sample_table(o: &mut Vec<u8>, size: Size, sps: &[u8], pps: &[u8]) {
    full(o, b"stsd", 0, 0, |o| {
        put(o, &[1]);
        boxed(o, b"avc1", |o| {
            put(o, &[0, 1, 0, 0, 0, 0]);
            put(o, &[(size.width << 16) | size.height, 0x48_0000, 0x48_0000, 0]);
            o.extend(1_u16.to_be_bytes());
            o.extend([0; 32]);
            o.extend([0, 24, 0xff, 0xff]);
            boxed(o, b"avcC", |o| {
                let profile = sps.get(1..4).unwrap_or(&[0; 3]);
                o.push(1);
                o.extend_from_slice(profile);
                o.extend([0xff, 0xe1]);
                o.extend((sps.len() as u16).to_be_bytes());
                o.extend_from_slice(sps);
                o.push(1);
                o.extend((pps.len() as u16).to_be_bytes());
                o.extend_from_slice(pps);
            });
        });
    });
    for empty in [b"stts", b"stsc", b"stco"] {
        full(o, empty, 0, 0, |o| put(o, &[0]));
    }
    full(o, b"stsz", 0, 0, |o| put(o, &[0, 0]));
}

fn put(out: &mut Vec<u8>, numbers: &[u32]) {
    numbers.iter().for_each(|number| out.extend(number.to_be_bytes()));
}

/// Writes a box: its length, its name, its content.
fn boxed(out: &mut Vec<u8>, name: &[u8; 4], content: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend([0; 4]);
    out.extend(name);
    content(out);
    let length = (out.len() - start) as u32;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

/// Writes a box with version and flags.
fn full(out: &mut Vec<u8>, name: &[u8; 4], version: u32, flags: u32, content: impl FnOnce(&mut Vec<u8>)) {
    boxed(out, name, |out| {
        put(out, &[(version << 24) | flags]);
        content(out);
    });
}

/// Returns the NAL units between start codes.
pub fn split_annex_b(data: &[u8]) -> Vec<&[u8]> {
    let mut starts = Vec::new();
    let mut at = 0;
    while at + 3 <= data.len() {
        if data[at..at + 3] == [0, 0, 1] {
            starts.push(at);
            at += 3;
        } else {
            at += 1;
        }
    }
    let end_of = |index: usize| starts.get(index + 1).copied().unwrap_or(data.len());
    (0..starts.len())
        .map(|index| {
            let nal = &data[starts[index] + 3..end_of(index)];
            let trailing = nal.iter().rev().take_while(|byte| **byte == 0).count();
            &nal[..nal.len() - trailing]
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_codes_of_both_lengths_part_the_units() {
        let parts = split_annex_b(&[0, 0, 0, 1, 7, 1, 0, 0, 1, 8, 2, 0, 0, 0, 1, 5, 3]);
        assert_eq!(parts, [&[7, 1][..], &[8, 2], &[5, 3]]);
    }

    #[test]
    fn the_head_comes_again_if_it_did_not_fit() {
        let (mut bytes, mut file) = (Vec::new(), Fmp4::new(Size::new(16, 16)));
        let key = [0, 0, 1, 7, 66, 0, 30, 0, 0, 1, 8, 1, 0, 0, 1, 5, 9];
        let mut heads = Vec::new();
        for at in 0..4 {
            bytes.clear();
            file.push(&key, at * 3000, &mut bytes);
            if at == 1 {
                file.lost();
            }
            heads.push(bytes.get(4..8) == Some(b"ftyp"));
        }
        assert_eq!((heads, file.held()), (vec![false, true, true, false], 1));
    }

    #[test]
    fn nothing_is_written_before_the_parameter_sets() {
        let (mut bytes, mut file) = (Vec::new(), Fmp4::new(Size::new(16, 16)));
        file.push(&[0, 0, 1, 5, 9], 0, &mut bytes);
        assert_eq!(file.pending.len(), 0);
        file.push(&[0, 0, 1, 7, 66, 0, 30, 0, 0, 1, 8, 1, 0, 0, 1, 5, 9], 0, &mut bytes);
        file.finish(3000, &mut bytes);
        assert_eq!(&bytes[4..8], b"ftyp");
    }
}
