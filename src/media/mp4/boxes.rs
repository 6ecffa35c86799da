//! The boxes of an MP4 or QuickTime file (ISO/IEC 14496-12, §4.2).
//!
//! Nothing in a file is trusted: a box that is longer than what it lies in ends there, and what does not look like a box
//! ends the walk, because cameras and QuickTime leave all kinds of bytes behind the last one.

use std::io::{Read, Seek, SeekFrom};

/// A box at the top of a file.
#[derive(Clone, Copy, Debug)]
pub struct Top {
    /// Its type.
    pub name: [u8; 4],
    /// Where it begins.
    pub start: u64,
    /// Where its contents begin.
    pub body: u64,
    /// Where it ends by its own account, which may lie behind the end of a file that was cut.
    pub end: u64,
}

/// Reads the header of the box at `start`; `None` if there is none.
///
/// # Errors
/// If the file cannot be read.
pub fn top(file: &mut (impl Read + Seek), start: u64, length: u64) -> std::io::Result<Option<Top>> {
    if start.saturating_add(8) > length {
        return Ok(None);
    }
    file.seek(SeekFrom::Start(start))?;
    let mut head = [0; 16];
    let have = (length - start).min(16) as usize;
    file.read_exact(&mut head[..have])?;
    let Some((name, header, size)) = header(&head[..have]) else { return Ok(None) };
    let end = if size == 0 { length } else { start.saturating_add(size) };
    Ok(Some(Top { name, start, body: start + header, end }))
}

/// The type of a box, the length of its header, and its whole length, where 0 means up to the end.
fn header(head: &[u8]) -> Option<([u8; 4], u64, u64)> {
    let name = head.get(4..8)?.try_into().ok()?;
    match u64::from(u32_at(head, 0)?) {
        0 => Some((name, 8, 0)),
        1 => Some((name, 16, u64_at(head, 8).filter(|size| *size >= 16)?)),
        2..8 => None,
        size => Some((name, 8, size)),
    }
}

/// The boxes in the contents of another: their types and contents.
pub fn inside(mut data: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    std::iter::from_fn(move || {
        let (name, header, size) = header(data)?;
        if name == [0; 4] {
            // The 32-bit zero that may end a list of boxes in QuickTime, and padding.
            return None;
        }
        let end = if size == 0 { data.len() } else { usize::try_from(size).unwrap_or(usize::MAX).min(data.len()) };
        let body = data.get(header as usize..end)?;
        data = &data[end..];
        Some((name, body))
    })
}

/// The contents of the first box with this type.
#[must_use]
pub fn child<'a>(data: &'a [u8], name: &[u8; 4]) -> Option<&'a [u8]> {
    inside(data).find(|(found, _)| found == name).map(|(_, body)| body)
}

/// The contents of a box below others.
#[must_use]
pub fn below<'a>(data: &'a [u8], path: &[&[u8; 4]]) -> Option<&'a [u8]> {
    path.iter().try_fold(data, |data, name| child(data, name))
}

/// A big-endian number.
#[must_use]
pub fn u32_at(data: &[u8], at: usize) -> Option<u32> {
    data.get(at..at.checked_add(4)?).map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
}

/// A big-endian number.
#[must_use]
pub fn u64_at(data: &[u8], at: usize) -> Option<u64> {
    Some(u64::from(u32_at(data, at)?) << 32 | u64::from(u32_at(data, at.checked_add(4)?)?))
}

/// The contents of a box at the top of a file, if they are there and not larger than `most`.
///
/// # Errors
/// If the file cannot be read.
pub fn contents(file: &mut (impl Read + Seek), top: &Top, length: u64, most: u64) -> std::io::Result<Option<Vec<u8>>> {
    if top.end > length || top.end < top.body || top.end - top.body > most {
        return Ok(None);
    }
    file.seek(SeekFrom::Start(top.body))?;
    let mut data = vec![0; (top.end - top.body) as usize];
    file.read_exact(&mut data)?;
    Ok(Some(data))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_endings_end_a_walk() {
        let one = [&12_u32.to_be_bytes()[..], b"skip", &[1, 2, 3, 4]].concat();
        for tail in [&[][..], &[0; 4], &[0; 9], b"abc", &[0, 0, 0, 5, b'a', b'b', b'c', b'd'], &[0, 0, 0, 1, b'a']] {
            let data = [&one[..], tail].concat();
            assert_eq!(inside(&data).collect::<Vec<_>>(), [(*b"skip", &[1, 2, 3, 4][..])], "{tail:?}");
        }
        let long = [&99_u32.to_be_bytes()[..], b"free", &[7]].concat();
        assert_eq!(inside(&long).collect::<Vec<_>>(), [(*b"free", &[7][..])]);
        let mut file = std::io::Cursor::new([&one[..], b"text behind the last box"].concat());
        let first = top(&mut file, 0, 36).unwrap().unwrap();
        assert_eq!((first.name, first.body, first.end), (*b"skip", 8, 12));
    }
}
