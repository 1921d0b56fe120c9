//! Lists of tensors: `TensorList`s, and `TensorArray`s by the value that flows through their operators.

use super::{Call, Lowered, Row, by};
use crate::formats::draft::Op;
use crate::formats::tf::control::cast;
use crate::formats::tf::value::Val;
use crate::ir::{DType, ValueId};

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    by("EmptyTensorList", "SequenceEmpty", empty),
    by("TensorArrayCloseV3", "nothing", |_| Ok(vec![Val::nothing()])),
    by("TensorArrayConcatV3", "ConcatFromSequence", |c| c.joined(2, false)),
    by("TensorArrayGatherV3", "ConcatFromSequence", |c| c.joined(2, true)),
    by("TensorArrayReadV3", "SequenceAt", |c| c.element(2, 1)),
    by("TensorArrayScatterV3", "SplitToSequence", |c| c.split(2)),
    by("TensorArraySizeV3", "SequenceLength", |c| c.length(1)),
    by("TensorArraySplitV3", "SplitToSequence", |c| c.split(1)),
    by("TensorArrayV3", "rooflens.SequenceReserve", array),
    by("TensorArrayWriteV3", "rooflens.SequenceSet", |c| c.set(3, 1, 2)),
    by("TensorListConcat", "ConcatFromSequence", |c| c.joined(0, false)),
    by("TensorListConcatV2", "ConcatFromSequence", |c| c.joined(0, false)),
    by("TensorListElementShape", "its input", foreign),
    by("TensorListFromTensor", "SplitToSequence", |c| c.split(0)),
    by("TensorListGather", "ConcatFromSequence, Gather", gathered),
    by("TensorListGetItem", "SequenceAt", |c| c.element(0, 1)),
    by("TensorListLength", "SequenceLength", |c| c.length(0)),
    by("TensorListPopBack", "SequenceAt, SequenceErase", pop),
    by("TensorListPushBack", "SequenceInsert", push),
    by("TensorListReserve", "rooflens.SequenceReserve", reserve),
    by("TensorListResize", "its input", |c| Ok(vec![c.val(0)])),
    by("TensorListScatterIntoExistingList", "SplitToSequence", |c| c.split(1)),
    by("TensorListScatterV2", "SplitToSequence", |c| c.split(0)),
    by("TensorListSetItem", "rooflens.SequenceSet", |c| c.set(0, 1, 2)),
    by("TensorListStack", "ConcatFromSequence", |c| c.joined(0, true)),
];

impl Call<'_, '_, '_> {
    /// The elements of a list side by side, or stacked on a new axis.
    fn joined(&mut self, list: usize, stacked: bool) -> Lowered {
        let list = self.x(list)?;
        let op = Op::onnx("ConcatFromSequence").with("axis", 0_i64).with("new_axis", stacked);
        self.one(op, &[list])
    }

    fn element(&mut self, list: usize, at: usize) -> Lowered {
        let inputs = [self.x(list)?, self.whole(at)?];
        self.one(Op::onnx("SequenceAt"), &inputs)
    }

    /// A tensor as the list of what lies along its first axis.
    fn split(&mut self, tensor: usize) -> Lowered {
        let x = self.x(tensor)?;
        let op = Op::onnx("SplitToSequence").with("axis", 0_i64).with("keepdims", 0_i64);
        self.one(op, &[x])
    }

    fn length(&mut self, list: usize) -> Lowered {
        let list = self.x(list)?;
        let length = self.put("length", Op::onnx("SequenceLength"), &[list])?;
        Ok(vec![
            Val::here(self.end(cast(DType::I32), &[length])?).ranked(0).typed(Some(DType::I32)),
        ])
    }

    fn set(&mut self, list: usize, at: usize, value: usize) -> Lowered {
        let inputs = [self.x(list)?, self.whole(at)?, self.x(value)?];
        self.one(Op::own("SequenceSet"), &inputs)
    }

    /// A list of so many elements that are yet to be set.
    fn reserved(
        &mut self,
        count: ValueId,
        dtype: Option<DType>,
    ) -> Result<ValueId, crate::formats::LoadError> {
        let mut op = Op::own("SequenceReserve");
        if let Some(dtype) = dtype {
            op = op.with("dtype", i64::from(dtype.onnx()));
        }
        self.end(op, &[count])
    }
}

/// Those of some places, stacked.
fn gathered(call: &mut Call<'_, '_, '_>) -> Lowered {
    let (list, places) = (call.x(0)?, call.x(1)?);
    let op = Op::onnx("ConcatFromSequence").with("axis", 0_i64).with("new_axis", true);
    let all = call.put("all", op, &[list])?;
    call.one(Op::onnx("Gather").with("axis", 0_i64), &[all, places])
}

fn empty(call: &mut Call<'_, '_, '_>) -> Lowered {
    let mut op = Op::onnx("SequenceEmpty");
    if let Some(dtype) = call.def.dtype("element_dtype") {
        op = op.with("dtype", i64::from(dtype.onnx()));
    }
    call.one(op, &[])
}

fn reserve(call: &mut Call<'_, '_, '_>) -> Lowered {
    let count = call.whole(1)?;
    Ok(vec![Val::here(call.reserved(count, call.def.dtype("element_dtype"))?)])
}

fn foreign(call: &mut Call<'_, '_, '_>) -> Lowered {
    call.foreign()
}

/// The handle carries no data: what flows is the list.
fn array(call: &mut Call<'_, '_, '_>) -> Lowered {
    let count = call.whole(0)?;
    Ok(vec![Val::nothing(), Val::here(call.reserved(count, call.def.dtype("dtype"))?)])
}

fn push(call: &mut Call<'_, '_, '_>) -> Lowered {
    let inputs = [call.x(0)?, call.x(1)?];
    call.one(Op::onnx("SequenceInsert"), &inputs)
}

fn pop(call: &mut Call<'_, '_, '_>) -> Lowered {
    let list = call.x(0)?;
    let last = call.cx.draft.int(-1)?;
    let element = call.put("last", Op::onnx("SequenceAt"), &[list, last])?;
    let rest = call.end(Op::onnx("SequenceErase"), &[list])?;
    let dtype = call.def.dtype("element_dtype");
    Ok(vec![Val::here(rest), Val::here(element).typed(dtype)])
}
