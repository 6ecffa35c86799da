//! Checks that the optimised plan, with our kernels in it, agrees with tract's plain plan. tract 0.23 silently folds some
//! quantised graphs into wrong ones, and our kernels could have faults of their own. So each model is checked once, when it is
//! first loaded, and refused if the two disagree.

use super::{Card, Plan, Session};
use crate::error::{Error, Result};
use crate::types::{Image, PixelFormat, Size};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

/// How far the two plans may differ: the norm of the difference over the norm of the output. Floats differ because of
/// the order of summation (at most 1e-5 was seen); a plan that rounds to 8 bits may round single values differently.
const FLOAT_TOLERANCE: f32 = 1e-3;
const ROUNDED_TOLERANCE: f32 = 0.3;
/// The revision of our kernels and of what is compiled for them: a new one is checked again.
const KERNELS: u32 = 1;
/// Among almost equal answers the last ones may be others in each plan, so sorted columns may differ 20 times as much.
const SORTED: f32 = 0.05;

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Agreement {
    /// The largest difference of an output: the norm of the difference over the norm of the output.
    pub difference: f32,
    /// The largest allowed difference.
    pub tolerance: f32,
    /// Whether the result comes from an earlier check.
    pub known: bool,
}

/// Checks a plan unless the same plan has passed before, and caches the result. The cache is in `OCELLI_CACHE`, else
/// `XDG_CACHE_HOME/ocelli`, else `~/.cache/ocelli`. If it cannot be written, the check runs every time.
///
/// # Errors
/// [`Error::Model`] if the two plans disagree or one cannot run.
pub fn ensure(card: &Card, plan: &Arc<Plan>) -> Result<Agreement> {
    let record = cache_folder().map(|folder| folder.join("verified").join(key(card, plan)));
    let known = record.as_ref().and_then(|path| std::fs::read_to_string(path).ok()).and_then(|t| t.trim().parse().ok());
    let tolerance = if plan.quantised { ROUNDED_TOLERANCE } else { FLOAT_TOLERANCE };
    if let Some(difference) = known {
        return Ok(Agreement { difference, tolerance, known: true });
    }
    let found = compare(card, plan)?;
    if let Some(path) = record {
        // If the result cannot be cached, that costs time but not correctness.
        let kept = path.parent().map_or(Ok(()), std::fs::create_dir_all);
        let kept = kept.and_then(|()| std::fs::write(&path, found.difference.to_string()));
        if let Err(error) = kept {
            tracing::debug!(path = %path.display(), %error, "the result of the model check cannot be cached");
        }
    }
    Ok(found)
}

/// Runs both plans on the same picture and compares their outputs.
///
/// # Errors
/// As [`ensure`].
pub fn compare(card: &Card, plan: &Arc<Plan>) -> Result<Agreement> {
    let tolerance = if plan.quantised { ROUNDED_TOLERANCE } else { FLOAT_TOLERANCE };
    let picture = test_picture(card.fields.input.size);
    let source: Arc<str> = Arc::from("");
    let mut fast = Session::of(card, Arc::clone(plan), 1)?;
    let mut plain = Session::of(card, Arc::new(Plan::load_plain(card, plan.integers)?), 1)?;
    fast.run(&source, &picture)?;
    plain.run(&source, &picture)?;
    let outputs = plain.plan().outputs.clone();
    let sorts = plan.model.graph().node.iter().any(|node| matches!(node.op(), "TopK" | "NonMaxSuppression"));
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let mut difference = 0.0_f32;
    for name in &outputs {
        fast.output_named(name)?.read(1.0, 0, &mut ours)?;
        plain.output_named(name)?.read(1.0, 0, &mut theirs)?;
        let mut found = relative_difference(&ours, &theirs);
        if found > tolerance && sorts {
            // Answers with almost equal scores may change places.
            let width = width(plain.output_named(name)?.shape());
            found = relative_difference(&sorted(&ours, width), &sorted(&theirs, width)) * SORTED;
            let whole = |values: &[f32]| values.iter().all(|v| v.fract() == 0.0);
            let others_agree = || outputs.iter().any(|name| agrees(&fast, &plain, name, tolerance));
            if found > tolerance && whole(&ours) && whole(&theirs) && others_agree() {
                // Class numbers of answers whose scores or boxes agree: among equal scores, any may come last.
                continue;
            }
        }
        if found.is_nan() || found > tolerance {
            return Err(Error::Model(format!(
                "model `{}`: the optimised plan computes a different `{name}` from tract's plain plan (relative difference \
                 {found:.3}, at most {tolerance} is allowed): its answers would be wrong; {}",
                card.name,
                match (plan.quantised, plan.compiled.blocks.is_empty()) {
                    (true, _) => "`precision: float` in the card avoids this",
                    (false, false) => "OCELLI_KERNELS=off may avoid this; please report this model",
                    (false, true) => "please report this model",
                }
            )));
        }
        difference = difference.max(found);
    }
    Ok(Agreement { difference, tolerance, known: false })
}

