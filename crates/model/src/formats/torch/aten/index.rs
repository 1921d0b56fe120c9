//! Reading and writing at places that tensors name.

use super::super::super::draft::Op;
use super::super::site::Site;
use super::super::value::{Lowered, Pieces, Tensor, Value, unable};
use super::operands::operand;
use super::{Args, Row, near, own, signed};
use crate::ir::DType;
use std::rc::Rc;

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    own("index", "Gather, or own indexing", index), own("_unsafe_index", "Gather, or own indexing", index), own("index_select", "Gather", index_select), own("gather", "GatherElements", gather), own("take_along_dim", "GatherElements", take_along), own("take", "Reshape, Gather", take), own("embedding", "Gather", embedding), own("embedding_bag", "Gather, ReduceSum", embedding_bag), own("_embedding_bag", "Gather, ReduceSum", embedding_bag), own("_embedding_bag_forward_only", "Gather, ReduceSum", embedding_bag),
    own("scatter", "ScatterElements", scatter), own("scatter_add", "ScatterElements", scatter_add), own("scatter_reduce", "ScatterElements", scatter_add), own("index_put", "a write of the update", index_put), own("_unsafe_index_put", "a write of the update", index_put), own("_index_put_impl", "a write of the update", index_put), own("index_add", "a write of the update", index_write), own("index_copy", "a write of the update", index_write), own("index_fill", "a write of the update", index_fill), own("slice_scatter", "a write of the update", scatter_slice), own("select_scatter", "a write of the update", scatter_slice), own("diagonal_scatter", "a write of the update", scatter_slice), own("as_strided_scatter", "a write of the update", scatter_slice), own("masked_scatter", "a write of the update", masked_scatter),
    own("masked_select", "own indexing", masked_select), own("nonzero", "NonZero, Transpose", nonzero), own("argwhere", "NonZero, Transpose", nonzero), own("nonzero_numpy", "NonZero", nonzero_numpy), own("one_hot", "OneHot", one_hot), own("unique", "Unique", unique), own("_unique", "Unique", unique_two), own("_unique2", "Unique", unique), own("unique_dim", "Unique", unique_along::<1>), own("unique_consecutive", "Unique", unique_along::<3>), own("bincount", "Unique", bincount), near(own("searchsorted", "Greater, ReduceSum", bucketize)), near(own("bucketize", "Greater, ReduceSum", bucketize)), near(own("isin", "Equal, ReduceMax", is_in)), own("_pack_padded_sequence", "its input", packed), own("_pad_packed_sequence", "its input", packed),
];

// What most rows end with.
#[allow(clippy::unnecessary_wraps)]
fn tensor(made: Tensor) -> Lowered<Value> {
    Ok(Value::Tensor(made))
}

fn at_places(site: &mut Site<'_, '_>, x: &Tensor, given: &[Value]) -> Lowered<Tensor> {
    let (mut axes, mut places) = (Vec::new(), Vec::new());
    let mut at = 0;
    for value in given {
        match value {
            Value::None => at += 1,
            Value::Tensor(place) => {
                axes.push(at);
                at += if place.is_bool() { signed(place.rank().unwrap_or(1)) } else { 1 };
                places.push(place.clone());
            }
            other => return unable(format!("{} stands where places are named", other.what())),
        }
    }
    let whole = |place: &Tensor| place.dtype().is_some_and(DType::is_integer);
    if let ([at], [place]) = (&axes[..], &places[..])
        && whole(place)
    {
        let rank = x.rank().zip(place.rank()).map(|(x, place)| (x + place).saturating_sub(1));
        let op = Op::onnx("Gather").with("axis", *at);
        return Ok(site.emit(op, &[Some(x), Some(place)])?.ranked(rank));
    }
    if places.is_empty() {
        return Ok(x.clone());
    }
    let taken: usize = places
        .iter()
        .map(|place| if place.is_bool() { place.rank().unwrap_or(1) } else { 1 })
        .sum();
    let wide = places.iter().map(|place| if place.is_bool() { Some(1) } else { place.rank() });
    let wide = wide.collect::<Option<Vec<usize>>>().and_then(|ranks| ranks.into_iter().max());
    let rank = x.rank().zip(wide).map(|(x, wide)| x.saturating_sub(taken) + wide);
    let inputs: Vec<Option<&Tensor>> = std::iter::once(x).chain(&places).map(Some).collect();
    let made = site.emit(Op::own("Index").with("axes", axes), &inputs)?;
    Ok(made.ranked(rank).typed(x.dtype()))
}

fn index(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let Some(places) = arguments.list(1, "indices") else { return unable("no places are given") };
    tensor(at_places(site, &arguments.x()?, &places)?)
}

