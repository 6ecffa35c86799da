//! An HTML page that shows what changed between two runs.

use super::{Change, Diff};
use crate::error::Result;
use crate::eval::page::Page;
use crate::eval::pictures::{Frames, beside, drawn};
use crate::eval::rows::{Object, Row};
use crate::types::Image;

/// Returns the page: what changed, and the frames that changed most.
///
/// # Errors
/// If a picture is too large for a JPEG.
pub fn page(
    diff: &Diff,
    worst: &[&(Row, Row, Vec<Change>)],
    frames: &Frames,
    names: &[String; 2],
    show: usize,
) -> Result<String> {
    let mut page = Page::new(&format!("{} and {}", names[0], names[1]));
    let rows: Vec<Vec<String>> = diff
        .objects
        .iter()
        .map(|(label, [before, after])| vec![label.clone(), before.to_string(), after.to_string()])
        .collect();
    page.table(&["class", "before", "after"], &rows);
    page.text(&diff.text(0));
    page.heading("The frames that changed most");
    for (row, other, changes) in worst {
        let words: Vec<String> = changes.iter().map(Change::words).collect();
        let caption = format!("{}\n{}", row.title(), words.join("\n"));
        match frames.get(&other.name) {
            Some(frame) => page.picture(&side_by_side(frame, row, other, changes, ["before", "after"]), &caption)?,
            None => page.text(&caption),
        }
    }
    page.heading("Frame by frame");
    page.text(&diff.text(show.max(200)));
    Ok(page.finish())
}

/// Draws a frame as both runs saw it, side by side, with red rings around what changed.
#[must_use]
pub fn side_by_side(frame: &Image, row: &Row, other: &Row, changes: &[Change], names: [&str; 2]) -> Image {
    let (mut first, mut second): (Vec<Object>, Vec<Object>) = (Vec::new(), Vec::new());
    for change in changes {
        match change.clone() {
            Change::Appeared(object) => second.push(object),
            Change::Vanished(object) => first.push(object),
            Change::Moved(a, b) | Change::Score(a, b) | Change::Class(a, b) => {
                first.push(a);
                second.push(b);
            }
            Change::Other(..) => {}
        }
    }
    let left = drawn(frame, &row.objects("detections"), &first);
    let right = drawn(frame, &other.objects("detections"), &second);
    beside(&[(names[0], &left), (names[1], &right)])
}
