//! Branches and loops: decided and unrolled where they are static, part of the graph where they are not.

use super::super::super::draft::Op;
use super::super::super::error::invalid;
use super::super::site::{Site, body};
use super::super::source::{Expr, Name, Statement};
use super::super::value::{Kind, Lowered, Tensor, Value, unable};
use super::{Flow, Scope, Script};
use crate::dim::Dim;
use crate::ir::{DType, Graph, Severity, TensorInfo, ValueId};
use std::collections::BTreeSet;

/// Lists that are taken apart for the outputs of a branch nest no deeper.
const MAX_NESTING: usize = 16;

/// A condition.
enum Condition {
    Known(bool),
    Graph(Tensor),
}

/// One output that a branch may have.
struct Leaf {
    value: Value,
    /// Its value in the body; none of what a graph does not hold.
    id: Option<ValueId>,
}

/// What a branch leaves behind.
struct Branch {
    graph: Graph,
    /// For each variable, its value with its leaves taken out in order.
    leaves: Vec<Vec<Leaf>>,
    values: Vec<Value>,
    /// Tensors around it that were written to.
    written: Vec<Tensor>,
}

impl Script<'_> {
    fn condition(
        &mut self,
        site: &mut Site<'_, '_>,
        scope: &Scope,
        condition: &Expr,
    ) -> Lowered<Condition> {
        let value = self.expression(site, scope, condition)?;
        Ok(match value {
            Value::Bool(truth) => Condition::Known(truth),
            Value::None => Condition::Known(false),
            Value::Int(number) => Condition::Known(number != 0),
            Value::Number(tensor, Kind::Bool) => Condition::Graph(tensor),
            Value::Number(tensor, _) | Value::Tensor(tensor) => {
                Condition::Graph(site.cast(&tensor, DType::Bool)?)
            }
            other => return unable(format!("{} decides a branch", other.what())),
        })
    }

    /// `if`.
    pub(super) fn branch(
        &mut self,
        site: &mut Site<'_, '_>,
        scope: &mut Scope,
        condition: &Expr,
        yes: &[Statement],
        no: &[Statement],
    ) -> Lowered<Flow> {
        let condition = match self.condition(site, scope, condition)? {
            Condition::Known(true) => return self.block(site, scope, yes),
            Condition::Known(false) => return self.block(site, scope, no),
            Condition::Graph(condition) => condition,
        };
        // What only raises is not what a model is for.
        match (raises(yes), raises(no)) {
            (true, false) => return self.block(site, scope, no),
            (false, true) => return self.block(site, scope, yes),
            _ => {}
        }
        let both: Vec<Name> = assigned(yes).intersection(&assigned(no)).cloned().collect();
        let then = self.side(site, scope, yes, &both)?;
        let other = self.side(site, scope, no, &both)?;
        Self::join(site, scope, &condition, &both, then, other)?;
        Ok(Flow::Next)
    }

    fn side(
        &mut self,
        site: &mut Site<'_, '_>,
        scope: &Scope,
        statements: &[Statement],
        names: &[Name],
    ) -> Lowered<Branch> {
        let (mut leaves, mut values, mut written) = (Vec::new(), Vec::new(), Vec::new());
        let graph = site.within("branch", |site| {
            let mut scope = scope.clone();
            if matches!(self.block(site, &mut scope, statements)?, Flow::Return(_)) {
                return unable("a branch that the graph decides returns");
            }
            let mut outputs = Vec::new();
            for name in names {
                let value = scope.get(name).cloned().unwrap_or(Value::None);
                let mut found = Vec::new();
                leaf(site, &value, 0, &mut found)?;
                outputs.extend(found.iter().filter_map(|leaf| leaf.id));
                leaves.push(found);
                values.push(value);
            }
            written = site.written();
            for tensor in &written {
                let passed = site.unary(Op::onnx("Identity"), tensor)?;
                outputs.push(site.id(&passed)?);
            }
            Ok(outputs)
        })?;
        Ok(Branch { graph, leaves, values, written })
    }

    /// The node of a branch, and what variables are after it.
    fn join(
        site: &mut Site<'_, '_>,
        scope: &mut Scope,
        condition: &Tensor,
        names: &[Name],
        mut then: Branch,
        mut other: Branch,
    ) -> Lowered<()> {
        let (mut plan, mut outputs) = (Vec::new(), [Vec::new(), Vec::new()]);
        for (yes, no) in then.leaves.iter().zip(&other.leaves) {
            let pairs: Vec<Pair> = if yes.len() == no.len() {
                yes.iter().zip(no).map(|(yes, no)| pair(yes, no)).collect()
            } else {
                vec![Pair::Unlike]
            };
            for pair in &pairs {
                if let Pair::Output { ids, .. } = pair {
                    outputs[0].push(ids[0]);
                    outputs[1].push(ids[1]);
                }
            }
            plan.push(pairs);
        }
        (then.graph.outputs, other.graph.outputs) = {
            let [yes, no] = outputs;
            (yes, no)
        };
        let count = then.graph.outputs.len();
        let op = Op::onnx("If")
            .with("then_branch", body(then.graph))
            .with("else_branch", body(other.graph));
        let mut made = site.several(op, &[Some(condition)], count)?.into_iter();
        for ((name, pairs), value) in names.iter().zip(plan).zip(&then.values) {
            let mut joined = Vec::new();
            for pair in pairs {
                joined.push(match pair {
                    Pair::Same(value) => value,
                    Pair::Unlike => {
                        Value::Absent("a value is of another kind in each branch that data decide")
                    }
                    Pair::Output { like, rank, dtype, .. } => {
                        let Some(tensor) = made.next() else { break };
                        wrapped(&like, tensor.ranked(rank).typed(dtype))
                    }
                });
            }
            let mut joined = joined.into_iter();
            scope.insert(name.clone(), rebuilt(value, &mut joined, 0));
        }
        for tensor in then.written.iter().chain(&other.written) {
            forget(site, tensor)?;
        }
        Ok(())
    }

    /// `for`.
    pub(super) fn count(
        &mut self,
        site: &mut Site<'_, '_>,
        scope: &mut Scope,
        target: &Expr,
        list: &Expr,
        statements: &[Statement],
    ) -> Lowered<Flow> {
        let Some(trips) = self.trips(site, scope, list)? else {
            let list = self.expression(site, scope, list)?;
            let Some(members) = list.members() else {
                return unable(format!("a loop runs over {}", list.what()));
            };
            for member in members {
                self.step()?;
                self.assign(site, scope, target, member)?;
                self.block(site, scope, statements)?;
            }
            return Ok(Flow::Next);
        };
        match trips {
            Value::Int(trips) => {
                for trip in 0..trips.max(0) {
                    self.step()?;
                    self.assign(site, scope, target, Value::Int(trip))?;
                    self.block(site, scope, statements)?;
                }
            }
            trips => {
                let trips = site.number(&trips)?;
                self.rounds(site, scope, Some((&trips, target)), None, statements)?;
            }
        }
        Ok(Flow::Next)
    }

    /// How often `for _ in range(n)` runs.
    fn trips(
        &mut self,
        site: &mut Site<'_, '_>,
        scope: &Scope,
        list: &Expr,
    ) -> Lowered<Option<Value>> {
        let Expr::Call(call) = list else { return Ok(None) };
        if call.callee != Expr::Name("range".into()) {
            return Ok(None);
        }
        let [count] = &call.arguments[..] else { return Ok(None) };
        self.expression(site, scope, count).map(Some)
    }

    /// `while`.
    pub(super) fn repeat(
        &mut self,
        site: &mut Site<'_, '_>,
        scope: &mut Scope,
        condition: &Expr,
        statements: &[Statement],
    ) -> Lowered<Flow> {
        loop {
            self.step()?;
            match self.condition(site, scope, condition)? {
                Condition::Known(false) => return Ok(Flow::Next),
                Condition::Known(true) => {
                    self.block(site, scope, statements)?;
                }
                Condition::Graph(first) => {
                    self.rounds(site, scope, None, Some((condition, &first)), statements)?;
                    return Ok(Flow::Next);
                }
            }
        }
    }

    /// A loop of the graph.
    fn rounds(
        &mut self,
        site: &mut Site<'_, '_>,
        scope: &mut Scope,
        trips: Option<(&Tensor, &Expr)>,
        condition: Option<(&Expr, &Tensor)>,
        statements: &[Statement],
    ) -> Lowered<()> {
        let carried = carried(site, scope, statements)?;
        let mut inputs: Vec<Option<Tensor>> =
            vec![trips.map(|(trips, _)| trips.clone()), condition.map(|(_, first)| first.clone())];
        inputs.extend(carried.iter().map(|(_, tensor, _)| Some(tensor.clone())));
        let mut written = Vec::new();
        let graph = site.within("loop", |site| {
            let info = |dtype, axes| TensorInfo::new(Some(dtype), vec![Dim::ONE; axes]);
            let trip = site.draft.input("trip", info(DType::I64, 0))?;
            let truth = site.draft.input("condition", info(DType::Bool, 0))?;
            let mut inner = scope.clone();
            if let Some((_, target)) = trips {
                let trip = site.tensor(trip).ranked(Some(0)).typed(Some(DType::I64));
                self.assign(site, &mut inner, target, Value::Number(trip, Kind::Int))?;
            }
            for (name, tensor, like) in &carried {
                let known = TensorInfo { dtype: tensor.dtype(), ..TensorInfo::default() };
                let id = site.draft.input(name, known)?;
                let own = site.tensor(id).ranked(tensor.rank()).typed(tensor.dtype());
                inner.insert(name.clone(), wrapped(like, own));
            }
            self.block(site, &mut inner, statements)?;
            let again = match condition {
                Some((condition, _)) => match self.condition(site, &inner, condition)? {
                    Condition::Graph(again) => again,
                    Condition::Known(truth) => site.number(&Value::Bool(truth))?,
                },
                None => site.tensor(truth),
            };
            let again = site.unary(Op::onnx("Identity"), &again)?;
            let mut outputs = vec![site.id(&again)?];
            for (name, ..) in &carried {
                outputs.push(handed(site, inner.get(name).unwrap_or(&Value::None))?);
            }
            written = site.written();
            Ok(outputs)
        })?;
        let inputs: Vec<Option<&Tensor>> = inputs.iter().map(Option::as_ref).collect();
        let op = Op::onnx("Loop").with("body", body(graph));
        let made = site.several(op, &inputs, carried.len())?;
        for ((name, tensor, like), made) in carried.into_iter().zip(made) {
            scope.insert(name, wrapped(&like, made.ranked(tensor.rank()).typed(tensor.dtype())));
        }
        for tensor in &written {
            forget(site, tensor)?;
        }
        Ok(())
    }
}

