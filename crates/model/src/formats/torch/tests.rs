//! A module written here, byte by byte: its source is evaluated, and what is broken in it is refused.

use super::pickle::{Part, read};
use super::source::{Expr, Statement, parse};
use crate::analysis::analyze;
use crate::dim::Bindings;
use crate::formats::zip::tests::{archive, cases, latin};
use crate::formats::{Given, LoadError, Wanted, load_bytes_for};
use crate::ir::Model;

/// As `torch.jit.trace` writes it, with a branch and a loop that are decided by what is static.
const SOURCE: &str = r#"class Net(Module):
  __parameters__ = ["weight", ]
  __buffers__ = []
  weight : Tensor
  training : bool
  def forward(self: __torch__.net.Net,
    x: Tensor) -> Tensor:
    weight = self.weight
    _0 = torch.linear(x, weight, None)
    if torch.gt(torch.dim(x), 1):
      y = torch.relu(_0)
    else:
      y = _0
    total = annotate(List[Tensor], [])
    for i in range(2):
      _1 = torch.append(total, torch.mul(y, CONSTANTS.c0))
    return torch.cat(total, 1)
"#;

fn text(text: &str) -> Vec<u8> {
    let length = u32::try_from(text.len()).unwrap();
    [b"X", &length.to_le_bytes()[..], text.as_bytes()].concat()
}

/// An object of `__torch__.net.Net` with a weight of four rows of three.
fn module() -> Vec<u8> {
    let storage = [
        b"(".to_vec(),
        text("storage"),
        b"ctorch\nFloatStorage\n".to_vec(),
        text("0"),
        text("cpu"),
        b"K\x0ctQ".to_vec(),
    ];
    [
        b"\x80\x02c__torch__.net\nNet\n)\x81}(".to_vec(),
        text("training"),
        b"\x89".to_vec(),
        text("weight"),
        b"ctorch._utils\n_rebuild_tensor_v2\n(".to_vec(),
        storage.concat(),
        b"K\x00K\x04K\x03\x86K\x03K\x01\x86\x89ccollections\nOrderedDict\n)RtRub.".to_vec(),
    ]
    .concat()
}

fn loaded(source: &str, data: &[u8], first: usize) -> Result<Model, LoadError> {
    let file = archive(
        &[
            ("net/data.pkl", data),
            ("net/code/__torch__/net.py", source.as_bytes()),
            ("net/constants.pkl", b"\x80\x02K\x02\x85."),
            ("net/data/0", &[0; 48]),
        ],
        false,
    );
    let given = Given { first, ranks: &[2], ..Given::default() };
    load_bytes_for(&file, &Wanted { given, ..Wanted::default() })
}

fn refused(source: &str, data: &[u8]) -> String {
    loaded(source, data, 1).unwrap_err().to_string()
}

/// A source whose `forward` has this body.
fn with_body(body: &str) -> String {
    let head = "class Net(Module):\n  def forward(self, x: Tensor) -> Tensor:\n";
    body.lines().fold(head.to_owned(), |all, line| format!("{all}    {line}\n"))
}

#[test]
fn what_is_static_is_decided_and_the_rest_becomes_a_graph() {
    let model = loaded(SOURCE, &module(), 1).unwrap();
    let count = |op: &str| model.graph.nodes.iter().filter(|node| &*node.op_type == op).count();
    assert_eq!(["If", "Loop", "Relu", "Mul", "Concat"].map(count), [0, 0, 1, 2, 1]);
    let bindings: Bindings = [("x.0".into(), 5), ("x.1".into(), 3)].into();
    let analysis = analyze(&model, &bindings);
    assert!(analysis.coverage.is_full(), "{:?}", analysis.diagnostics);
    // Five rows of three, by four columns.
    assert_eq!(analysis.totals.macs.as_const(), Some(5 * 3 * 4));
}

