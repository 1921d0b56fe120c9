//! Loops counted round by round or as a formula in the number of rounds, and data-dependent sizes.
//! Right numbers are worked out by hand beside each model.

use crate::wire::{Message, graph, model, node, typed, value};
use rooflens::dim::Bindings;
use rooflens::report::ModelReport;

fn int(name: &str, value: i64) -> Message {
    Message::default().bytes(1, name).int(20, 2).int(3, value)
}

fn body(graph: &Message) -> Message {
    Message::default().bytes(1, "body").int(20, 5).message(6, graph)
}

/// A constant of 64-bit integers, 32-bit floats or flags; no sizes make it a single number.
fn constant(name: &str, dtype: i64, sizes: &[i64], raw: &[u8]) -> Message {
    let tensor = sizes.iter().fold(Message::default(), |t, n| t.int(1, *n));
    let tensor = tensor.int(2, dtype).bytes(9, raw);
    let attribute = Message::default().bytes(1, "value").int(20, 4).message(5, &tensor);
    node("Constant", &[], &[name]).message(5, &attribute)
}

fn integer(name: &str, value: i64) -> Message {
    constant(name, I64, &[], &value.to_le_bytes())
}

fn yes(name: &str) -> Message {
    constant(name, BOOL, &[], &[1])
}

fn zeros(name: &str, sizes: &[i64]) -> Message {
    let count = usize::try_from(sizes.iter().product::<i64>()).unwrap();
    constant(name, 1, sizes, &vec![0; 4 * count])
}

const I64: i64 = 7;
const BOOL: i64 = 9;

fn report(file: Vec<u8>, sizes: &[(&str, i128)]) -> ModelReport {
    let model = rooflens::formats::load_bytes(&file.into()).unwrap();
    let bindings: Bindings = sizes.iter().map(|(name, n)| ((*name).into(), *n)).collect();
    ModelReport::new(&model, "loop.onnx", &bindings).unwrap()
}

fn shape(report: &ModelReport, output: usize) -> Vec<Option<u64>> {
    report.outputs[output].shape.clone().unwrap()
}

/// A loop that appends one row of four a round and multiplies all rows so far by a 4 × 8 matrix.
fn appending(trips: Message, inputs: &[Message]) -> Vec<u8> {
    let inner = graph(
        &[
            node("Identity", &["go"], &["on"]),
            node("Concat", &["h", "row"], &["longer"]).message(5, &int("axis", 0)),
            node("MatMul", &["longer", "w"], &["product"]),
            node("ReduceSum", &["product"], &["sum"]).message(5, &int("keepdims", 0)),
        ],
        &[typed("i", I64, &[]), typed("go", BOOL, &[]), value("h", &["rows", "4"])],
        &[typed("on", BOOL, &[]), value("longer", &["more", "4"]), value("sum", &[])],
    );
    let nodes = [
        trips,
        yes("begin"),
        zeros("row", &[1, 4]),
        zeros("w", &[4, 8]),
        node("Loop", &["m", "begin", "x"], &["all", "sums"]).message(5, &body(&inner)),
        node("MatMul", &["all", "w"], &["y"]),
    ];
    let outputs = [value("y", &["rows", "8"]), value("sums", &["rounds"])];
    let mut all = vec![value("x", &["1", "4"])];
    all.extend_from_slice(inputs);
    model(&nodes, &all, &outputs)
}

/// Round r multiplies r + 2 rows, and the last product has one more than there are rounds: `32·(Σ (r+2) + T+1)`.
fn appended(rounds: u64) -> u64 {
    32 * (rounds * (rounds + 3) / 2 + rounds + 1)
}

#[test]
fn a_tensor_that_grows_in_a_loop_is_followed_to_the_end() {
    for rounds in [0, 1, 2, 5, 31, 33, 100, 10_000] {
        let trips = i64::try_from(rounds).unwrap();
        let report = report(appending(integer("m", trips), &[]), &[]);
        assert!(report.is_complete(), "{:?}", report.diagnostics);
        assert_eq!(report.totals.macs, Some(appended(rounds)), "{rounds} rounds");
        assert_eq!(shape(&report, 0), [Some(rounds + 1), Some(8)]);
        assert_eq!(shape(&report, 1), [Some(rounds)]);
        assert_eq!(report.totals.bound_ops, 0, "{rounds} rounds");
    }
}