/// What a loop hands to the next round.
fn handed(site: &mut Site<'_, '_>, value: &Value) -> Lowered<ValueId> {
    let tensor = match value {
        Value::Sequence(tensor) => tensor.clone(),
        value => site.number(value)?,
    };
    let passed = site.unary(Op::onnx("Identity"), &tensor)?;
    site.id(&passed)
}

/// The variables that a loop hands from round to round, as tensors.
fn carried(
    site: &mut Site<'_, '_>,
    scope: &Scope,
    statements: &[Statement],
) -> Lowered<Vec<(Name, Tensor, Value)>> {
    let mut names = assigned(statements);
    appended(statements, &mut names);
    let mut carried = Vec::new();
    for name in names {
        let Some(value) = scope.get(&name) else { continue };
        let (tensor, like) = match value {
            Value::Tensor(tensor) => (site.unary(Op::onnx("Identity"), tensor)?, value.clone()),
            Value::Int(_) => (site.number(value)?, Value::Number(site.int(0)?, Kind::Int)),
            Value::Float(_) => (site.number(value)?, Value::Number(site.int(0)?, Kind::Float)),
            Value::Bool(_) => (site.number(value)?, Value::Number(site.int(0)?, Kind::Bool)),
            Value::Sequence(tensor) | Value::Number(tensor, _) => (tensor.clone(), value.clone()),
            Value::List(items) => {
                let list = sequence(site, &items.all())?;
                (list.clone(), Value::Sequence(list))
            }
            _ => continue,
        };
        carried.push((name, tensor, like));
    }
    Ok(carried)
}