#[test]
fn objects_of_classes_are_made_and_used() {
    let pair = "class Pair:\n  a : Tensor\n  def __init__(self: __torch__.net.Pair,\n    a: Tensor) -> NoneType:\n    self.a = a\n    return None\n";
    let body = "pair = __torch__.net.Pair.__new__(__torch__.net.Pair)\n_0 = (pair).__init__(x, )\nreturn torch.relu(pair.a)";
    let model = loaded(&format!("{pair}{}", with_body(body)), &module(), 1).unwrap();
    let ops: Vec<&str> = model.graph.nodes.iter().map(|node| &*node.op_type).collect();
    assert_eq!(ops, ["Relu"]);
}

#[test]
fn tensors_are_equal_element_by_element() {
    let body = "return torch.where(torch.eq(x, torch.neg(x)), x, torch.relu(x))";
    let model = loaded(&with_body(body), &module(), 1).unwrap();
    assert!(model.graph.nodes.iter().any(|node| &*node.op_type == "Equal"));
}

#[test]
fn an_input_without_a_shape_is_asked_for() {
    let error = loaded(SOURCE, &module(), 0).unwrap_err().to_string();
    assert!(error.contains("states no shape for its input `x`"), "{error}");
}

#[test]
fn pickles_are_read_as_data() {
    let bytes =
        b"\x80\x02(K\x07J\xff\xff\xff\xffG\x3f\xf8\0\0\0\0\0\0X\x02\0\0\0hiN\x88\x8a\x02\x00\xfft.!!";
    let pickle = read(bytes).unwrap();
    assert_eq!(pickle.length, bytes.len() - 2);
    let parts: Vec<&Part> = pickle.members(pickle.root).iter().map(|id| pickle.part(*id)).collect();
    let expected = [
        Part::Int(7),
        Part::Int(-1),
        Part::Float(1.5),
        Part::Text("hi".to_owned()),
        Part::None,
        Part::Bool(true),
        Part::Int(-256),
    ];
    assert_eq!(parts, expected.iter().collect::<Vec<_>>());
}

#[test]
fn the_memo_gives_the_same_part_again() {
    let itself = read(b"\x80\x02]q\x00(K\x01h\x00e.").unwrap();
    assert_eq!(itself.members(itself.root)[1], itself.root);
    let twice = read(b"\x80\x04\x8c\x01a\x94h\x00\x86.").unwrap();
    let [a, b] = twice.members(twice.root) else { panic!("{twice:?}") };
    assert_eq!((a, twice.text(*a)), (b, Some("a")));
}

#[test]
fn what_a_pickle_asks_to_call_is_kept_as_its_name() {
    let pickle = read(b"\x80\x02cos\nsystem\nX\x02\0\0\0ls\x85R.").unwrap();
    let Part::Call { callee, arguments, state: None } = pickle.part(pickle.root) else {
        panic!("{pickle:?}")
    };
    assert_eq!(pickle.global(*callee), Some("os system"));
    assert_eq!(pickle.text(pickle.members(*arguments)[0]), Some("ls"));
}

