//! PNG pictures, using the `png` crate.

use crate::error::{Error, Result};
use crate::types::{Image, PixelFormat, Size};
use std::io::{Cursor, Write};

/// Decodes any PNG to 8-bit RGB and returns its EXIF data. Transparency is dropped, as Pillow's `convert("RGB")` does.
///
/// # Errors
/// [`Error::Data`] if the bytes are not a complete PNG.
pub fn decode(bytes: &[u8], image: &mut Image) -> Result<Option<Vec<u8>>> {
    let bad = |e: png::DecodingError| Error::Data(format!("PNG: {e}"));
    let limits = png::Limits { bytes: super::limits::MAX_PICTURE_BYTES };
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), limits);
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(bad)?;
    let info = reader.info();
    super::limits::check_size(info.width, info.height, "PNG")?;
    let buffer_len = reader.output_buffer_size().ok_or_else(|| Error::Data("PNG: too large".into()))?;
    let mut buffer = vec![0; buffer_len];
    let out = reader.next_frame(&mut buffer).map_err(bad)?;
    let pixels = &buffer[..out.buffer_size()];
    image.reshape(Size::new(out.width, out.height), PixelFormat::Rgb8);
    let target = image.data.as_chunks_mut::<3>().0.iter_mut();
    match out.color_type {
        png::ColorType::Rgb => image.data.copy_from_slice(pixels),
        png::ColorType::Rgba => target.zip(pixels.chunks_exact(4)).for_each(|(t, p)| t.copy_from_slice(&p[..3])),
        png::ColorType::Grayscale => target.zip(pixels).for_each(|(t, &p)| t.fill(p)),
        png::ColorType::GrayscaleAlpha => {
            target.zip(pixels.chunks_exact(2)).for_each(|(t, p)| t.fill(p[0]));
        }
        png::ColorType::Indexed => return Err(Error::Data("PNG: the palette was not expanded".into())),
    }
    // EXIF may stand behind the pixels; damage there harms nobody.
    let _ = reader.finish();
    Ok(reader.info().exif_metadata.as_deref().map(<[u8]>::to_vec))
}

/// What the pixels of a class map are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Values {
    /// Grey levels: class numbers.
    Numbers(Vec<u8>),
    /// Indices of a palette, and its colours.
    Indices(Vec<u8>, Vec<[u8; 3]>),
    /// Colours, which only a table turns into classes.
    Colors(Vec<[u8; 3]>),
}

/// Decodes a PNG to its stored values: grey levels, palette indices, or colours. Class maps are stored this way. 16-bit
/// levels must be below 256.
///
/// # Errors
/// [`Error::Data`] if the bytes are not a complete PNG, or if a level is above 255.
pub fn decode_values(bytes: &[u8]) -> Result<(Size, Values)> {
    let bad = |e: png::DecodingError| Error::Data(format!("PNG: {e}"));
    let limits = png::Limits { bytes: super::limits::MAX_PICTURE_BYTES };
    let mut reader = png::Decoder::new_with_limits(Cursor::new(bytes), limits).read_info().map_err(bad)?;
    let (width, height) = (reader.info().width, reader.info().height);
    super::limits::check_size(width, height, "PNG")?;
    let size = Size::new(width, height);
    let (color, depth) = reader.output_color_type();
    let palette = reader.info().palette.as_deref().map_or(Vec::new(), |palette| palette.as_chunks::<3>().0.to_vec());
    let numbers = move |numbers: Vec<u8>| match color {
        png::ColorType::Indexed => Values::Indices(numbers, palette),
        _ => Values::Numbers(numbers),
    };
    let length = reader.output_buffer_size().ok_or_else(|| Error::Data("PNG: too large".into()))?;
    let mut buffer = vec![0; length];
    let out = reader.next_frame(&mut buffer).map_err(bad)?;
    let pixels = &buffer[..out.buffer_size()];
    if depth == png::BitDepth::Sixteen {
        let channels = color.samples();
        if let Some(high) = pixels.chunks_exact(2).find(|two| two[0] > 0).filter(|_| channels <= 2) {
            let level = u16::from_be_bytes([high[0], high[1]]);
            return Err(Error::Data(format!("PNG: a 16-bit level of {level}; class numbers are below 256")));
        }
        let low: Vec<u8> = pixels.chunks_exact(2).map(|two| if channels <= 2 { two[1] } else { two[0] }).collect();
        return Ok((size, values(color, &low)));
    }
    let bits = depth as usize;
    if bits == 8 && color == png::ColorType::Indexed {
        return Ok((size, numbers(pixels.to_vec())));
    }
    if bits == 8 {
        return Ok((size, values(color, pixels)));
    }
    let mask = ((1u16 << bits) - 1) as u8;
    let mut found = Vec::with_capacity(width as usize * height as usize);
    for row in pixels.chunks_exact(out.line_size.max(1)) {
        found.extend((0..width as usize).map(|x| (row[x * bits / 8] >> (8 - bits - x * bits % 8)) & mask));
    }
    Ok((size, numbers(found)))
}

/// Takes pixels of 8 bits for numbers or colours.
fn values(color: png::ColorType, pixels: &[u8]) -> Values {
    let colors: Vec<[u8; 3]> = match color {
        png::ColorType::Grayscale | png::ColorType::Indexed => return Values::Numbers(pixels.to_vec()),
        png::ColorType::GrayscaleAlpha => {
            return Values::Numbers(pixels.chunks_exact(2).map(|two| two[0]).collect());
        }
        png::ColorType::Rgb => pixels.as_chunks::<3>().0.to_vec(),
        png::ColorType::Rgba => pixels.chunks_exact(4).map(|p| [p[0], p[1], p[2]]).collect(),
    };
    Values::Colors(colors)
}

/// Writes a class map as a PNG with a palette: its values are the class numbers, as in the class maps of Pascal VOC.
///
/// # Errors
/// [`Error::Io`] if `out` fails.
pub fn encode_classes(size: Size, classes: &[u8], colors: &[[u8; 3]; 256], out: impl Write) -> Result<()> {
    let mut encoder = png::Encoder::new(out, size.width, size.height);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_palette(colors.as_flattened().to_vec());
    encoder.set_compression(png::Compression::Balanced);
    write(encoder, classes)
}

/// Writes an RGB or grey picture as PNG.
///
/// # Errors
/// [`Error::Io`] if `out` fails.
pub fn encode(image: &Image, out: impl Write) -> Result<()> {
    encode_as(image, png::Compression::Balanced, out)
}

/// Like [`encode`], but in a tenth of the time and with a somewhat larger result.
///
/// # Errors
/// [`Error::Io`] if `out` fails.
pub fn encode_fast(image: &Image, out: impl Write) -> Result<()> {
    encode_as(image, png::Compression::Fastest, out)
}

fn encode_as(image: &Image, compression: png::Compression, out: impl Write) -> Result<()> {
    let mut encoder = png::Encoder::new(out, image.size.width, image.size.height);
    encoder.set_color(match image.format {
        PixelFormat::Rgb8 => png::ColorType::Rgb,
        PixelFormat::Gray8 => png::ColorType::Grayscale,
    });
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(compression);
    write(encoder, &image.data)
}

fn write(encoder: png::Encoder<'_, impl Write>, data: &[u8]) -> Result<()> {
    let bad = |e: png::EncodingError| match e {
        png::EncodingError::IoError(e) => Error::io("PNG", e),
        other => Error::Internal(format!("PNG: {other}")),
    };
    let mut writer = encoder.write_header().map_err(bad)?;
    writer.write_image_data(data).map_err(bad)?;
    writer.finish().map_err(bad)
}