/// Tensors as a sequence of the graph.
pub(super) fn sequence(site: &mut Site<'_, '_>, values: &[Value]) -> Lowered<Tensor> {
    if values.is_empty() {
        return Ok(site.emit(Op::onnx("SequenceEmpty"), &[])?.ranked(None).typed(None));
    }
    let mut tensors = Vec::new();
    for value in values {
        tensors.push(site.number(value)?);
    }
    let inputs: Vec<Option<&Tensor>> = tensors.iter().map(Some).collect();
    site.emit(Op::onnx("SequenceConstruct"), &inputs)
}

/// A tensor whose contents are not known any more: a branch or a loop has written to it.
fn forget(site: &mut Site<'_, '_>, tensor: &Tensor) -> Lowered<()> {
    let place = tensor.known().at.name.to_string();
    site.note(
        Severity::Assumption,
        &place,
        "is written to inside a branch or loop; what is written there is not followed",
    );
    let changed = site.emit(Op::own("Overwrite"), &[Some(tensor), Some(tensor)])?;
    site.write(tensor, &changed)
}

/// How the two values of a variable after a branch go together.
enum Pair {
    Same(Value),
    Unlike,
    Output { ids: [ValueId; 2], like: Value, rank: Option<usize>, dtype: Option<DType> },
}

