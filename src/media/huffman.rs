//! The Huffman tables that a JPEG may leave out.
//!
//! Cameras leave them out to save bytes (USB Video Class, payload MJPEG); the tables of ITU-T T.81, annex K.3 count then.

use std::borrow::Cow;

/// Four tables as a DHT segment holds them: class and number, how many codes of each length, values (T.81, B.2.4.2).
#[rustfmt::skip]
const STANDARD: [u8; 416] = [
    0, 0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 16, 0, 2, 1, 3, 3, 2,
    4, 3, 5, 5, 4, 4, 0, 0, 1, 125, 1, 2, 3, 0, 4, 17, 5, 18, 33, 49, 65, 6, 19, 81, 97, 7, 34, 113, 20, 50, 129,
    145, 161, 8, 35, 66, 177, 193, 21, 82, 209, 240, 36, 51, 98, 114, 130, 9, 10, 22, 23, 24, 25, 26, 37, 38, 39,
    40, 41, 42, 52, 53, 54, 55, 56, 57, 58, 67, 68, 69, 70, 71, 72, 73, 74, 83, 84, 85, 86, 87, 88, 89, 90, 99, 100,
    101, 102, 103, 104, 105, 106, 115, 116, 117, 118, 119, 120, 121, 122, 131, 132, 133, 134, 135, 136, 137, 138,
    146, 147, 148, 149, 150, 151, 152, 153, 154, 162, 163, 164, 165, 166, 167, 168, 169, 170, 178, 179, 180, 181,
    182, 183, 184, 185, 186, 194, 195, 196, 197, 198, 199, 200, 201, 202, 210, 211, 212, 213, 214, 215, 216, 217,
    218, 225, 226, 227, 228, 229, 230, 231, 232, 233, 234, 241, 242, 243, 244, 245, 246, 247, 248, 249, 250, 1, 0,
    3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 17, 0, 2, 1, 2, 4, 4, 3, 4,
    7, 5, 4, 4, 0, 1, 2, 119, 0, 1, 2, 3, 17, 4, 5, 33, 49, 6, 18, 65, 81, 7, 97, 113, 19, 34, 50, 129, 8, 20, 66,
    145, 161, 177, 193, 9, 35, 51, 82, 240, 21, 98, 114, 209, 10, 22, 36, 52, 225, 37, 241, 23, 24, 25, 26, 38, 39,
    40, 41, 42, 53, 54, 55, 56, 57, 58, 67, 68, 69, 70, 71, 72, 73, 74, 83, 84, 85, 86, 87, 88, 89, 90, 99, 100,
    101, 102, 103, 104, 105, 106, 115, 116, 117, 118, 119, 120, 121, 122, 130, 131, 132, 133, 134, 135, 136, 137,
    138, 146, 147, 148, 149, 150, 151, 152, 153, 154, 162, 163, 164, 165, 166, 167, 168, 169, 170, 178, 179, 180,
    181, 182, 183, 184, 185, 186, 194, 195, 196, 197, 198, 199, 200, 201, 202, 210, 211, 212, 213, 214, 215, 216,
    217, 218, 226, 227, 228, 229, 230, 231, 232, 233, 234, 242, 243, 244, 245, 246, 247, 248, 249, 250,
];

/// Returns the picture with the standard tables in front, if its first scan uses one that it does not define. Tables of
/// its own that follow replace them.
#[must_use]
pub fn complete(jpeg: &[u8]) -> Cow<'_, [u8]> {
    if !lacks_tables(jpeg) {
        return Cow::Borrowed(jpeg);
    }
    let head = [0xFF, 0xD8, 0xFF, 0xC4, 0x01, 0xA2];
    Cow::Owned([&head, STANDARD.as_slice(), jpeg.get(2..).unwrap_or_default()].concat())
}

/// Whether the first scan of a sequential picture uses a table that is missing and has a standard.
fn lacks_tables(jpeg: &[u8]) -> bool {
    let (mut at, mut defined) = (2, [false; 4]);
    loop {
        let (Some(&0xFF), Some(&code)) = (jpeg.get(at), jpeg.get(at + 1)) else { return false };
        if matches!(code, 0xFF | 0x01 | 0xD8) {
            at += if code == 0xFF { 1 } else { 2 };
            continue;
        }
        let Some(&[high, low]) = jpeg.get(at + 2..at + 4) else { return false };
        let length = usize::from(high) << 8 | usize::from(low);
        let Some(body) = jpeg.get(at + 4..at + 2 + length.max(2)) else { return false };
        match code {
            0xC4 => define(body, &mut defined),
            // Progressive and arithmetic pictures have no standard tables.
            0xC2 | 0xC3 | 0xC5..=0xCF => return false,
            0xDA => return uses(body).any(|table| !defined[table]),
            _ => {}
        }
        at += 2 + length;
    }
}

/// Marks the tables of a segment: luminance DC, luminance AC, chrominance DC, chrominance AC.
fn define(mut body: &[u8], defined: &mut [bool; 4]) {
    while let [kind, rest @ ..] = body {
        let Some(counts) = rest.get(..16) else { return };
        let values: usize = counts.iter().map(|count| usize::from(*count)).sum();
        if let Some(place) = place(kind >> 4, kind & 15) {
            defined[place] = true;
        }
        body = rest.get(16 + values..).unwrap_or_default();
    }
}

/// The tables with a standard that a scan names (T.81, B.2.3).
fn uses(body: &[u8]) -> impl Iterator<Item = usize> {
    let count = usize::from(body.first().copied().unwrap_or(0)).min(4);
    let components = body.get(1..=2 * count).unwrap_or_default().as_chunks::<2>().0;
    components.iter().flat_map(|[_, tables]| [place(0, tables >> 4), place(1, tables & 15)]).flatten()
}

fn place(class: u8, number: u8) -> Option<usize> {
    (class < 2 && number < 2).then(|| usize::from(2 * number + class))
}