#[test]
fn broken_pickles_are_refused() {
    let cases: [(&[u8], &str); 6] = [
        (b"h\x05.", "names a part that is not there"),
        (b".", "has no operand"),
        (b"K\x01t.", "a mark is missing"),
        (b"\xff.", "unknown operation 0xff"),
        (b"K\x01K\x02a.", "what is no list"),
        (b"K\x01K\x02K\x03s.", "what is no dictionary"),
    ];
    for (bytes, why) in cases {
        let error = read(bytes).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
    let whole = module();
    for length in 0..whole.len() {
        let error = read(&whole[..length]).unwrap_err().to_string();
        assert!(error.contains("cut short"), "{length}: {error}");
    }
}

#[test]
fn what_nests_too_deep_is_refused() {
    let lists = [b"]".repeat(100_000), b"a".repeat(99_999), b".".to_vec()].concat();
    let itself = b"\x80\x02]q\x00h\x00a.";
    for data in [&lists[..], itself] {
        assert!(read(data).is_ok());
        let error = refused(SOURCE, data);
        assert!(error.contains("objects in it nest too deep"), "{error}");
    }
    let brackets = format!("def f(x):\n  return {}", "[".repeat(100_000));
    let error = parse(brackets.as_bytes()).unwrap_err().to_string();
    assert!(error.contains("line 2") && error.contains("nests too deep"), "{error}");
}

#[test]
fn calls_without_end_are_refused() {
    let source = with_body("return (self).forward(x, )");
    // On a thread with as little stack as this one has.
    let thread = std::thread::Builder::new().stack_size(1 << 20);
    let error = thread.spawn(move || refused(&source, &module())).unwrap().join().unwrap();
    assert!(error.contains("nest too deep"), "{error}");
    let error = refused(&with_body("while True:\n  pass\nreturn x"), &module());
    assert!(error.contains("more than 1000000 statements"), "{error}");
}

#[test]
fn sources_are_read_as_trees() {
    let source = parse(b"def f(x: int=3) -> int:\n  a, b, = x, -2\n  return a\n").unwrap();
    let function = &source.functions[0];
    assert_eq!(function.parameters[0].default, Some(Expr::Int(3)));
    let name = |name: &str| Expr::Name(name.into());
    let expected = [
        Statement::Assign(
            Expr::Tuple(vec![name("a"), name("b")]),
            Expr::Tuple(vec![name("x"), Expr::Int(-2)]),
        ),
        Statement::Return(name("a")),
    ];
    assert_eq!(function.body, expected);
}

#[test]
fn errors_of_a_source_name_its_line() {
    let cases = [
        ("def f(x):\n  y = \n  return y\n", 2, "an expression is missing"),
        ("def f(x):\n\n  y = x @ x\n", 3, "unknown sign"),
        ("def f(x):\nreturn x\n", 2, "a block is empty"),
        ("def f(x):\n  y = x\n  return \"a\n", 3, "a text does not end"),
        ("def f(x):\n    y = x\n  return y\n", 3, "indentation"),
        ("def f(x y):\n", 1, "a parameter does not end"),
    ];
    for (source, line, why) in cases {
        let error = parse(source.as_bytes()).unwrap_err().to_string();
        let place = format!("line {line} of a source");
        assert!(error.contains(&place) && error.contains(why), "{source}: {error}");
    }
}

/// `tests/fixtures/torch_models.py` made these, and has what torch 2.9 makes of them at run time.
#[test]
fn outputs_are_those_of_torch() {
    let cases = cases(include_bytes!("../../../../../tests/fixtures/torch.json.gz"));
    assert!(cases.len() > 300);
    for case in &cases {
        let name = &case["name"];
        let files = case["files"].as_object().unwrap().iter();
        let files: Vec<(&String, Vec<u8>)> =
            files.map(|(path, text)| (path, latin(text.as_str().unwrap()))).collect();
        let files: Vec<(&str, &[u8])> =
            files.iter().map(|(path, bytes)| (path.as_str(), &bytes[..])).collect();
        let sizes: Vec<Vec<u64>> = serde_json::from_value(case["inputs"].clone()).unwrap();
        let ranks: Vec<usize> = sizes.iter().map(Vec::len).collect();
        let given = Given { first: ranks.len(), ranks: &ranks, ..Given::default() };
        let wanted = Wanted { given, ..Wanted::default() };
        let model = load_bytes_for(&archive(&files, false), &wanted)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut bindings = Bindings::new();
        for (id, sizes) in model.graph.inputs.iter().zip(&sizes) {
            for (axis, size) in sizes.iter().enumerate() {
                let symbol = format!("{}.{axis}", model.graph.value(*id).name);
                bindings.insert(symbol.as_str().into(), i128::from(*size));
            }
        }
        let analysis = analyze(&model, &bindings);
        assert!(analysis.coverage.is_full(), "{name}: {:?}", analysis.diagnostics);
        let outputs = model.graph.outputs.iter().map(|id| &analysis.values[id.index()]);
        let outputs: Vec<String> = outputs.map(ToString::to_string).collect();
        let due: Vec<String> = serde_json::from_value(case["outputs"].clone()).unwrap();
        assert_eq!(outputs, due, "{name}");
        if let Some(macs) = case["macs"].as_u64() {
            assert_eq!(analysis.totals.macs.to_string(), macs.to_string(), "{name}");
        }
    }
}