#[test]
fn as_many_rounds_as_an_input_has_rows_are_a_formula() {
    let trips = || {
        let at = Message::default().bytes(1, "start").int(20, 2).int(3, 0);
        let end = int("end", 1);
        node("Shape", &["steps"], &["m"]).message(5, &at).message(5, &end)
    };
    for rounds in [1, 2, 50, 5000] {
        let file = appending(trips(), &[value("steps", &["T"])]);
        let report = report(file, &[("T", i128::from(rounds))]);
        assert_eq!(report.formulas.macs.as_deref().unwrap(), "16·T^2 + 80·T + 32");
        assert_eq!(report.totals.macs, Some(appended(rounds)));
        assert_eq!(shape(&report, 0), [Some(rounds + 1), Some(8)]);
        assert_eq!((report.totals.bound_ops, report.is_complete()), (0, true));
    }
}

/// How many rounds only the input's contents say: nothing is counted of what depends on it until it is given.
#[test]
fn rounds_without_a_limit_stay_open() {
    let file = || appending(node("Identity", &["n"], &["m"]), &[typed("n", I64, &[])]);
    let open = report(file(), &[]);
    assert!(!open.is_complete());
    assert_eq!((open.totals.macs, open.ops[4].status.name()), (None, "unknown"));
    assert_eq!(shape(&open, 0), [None, Some(8)]);
    let missing = open.diagnostics.iter().find(|d| d.severity.name() == "incomplete").unwrap();
    assert_eq!(missing.hint.as_deref(), Some("give it a value with --dim trips.5=N"));
    let formula = open.formulas.macs.unwrap();
    assert!(formula.contains("trips.5^2"), "{formula}");
    assert!(open.assumptions.is_empty());
    let closed = report(file(), &[("trips.5", 7)]);
    assert_eq!((closed.totals.macs, closed.is_complete()), (Some(appended(7)), true));
    assert_eq!(shape(&closed, 0), [Some(8), Some(8)]);
}

/// Eight tensors handed on from one to the next, the first from an input of 50 columns: the last has two columns
/// for eight rounds and 50 after them. No single round stands for the others.
#[test]
fn a_loop_whose_sizes_take_long_to_change_is_not_counted_by_its_first_rounds() {
    let name = |i: usize| format!("h{i}");
    let mut nodes = vec![node("Identity", &["go"], &["on"]), node("Identity", &["big"], &["n1"])];
    let mut inputs = vec![typed("i", I64, &[]), typed("go", BOOL, &[]), value("h1", &["r1", "c1"])];
    let mut outputs = vec![typed("on", BOOL, &[]), value("n1", &["p1", "q1"])];
    for i in 2..=8 {
        nodes.push(node("Identity", &[&name(i - 1)], &[&format!("n{i}")]));
        inputs.push(value(&name(i), &[&format!("r{i}"), &format!("c{i}")]));
        outputs.push(value(&format!("n{i}"), &[&format!("p{i}"), &format!("q{i}")]));
    }
    nodes.push(node("Transpose", &["h8"], &["turned"]));
    nodes.push(node("MatMul", &["turned", "w"], &["product"]));
    nodes.push(node("ReduceSum", &["product"], &["sum"]).message(5, &int("keepdims", 0)));
    outputs.push(value("sum", &[]));
    let inner = graph(&nodes, &inputs, &outputs);
    let carried = [&["m", "begin"][..], &["h"; 8]].concat();
    let out = ["a", "b", "c", "d", "e", "f", "g", "last", "sums"];
    let nodes = [
        yes("begin"),
        zeros("w", &[1, 8]),
        zeros("h", &[1, 2]),
        node("Loop", &carried, &out).message(5, &body(&inner)),
    ];
    let inputs = [typed("m", I64, &[]), value("big", &["1", "50"])];
    let file = model(&nodes, &inputs, &[value("sums", &["rounds"])]);
    let found = report(file, &[("trips.4", 20)]);
    // 8 · 16 + 12 · 400 MACs in truth; 20 · 16 by the first rounds.
    assert_eq!((found.totals.macs, found.is_complete()), (None, false));
}

