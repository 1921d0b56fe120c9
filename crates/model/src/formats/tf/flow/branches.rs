//! Merges as branches.

use super::{Redirect, pivot, plain, reached};
use crate::formats::LoadError;
use crate::formats::tf::dilation::constant;
use crate::formats::tf::program::{Body, Def, Node, Source, Steps, index, number, ordered};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// A predicate and a side of it.
type Side = (Source, bool);

/// One branch: merges on one predicate that share nodes.
struct Group {
    predicate: Source,
    /// The node that stands for it.
    made: u32,
    merges: Vec<[Source; 2]>,
    /// Nodes of both sides.
    inside: HashSet<u32>,
}

/// Puts branches in the place of merges that the returns depend on.
pub(super) fn structure(body: &mut Body, steps: &mut Steps) -> Result<(), LoadError> {
    let seen = reached(body, &body.returns);
    let merges: Vec<u32> = (0..body.nodes.len())
        .map(number)
        .filter(|id| seen[index(*id)] && is_merge(body, *id))
        .collect();
    if merges.is_empty() {
        return Ok(());
    }
    let ends: Vec<Source> = merges.iter().map(|id| Source::Node(*id, 0)).collect();
    let order = ordered(body, &ends, steps)?;
    let mut redirect = Redirect::default();
    let mut groups: Vec<Group> = Vec::new();
    for id in order.into_iter().filter(|id| merges.contains(id)) {
        let inputs = &body.node(id).inputs;
        let sides = [redirect.of(inputs[0]), redirect.of(inputs[1])];
        let near = [
            switches(body, &redirect, sides[0], true, steps)?,
            switches(body, &redirect, sides[1], true, steps)?,
        ];
        let far = [
            switches(body, &redirect, sides[0], false, steps)?,
            switches(body, &redirect, sides[1], false, steps)?,
        ];
        // Whether the first of the merged values is that of the true side.
        let found = opposite(&near).or_else(|| opposite(&far));
        let found = found.or_else(|| single(&far)).or_else(|| single(&near));
        let Some((predicate, first)) = found else { continue };
        let [no, yes] = if first { [sides[1], sides[0]] } else { sides };
        if let Some(taken) = flag(body, predicate) {
            redirect.put(id, 0, if taken { yes } else { no });
            continue;
        }
        grouped(body, &mut redirect, &mut groups, id, predicate, [no, yes], steps)?;
    }
    redirect.apply(body);
    Ok(())
}

fn is_merge(body: &Body, id: u32) -> bool {
    let node = body.node(id);
    let next = |source: &Source| match source {
        Source::Node(id, _) => plain(&body.node(*id).def.op) == "NextIteration",
        _ => true,
    };
    plain(&node.def.op) == "Merge" && node.inputs.len() == 2 && !node.inputs.iter().any(next)
}

/// The predicate on whose two sides the two values depend, and whether the first is on the true one.
fn opposite([first, second]: &[Vec<Side>; 2]) -> Option<Side> {
    first.iter().find(|(p, side)| second.contains(&(*p, !side))).copied()
}

/// The same, where only one of the two depends on any.
fn single([first, second]: &[Vec<Side>; 2]) -> Option<Side> {
    match (&first[..], &second[..]) {
        ([side, ..], []) => Some(*side),
        ([], [(predicate, side), ..]) => Some((*predicate, !side)),
        _ => None,
    }
}

/// The predicate and side of a switch.
fn side(body: &Body, redirect: &Redirect, source: Source) -> Option<Side> {
    let Source::Node(id, port) = source else { return None };
    let node = body.node(id);
    if plain(&node.def.op) != "Switch" {
        return None;
    }
    Some((redirect.of(*node.inputs.get(1)?), port == 1))
}

/// The nearest switches that a value depends on; those that the file decides pass on what they read, unless
/// they are wanted too.
fn switches(
    body: &Body,
    redirect: &Redirect,
    from: Source,
    decided: bool,
    steps: &mut Steps,
) -> Result<Vec<Side>, LoadError> {
    let (mut found, mut seen, mut stack) = (Vec::new(), HashSet::new(), vec![from]);
    while let Some(source) = stack.pop() {
        let source = redirect.of(source);
        let found_side = side(body, redirect, source);
        let found_side = found_side.filter(|(p, _)| decided || flag(body, *p).is_none());
        if let Some(side) = found_side {
            if !found.contains(&side) {
                found.push(side);
            }
            continue;
        }
        let Source::Node(id, _) = source else { continue };
        if !seen.insert(id) {
            continue;
        }
        steps.add(1)?;
        let node = body.node(id);
        stack.extend(&node.inputs);
        let pivots = node.controls.iter().filter(|c| pivot(body, **c));
        stack.extend(pivots.map(|c| Source::Node(*c, 0)));
    }
    Ok(found)
}