fn index_select(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let (x, place) = (arguments.x()?, arguments.tensor(2, "index")?);
    if x.rank() == Some(0) {
        return tensor(x);
    }
    let op = Op::onnx("Gather").with("axis", arguments.int(1, "dim", 0)?);
    // A place without axes is a list of one.
    let place = if place.rank() == Some(0) { site.unsqueeze(&place, &[0])? } else { place };
    tensor(site.emit(op, &[Some(&x), Some(&place)])?.ranked(x.rank()))
}

fn gather(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let (x, place) = (arguments.x()?, arguments.tensor(2, "index")?);
    if x.rank() == Some(0) {
        // Its one element as often as there are places.
        let shape = site.shape(&place)?;
        let made = site.emit(Op::onnx("Expand"), &[Some(&x), Some(&shape)])?;
        return tensor(made.ranked(place.rank()));
    }
    let op = Op::onnx("GatherElements").with("axis", arguments.int(1, "dim", 0)?);
    tensor(site.emit(op, &[Some(&x), Some(&place)])?)
}

fn take_along(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let (mut x, mut place) = (arguments.x()?, arguments.tensor(1, "indices")?);
    let mut at = 0;
    if arguments.get(2, "dim").is_none() {
        let flat = site.ints(&[-1])?;
        x = site.reshape(&x, &flat)?.ranked(Some(1));
        place = site.reshape(&place, &flat)?.ranked(Some(1));
    } else if let Some(rank) = x.rank() {
        // Both broadcast but along the axis.
        at = signed(super::axis(arguments.int(2, "dim", 0)?, Some(rank))?);
        let mut of_x = Vec::new();
        let mut of_place = Vec::new();
        for axis in 0..signed(rank) {
            of_place.push(if axis == at { Value::Int(1) } else { site.size(&x, axis)? });
            of_x.push(if axis == at { Value::Int(1) } else { site.size(&place, axis)? });
        }
        let (of_x, of_place) = (site.list(&of_x)?, site.list(&of_place)?);
        x = site.emit(Op::onnx("Expand"), &[Some(&x), Some(&of_x)])?;
        place = site.emit(Op::onnx("Expand"), &[Some(&place), Some(&of_place)])?;
    } else {
        return unable("the number of axes is not known");
    }
    let op = Op::onnx("GatherElements").with("axis", at);
    tensor(site.emit(op, &[Some(&x), Some(&place)])?)
}

fn take(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let (x, place) = (arguments.x()?, arguments.tensor(1, "index")?);
    let flat = site.ints(&[-1])?;
    let flat = site.reshape(&x, &flat)?.ranked(Some(1));
    let made = site.emit(Op::onnx("Gather"), &[Some(&flat), Some(&place)])?;
    tensor(made.ranked(place.rank()))
}

fn looked_up(site: &mut Site<'_, '_>, table: &Tensor, places: &Tensor) -> Lowered<Tensor> {
    site.indices(places);
    let rank = places.rank().map(|rank| rank + 1);
    Ok(site.emit(Op::onnx("Gather"), &[Some(table), Some(places)])?.ranked(rank))
}

fn embedding(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let (table, places) = (arguments.tensor(0, "weight")?, arguments.tensor(1, "indices")?);
    tensor(looked_up(site, &table, &places)?)
}

/// Sums of rows: one for each row of the indices, or for each offset.
fn embedding_bag(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let (table, places) = (arguments.tensor(0, "weight")?, arguments.tensor(1, "indices")?);
    let offsets = arguments.tensor(2, "offsets")?;
    let rows = looked_up(site, &table, &places)?;
    let axes = site.ints(&[0])?;
    let op = Op::onnx("ReduceSum").with("keepdims", 1_i64);
    let sum = site.emit(op, &[Some(&rows), Some(&axes)])?.ranked(Some(2));
    let (bags, width) = (site.size(&offsets, 0)?, site.size(&table, 1)?);
    let shape = site.list(&[bags, width])?;
    let made = site.emit(Op::onnx("Expand"), &[Some(&sum), Some(&shape)])?.ranked(Some(2));
    let rest = Value::Absent("what an embedding bag returns beside its result is read");
    Ok(Value::tuple(vec![Value::Tensor(made), rest.clone(), rest.clone(), rest]))
}

fn scattered(site: &mut Site<'_, '_>, arguments: &Args, reduces: bool) -> Lowered<Value> {
    let (x, place) = (arguments.x()?, arguments.tensor(2, "index")?);
    if x.rank() == Some(0) {
        return tensor(x);
    }
    let source = arguments.get(3, "src").or_else(|| arguments.get(3, "value"));
    let mut source = operand(site, source, x.dtype())?;
    if source.rank() == Some(0) {
        let shape = site.shape(&place)?;
        source =
            site.emit(Op::onnx("Expand"), &[Some(&source), Some(&shape)])?.ranked(place.rank());
    }
    let mut op = Op::onnx("ScatterElements").with("axis", arguments.int(1, "dim", 0)?);
    if reduces || arguments.text(4, "reduce").is_some() {
        op = op.with("reduction", "add");
    }
    tensor(site.emit(op, &[Some(&x), Some(&place), Some(&source)])?)
}