/// Whether an output of fractions, such as scores, agrees in order of size.
fn agrees(fast: &Session, plain: &Session, name: &str, tolerance: f32) -> bool {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let read = |session: &Session, values: &mut Vec<f32>| session.output_named(name)?.read(1.0, 0, values);
    if read(fast, &mut ours).is_err() || read(plain, &mut theirs).is_err() {
        return false;
    }
    let fractions = theirs.iter().any(|v| v.fract() != 0.0);
    fractions && relative_difference(&sorted(&ours, 1), &sorted(&theirs, 1)) * SORTED <= tolerance
}

/// How many numbers a row of an output has; one if it is a list, `[N]` or `[1, N]`.
fn width(shape: &[usize]) -> usize {
    let rows = shape.iter().rev().skip(1).any(|side| *side > 1);
    shape.last().copied().filter(|_| rows).unwrap_or(1)
}

/// The columns of rows, each in order of size: the same for the same rows in any order.
fn sorted(values: &[f32], width: usize) -> Vec<f32> {
    let column = |at: usize| {
        let mut column: Vec<f32> = values.iter().skip(at).step_by(width.max(1)).copied().collect();
        column.sort_by(f32::total_cmp);
        column
    };
    (0..width.max(1)).flat_map(column).collect()
}

/// Returns `|a - b| / |b|` with Euclidean norms; 0 if both are zero.
fn relative_difference(a: &[f32], b: &[f32]) -> f32 {
    if a.len() != b.len() {
        return f32::NAN;
    }
    let square = |v: f32| f64::from(v) * f64::from(v);
    // Equal infinities count as equal.
    let apart: f64 = a.iter().zip(b).map(|(a, b)| if a == b { 0.0 } else { square(a - b) }).sum();
    let size: f64 = b.iter().map(|&b| square(b)).sum();
    if apart == 0.0 { 0.0 } else { (apart / size.max(f64::MIN_POSITIVE)).sqrt() as f32 }
}

/// Makes a picture of soft blobs and some noise, the same each time. A flat picture leaves most of a network unused.
#[must_use]
pub fn test_picture(size: Size) -> Image {
    let mut image = Image::new(size, PixelFormat::Rgb8);
    let width = image.size.width as usize;
    let mut noise = 1_u32;
    for (at, pixel) in image.data.as_chunks_mut::<3>().0.iter_mut().enumerate() {
        let (x, y) = ((at % width) as i32, (at / width) as i32);
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let wave = |step: i32| ((x / step + y / (step + 3)) * 37 % 200).unsigned_abs() as u8;
        *pixel = [wave(9), wave(17), wave(5)].map(|v| v.saturating_add((noise >> 27) as u8));
    }
    image
}

/// Returns one name for the graph, input, versions and processor architecture.
fn key(card: &Card, plan: &Plan) -> String {
    let mut hash = Sha256::new();
    hash.update(plan.model.encode());
    hash.update(format!("{:?} {} {}", card.fields.input, env!("CARGO_PKG_VERSION"), std::env::consts::ARCH));
    // A new version of tract must be checked again. Cargo.toml pins this version.
    hash.update("tract 0.23.9");
    // So must other kernels.
    let isa = plan.compiled.blocks.first().map_or("tract", |block| block.program.isa().name());
    hash.update(format!("kernels {KERNELS} {isa}"));
    hash.finalize().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn cache_folder() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    set("OCELLI_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").map(|p| p.join("ocelli")))
        .or_else(|| set("HOME").map(|p| p.join(".cache/ocelli")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_relative_and_nothing_is_like_nothing() {
        assert_eq!(relative_difference(&[0.0; 3], &[0.0; 3]), 0.0);
        assert!((relative_difference(&[2.0, 0.0], &[1.0, 0.0]) - 1.0).abs() < 1e-6);
        assert!(relative_difference(&[f32::NAN], &[1.0]).is_nan());
        assert!(relative_difference(&[1.0], &[]).is_nan());
        assert_eq!([width(&[300]), width(&[1, 300]), width(&[1, 300, 6]), width(&[])], [1, 1, 6, 1]);
        assert_eq!(sorted(&[3.0, 1.0, 2.0, 5.0], 2), sorted(&[2.0, 5.0, 3.0, 1.0], 2));
        assert!(relative_difference(&[255.0; 4], &[0.0, 0.0, 0.0, 200.0]) > 1.0, "the known bad classifiers");
    }
}