/// A data-dependent condition, with a limit: no more than as many rounds.
#[test]
fn rounds_with_a_limit_are_a_bound() {
    let inner = graph(
        &[
            node("MatMul", &["h", "w"], &["next"]),
            node("ReduceMax", &["next"], &["top"]).message(5, &int("keepdims", 0)),
            node("Less", &["top", "end"], &["on"]),
        ],
        &[typed("i", I64, &[]), typed("go", BOOL, &[]), value("h", &["1", "4"])],
        &[typed("on", BOOL, &[]), value("next", &["1", "4"])],
    );
    let nodes = |limit: &str| {
        [
            integer("m", 100),
            yes("begin"),
            zeros("end", &[]),
            zeros("w", &[4, 4]),
            node("Loop", &[limit, "begin", "x"], &["y"]).message(5, &body(&inner)),
        ]
    };
    let file =
        |limit: &str| model(&nodes(limit), &[value("x", &["1", "4"])], &[value("y", &["1", "4"])]);
    let most = report(file("m"), &[]);
    assert_eq!((most.totals.macs, most.ops[4].status.name()), (Some(100 * 16), "bound"));
    assert!(most.is_complete() && most.totals.bound_ops > 0);
    // Without the limit, a count of rounds must be given.
    let open = report(file(""), &[]);
    assert_eq!((open.totals.macs, open.is_complete()), (None, false));
    let closed = report(file(""), &[("trips.5", 12)]);
    assert_eq!((closed.totals.macs, closed.totals.bound_ops), (Some(12 * 16), 0));
    assert!(closed.is_complete());
}

/// A loop that counts for itself ends where it says, however far that is: 7 and 700 rounds of 16 MACs.
#[test]
fn a_condition_that_counts_is_followed() {
    for end in [7, 700] {
        let inner = graph(
            &[
                node("MatMul", &["h", "w"], &["next"]),
                node("Add", &["i", "one"], &["count"]),
                node("Less", &["count", "end"], &["on"]),
            ],
            &[typed("i", I64, &[]), typed("go", BOOL, &[]), value("h", &["1", "4"])],
            &[typed("on", BOOL, &[]), value("next", &["1", "4"])],
        );
        let nodes = [
            integer("m", 1000),
            yes("begin"),
            integer("one", 1),
            integer("end", end),
            zeros("w", &[4, 4]),
            node("Loop", &["m", "begin", "x"], &["y"]).message(5, &body(&inner)),
        ];
        let file = model(&nodes, &[value("x", &["1", "4"])], &[value("y", &["1", "4"])]);
        let report = report(file, &[]);
        assert_eq!(report.totals.macs, Some(16 * end.cast_unsigned()));
        assert_eq!(report.totals.bound_ops, 0);
    }
}

/// The state of a scan and its rows have one size under two names: 10 steps of 16×8×8, and 16×8×4 after.
#[test]
fn a_state_keeps_its_size_under_another_name() {
    let inner = graph(
        &[node("Add", &["h", "row"], &["sum"]), node("MatMul", &["sum", "w"], &["next"])],
        &[value("h", &[]), value("row", &[])],
        &[value("next", &[])],
    );
    let nodes = [
        zeros("w", &[8, 8]),
        zeros("v", &[8, 4]),
        node("Scan", &["h0", "x"], &["last"])
            .message(5, &body(&inner))
            .message(5, &int("num_scan_inputs", 1)),
        node("MatMul", &["last", "v"], &["y"]),
    ];
    let inputs = [value("h0", &["b", "8"]), value("x", &["t", "n", "8"])];
    let file = || model(&nodes, &inputs, &[value("y", &["b", "4"])]);
    let report = report(file(), &[("b", 16), ("n", 16), ("t", 10)]);
    assert_eq!(report.totals.macs, Some(10 * 16 * 8 * 8 + 16 * 8 * 4));
    assert_eq!((shape(&report, 0), report.totals.bound_ops), (vec![Some(16), Some(4)], 0));
}

/// What is left of 100 numbers when those that are not zero are taken away is most when all are zero.
#[test]
fn a_cost_that_falls_with_what_the_data_decide_is_counted_where_it_is_largest() {
    let at = int("start", 1);
    let nodes = [
        node("NonZero", &["x"], &["found"]),
        node("Shape", &["found"], &["count"]).message(5, &at),
        constant("whole", I64, &[1], &100i64.to_le_bytes()),
        node("Sub", &["whole", "count"], &["left"]),
        node("Concat", &["left", "left"], &["square"]).message(5, &int("axis", 0)),
        node("ConstantOfShape", &["square"], &["filled"]),
        node("Exp", &["filled"], &["y"]),
    ];
    let file = model(&nodes, &[value("x", &["100"])], &[value("y", &["left", "left"])]);
    let most = report(file.clone(), &[]);
    assert_eq!((most.totals.transcendentals, most.ops[6].status.name()), (Some(10_000), "bound"));
    assert_eq!(shape(&most, 0), [Some(100), Some(100)]);
    let given = report(file, &[("nonzero.1", 30)]);
    assert_eq!((given.totals.transcendentals, given.ops[6].status.name()), (Some(4900), "exact"));
}

