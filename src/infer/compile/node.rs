//! A block as an operator of tract.

#![allow(clippy::wildcard_imports, reason = "tract's macros name much of it")]

use super::block::{BLOCK, Block, Kind};
use crate::kernels::program::Memory;
use crate::kernels::team::Team;
use std::cell::RefCell;
use std::sync::{Mutex, PoisonError};
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_hir::internal::*;

thread_local! {
    static TEAM: RefCell<Option<Arc<Team>>> = const { RefCell::new(None) };
}

/// Runs blocks on the threads of a team while `work` runs.
pub fn on_team<T>(team: Option<&Arc<Team>>, work: impl FnOnce() -> T) -> T {
    let before = TEAM.with(|cell| cell.replace(team.cloned()));
    let result = work();
    TEAM.with(|cell| cell.replace(before));
    result
}

/// Puts the blocks in the places of the nodes that stand for them.
pub fn put(model: &mut InferenceModel, blocks: &[Block]) {
    for node in &mut model.nodes {
        let number = node.name.strip_prefix(BLOCK).and_then(|number| number.parse::<usize>().ok());
        if let Some(block) = number.and_then(|number| blocks.get(number)) {
            node.op = expand(Inferred(Compound { block: block.clone(), idle: Arc::new(Mutex::new(Vec::new())) }));
        }
    }
}

/// The type of a tensor.
pub fn datum(kind: Kind) -> DatumType {
    match kind {
        Kind::Floats => f32::datum_type(),
        Kind::Indices => i64::datum_type(),
        Kind::Levels { signed: false } => u8::datum_type(),
        Kind::Levels { signed: true } => i8::datum_type(),
    }
}

/// The block before its types are known.
#[derive(Clone, Debug)]
struct Inferred(Compound);

impl Expansion for Inferred {
    fn name(&self) -> StaticName {
        BLOCK.into()
    }

    fn nboutputs(&self) -> TractResult<usize> {
        Ok(self.0.block.outputs.len())
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        solver: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        let ends = inputs.iter().zip(&self.0.block.inputs).chain(outputs.iter().zip(&self.0.block.outputs));
        for (proxy, end) in ends {
            solver.equals(&proxy.datum_type, datum(end.kind))?;
            let dims: TVec<TDim> = end.sides.iter().map(ToDim::to_dim).collect();
            solver.equals(&proxy.shape, ShapeFactoid::from(dims))?;
        }
        Ok(())
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        model.wire_node(prefix, self.0.clone(), inputs)
    }
}

/// The block as an operator. Memory is kept between runs, one for each run that goes on at the same time.
#[derive(Clone)]
struct Compound {
    block: Block,
    idle: Arc<Mutex<Vec<(usize, Memory)>>>,
}

impl std::fmt::Debug for Compound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{BLOCK} of {} nodes", self.block.nodes)
    }
}

impl PartialEq for Compound {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.block.program, &other.block.program)
    }
}

impl Eq for Compound {}

impl Op for Compound {
    fn name(&self) -> StaticName {
        BLOCK.into()
    }

    op_as_typed_op!();
}

impl EvalOp for Compound {
    op_out_of_plan!();

    fn eval(&self, _: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let program = &self.block.program;
        let team = TEAM.with(|cell| cell.borrow().clone());
        let threads = team.as_deref().map_or(1, Team::size);
        let idle = {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            let at = idle.iter().position(|(of, _)| *of == threads);
            at.map(|at| idle.swap_remove(at).1)
        };
        let mut memory = idle.unwrap_or_else(|| program.memory(threads));
        for (at, input) in inputs.iter().enumerate() {
            match self.block.inputs[at].kind {
                Kind::Floats | Kind::Indices => {
                    program.load(&mut memory, at, input.try_as_plain_ram()?.as_slice::<f32>()?);
                }
                levels @ Kind::Levels { .. } => program.load_levels(&mut memory, at, input.as_bytes(), levels.flip()),
            }
        }
        if !program.run(&mut memory, team.as_deref()) {
            bail!("a kernel panicked");
        }
        let mut outputs = tvec!();
        for (at, end) in self.block.outputs.iter().enumerate() {
            let mut values = Tensor::zero_dt(datum(end.kind), &end.sides)?;
            match end.kind {
                Kind::Floats => program.read(&mut memory, at, values.try_as_plain_ram_mut()?.as_slice_mut::<f32>()?),
                Kind::Indices => {
                    let mut indices = vec![0.0; values.len()];
                    program.read(&mut memory, at, &mut indices);
                    let mut whole = values.try_as_plain_ram_mut()?;
                    whole
                        .as_slice_mut::<i64>()?
                        .iter_mut()
                        .zip(indices)
                        .for_each(|(whole, index)| *whole = index as i64);
                }
                levels @ Kind::Levels { .. } => {
                    program.read_levels(&mut memory, at, values.as_bytes_mut(), levels.flip());
                }
            }
            outputs.push(values.into_tvalue());
        }
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push((threads, memory));
        Ok(outputs)
    }
}

impl TypedOp for Compound {
    as_op!();

    fn cost(&self, _: &[&TypedFact]) -> TractResult<TVec<(Cost, TDim)>> {
        Ok(tvec!((Cost::FMA(f32::datum_type()), self.block.program.macs().to_dim())))
    }

    fn output_facts(&self, _: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(self.block.outputs.iter().map(|end| datum(end.kind).fact(&end.sides)).collect())
    }
}
