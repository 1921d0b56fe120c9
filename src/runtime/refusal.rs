//! Why a runtime does not run a model, in our words: what runtimes say is read here and nowhere else.

use super::Runtime;
use crate::formats::Untranslated;
use crate::probe::ProbeError;
use crate::schema::{RefusalKind, RefusalPart};

/// The longest text of a runtime that is kept, in characters.
const LONGEST: usize = 400;

/// What an error of `runtime` says of the model.
pub fn refusal(runtime: Runtime, error: &ProbeError) -> RefusalPart {
    let who = runtime.product();
    let part = |kind, reason: String, said: Option<&str>| RefusalPart {
        runtime: runtime.name().to_owned(),
        kind,
        node: None,
        operator: None,
        reason,
        message: said.map(short),
    };
    match error {
        ProbeError::Runtime { message, .. } => {
            part(RefusalKind::Runtime, format!("{who} is not available: {message}"), None)
        }
        ProbeError::Memory(_) => part(RefusalKind::Memory, error.to_string(), None),
        ProbeError::Input(text) => part(RefusalKind::Input, text.clone(), None),
        ProbeError::Panic(text) => {
            part(RefusalKind::Panic, format!("{who} panicked on the model"), Some(text))
        }
        ProbeError::Load(text) | ProbeError::Infer(text) => {
            let loading = matches!(error, ProbeError::Load(_));
            let said = match runtime {
                Runtime::Tract => Said::by_tract(text),
                Runtime::Ort => Said::by_onnxruntime(text),
            };
            let reason = said.in_words(who, loading);
            let (node, operator) = (said.node, said.operator);
            RefusalPart { node, operator, ..part(said.kind, reason, Some(text)) }
        }
        other => part(RefusalKind::Other, other.to_string(), None),
    }
}

/// Why no runtime gets a model of another format than ONNX.
pub fn untranslated(error: &Untranslated) -> RefusalPart {
    RefusalPart {
        runtime: "any".into(),
        kind: RefusalKind::Translation,
        node: Some(error.node.clone()),
        operator: None,
        reason: error.to_string(),
        message: None,
    }
}