/// Whether anything was found decides a branch; that there are boxes is not taken for granted.
#[test]
fn nothing_found_is_a_case_of_its_own() {
    let branch = |name: &str, nodes: &[Message], result: &str| {
        let graph = graph(nodes, &[], &[value(result, &["1", "4"])]);
        Message::default().bytes(1, name).int(20, 5).message(6, &graph)
    };
    let big = branch("else_branch", &[node("MatMul", &["x", "w"], &["b"])], "b");
    let small = branch("then_branch", &[node("Identity", &["x"], &["a"])], "a");
    let nodes = [
        zeros("w", &[4, 4]),
        integer("none", 0),
        node("NonZero", &["x"], &["found"]),
        node("Size", &["found"], &["count"]),
        node("Greater", &["count", "none"], &["any"]),
        node("If", &["any"], &["y"]).message(5, &small).message(5, &big),
    ];
    let file = model(&nodes, &[value("x", &["1", "4"])], &[value("y", &["1", "4"])]);
    let report = report(file, &[]);
    assert_eq!((report.totals.macs, report.ops[5].status.name()), (Some(16), "bound"));
}

/// A product of which the file alone says how many rows it has, by the name of that size.
fn named_by_the_file(rows: &str) -> Vec<u8> {
    let nodes = [
        node("Mystery", &["x"], &["h"]).bytes(7, "com.example"),
        zeros("w", &[8, 4]),
        node("MatMul", &["h", "w"], &["y"]),
    ];
    let graph = graph(&nodes, &[value("x", &["N", "8"])], &[value("y", &[rows, "4"])])
        .message(13, &value("h", &[rows, "8"]));
    let opset = Message::default().bytes(1, "").int(2, 17);
    Message::default().int(1, 8).message(7, &graph).message(8, &opset).0
}

/// The file names a size that nothing else is known of: not taken for one.
#[test]
fn a_size_that_only_the_file_names_stays_open() {
    let file = || named_by_the_file("found");
    let open = report(file(), &[("N", 3)]);
    assert_eq!((open.totals.macs, open.coverage.known), (None, 1));
    let closed = report(file(), &[("N", 3), ("found", 5)]);
    assert_eq!((closed.totals.macs, closed.coverage.known), (Some(5 * 8 * 4), 2));
}

/// Loops inside loops over nodes of many inputs: known in full, without running every round.
#[test]
fn nested_loops_do_not_multiply_the_work() {
    let names = vec!["x"; 500];
    let mut nodes = vec![node("Sum", &names, &["o0"])];
    let mut result = "o0".to_owned();
    for level in 0..6 {
        let (i, go, on) = (format!("i{level}"), format!("c{level}"), format!("d{level}"));
        nodes.push(node("Identity", &[&go], &[&on]));
        let inputs = [typed(&i, I64, &[]), typed(&go, BOOL, &[])];
        let inner = graph(&nodes, &inputs, &[typed(&on, BOOL, &[]), value(&result, &[])]);
        result = format!("o{}", level + 1);
        nodes = vec![node("Loop", &["m", "begin"], &[&result]).message(5, &body(&inner))];
    }
    let mut all = vec![integer("m", 30), yes("begin")];
    all.extend(nodes);
    let file = model(&all, &[value("x", &["2", "3"])], &[value(&result, &[])]);
    let report = report(file, &[]);
    assert_eq!(report.totals.flops, Some(30u64.pow(6) * 499 * 6));
    assert_eq!(
        shape(&report, 0)[..],
        [[30u64; 6].map(Some).as_slice(), &[Some(2), Some(3)]].concat()
    );
}

