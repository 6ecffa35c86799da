//! Polygons around the pixels of an object, along the edges of the pixels.

use std::collections::HashMap;

type Corner = (u32, u32);

/// Returns the outlines of a mask of this width: x and y in turn, in pixels. The outlines of holes are left out.
#[must_use]
pub fn polygons(width: u32, mask: &[bool]) -> Vec<Vec<u32>> {
    let height = (mask.len() / width.max(1) as usize) as u32;
    let inside = |x: i64, y: i64| {
        let within = (0..i64::from(width)).contains(&x) && (0..i64::from(height)).contains(&y);
        within && mask[(y * i64::from(width) + x) as usize]
    };
    // Edges with the object to their right, by the corner in which they start.
    let mut edges: HashMap<Corner, Vec<Corner>> = HashMap::new();
    let mut starts = Vec::new();
    for y in 0..height {
        for x in 0..width {
            let (ix, iy) = (i64::from(x), i64::from(y));
            if !inside(ix, iy) {
                continue;
            }
            let mut edge = |from: Corner, to: Corner| {
                edges.entry(from).or_default().push(to);
                starts.push(from);
            };
            if !inside(ix, iy - 1) {
                edge((x, y), (x + 1, y));
            }
            if !inside(ix + 1, iy) {
                edge((x + 1, y), (x + 1, y + 1));
            }
            if !inside(ix, iy + 1) {
                edge((x + 1, y + 1), (x, y + 1));
            }
            if !inside(ix - 1, iy) {
                edge((x, y + 1), (x, y));
            }
        }
    }
    let mut found = Vec::new();
    for start in starts {
        let mut path: Vec<Corner> = Vec::new();
        let mut at = start;
        while let Some(next) = edges.get_mut(&at).and_then(|next| leave(&path, at, next)) {
            path.push(at);
            at = next;
        }
        if path.len() >= 4 && area(&path) > 0 {
            found.push(straightened(&path));
        }
    }
    found
}

/// Takes the edge to go on with: where two objects touch at a corner, the one that keeps to the same pixel.
fn leave(path: &[Corner], at: Corner, next: &mut Vec<Corner>) -> Option<Corner> {
    let turn = |to: &Corner| {
        let Some(from) = path.last() else { return 0 };
        let (dx, dy) = (i64::from(at.0) - i64::from(from.0), i64::from(at.1) - i64::from(from.1));
        let (ex, ey) = (i64::from(to.0) - i64::from(at.0), i64::from(to.1) - i64::from(at.1));
        dx * ey - dy * ex
    };
    let best = (0..next.len()).max_by_key(|at| turn(&next[*at]))?;
    Some(next.swap_remove(best))
}

/// Twice the area; negative around holes.
fn area(path: &[Corner]) -> i64 {
    let next = path.iter().cycle().skip(1);
    path.iter().zip(next).map(|(a, b)| i64::from(a.0) * i64::from(b.1) - i64::from(b.0) * i64::from(a.1)).sum()
}

/// Leaves out corners on straight lines.
fn straightened(path: &[Corner]) -> Vec<u32> {
    let count = path.len();
    let bends = |at: &usize| {
        let (before, here, after) = (path[(at + count - 1) % count], path[*at], path[(at + 1) % count]);
        (before.0 == here.0) != (here.0 == after.0)
    };
    (0..count).filter(bends).flat_map(|at| [path[at].0, path[at].1]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outlines_run_along_the_pixels() {
        let _limit = crate::limit::within(60);
        let mask = |rows: &[&str]| rows.concat().bytes().map(|b| b == b'#').collect::<Vec<bool>>();
        assert_eq!(polygons(4, &mask(&["....", ".##.", ".##.", "...."])), [[1, 1, 3, 1, 3, 3, 1, 3]]);
        // A hole, a corner that two pixels share, and the edge of the picture.
        assert_eq!(polygons(3, &mask(&["###", "#.#", "###"])), [[0, 0, 3, 0, 3, 3, 0, 3]]);
        assert_eq!(polygons(2, &mask(&["#.", ".#"])).len(), 2);
        assert_eq!(polygons(3, &mask(&["##.", "#..", "..#"])).len(), 2);
        assert!(polygons(3, &mask(&["...", "..."])).is_empty());
    }
}