/// What a predicate is, where the file says.
fn flag(body: &Body, predicate: Source) -> Option<bool> {
    let mut turned = false;
    let mut at = predicate;
    for _ in 0..32 {
        if let Some(known) = constant(body, at) {
            return known.first().map(|n| (*n != 0) != turned);
        }
        let Source::Node(id, _) = at else { return None };
        let node = body.node(id);
        match node.def.op.as_str() {
            "LogicalNot" => turned = !turned,
            "Identity" | "PlaceholderWithDefault" | "Switch" | "StopGradient" => {}
            _ => return None,
        }
        at = *node.inputs.first()?;
    }
    None
}

/// The nodes of one side and what it reads from outside.
struct Part {
    inside: Vec<u32>,
    outside: Vec<Source>,
}

/// The nodes that a value depends on, up to switches on a predicate, and whether they depend on one.
fn dependent(
    body: &Body,
    redirect: &Redirect,
    predicate: Source,
    from: Source,
    steps: &mut Steps,
) -> Result<HashMap<u32, bool>, LoadError> {
    // Each node comes after what it reads.
    let mut depends: HashMap<u32, bool> = HashMap::new();
    let mut stack = vec![(from, 0)];
    let edges = |id: u32| -> Vec<Source> {
        let node = body.node(id);
        let pivots = node.controls.iter().filter(|c| pivot(body, **c));
        node.inputs.iter().copied().chain(pivots.map(|c| Source::Node(*c, 0))).collect()
    };
    let own = |source| side(body, redirect, source).is_some_and(|(p, _)| p == predicate);
    while let Some((source, next)) = stack.pop() {
        let source = redirect.of(source);
        let Source::Node(id, _) = source else { continue };
        if own(source) || depends.get(&id).is_some_and(|_| next == 0) {
            continue;
        }
        steps.add(1)?;
        let edges = edges(id);
        depends.entry(id).or_insert(false);
        if let Some(edge) = edges.get(next) {
            stack.push((source, next + 1));
            stack.push((*edge, 0));
            continue;
        }
        let any = edges.iter().any(|edge| {
            let edge = redirect.of(*edge);
            own(edge) || matches!(edge, Source::Node(id, _) if depends.get(&id) == Some(&true))
        });
        depends.insert(id, any);
    }
    Ok(depends)
}