/// All but as many of the last of 100 numbers as are not zero: the most are left where one is not, 99, and
/// none where none is not, since an end of −0 is the front.
#[test]
fn an_end_that_counts_from_the_back_by_what_the_data_decide_is_no_front() {
    let at = int("start", 1);
    let nodes = [
        node("NonZero", &["x"], &["found"]),
        node("Shape", &["found"], &["count"]).message(5, &at),
        node("Neg", &["count"], &["end"]),
        constant("front", I64, &[1], &0i64.to_le_bytes()),
        node("Slice", &["x", "front", "end"], &["left"]),
        node("Exp", &["left"], &["y"]),
    ];
    let file = model(&nodes, &[value("x", &["100"])], &[value("y", &["left"])]);
    let most = report(file.clone(), &[]);
    assert!(
        most.totals.transcendentals.is_none_or(|n| n >= 99),
        "{:?}",
        most.totals.transcendentals
    );
    for (found, left) in [(0, 0), (1, 99), (30, 70), (100, 0)] {
        let given = report(file.clone(), &[("nonzero.1", found)]);
        assert_eq!(given.totals.transcendentals, Some(left), "{found}");
    }
}

/// Two rounds that count what is not zero among ten numbers, take one away from each, and hand on both their own
/// count and that of the round before. `inside` nodes of the body and `after` it.
fn counting(inside: &[Message], after: &[Message], results: &[Message]) -> Vec<u8> {
    let mut nodes = vec![
        node("Identity", &["go"], &["on"]),
        node("NonZero", &["h"], &["found"]),
        node("Shape", &["found"], &["count"]).message(5, &int("start", 1)),
        node("Sub", &["h", "one"], &["less"]),
        node("Relu", &["less"], &["next"]),
        node("Identity", &["n"], &["p_next"]),
    ];
    nodes.extend_from_slice(inside);
    let state = ["h", "n", "p"].map(|name| value(name, &[]));
    let mut inputs = vec![typed("i", I64, &[]), typed("go", BOOL, &[])];
    inputs.extend(state);
    let mut outputs = vec![typed("on", BOOL, &[])];
    outputs.extend(["next", "count", "p_next"].map(|name| value(name, &[])));
    outputs.extend_from_slice(results);
    let rows: Vec<String> = (0..results.len()).map(|i| format!("rows{i}")).collect();
    let mut ends = vec!["x_last", "n_last", "p_last"];
    ends.extend(rows.iter().map(String::as_str));
    let mut all = vec![
        integer("m", 2),
        yes("begin"),
        constant("one", 1, &[], &1f32.to_le_bytes()),
        constant("none", I64, &[1], &0i64.to_le_bytes()),
        node("Loop", &["m", "begin", "x", "none", "none"], &ends)
            .message(5, &body(&graph(&nodes, &inputs, &outputs))),
    ];
    all.extend_from_slice(after);
    model(&all, &[value("x", &["10"])], &[value(if after.is_empty() { "rows0" } else { "y" }, &[])])
}

/// `from` − `less`, at least nothing, many exponentials.
fn exponentials(from: &str, less: &str) -> [Message; 4] {
    [
        node("Sub", &[from, less], &["difference"]),
        node("Max", &["difference", "none"], &["left"]),
        node("ConstantOfShape", &["left"], &["filled"]),
        node("Exp", &["filled"], &["y"]),
    ]
}

/// Ten ones: the first round finds ten and the second none, of which ten exponentials are left (as onnxruntime
/// 1.22 runs it). One count for both rounds would make that none.
#[test]
fn what_a_round_found_is_not_what_the_round_before_it_found() {
    let report = report(counting(&[], &exponentials("p_last", "n_last"), &[]), &[]);
    assert_eq!(report.totals.transcendentals, Some(10));
    let counted = report.ops.iter().find(|op| op.op_type == "Exp").unwrap();
    assert_eq!(counted.status.name(), "bound");
}

/// The same difference inside the body: not known, and said.
#[test]
fn a_round_that_takes_a_size_of_another_from_its_own_is_not_counted() {
    let mut inside = exponentials("n", "count").to_vec();
    inside.push(node("ReduceSum", &["y"], &["sum"]));
    let report = report(counting(&inside, &[], &[value("sum", &[])]), &[]);
    let counted = report.ops.iter().find(|op| op.op_type == "Loop").unwrap();
    assert_eq!((counted.status.name(), report.totals.transcendentals), ("unknown", None));
    let said =
        |d: &rooflens::report::DiagnosticReport| d.message.contains("of one round subtracted");
    assert!(report.diagnostics.iter().any(said), "{:?}", report.diagnostics);
}

/// Their sum needs no such care: in two rounds at most ten and then twenty.
#[test]
fn sizes_of_two_rounds_added_up_are_a_bound() {
    let inside = [
        node("Add", &["n", "count"], &["both"]),
        node("ConstantOfShape", &["both"], &["filled"]),
        node("Exp", &["filled"], &["y"]),
        node("ReduceSum", &["y"], &["sum"]),
    ];
    let report = report(counting(&inside, &[], &[value("sum", &[])]), &[]);
    assert_eq!(report.totals.transcendentals, Some(10 + 20));
}