fn pair(yes: &Leaf, no: &Leaf) -> Pair {
    if same(&yes.value, &no.value) {
        return Pair::Same(yes.value.clone());
    }
    let absent = |value: &Value| matches!(value, Value::Absent(_));
    let (Some(a), Some(b)) = (yes.id, no.id) else {
        return match (absent(&yes.value), absent(&no.value)) {
            (true, _) => Pair::Same(no.value.clone()),
            (_, true) => Pair::Same(yes.value.clone()),
            _ => Pair::Unlike,
        };
    };
    let known = |value: &Value| match value {
        Value::Tensor(tensor) | Value::Number(tensor, _) | Value::Sequence(tensor) => {
            (tensor.rank(), tensor.dtype())
        }
        Value::Int(_) => (Some(0), Some(DType::I64)),
        Value::Bool(_) => (Some(0), Some(DType::Bool)),
        Value::Float(_) => (Some(0), Some(DType::F32)),
        _ => (None, None),
    };
    let ((rank, dtype), (other_rank, other_dtype)) = (known(&yes.value), known(&no.value));
    let (like, rank, dtype) = if absent(&yes.value) {
        (&no.value, other_rank, other_dtype)
    } else if absent(&no.value) {
        (&yes.value, rank, dtype)
    } else {
        let rank = rank.filter(|rank| other_rank == Some(*rank));
        (&yes.value, rank, dtype.filter(|dtype| other_dtype == Some(*dtype)))
    };
    Pair::Output { ids: [a, b], like: like.clone(), rank, dtype }
}

/// A tensor of the graph as a value like another.
fn wrapped(like: &Value, tensor: Tensor) -> Value {
    match like {
        Value::Number(_, kind) => Value::Number(tensor, *kind),
        Value::Int(_) => Value::Number(tensor, Kind::Int),
        Value::Float(_) => Value::Number(tensor, Kind::Float),
        Value::Bool(_) => Value::Number(tensor, Kind::Bool),
        Value::Sequence(_) => Value::Sequence(tensor),
        _ => Value::Tensor(tensor),
    }
}

fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::None, Value::None) | (Value::Absent(_), Value::Absent(_)) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Int(a), Value::Int(b)) => a == b,
        (Value::Float(a), Value::Float(b)) => a.to_bits() == b.to_bits(),
        (Value::Text(a), Value::Text(b)) | (Value::Path(a), Value::Path(b)) => a == b,
        (Value::Object(a), Value::Object(b)) => std::rc::Rc::ptr_eq(a, b),
        (Value::Tensor(a), Value::Tensor(b)) => a.same(b),
        _ => false,
    }
}

/// What a value holds that the graph may hold, in order.
fn leaf(
    site: &mut Site<'_, '_>,
    value: &Value,
    depth: usize,
    found: &mut Vec<Leaf>,
) -> Lowered<()> {
    if let (Some(members), true) = (value.members(), depth < MAX_NESTING) {
        for member in members {
            leaf(site, &member, depth + 1, found)?;
        }
        return Ok(());
    }
    let tensor = match value {
        Value::Tensor(tensor) | Value::Number(tensor, _) | Value::Sequence(tensor) => {
            Some(tensor.clone())
        }
        Value::Int(_) | Value::Bool(_) | Value::Float(_) => Some(site.number(value)?),
        Value::Absent(_) => Some(site.int(0)?),
        _ => None,
    };
    let id = match tensor {
        Some(tensor) => {
            let passed = site.unary(Op::onnx("Identity"), &tensor)?;
            Some(site.id(&passed)?)
        }
        None => None,
    };
    found.push(Leaf { value: value.clone(), id });
    Ok(())
}