/// A text in one line, and no longer than is of use.
fn short(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// What is read from a runtime's text.
#[derive(Debug, PartialEq)]
struct Said {
    kind: RefusalKind,
    /// The node of the main graph.
    node: Option<String>,
    operator: Option<String>,
    /// A node in a body of it.
    inner: Option<String>,
}

impl Said {
    fn in_words(&self, who: &str, loading: bool) -> String {
        let operator = self.operator.as_deref();
        let called = operator.map_or(String::new(), |op| format!(" ({op})"));
        let inner = self.inner.as_ref().map_or(String::new(), |n| format!(", in it at `{n}`"));
        let at = self.node.as_ref().map(|node| format!("node `{node}`{called}{inner}"));
        match (self.kind, at) {
            (RefusalKind::Operator, _) => {
                let name =
                    operator.map_or("an operator of the model".into(), |op| format!("`{op}`"));
                let of = self.node.as_ref().map(|n| format!(", which node `{n}` is"));
                format!("{who} does not have {name}{}", of.unwrap_or_default())
            }
            (RefusalKind::Shapes, Some(at)) => format!("{who} cannot settle the shapes at {at}"),
            (RefusalKind::Shapes, None) => format!("{who} cannot settle the shapes"),
            (_, Some(at)) if loading => format!("{who} refuses {at}"),
            (_, Some(at)) => format!("{who} loads the model and fails at {at}"),
            (_, None) if loading => format!("{who} cannot load the model"),
            (_, None) => format!("{who} loads the model and fails at its first inference"),
        }
    }

    /// tract: `Failed analyse for node #29 "NAME" Squeeze13: …`, `Translating node #55 "NAME" Unimplemented(OP) …`,
    /// the outer node first.
    fn by_tract(text: &str) -> Self {
        let mut nodes = Vec::new();
        for part in text.split("node #").skip(1) {
            let quoted = part.split_once('"').and_then(|(_, rest)| rest.split_once('"'));
            let Some((name, rest)) = quoted else { continue };
            let operator = rest.split_whitespace().next().unwrap_or_default();
            nodes.push((name, operator.trim_end_matches([':', ','])));
        }
        let missing =
            between(text, "Unimplemented(", ")").or_else(|| between(text, "No operator ", " "));
        let unsettled =
            ["Unifying shapes", "Impossible to unify", "Infering facts", "Applying rule"];
        let kind = if missing.is_some() {
            RefusalKind::Operator
        } else if unsettled.iter().any(|words| text.contains(words)) {
            RefusalKind::Shapes
        } else if nodes.is_empty() {
            RefusalKind::Other
        } else {
            RefusalKind::Node
        };
        let first = nodes.first();
        let own = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let operator = missing.or(first.map(|(_, op)| *op)).and_then(own);
        let inner = nodes.last().filter(|_| nodes.len() > 1).and_then(|(name, _)| own(name));
        Self { kind, node: first.and_then(|(name, _)| own(name)), operator, inner }
    }

    /// onnxruntime: `… while running OP node. Name:'NAME' …`, `Node (NAME) Op (OP) …`, `In Node, ("NAME", OP, …`, `Could
    /// not find an implementation for OP(13) node with name 'NAME'`, `DOMAIN:OP(-1) is not a registered function/op`.
    fn by_onnxruntime(text: &str) -> Self {
        let own = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let said = |kind, node: Option<&str>, operator: Option<&str>| Self {
            kind,
            node: node.and_then(own),
            operator: operator.map(|op| op.split('(').next().unwrap_or(op)).and_then(own),
            inner: None,
        };
        let of_unknown = text
            .split_once("is not a registered function/op")
            .and_then(|(before, _)| before.trim_end().rsplit([' ', '\n']).next());
        if of_unknown.is_some() {
            return said(RefusalKind::Operator, None, of_unknown);
        }
        if let Some(op) = between(text, "implementation for ", " node") {
            let node = between(text, "node with name '", "'");
            return said(RefusalKind::Operator, node, Some(op));
        }
        if let Some(op) = between(text, "No Op registered for ", " with") {
            return said(RefusalKind::Operator, None, Some(op));
        }
        if let Some(op) = between(text, "while running ", " node") {
            return said(RefusalKind::Node, between(text, "Name:'", "'"), Some(op));
        }
        if let Some((_, rest)) = text.split_once("In Node, (\"") {
            let mut words = rest.split(',').map(|word| word.trim().trim_matches('"'));
            let (node, op) = (words.next(), words.next());
            let unknown = text.contains("No opset import");
            let kind = if unknown { RefusalKind::Operator } else { RefusalKind::Node };
            return said(kind, node, op);
        }
        let node = between(text, "Node (", ")").or_else(|| between(text, "in node (", ")"));
        let op = between(text, "Op (", ")").or_else(|| between(text, "of operator (", ")"));
        let kind = if text.contains("ShapeInferenceError") || text.contains("TypeInferenceError") {
            RefusalKind::Shapes
        } else if node.is_some() {
            RefusalKind::Node
        } else {
            RefusalKind::Other
        };
        said(kind, node, op)
    }
}

/// What stands between two words in a text.
fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    text.split_once(before).and_then(|(_, rest)| rest.split_once(after)).map(|(found, _)| found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What tract 0.23 says of `tests/models` and `tests/networks`.
    #[test]
    fn what_tract_says_is_read() {
        let detector = r#"Failed analyse for node #3586 "If_4414" If: Infering facts: Failed analyse for node #29 "Squeeze_4445" Squeeze13: Infering facts: Applying rule outputs[0].shape == x_179: Unifying shapes 0 and x_179: Impossible to unify Val(0) with Sym(x_179)."#;
        let part = refusal(Runtime::Tract, &ProbeError::Load(detector.into()));
        assert_eq!(
            part.reason,
            "tract cannot settle the shapes at node `If_4414` (If), in it at `Squeeze_4445`"
        );
        assert_eq!((part.node.as_deref(), part.operator.as_deref()), (Some("If_4414"), Some("If")));
        let unknown = r#"Translating node #55 "/features/Add_quant" Unimplemented(QLinearAdd) ToTypedTranslator: Operator can not be made a TypedOp."#;
        let part = refusal(Runtime::Tract, &ProbeError::Load(unknown.into()));
        assert_eq!(
            part.reason,
            "tract does not have `QLinearAdd`, which node `/features/Add_quant` is"
        );
        let half = r#"Translating node #82 "/fc/Gemm" Gemm ToTypedTranslator: Output mismatch after rewiring expansion for output #0: expected 1,1000,F16 got 1,1000,F32"#;
        let part = refusal(Runtime::Tract, &ProbeError::Load(half.into()));
        assert_eq!(part.reason, "tract refuses node `/fc/Gemm` (Gemm)");
        assert_eq!((part.kind, part.message.as_deref()), (RefusalKind::Node, Some(half)));
        let part = refusal(Runtime::Tract, &ProbeError::Panic("index out of bounds".into()));
        assert_eq!((part.kind, &*part.reason), (RefusalKind::Panic, "tract panicked on the model"));
    }

    /// What onnxruntime 1.32 says.
    #[test]
    fn what_onnxruntime_says_is_read() {
        let of = |text: &str, loading: bool| {
            let text = text.to_owned();
            let error = if loading { ProbeError::Load(text) } else { ProbeError::Infer(text) };
            refusal(Runtime::Ort, &error)
        };
        let running = "Non-zero status code returned while running Reshape node. Name:'/r/Reshape' Status Message: bad";
        let part = of(running, false);
        assert_eq!(
            part.reason,
            "onnxruntime loads the model and fails at node `/r/Reshape` (Reshape)"
        );
        let unknown =
            "Load model failed:Fatal error: com.foo:Bar(-1) is not a registered function/op";
        assert_eq!(of(unknown, true).reason, "onnxruntime does not have `com.foo:Bar`");
        let kernel = "Could not find an implementation for Conv(11) node with name 'c1'";
        let part = of(kernel, true);
        assert_eq!(part.reason, "onnxruntime does not have `Conv`, which node `c1` is");
        let domain = r#"This is an invalid model. In Node, ("the_node", Bar, "com.foo", -1) : ("x": tensor(float),) -> ("y": tensor(float),) , Error No opset import for domain 'com.foo'"#;
        let part = of(domain, true);
        assert_eq!(part.reason, "onnxruntime does not have `Bar`, which node `the_node` is");
        let shapes = "Node (Add_3) Op (Add) [ShapeInferenceError] Incompatible dimensions";
        assert_eq!(
            of(shapes, true).reason,
            "onnxruntime cannot settle the shapes at node `Add_3` (Add)"
        );
        let types = "Type Error: Type 'tensor(float16)' of input parameter (x) of operator (Y) in node (N) is invalid.";
        assert_eq!(of(types, true).reason, "onnxruntime refuses node `N` (Y)");
    }

    #[test]
    fn hostile_texts_are_cut_and_never_panic() {
        for text in
            ["", "node #", "node #1 \"", "node #1 \"\" ", "Name:'", "Op (", "Unimplemented("]
        {
            for runtime in [Runtime::Tract, Runtime::Ort] {
                refusal(runtime, &ProbeError::Load(text.into()));
            }
        }
        let long = refusal(Runtime::Tract, &ProbeError::Load("é ".repeat(9_999)));
        assert_eq!(long.message.unwrap().chars().count(), LONGEST + 1);
    }
}