/// A size of the file that is called like the number of a round, and is none: what depends on it is no exact count.
#[test]
fn a_size_called_rounded_is_no_number_of_rounds() {
    let file = named_by_the_file("rounded");
    let model = rooflens::formats::load_bytes(&file.into()).unwrap();
    let analysis = rooflens::analysis::analyze(&model, &Bindings::new());
    let product = model.graph.nodes.iter().position(|n| &*n.op_type == "MatMul").unwrap();
    assert_eq!(analysis.nodes[product].status, rooflens::ops::Status::Bound);
}

/// The first rows of `from`, so many.
fn first_rows(from: &str, rows: i64, to: &str) -> [Message; 3] {
    let (start, end) = (format!("start_{to}"), format!("end_{to}"));
    [
        constant(&start, I64, &[1], &0_i64.to_le_bytes()),
        constant(&end, I64, &[1], &rows.to_le_bytes()),
        node("Slice", &[from, &start, &end], &[to]),
    ]
}

fn status(report: &ModelReport, op: &str) -> String {
    report.ops.iter().find(|row| row.op_type == op).unwrap().status.to_string()
}

/// Each round keeps three rows; onnxruntime 1.32 leaves seven rows where the data make no round (224 MACs) and
/// three after any (96). Five rounds at most, and their number is in the data.
#[test]
fn a_loop_that_data_may_end_before_it_begins_leaves_what_it_was_given() {
    let mut inside = vec![node("Identity", &["go"], &["on"])];
    inside.extend(first_rows("h", 3, "short"));
    let inner = graph(
        &inside,
        &[typed("i", I64, &[]), typed("go", BOOL, &[]), value("h", &["rows", "4"])],
        &[typed("on", BOOL, &[]), value("short", &["fewer", "4"])],
    );
    let nodes = [
        integer("five", 5),
        node("Min", &["k", "five"], &["m"]),
        yes("begin"),
        zeros("w", &[4, 8]),
        node("Loop", &["m", "begin", "x"], &["left"]).message(5, &body(&inner)),
        node("MatMul", &["left", "w"], &["y"]),
    ];
    let file =
        model(&nodes, &[value("x", &["7", "4"]), typed("k", I64, &[])], &[value("y", &["o", "8"])]);
    let any = report(file.clone(), &[]);
    assert_eq!((any.totals.macs, status(&any, "MatMul")), (Some(224), "bound".into()));
    assert_eq!(shape(&any, 0), [Some(7), Some(8)]);
    let some = report(file, &[("trips.5", 2)]);
    assert_eq!((some.totals.macs, status(&some, "MatMul")), (Some(96), "exact".into()));
}

/// Two or three rows by one flag, or seven by another: onnxruntime 1.32 multiplies seven rows (224 MACs) where the
/// outer flag is false. What the inner branch leaves has a limit of three, which is none of the outer one.
#[test]
fn a_size_of_a_branch_is_not_any_size() {
    let attribute = |name: &str, graph: &Message| {
        Message::default().bytes(1, name).int(20, 5).message(6, graph)
    };
    let rows = |count: i64, to: &str| {
        graph(&first_rows("x", count, to), &[], &[value(to, &[&format!("rows_{to}"), "4"])])
    };
    let branches = |flag: &str, to: &str, yes: &Message, no: &Message| {
        let node = node("If", &[flag], &[to]).message(5, &attribute("then_branch", yes));
        node.message(5, &attribute("else_branch", no))
    };
    let inner = branches("b", "inner", &rows(2, "two"), &rows(3, "three"));
    let inner = graph(&[inner], &[], &[value("inner", &["rows", "4"])]);
    let nodes = [
        branches("a", "rows", &inner, &rows(7, "seven")),
        zeros("w", &[4, 8]),
        node("MatMul", &["rows", "w"], &["y"]),
    ];
    let inputs = [value("x", &["7", "4"]), typed("a", BOOL, &[]), typed("b", BOOL, &[])];
    let any = report(model(&nodes, &inputs, &[value("y", &["o", "8"])]), &[]);
    assert_eq!((any.totals.macs, status(&any, "MatMul")), (Some(224), "bound".into()));
}