/// A value with other leaves.
fn rebuilt(value: &Value, leaves: &mut dyn Iterator<Item = Value>, depth: usize) -> Value {
    let none = Value::Absent("a value is of another kind in each branch that data decide");
    match (value, value.members()) {
        (Value::List(_), Some(members)) if depth < MAX_NESTING => {
            Value::list(members.iter().map(|member| rebuilt(member, leaves, depth + 1)).collect())
        }
        (Value::Tuple(_), Some(members)) if depth < MAX_NESTING => {
            Value::tuple(members.iter().map(|member| rebuilt(member, leaves, depth + 1)).collect())
        }
        _ => leaves.next().unwrap_or(none),
    }
}

/// Whether a block does nothing but raise an error, at last.
fn raises(statements: &[Statement]) -> bool {
    statements.iter().any(|statement| match statement {
        Statement::Do(Expr::Call(call)) => {
            call.callee.path().is_some_and(|path| path.ends_with("RaiseException"))
        }
        Statement::If(_, yes, no) => raises(yes) && raises(no),
        Statement::Block(inner) => raises(inner),
        _ => false,
    })
}

/// The variables that a block assigns.
fn assigned(statements: &[Statement]) -> BTreeSet<Name> {
    fn targets(target: &Expr, names: &mut BTreeSet<Name>) {
        match target {
            Expr::Name(name) => {
                names.insert(name.clone());
            }
            Expr::Tuple(targets_) => targets_.iter().for_each(|each| targets(each, names)),
            _ => {}
        }
    }
    let mut names = BTreeSet::new();
    for statement in statements {
        match statement {
            Statement::Assign(target, _) => targets(target, &mut names),
            Statement::If(_, yes, no) => {
                names.extend(assigned(yes));
                names.extend(assigned(no));
            }
            Statement::For(_, _, inner) | Statement::While(_, inner) | Statement::Block(inner) => {
                names.extend(assigned(inner));
            }
            Statement::Do(_) | Statement::Return(_) => {}
        }
    }
    names
}

/// The variables to which a block appends.
fn appended(statements: &[Statement], names: &mut BTreeSet<Name>) {
    for statement in statements {
        match statement {
            Statement::Assign(_, Expr::Call(call)) | Statement::Do(Expr::Call(call)) => {
                let grows = ["torch.append", "torch.extend", "torch.add_"];
                let path = call.callee.path().unwrap_or_default();
                if let (true, Some(Expr::Name(name))) =
                    (grows.contains(&path.as_str()), call.arguments.first())
                {
                    names.insert(name.clone());
                }
            }
            Statement::If(_, yes, no) => {
                appended(yes, names);
                appended(no, names);
            }
            Statement::For(_, _, inner) | Statement::While(_, inner) | Statement::Block(inner) => {
                appended(inner, names);
            }
            _ => {}
        }
    }
}

/// One of the numbers in a tensor with one axis.
pub(super) fn pick(site: &mut Site<'_, '_>, list: &Tensor, at: usize) -> Lowered<Value> {
    let at = i64::try_from(at).map_err(|_| invalid("list", "is too long"))?;
    let at = site.int(at)?;
    let picked = site.emit(Op::onnx("Gather").with("axis", 0_i64), &[Some(list), Some(&at)])?;
    Ok(super::whole(picked.ranked(Some(0)).typed(Some(DType::I64))))
}

/// Whether a value is of a type.
pub(super) fn is_of(value: &Value, kind: Option<&Expr>) -> bool {
    let name = match kind {
        Some(Expr::Index(base, _)) => base.path(),
        Some(other) => other.path(),
        None => None,
    };
    let name = name.unwrap_or_default();
    match value {
        Value::Tensor(_) => name == "Tensor",
        Value::Int(_) | Value::Number(_, Kind::Int) => name == "int",
        Value::Float(_) | Value::Number(_, Kind::Float) => name == "float",
        Value::Bool(_) | Value::Number(_, Kind::Bool) => name == "bool",
        Value::Text(_) => name == "str",
        Value::List(_) | Value::Sequence(_) | Value::Numbers(_) => name == "List",
        Value::Tuple(_) => name == "Tuple",
        Value::Dict(_) => name == "Dict",
        _ => false,
    }
}
