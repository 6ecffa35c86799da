//! Where decoding of an H.264 stream can begin (ITU-T H.264, 7.3.2.3 and D.2.8).

use rust_h264::nal::{NalUnit, NalUnitType};

/// What an access unit offers to a decoder that knows nothing yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// An IDR picture: nothing after it needs anything before it.
    Idr,
    /// A recovery point: everything that is shown after it is whole.
    Recovery,
    /// A recovery point from which the picture becomes whole little by little.
    Gradual,
    /// A picture that needs no other, but no promise for what follows.
    Intra,
    /// Nothing.
    None,
}

/// Returns what an access unit offers.
#[must_use]
pub fn of(nals: &[NalUnit<'_>]) -> Access {
    let mut access = Access::None;
    let mut all_intra = true;
    let mut slices = 0;
    for nal in nals {
        match nal.nal_unit_type {
            NalUnitType::SliceIdr => return Access::Idr,
            NalUnitType::Sei => match recovery_frames(&nal.rbsp) {
                Some(0) => access = Access::Recovery,
                Some(_) => access = Access::Gradual,
                None => {}
            },
            NalUnitType::Slice => {
                slices += 1;
                all_intra &= is_intra(&nal.rbsp);
            }
            _ => {}
        }
    }
    match access {
        Access::None if slices > 0 && all_intra => Access::Intra,
        // x264 promises a picture in a few frames with pictures that need no other, too.
        Access::Gradual if slices > 0 && all_intra => Access::Recovery,
        found => found,
    }
}

/// After how many frames the picture is whole, if the message holds a recovery point.
fn recovery_frames(mut sei: &[u8]) -> Option<u64> {
    // The last byte only marks the end.
    while sei.len() > 2 {
        let kind = sum(&mut sei)?;
        let size = sum(&mut sei)?;
        let body = sei.get(..size.min(sei.len()))?;
        if kind == 6 {
            return Bits(body, 0).number();
        }
        sei = sei.get(size..)?;
    }
    None
}

/// A number that is written as a sum of bytes.
fn sum(data: &mut &[u8]) -> Option<usize> {
    let mut all = 0;
    loop {
        let (&byte, rest) = data.split_first()?;
        *data = rest;
        all += usize::from(byte);
        if byte != 0xFF {
            return Some(all);
        }
    }
}

fn is_intra(slice: &[u8]) -> bool {
    let mut bits = Bits(slice, 0);
    let kind = bits.number().and_then(|_first_macroblock| bits.number());
    kind.is_some_and(|kind| kind % 5 == 2 || kind % 5 == 4)
}

/// Bits, and how many were read.
struct Bits<'a>(&'a [u8], usize);

impl Bits<'_> {
    fn bit(&mut self) -> Option<u64> {
        let byte = *self.0.get(self.1 / 8)?;
        let bit = byte >> (7 - self.1 % 8) & 1;
        self.1 += 1;
        Some(bit.into())
    }

    /// An unsigned Exp-Golomb number (9.1).
    fn number(&mut self) -> Option<u64> {
        let mut zeros = 0;
        while self.bit()? == 0 {
            zeros += 1;
            if zeros > 32 {
                return None;
            }
        }
        let mut value = 1;
        for _ in 0..zeros {
            value = value << 1 | self.bit()?;
        }
        Some(value - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recovery_points_are_found_among_other_messages() {
        // A message of type 1 with two bytes, then a recovery point in 0 and in 5 frames (`1` and `00110`).
        assert_eq!(recovery_frames(&[1, 2, 0xAA, 0xBB, 6, 1, 0b1100_0000, 0x80]), Some(0));
        assert_eq!(recovery_frames(&[6, 1, 0b0011_0100, 0x80]), Some(5));
        assert_eq!(recovery_frames(&[5, 4, 1, 2, 3, 4, 0x80]), None);
        assert_eq!(recovery_frames(&[0xFF; 7]), None);
    }

    #[test]
    fn slices_that_need_no_other_are_told_from_those_that_do() {
        // First macroblock 0 (`1`), type 7 (`0001000`), 2 (`011`), 5 (`00110`).
        assert!(is_intra(&[0b1000_1000]) && is_intra(&[0b1011_0000]) && !is_intra(&[0b1001_1000]));
        assert!(!is_intra(&[]));
    }
}