fn scatter(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    scattered(site, arguments, false)
}

fn scatter_add(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    scattered(site, arguments, true)
}

/// The tensor with an update somewhere in it.
fn overwritten(site: &mut Site<'_, '_>, x: &Tensor, update: &Tensor) -> Lowered<Value> {
    let made = site.emit(Op::own("Overwrite"), &[Some(x), Some(update)])?;
    tensor(made)
}

fn index_put(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let (x, values) = (arguments.x()?, arguments.tensor(2, "values")?);
    let places = arguments.list(1, "indices").unwrap_or_default();
    // A number goes to all the places.
    let update = if values.rank() == Some(0) && !places.is_empty() {
        let known = places.iter().any(|place| matches!(place, Value::Tensor(t) if !t.is_bool()));
        if known { at_places(site, &x, &places)? } else { values }
    } else {
        values
    };
    overwritten(site, &x, &update)
}

fn index_write(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let source = arguments.tensor(3, "source")?;
    overwritten(site, &arguments.x()?, &source)
}

fn index_fill(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let (x, place) = (arguments.x()?, arguments.tensor(2, "index")?);
    if x.rank() == Some(0) {
        return tensor(x);
    }
    let op = Op::onnx("Gather").with("axis", arguments.int(1, "dim", 0)?);
    let update = site.emit(op, &[Some(&x), Some(&place)])?;
    overwritten(site, &x, &update)
}

fn scatter_slice(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let source = arguments.tensor(1, "src")?;
    overwritten(site, &arguments.x()?, &source)
}

fn masked_scatter(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let (x, mask) = (arguments.x()?, arguments.tensor(1, "mask")?);
    let source = arguments.tensor(2, "source")?;
    let (x, _) = masked(site, &x, &mask)?;
    overwritten(site, &x, &source)
}

/// A tensor and a mask in one shape.
fn masked(site: &mut Site<'_, '_>, x: &Tensor, mask: &Tensor) -> Lowered<(Tensor, Tensor)> {
    let rank = x.rank().zip(mask.rank()).map(|(a, b)| a.max(b));
    let (of_mask, of_x) = (site.shape(mask)?, site.shape(x)?);
    let wide = site.emit(Op::onnx("Expand"), &[Some(x), Some(&of_mask)])?.ranked(rank);
    let mask = site.emit(Op::onnx("Expand"), &[Some(mask), Some(&of_x)])?.ranked(rank);
    Ok((wide, mask))
}

fn masked_select(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let (x, mask) = (arguments.x()?, arguments.tensor(1, "mask")?);
    let (x, mask) = masked(site, &x, &mask)?;
    let made = site.emit(Op::own("Index").with("axes", vec![0]), &[Some(&x), Some(&mask)])?;
    tensor(made.ranked(Some(1)))
}

fn found(site: &mut Site<'_, '_>, x: &Tensor) -> Lowered<Tensor> {
    let made = site.unary(Op::onnx("NonZero"), x)?;
    Ok(made.ranked(Some(2)).typed(Some(DType::I64)))
}

fn nonzero(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = arguments.x()?;
    if x.rank() == Some(0) {
        return unable("a number without axes has no places");
    }
    let found = found(site, &x)?;
    tensor(site.transpose(&found, &[1, 0])?)
}

/// The places where a condition holds, along each axis.
pub(super) fn places(site: &mut Site<'_, '_>, condition: &Tensor) -> Lowered<Value> {
    let whole = found(site, condition)?;
    Ok(Value::Pieces(Rc::new(Pieces { whole, axis: 0, size: None, most: None })))
}

fn nonzero_numpy(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    places(site, &arguments.x()?)
}

fn one_hot(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = arguments.x()?;
    let classes = match arguments.get(1, "num_classes") {
        Some(Value::Int(-1)) | None => return unable("the number of classes is that of the data"),
        Some(classes) => site.number(classes)?,
    };
    let values = site.ints(&[0, 1])?;
    let op = Op::onnx("OneHot").with("axis", -1_i64);
    let made = site.emit(op, &[Some(&x), Some(&classes), Some(&values)])?;
    tensor(made.ranked(x.rank().map(|rank| rank + 1)).typed(Some(DType::I64)))
}

