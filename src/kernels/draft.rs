//! Steps of a program before their values have a place in the arena.

use super::Isa;
use super::bytes::conv::{Conv as LevelConv, Numbers, Out};
use super::bytes::depthwise::Depthwise as LevelDepthwise;
use super::bytes::levels::{LevelStep, Pair, PairStep, Quant, Work};
use super::bytes::maps;
use super::classes::Classes;
use super::conv::Conv;
use super::copy::Copy;
use super::depthwise::Depthwise;
use super::loops::Loops;
use super::map::{Binary, BinaryStep, Unary, UnaryStep};
use super::pack::flush_tiny;
use super::pool::{Pool, Pooling};
use super::reduce::{ArgMax, Softmax};
use super::resize::{Resize, Tap};
use super::step::{Spec, Step};
use super::view::{Map, View};
use super::window::{self, Epilogue, Window};
use super::winograd::Winograd;

/// A step between views of buffers.
pub enum Draft {
    /// A convolution; weights are `[outputs][inputs][rows][columns]`, `[channels][rows][columns]` if it is depthwise.
    Conv {
        from: Map,
        to: Map,
        window: Window,
        epilogue: Epilogue,
        weights: Vec<f32>,
        bias: Vec<f32>,
        depthwise: bool,
    },
    Pool {
        from: Map,
        to: Map,
        window: Window,
        pooling: Pooling,
    },
    Resize {
        from: Map,
        to: Map,
        down: Vec<Tap>,
        across: Vec<Tap>,
        nearest: bool,
    },
    Unary {
        op: Unary,
        from: View,
        to: View,
    },
    Binary {
        op: Binary,
        a: View,
        b: View,
        to: View,
    },
    Copy {
        from: View,
        to: View,
    },
    Softmax {
        from: View,
        to: View,
        axis: usize,
    },
    /// The axis of the output has a side of 1.
    ArgMax {
        from: View,
        to: View,
        axis: usize,
    },
    /// A convolution of levels.
    LevelConv {
        from: Map,
        to: Map,
        window: Window,
        numbers: Numbers,
        out: Out,
        depthwise: bool,
    },
    Level {
        work: Work,
        from: View,
        to: View,
    },
    LevelPair {
        pair: Pair,
        a: View,
        b: View,
        to: View,
    },
    LevelPool {
        from: Map,
        to: Map,
        window: Window,
        pooling: Pooling,
        quants: [Quant; 2],
    },
    LevelResize {
        from: Map,
        to: Map,
        down: Vec<Tap>,
        across: Vec<Tap>,
    },
    /// Linear resizing, perhaps rounding, and the index of the maximum of the channels.
    Classes {
        from: Map,
        to: View,
        taps: [Vec<Tap>; 2],
        quant: Option<Quant>,
    },
}

impl Draft {
    /// The buffers that it reads, and the one that it writes.
    #[must_use]
    pub fn uses(&self) -> (Vec<usize>, usize) {
        match self {
            Self::Conv { from, to, epilogue, .. } => {
                (std::iter::once(from.buffer).chain(epilogue.add.map(|add| add.buffer)).collect(), to.buffer)
            }
            Self::Pool { from, to, .. }
            | Self::Resize { from, to, .. }
            | Self::LevelPool { from, to, .. }
            | Self::LevelResize { from, to, .. } => (vec![from.buffer], to.buffer),
            Self::Classes { from, to, .. } => (vec![from.buffer], to.buffer),
            Self::Unary { from, to, .. }
            | Self::Copy { from, to }
            | Self::Softmax { from, to, .. }
            | Self::ArgMax { from, to, .. }
            | Self::Level { from, to, .. } => (vec![from.buffer], to.buffer),
            Self::Binary { a, b, to, .. } | Self::LevelPair { a, b, to, .. } => (vec![a.buffer, b.buffer], to.buffer),
            Self::LevelConv { from, to, out, .. } => {
                let add = if let Out::Floats(epilogue) = out { epilogue.add } else { None };
                (std::iter::once(from.buffer).chain(add.map(|add| add.buffer)).collect(), to.buffer)
            }
        }
    }

