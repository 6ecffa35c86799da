//! Reads NumPy's `.npz`: a zip of deflated `.npy` arrays. This is our own code, because the crate for it pulls in
//! fourteen others, whose features make every build of the tests build tract a second time.

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;

/// The arrays of a file, by name.
pub struct Npz(HashMap<String, Vec<u8>>);

/// A number in an array.
pub trait Element: Sized {
    /// NumPy's name for the type.
    const DESCR: &'static str;
    fn read(bytes: &[u8]) -> Self;
}

macro_rules! elements {
    ($($kind:ty, $descr:literal;)+) => {$(
        impl Element for $kind {
            const DESCR: &'static str = $descr;
            fn read(bytes: &[u8]) -> Self {
                Self::from_le_bytes(bytes.try_into().unwrap())
            }
        }
    )+};
}

elements! { f32, "<f4"; f64, "<f8"; i64, "<i8"; u8, "|u1"; i8, "|i1"; }

fn number(bytes: &[u8], at: usize, length: usize) -> usize {
    bytes[at..at + length].iter().rev().fold(0, |sum, byte| sum << 8 | usize::from(*byte))
}

impl Npz {
    /// Reads and inflates all arrays (APPNOTE.TXT of PKWARE, §4.3).
    pub fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap();
        let end = bytes.windows(4).rposition(|w| w == b"PK\x05\x06").expect("no end of central directory");
        let (count, mut at) = (number(&bytes, end + 10, 2), number(&bytes, end + 16, 4));
        let mut arrays = HashMap::new();
        for _ in 0..count {
            let (method, length) = (number(&bytes, at + 10, 2), number(&bytes, at + 20, 4));
            let [name, extra, comment] = [28, 30, 32].map(|field| number(&bytes, at + field, 2));
            let local = number(&bytes, at + 42, 4);
            let key = String::from_utf8(bytes[at + 46..at + 46 + name].to_vec()).unwrap();
            let start = local + 30 + number(&bytes, local + 26, 2) + number(&bytes, local + 28, 2);
            let packed = &bytes[start..start + length];
            let mut array = Vec::new();
            match method {
                0 => array.extend_from_slice(packed),
                _ => _ = flate2::read::DeflateDecoder::new(packed).read_to_end(&mut array).unwrap(),
            }
            arrays.insert(key.trim_end_matches(".npy").to_owned(), array);
            at += 46 + name + extra + comment;
        }
        Self(arrays)
    }

    /// Returns the numbers of an array as floats, whatever their type; 8-bit ones as `(q - zero) * scale`.
    pub fn floats(&self, key: &str, (scale, zero): (f32, i32)) -> Vec<f32> {
        let header = String::from_utf8_lossy(&self.0[key][..64]).into_owned();
        let level = |q: i32| (q - zero) as f32 * scale;
        if header.contains("|u1") {
            self.array::<u8>(key).into_iter().map(|q| level(q.into())).collect()
        } else if header.contains("|i1") {
            self.array::<i8>(key).into_iter().map(|q| level(q.into())).collect()
        } else if header.contains("<i8") {
            self.array::<i64>(key).into_iter().map(|v| v as f32).collect()
        } else {
            self.array(key)
        }
    }

    /// Returns the numbers of an array, in C order (NEP 1).
    pub fn array<T: Element>(&self, key: &str) -> Vec<T> {
        let bytes = self.0.get(key).unwrap_or_else(|| panic!("no array {key}"));
        assert_eq!(&bytes[..6], b"\x93NUMPY", "{key}");
        let (width, field) = if bytes[6] == 1 { (2, 10) } else { (4, 12) };
        let data = field + number(bytes, 8, width);
        let header = String::from_utf8_lossy(&bytes[field..data]);
        assert!(header.contains(&format!("'descr': '{}'", T::DESCR)), "{key}: {header}");
        assert!(header.contains("'fortran_order': False"), "{key}: {header}");
        bytes[data..].chunks_exact(size_of::<T>()).map(T::read).collect()
    }
}
