//! A mask of one object in COCO's run-length form.

/// A mask of one object: lengths of runs down the columns, the first one of pixels outside. `ops::rle` makes and compares
/// them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rle {
    /// The number of rows.
    pub height: usize,
    /// The number of columns.
    pub width: usize,
    /// Lengths of runs, zeros first.
    pub counts: Vec<u32>,
}

impl Rle {
    /// Returns the text form, as pycocotools writes it.
    #[must_use]
    pub fn to_text(&self) -> String {
        let (mut text, mut writer) = (String::new(), RleText::default());
        self.counts.iter().for_each(|&count| writer.push(count, |letter| text.push(letter)));
        text
    }
}

/// Writes the text form run by run: similar to LEB128, with six bits per letter; from the fourth run on, only the
/// difference from the last run of the same kind (`rleToString` of `maskApi.c`).
#[derive(Clone, Copy, Debug, Default)]
pub struct RleText {
    written: usize,
    before: [u32; 2],
}

impl RleText {
    /// Calls `write` with each letter of the next run.
    pub fn push(&mut self, count: u32, mut write: impl FnMut(char)) {
        let mut rest = i64::from(count) - if self.written > 2 { i64::from(self.before[0]) } else { 0 };
        self.before = [self.before[1], count];
        self.written += 1;
        loop {
            let mut letter = (rest & 0x1f) as u8;
            rest >>= 5;
            let more = if letter & 0x10 != 0 { rest != -1 } else { rest != 0 };
            letter |= if more { 0x20 } else { 0 };
            write(char::from(letter + 48));
            if !more {
                break;
            }
        }
    }
}
