//! Files that are cut, changed, or made to be read without end.

use super::write::{F32, Field, Fields, I32, Net, byte, bytes, file, int, ints, text};
use super::{load, small};
use crate::analysis::analyze;
use crate::dim::Bindings;
use crate::formats::load_bytes;

/// Reads bytes and counts what is in them, whatever they are.
fn survive(bytes: Vec<u8>) {
    if let Ok(model) = load_bytes(&bytes.into()) {
        analyze(&model, &Bindings::new());
    }
}

#[test]
fn cut_files_are_refused() {
    let file = small(F32, F32, 1).file();
    for end in 0..file.len() {
        survive(file[..end].to_vec());
    }
}

#[test]
fn changed_files_do_no_harm() {
    let file = small(F32, F32, -1).file();
    for at in 8..file.len() {
        for change in [1, 0xff] {
            let mut other = file.clone();
            other[at] ^= change;
            survive(other);
        }
    }
}

#[test]
fn numbers_that_are_as_large_as_can_be_are_refused() {
    let file = small(F32, F32, 1).file();
    for at in (8..file.len() - 4).step_by(4) {
        for number in [u32::MAX, i32::MAX.unsigned_abs(), 1 << 31] {
            let mut other = file.clone();
            other[at..at + 4].copy_from_slice(&number.to_le_bytes());
            survive(other);
        }
    }
}

#[test]
fn a_table_may_not_be_its_own_vtable_nor_lie_outside() {
    for back in [0_i32, 4, -4, i32::MAX, i32::MIN, 100] {
        let mut file = vec![12, 0, 0, 0, b'T', b'F', b'L', b'3', 4, 0, 4, 0];
        file.extend(back.to_le_bytes());
        survive(file);
    }
}

#[test]
fn subgraphs_that_call_each_other_are_refused() {
    for op in ["CALL", "WHILE", "IF"] {
        let mut net = Net::new();
        let x = net.input("x", F32, &[1]);
        let y = net.tensor("y", F32, &[1]);
        let options = vec![(0, int(0)), (1, int(0))];
        net.op(op, &[x], &[y], options.clone());
        net.op(op, &[y], &[y], options);
        net.outputs(&[y]);
        let error = load(&net).unwrap_err().to_string();
        assert!(error.contains("deeper than") || error.contains("inputs"), "{op}: {error}");
    }
}

#[test]
fn calls_that_double_at_each_level_are_bounded() {
    let mut net = Net::new();
    for level in 1..32 {
        let x = net.input("x", F32, &[1]);
        let mut value = x;
        for _ in 0..2 {
            let next = net.tensor("y", F32, &[1]);
            net.op("CALL", &[value], &[next], vec![(0, int(level))]);
            value = next;
        }
        net.outputs(&[value]);
        net.graph();
    }
    let x = net.input("x", F32, &[1]);
    net.outputs(&[x]);
    let error = load(&net).unwrap_err().to_string();
    assert!(error.contains("repeat") || error.contains("expand"), "{error}");
}

/// A model of many tensors, all of which are one table with a long name.
#[test]
fn tables_that_lie_over_each_other_are_not_read_without_end() {
    let tensor = vec![(0, ints(&[1])), (3, bytes(&[b'n'; 4096]))];
    let graph = vec![(0, Field::Tables(vec![tensor; 2])), (1, ints(&[])), (2, ints(&[]))];
    let mut whole = file(&vec![
        (0, int(3)),
        (2, Field::Tables(vec![graph])),
        (4, Field::Tables(vec![Fields::new()])),
        (3, text("x")),
    ]);
    // The vector of tensors is found by its length of two and made to reach to the end of the file, which is filled
    // with offsets to the last table.
    let at = (8..whole.len()).find(|at| whole[*at..].starts_with(&[2, 0, 0, 0])).unwrap();
    let first = u32::from_le_bytes(whole[at + 4..at + 8].try_into().unwrap());
    let table = at + 4 + usize::try_from(first).unwrap();
    let copy = whole.split_off(table);
    let mut moved = whole.clone();
    let count = 100_000_usize;
    moved[at..at + 4].copy_from_slice(&u32::try_from(count).unwrap().to_le_bytes());
    moved.truncate(at + 4);
    for i in 0..count {
        let to = 4 * (count - i);
        moved.extend(u32::try_from(to).unwrap().to_le_bytes());
    }
    moved.extend(copy);
    survive(moved);
}

#[test]
fn sizes_beyond_any_tensor_are_refused() {
    let mut net = Net::new();
    let x = net.input("x", F32, &[i32::MAX, i32::MAX, i32::MAX]);
    let shape = net.list("shape", &[-1]);
    let y = net.tensor("y", F32, &[1]);
    net.op("RESHAPE", &[x, shape], &[y], Fields::new());
    net.outputs(&[y]);
    survive(net.file());
    let mut net = Net::new();
    let x = net.tensor("x", I32, &[-7]);
    net.inputs(&[x]);
    net.outputs(&[x]);
    assert!(load(&net).unwrap_err().to_string().contains("negative"));
}

#[test]
fn what_is_not_there_is_named() {
    let mut net = Net::new();
    let x = net.tensor("x", F32, &[1]);
    let y = net.tensor("y", F32, &[1]);
    net.op("ABS", &[x], &[y], Fields::new());
    net.outputs(&[y]);
    let error = load(&net).unwrap_err().to_string();
    assert!(error.contains("`x`") && error.contains("before"), "{error}");
    let mut net = Net::new();
    let x = net.input("x", F32, &[1]);
    net.op("ABS", &[x], &[7], vec![(0, byte(0))]);
    assert!(load(&net).unwrap_err().to_string().contains("tensor 7 of 1"));
}
