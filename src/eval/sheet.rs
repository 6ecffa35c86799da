//! A contact sheet: labelled pictures in rows, so that a person sees at once whether boxes lie where they should.

use super::pictures::drawn;
use super::rows::Object;
use crate::error::Result;
use crate::media::still;
use crate::ops::draw::{Text, fill, tint};
use crate::ops::resize::{Filter, Fit, Resize, plan};
use crate::types::{BBox, Image, PixelFormat, Size};
use std::path::Path;

/// A picture of the sheet.
pub struct Cell {
    /// Its name.
    pub title: String,
    /// The picture, with its labels drawn.
    pub picture: Image,
}

/// The size of a picture on the sheet.
const CELL: Size = Size::new(320, 240);
/// How many stand side by side.
const COLUMNS: u32 = 4;

/// Reads a picture, and draws its labels on it.
///
/// # Errors
/// If it cannot be read.
pub fn cell(path: &Path, title: &str, objects: impl FnOnce(Size) -> Vec<Object>, mask: Option<&[u8]>) -> Result<Cell> {
    let bytes = std::fs::read(path).map_err(|e| crate::error::Error::io(path, e))?;
    let mut image = Image::default();
    let _ = still::decode(&bytes, &mut image).map_err(|e| e.at(path.display()))?;
    let mut objects = objects(image.size);
    if let Some(classes) = mask.filter(|classes| classes.len() == image.size.pixels()) {
        tint(&mut image, classes, 140);
    }
    let plan = plan(image.size, CELL, Fit::Letterbox);
    let mut small = Image::default();
    Resize::default().apply(&image, &plan, Filter::Bilinear, 24, &mut small)?;
    let (scale, offset) = (plan.placement.scale, plan.placement.offset);
    for object in &mut objects {
        let b = object.bbox;
        let (x, y) = (|v: f32| (v - offset.0) / scale.0, |v: f32| (v - offset.1) / scale.1);
        object.bbox = BBox::new(x(b.x1), y(b.y1), x(b.x2), y(b.y2));
    }
    Ok(Cell { title: title.to_owned(), picture: drawn(&small, &objects, &[]) })
}

/// Puts cells into rows.
#[must_use]
pub fn sheet(cells: &[Cell]) -> Image {
    let font = Text::for_picture(CELL.height);
    let line = font.measure("A").1 + 4;
    let columns = COLUMNS.min(cells.len().max(1) as u32);
    let rows = (cells.len() as u32).div_ceil(columns).max(1);
    let (wide, high) = (CELL.width + 4, CELL.height + line + 4);
    let mut all = Image::new(Size::new(columns * wide, rows * high), PixelFormat::Rgb8);
    fill(&mut all, (0, 0), ((columns * wide).cast_signed(), (rows * high).cast_signed()), [24, 24, 24]);
    for (at, cell) in cells.iter().enumerate() {
        let (left, top) = ((at as u32 % columns) * wide, (at as u32 / columns) * high);
        for y in 0..cell.picture.size.height.min(CELL.height) {
            let start = (y + top + line) as usize * all.stride() + left as usize * 3;
            let row = cell.picture.row(y);
            all.data[start..start + row.len()].copy_from_slice(row);
        }
        let most = (CELL.width / font.measure("A").0.max(1)) as usize;
        let title: String = crate::labels::shown(&cell.title).chars().take(most).collect();
        font.draw(&mut all, left.cast_signed() + 2, top.cast_signed() + 1, &title, [255, 255, 255]);
    }
    all
}