    /// The map that a step writes row by row, if it is one that can be part of a strip.
    #[must_use]
    pub fn written_map(&self) -> Option<Map> {
        self.read_map()?;
        match self {
            Self::Conv { to, .. } | Self::Pool { to, .. } => Some(*to),
            _ => None,
        }
    }

    /// The map that such a step reads row by row, and its window.
    #[must_use]
    pub fn read_map(&self) -> Option<(Map, Window)> {
        match self {
            Self::Conv { from, to, window, depthwise, .. } => {
                let winograd = window::by_winograd(window, from.channels, to.channels, to.height, to.width);
                (*depthwise || !winograd).then_some((*from, *window))
            }
            Self::Pool { from, window, .. } => Some((*from, *window)),
            _ => None,
        }
    }

    /// A name for profiles.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Conv { from, to, window, depthwise, .. } => {
                let ([rows, columns], [stride, _]) = (window.kernel, window.stride);
                let winograd = window::by_winograd(window, from.channels, to.channels, to.height, to.width);
                let kind = match (depthwise, winograd) {
                    (true, _) => "depthwise",
                    (false, true) => "winograd",
                    (false, false) => "conv",
                };
                let (inputs, outputs) = (from.channels, to.channels);
                format!("{kind} {rows}x{columns}/{stride} {inputs}->{outputs} @{}x{}", to.height, to.width)
            }
            Self::Pool { window, pooling, .. } => format!("pool {pooling:?} {}x{}", window.kernel[0], window.kernel[1]),
            Self::Resize { nearest, .. } => format!("resize {}", if *nearest { "nearest" } else { "linear" }),
            Self::Unary { op, .. } => format!("{op:?}"),
            Self::Binary { op, .. } => format!("{op:?}"),
            Self::Copy { to, .. } => format!("copy {:?}", to.sides),
            Self::Softmax { .. } => "softmax".to_owned(),
            Self::ArgMax { .. } => "argmax".to_owned(),
            Self::LevelConv { from, to, window, out, depthwise, .. } => {
                let ([rows, columns], [stride, _]) = (window.kernel, window.stride);
                let kind = if *depthwise { "depthwise" } else { "conv" };
                let out = if matches!(out, Out::Levels { .. }) { "" } else { "to floats " };
                let (inputs, outputs) = (from.channels, to.channels);
                format!("int8 {kind} {out}{rows}x{columns}/{stride} {inputs}->{outputs} @{}x{}", to.height, to.width)
            }
            Self::Level { work, to, .. } => {
                let work = match work {
                    Work::Round(_) => "round to int8",
                    Work::Value(_) => "int8 to floats",
                    Work::Table(_) => "int8 table",
                    Work::Lookup(_) => "int8 to floats by table",
                    Work::Copy => "int8 copy",
                };
                format!("{work} {:?}", to.sides)
            }
            Self::LevelPair { pair, .. } => {
                format!("int8 {}", if matches!(pair, Pair::Add { .. }) { "sum" } else { "product" })
            }
            Self::LevelPool { pooling, .. } => format!("int8 pool {pooling:?}"),
            Self::LevelResize { .. } => "int8 resize nearest".to_owned(),
            Self::Classes { .. } => "resize linear to argmax".to_owned(),
        }
    }

    /// Makes the step, with all views shifted by the places of their buffers.
    ///
    /// # Errors
    /// What does not fit: a view outside its buffer, a window over its border, sides that differ.
    pub fn place(self, isa: Isa, specs: &[Spec], places: &[usize]) -> Result<Step, String> {
        let map = |map: Map| -> Result<Map, String> {
            let spec = &specs[map.buffer];
            let outside = map.height == 0 || map.width == 0 || map.channels == 0 || map.end() > spec.length;
            if outside { Err(format!("{map:?} lies outside {spec:?}")) } else { Ok(map.shifted(places[map.buffer])) }
        };
        let view = |view: &View| -> Result<View, String> {
            let spec = &specs[view.buffer];
            let outside = view.volume() == 0 || view.end() > spec.length;
            if outside { Err(format!("{view:?} lies outside {spec:?}")) } else { Ok(view.shifted(places[view.buffer])) }
        };
        // Levels and floats must not be taken for each other.
        let kinds = |buffers: &[usize], levels: bool| {
            let good = buffers.iter().all(|buffer| specs[*buffer].levels.is_some() == levels);
            if good { Ok(()) } else { Err("levels are taken for floats".to_owned()) }
        };
        if !matches!(
            &self,
            Self::LevelConv { .. }
                | Self::Level { .. }
                | Self::LevelPair { .. }
                | Self::LevelPool { .. }
                | Self::LevelResize { .. }
                | Self::ArgMax { .. }
        ) {
            let (reads, write) = self.uses();
            kinds(&reads, false)?;
            kinds(&[write], false)?;
        }
        let spill = |map: &Map| specs[map.buffer].spill(map, isa.lanes());
        let shapes = |good: bool| if good { Ok(()) } else { Err("sides differ".to_owned()) };
        let loops = |to: &View, from: &View| Loops::new([to, from]).ok_or("sides differ, or are too many");
        Ok(match self {
            Self::Conv { from, to, window, epilogue, mut weights, bias, depthwise } => {
                flush_tiny(&mut weights);
                specs[from.buffer].covers(&from, &to, &window, depthwise)?;
                let taps = window.kernel.iter().product::<usize>();
                let inputs = if depthwise { 1 } else { from.channels };
                shapes(weights.len() == to.channels * inputs * taps && bias.len() == to.channels)?;
                shapes(!depthwise || from.channels == to.channels)?;
                let alike = |add: Map| (add.height, add.width, add.channels) == (to.height, to.width, to.channels);
                shapes(epilogue.add.is_none_or(alike))?;
                let spill = spill(&to);
                let add = epilogue.add.map(map).transpose()?;
                let epilogue = Epilogue { add, ..epilogue };
                let (from, to) = (map(from)?, map(to)?);
                if depthwise {
                    Step::Depthwise(Depthwise::new(isa, [from, to], spill, window, epilogue, &weights, &bias))
                } else if window::by_winograd(&window, from.channels, to.channels, to.height, to.width) {
                    Step::Winograd(Winograd::new(isa, [from, to], spill, window, epilogue, &weights, &bias))
                } else {
                    Step::Conv(Conv::new(isa, [from, to], spill, window, epilogue, &weights, &bias))
                }
            }
            Self::Pool { from, to, window, pooling } => {
                shapes(from.channels == to.channels)?;
                let spill = spill(&to);
                Step::Pool(Pool::new(isa, [map(from)?, map(to)?], spill, window, pooling))
            }
            Self::Resize { from, to, down, across, nearest } => {
                let inside = |taps: &[Tap], side: usize| taps.iter().all(|tap| tap.at.iter().all(|at| *at < side));
                shapes(from.channels == to.channels && down.len() == to.height && across.len() == to.width)?;
                shapes(inside(&down, from.height) && inside(&across, from.width))?;
                let spill = spill(&to);
                Step::Resize(Resize::new(isa, [map(from)?, map(to)?], spill, [down, across], nearest))
            }
            Self::Unary { op, from, to } => Step::Unary(UnaryStep::new(isa, op, loops(&view(&to)?, &view(&from)?)?)),
            Self::Binary { op, a, b, to } => {
                let views = [&view(&to)?, &view(&a)?, &view(&b)?];
                Step::Binary(BinaryStep::new(isa, op, Loops::new(views).ok_or("sides differ, or are too many")?))
            }
            Self::Copy { from, to } => Step::Copy(Copy::new(loops(&view(&to)?, &view(&from)?)?)),
            Self::LevelConv { from, to, window, numbers, out, depthwise } => {
                specs[from.buffer].covers(&from, &to, &window, true)?;
                let taps = window.kernel.iter().product::<usize>();
                let inputs = if depthwise { 1 } else { from.channels };
                shapes(numbers.weights.len() == to.channels * inputs * taps)?;
                shapes(numbers.bias.len() == to.channels && numbers.scales.len() == to.channels)?;
                shapes(!depthwise || from.channels == to.channels)?;
                kinds(&[from.buffer], true)?;
                kinds(&[to.buffer], matches!(out, Out::Levels { .. }))?;
                let spill = spill(&to);
                let out = match out {
                    Out::Floats(epilogue) => {
                        Out::Floats(Epilogue { add: epilogue.add.map(map).transpose()?, ..epilogue })
                    }
                    levels @ Out::Levels { .. } => levels,
                };
                let maps = [map(from)?, map(to)?];
                if depthwise {
                    Step::LevelDepthwise(LevelDepthwise::new(isa, maps, spill, window, &numbers, out))
                } else {
                    Step::LevelConv(LevelConv::new(isa, maps, spill, window, &numbers, out))
                }
            }
            Self::Level { work, from, to } => {
                kinds(&[from.buffer], !matches!(work, Work::Round(_)))?;
                kinds(&[to.buffer], !matches!(work, Work::Value(_) | Work::Lookup(_)))?;
                Step::Level(LevelStep::new(isa, work, loops(&view(&to)?, &view(&from)?)?))
            }
            Self::LevelPair { pair, a, b, to } => {
                kinds(&[a.buffer, b.buffer, to.buffer], true)?;
                let views = [&view(&to)?, &view(&a)?, &view(&b)?];
                Step::LevelPair(PairStep::new(isa, pair, Loops::new(views).ok_or("sides differ, or are too many")?))
            }
            Self::LevelPool { from, to, window, pooling, quants } => {
                kinds(&[from.buffer, to.buffer], true)?;
                shapes(from.channels == to.channels)?;
                Step::LevelPool(maps::Pool::new([map(from)?, map(to)?], window, pooling, quants))
            }
            Self::LevelResize { from, to, down, across } => {
                kinds(&[from.buffer, to.buffer], true)?;
                let inside = |taps: &[Tap], side: usize| taps.iter().all(|tap| tap.at[0] < side);
                shapes(from.channels == to.channels && down.len() == to.height && across.len() == to.width)?;
                shapes(inside(&down, from.height) && inside(&across, from.width))?;
                Step::LevelResize(maps::Resize::new([map(from)?, map(to)?], [down, across]))
            }
            Self::Classes { from, to, taps, quant } => {
                let inside = |taps: &[Tap], side: usize| taps.iter().all(|tap| tap.at.iter().all(|at| *at < side));
                let sides = [1, 1, taps[0].len(), taps[1].len()];
                shapes(to.sides == sides && inside(&taps[0], from.height) && inside(&taps[1], from.width))?;
                Step::Classes(Classes::new(isa, map(from)?, &view(&to)?, taps, quant))
            }
            Self::ArgMax { from, to, axis } => {
                let levels = specs[from.buffer].levels.is_some();
                kinds(&[to.buffer], false)?;
                let (from, to) = (view(&from)?, view(&to)?);
                let (length, stride) = (from.sides[axis], from.strides[axis]);
                Step::ArgMax(ArgMax::new(isa, loops(&to, &from.slice(axis, 0, 1, 1))?, length, stride, levels))
            }
            Self::Softmax { from, to, axis } => {
                let (from, to) = (view(&from)?, view(&to)?);
                let (length, strides) = (from.sides[axis], [to.strides[axis], from.strides[axis]]);
                let others = |view: &View| view.slice(axis, 0, 1, 1);
                Step::Softmax(Softmax::new(loops(&others(&to), &others(&from))?, length, strides))
            }
        })
    }
}