/// Nodes between switches on a predicate and a value.
fn part(
    body: &Body,
    redirect: &Redirect,
    predicate: Source,
    from: Source,
    steps: &mut Steps,
) -> Result<Part, LoadError> {
    let depends = dependent(body, redirect, predicate, from, steps)?;
    let own = |source| side(body, redirect, source).is_some_and(|(p, _)| p == predicate);
    let is_inside = |id: &u32| depends.get(id) == Some(&true) || body.node(*id).def.op == "Const";
    // Whatever the value reads inside.
    let (mut inside, mut outside, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
    let mut stack = vec![from];
    while let Some(source) = stack.pop() {
        let source = redirect.of(source);
        let read = match source {
            Source::Node(id, _) if own(source) => body.node(id).inputs[0],
            Source::Node(id, _) if is_inside(&id) => {
                if seen.insert(id) {
                    inside.push(id);
                    stack.extend(&body.node(id).inputs);
                }
                continue;
            }
            other => other,
        };
        let read = redirect.of(read);
        if !outside.contains(&read) {
            outside.push(read);
        }
        steps.add(outside.len())?;
    }
    Ok(Part { inside, outside })
}

/// Adds a merge to the branch that it shares nodes with, or makes one for it.
fn grouped(
    body: &mut Body,
    redirect: &mut Redirect,
    groups: &mut Vec<Group>,
    merge: u32,
    predicate: Source,
    sides: [Source; 2],
    steps: &mut Steps,
) -> Result<(), LoadError> {
    let mut parts = Vec::new();
    for side in sides {
        parts.push(part(body, redirect, predicate, side, steps)?);
    }
    let work = |id: &&u32| body.node(**id).def.op != "Const";
    let inside: HashSet<u32> =
        parts.iter().flat_map(|p| p.inside.iter().filter(work)).copied().collect();
    let outside: Vec<Source> = parts.iter().flat_map(|p| p.outside.iter().copied()).collect();
    steps.add(groups.len())?;
    let shared = groups.iter().position(|g| {
        g.predicate == predicate && !inside.is_disjoint(&g.inside) && !inside.contains(&g.made)
    });
    let shared = match shared {
        Some(at) => {
            let before = super::reached(body, &outside);
            steps.add(body.nodes.len() / 8)?;
            Some(at).filter(|at| !before[index(groups[*at].made)])
        }
        None => None,
    };
    let at = match shared {
        Some(at) => at,
        None => {
            let name = body.node(merge).def.name.trim_end_matches("/Merge").to_owned();
            let made = number(body.nodes.len());
            let def = Arc::new(Def::made(&name, "If", Vec::new()));
            body.nodes.push(Node { def, inputs: Vec::new(), controls: Vec::new() });
            groups.push(Group { predicate, made, merges: Vec::new(), inside: HashSet::new() });
            groups.len() - 1
        }
    };
    let group = &mut groups[at];
    group.merges.push(sides);
    group.inside.extend(inside);
    redirect.put(merge, 0, Source::Node(group.made, number(group.merges.len() - 1)));
    rebuild(body, redirect, &groups[at], steps)
}

/// Makes the bodies of a branch from all its merges.
fn rebuild(
    body: &mut Body,
    redirect: &Redirect,
    group: &Group,
    steps: &mut Steps,
) -> Result<(), LoadError> {
    let (mut outside, mut inside) = (Vec::new(), [Vec::new(), Vec::new()]);
    for merge in &group.merges {
        for (at, side) in merge.iter().enumerate() {
            let part = part(body, redirect, group.predicate, *side, steps)?;
            steps.add(part.outside.len() * (1 + outside.len()) / 8)?;
            for source in part.outside {
                if !outside.contains(&source) {
                    outside.push(source);
                }
            }
            let known: HashSet<u32> = inside[at].iter().copied().collect();
            inside[at].extend(part.inside.into_iter().filter(|id| !known.contains(id)));
        }
    }
    let places: HashMap<Source, u32> =
        outside.iter().enumerate().map(|(at, source)| (*source, number(at))).collect();
    let name = body.node(group.made).def.name.clone();
    let mut bodies = Vec::new();
    for (at, label) in [(1, "true"), (0, "false")] {
        let ends: Vec<Source> = group.merges.iter().map(|m| m[at]).collect();
        let label = format!("{name}/{label}");
        bodies.push(Arc::new(side_body(
            body,
            redirect,
            group.predicate,
            &inside[at],
            &places,
            &ends,
            label,
        )));
    }
    let node = &mut body.nodes[index(group.made)];
    node.def = Arc::new(Def::made(&name, "If", bodies));
    node.inputs = std::iter::once(group.predicate).chain(outside).collect();
    Ok(())
}

fn side_body(
    body: &Body,
    redirect: &Redirect,
    predicate: Source,
    inside: &[u32],
    outside: &HashMap<Source, u32>,
    ends: &[Source],
    name: String,
) -> Body {
    let places: HashMap<u32, u32> =
        inside.iter().enumerate().map(|(at, id)| (*id, number(at))).collect();
    let resolve = |source: &Source| {
        let source = redirect.of(*source);
        let source = match source {
            Source::Node(id, _)
                if side(body, redirect, source).is_some_and(|(p, _)| p == predicate) =>
            {
                redirect.of(body.node(id).inputs[0])
            }
            other => other,
        };
        if let Some(arg) = outside.get(&source) {
            return Source::Arg(*arg);
        }
        match source {
            Source::Node(id, port) => match places.get(&id) {
                Some(at) => Source::Node(*at, port),
                None => Source::Missing,
            },
            _ => Source::Missing,
        }
    };
    let nodes = inside.iter().map(|id| {
        let node = body.node(*id);
        let inputs = node.inputs.iter().map(resolve).collect();
        Node { def: node.def.clone(), inputs, controls: Vec::new() }
    });
    let args = (0..outside.len()).map(|at| format!("argument_{at}")).collect();
    Body { name, nodes: nodes.collect(), args, returns: ends.iter().map(resolve).collect() }
}
