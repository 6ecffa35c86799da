//! Which steps of a program are computed, and which of them together.

use super::bytes::levels::Work;
use super::draft::Draft;
use super::reduce::Maxima;
use super::step::Spec;
use super::strip::{LARGE, MOST};
use super::view::{Map, View};
use std::collections::HashSet;

/// The steps whose results somebody reads.
pub fn needed(drafts: Vec<Draft>, outputs: &[View]) -> Vec<Draft> {
    let mut read: HashSet<usize> = outputs.iter().map(|view| view.buffer).collect();
    let keep = |draft: &Draft| -> bool {
        let (reads, write) = draft.uses();
        let keep = read.contains(&write);
        read.extend(reads.into_iter().filter(|_| keep));
        keep
    };
    let mut kept: Vec<Draft> = drafts.into_iter().rev().filter(keep).collect();
    kept.reverse();
    kept
}

/// Runs of steps that are computed a few rows at a time; most steps stand alone. `is_end` says whether somebody else looks at
/// a buffer.
pub fn chains(drafts: &[Draft], specs: &[Spec], is_end: impl Fn(usize) -> bool) -> Vec<std::ops::Range<usize>> {
    let mut uses = vec![(0_usize, 0_usize); specs.len()];
    for draft in drafts {
        let (reads, write) = draft.uses();
        reads.iter().for_each(|buffer| uses[*buffer].0 += 1);
        uses[write].1 += 1;
    }
    let joins = |first: &Draft, second: &Draft| {
        let (Some(to), Some((from, _))) = (first.written_map(), second.read_map()) else { return false };
        let spec = &specs[to.buffer];
        let whole = |map: &Map| {
            (map.height, map.width) == (spec.height, spec.width) && spec.map.is_some_and(|[c, ..]| c == map.channels)
        };
        let alone = uses[to.buffer] == (1, 1) && from.buffer == to.buffer && !is_end(to.buffer);
        alone && whole(&to) && whole(&from) && spec.length >= LARGE && first.read_map().is_some()
    };
    let mut chains: Vec<std::ops::Range<usize>> = Vec::new();
    for at in 0..drafts.len() {
        match chains.last_mut() {
            Some(last) if last.len() <= MOST && joins(&drafts[at - 1], &drafts[at]) => last.end = at + 1,
            _ => chains.push(at..at + 1),
        }
    }
    chains
}

/// Joins steps that follow each other: linear resizing, perhaps rounding to levels, ArgMax over the channels. `is_end` says
/// whether somebody else looks at a buffer.
pub fn join(drafts: Vec<Draft>, specs: &[Spec], is_end: impl Fn(usize) -> bool) -> Vec<Draft> {
    let mut reads = vec![0_usize; specs.len()];
    drafts.iter().flat_map(|draft| draft.uses().0).for_each(|buffer| reads[buffer] += 1);
    let mut joined: Vec<Draft> = Vec::with_capacity(drafts.len());
    for draft in drafts {
        let Draft::ArgMax { from: view, to, axis: 1 } = &draft else {
            joined.push(draft);
            continue;
        };
        let alone = |buffer: usize| reads[buffer] == 1 && !is_end(buffer);
        let same = |map: &Map, view: &View| view.map().is_some_and(|of| of == *map) && alone(map.buffer);
        let (resize, quant) = match joined.as_slice() {
            [.., Draft::Resize { to: map, .. }, Draft::Level { work: Work::Round(quant), from, to }]
                if same(map, from) && to == view && alone(to.buffer) =>
            {
                (2, Some(*quant))
            }
            [.., Draft::Resize { to: map, .. }] if same(map, view) => (1, None),
            _ => (0, None),
        };
        let at = joined.len() - resize;
        let whole = match joined.get(at) {
            Some(Draft::Resize { from, down, across, nearest: false, .. })
                if to.sides.len() == 4 && Maxima::takes(from.channels) =>
            {
                Some(Draft::Classes { from: *from, to: to.clone(), taps: [down.clone(), across.clone()], quant })
            }
            _ => None,
        };
        match whole {
            Some(whole) => {
                joined.truncate(at);
                joined.push(whole);
            }
            None => joined.push(draft),
        }
    }
    joined
}