/// The different elements, or the different parts along an axis; then, where they are asked for by these arguments,
/// which of them each is and how many there are.
fn different(
    site: &mut Site<'_, '_>,
    arguments: &Args,
    along: Option<i64>,
    asked: [(usize, &str); 2],
) -> Lowered<Vec<Value>> {
    let x = arguments.x()?;
    let op = match along {
        Some(at) => Op::onnx("Unique").with("axis", at),
        None => Op::onnx("Unique"),
    };
    let made = site.several(op, &[Some(&x)], 4)?;
    let [values, _, inverse, counts] = &made[..] else { return unable("no outputs") };
    let number = |tensor: &Tensor| tensor.clone().ranked(Some(1)).typed(Some(DType::I64));
    let values = values.clone().ranked(if along.is_some() { x.rank() } else { Some(1) });
    let mut inverse = number(inverse);
    let wanted = |(at, name): (usize, &str)| arguments.flag(at, name);
    if along.is_none() && wanted(asked[0]) {
        let shape = site.shape(&x)?;
        inverse = site.reshape(&inverse, &shape)?.ranked(x.rank());
    }
    let rest = Value::Absent("what was not asked of `unique` is read");
    let given =
        |wanted: bool, value: Tensor| if wanted { Value::Tensor(value) } else { rest.clone() };
    let counts = number(counts);
    Ok(vec![
        Value::Tensor(values),
        given(wanted(asked[0]), inverse),
        given(wanted(asked[1]), counts),
    ])
}

const INVERSE: &str = "return_inverse";
const COUNTS: &str = "return_counts";

fn unique(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    Ok(Value::tuple(different(site, arguments, None, [(2, INVERSE), (3, COUNTS)])?))
}

/// Without numbers of each.
fn unique_two(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let mut made = different(site, arguments, None, [(2, INVERSE), (usize::MAX, COUNTS)])?;
    made.truncate(2);
    Ok(Value::tuple(made))
}

/// Along an axis, which is this argument.
fn unique_along<const AXIS: usize>(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let along = match arguments.get(AXIS, "dim") {
        Some(_) => Some(arguments.int(AXIS, "dim", 0)?),
        None => None,
    };
    let first = if AXIS == 1 { 3 } else { 1 };
    let made = different(site, arguments, along, [(first, INVERSE), (first + 1, COUNTS)])?;
    Ok(Value::tuple(made))
}

fn bincount(_: &mut Site<'_, '_>, _: &Args) -> Lowered<Value> {
    unable("the number of bins is that of the data")
}

/// How many bounds lie below.
fn bucketize(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let (x, bounds) = match arguments.maybe(0, "sorted_sequence")? {
        Some(bounds) if arguments.maybe(1, "boundaries")?.is_none() => {
            (arguments.tensor(1, "self")?, bounds)
        }
        _ => (arguments.x()?, arguments.tensor(1, "boundaries")?),
    };
    let (x, bounds) =
        if x.rank() == Some(1) && bounds.rank() != Some(1) { (bounds, x) } else { (x, bounds) };
    let dtype = if arguments.flag(2, "out_int32") { DType::I32 } else { DType::I64 };
    let column = site.unsqueeze(&x, &[-1])?;
    let above = site.emit(Op::onnx("Greater"), &[Some(&column), Some(&bounds)])?;
    let above = site.cast(&above.typed(Some(DType::Bool)), dtype)?;
    let axes = site.ints(&[-1])?;
    let op = Op::onnx("ReduceSum").with("keepdims", 0_i64);
    tensor(site.emit(op, &[Some(&above), Some(&axes)])?.ranked(x.rank()))
}

fn is_in(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = arguments.tensor(0, "elements")?;
    let tests = arguments.tensor(1, "test_elements")?;
    let column = site.unsqueeze(&x, &[-1])?;
    let same = site.emit(Op::onnx("Equal"), &[Some(&column), Some(&tests)])?;
    let axes = site.ints(&[-1])?;
    let op = Op::onnx("ReduceMax").with("keepdims", 0_i64);
    let made = site.emit(op, &[Some(&same.typed(Some(DType::Bool))), Some(&axes)])?;
    tensor(made.ranked(x.rank()))
}

/// Sequences without padding: as if all had the full length.
fn packed(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = arguments.tensor(0, "input").or_else(|_| arguments.tensor(0, "data"))?;
    let lengths = arguments.tensor(1, "lengths").or_else(|_| arguments.tensor(1, "batch_sizes"))?;
    let message = "is counted as if every sequence had the full length";
    site.note(crate::ir::Severity::Assumption, "a packed sequence", message);
    Ok(Value::tensors(vec![x, lengths]))
}

impl Site<'_, '_> {
    /// States that an input of the model whose type the file does not say holds indices.
    pub(in super::super) fn indices(&mut self, tensor: &Tensor) {
        if tensor.dtype().is_none() {
            let at = tensor.known().at.clone();
            if self.is_whole() {
                let info = self.draft.info(at.id).clone();
                self.draft.hint(at.id, crate::ir::TensorInfo { dtype: Some(DType::I64), ..info });
            }
            tensor.change(|known| known.dtype = Some(DType::I64));
        }
    }
}
