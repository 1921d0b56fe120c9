//! Identities of the canonical form, by example and at random.

use super::*;
use proptest::prelude::*;

fn dim(text: &str) -> Dim {
    text.parse().unwrap()
}

#[track_caller]
fn prints(text: &str, expected: &str) {
    assert_eq!(dim(text).to_string(), expected);
}

#[test]
fn canonical_form() {
    assert_eq!(dim("b + a + b"), dim("2*b + a"));
    assert_eq!(dim("(a+1)*(a-1)"), dim("a^2 - 1"));
    assert_eq!(dim("a - a"), Dim::ZERO);
    prints("b*s*s*36864 + 170*b*s", "b·s·(36864·s + 170)");
    prints("1 - a", "-a + 1");
    prints("3*a", "3·a");
}

#[test]
fn floor_division() {
    assert_eq!(dim("2*h//2"), dim("h"));
    assert_eq!(dim("(4*h + 6)//4"), dim("h + 1"));
    assert_eq!(dim("(h//2)//3"), dim("h//6"));
    assert_eq!(dim("((h+1)//2 + 1)//2"), dim("(h+3)//4"));
    assert_eq!(dim("(2*h+1)//4"), dim("h//2"));
    assert_eq!(dim("b*s*768").floor_div(&dim("s*768")), dim("b"));
    assert_eq!(dim("a^2 + a").floor_div(&dim("a + 1")), dim("a"));
    assert_eq!(dim("h").ceil_div(&dim("2")), dim("(h+1)//2"));
    assert_eq!(dim("7").floor_div(&dim("2")).as_const(), Some(3));
    assert_eq!((-dim("7")).floor_div(&dim("2")).as_const(), Some(-4));
}

#[test]
fn order_is_decided_only_when_it_always_holds() {
    assert_eq!(dim("s+1").maximum(&dim("s")), dim("s+1"));
    assert_eq!(dim("s").maximum(&Dim::ONE), dim("s"));
    assert_eq!(dim("s").minimum(&dim("t")).to_string(), "min(s, t)");
    assert_eq!(dim("max(s, 5)").as_const(), None);
    assert_eq!(dim("max(s, min(s, 512))"), dim("s"));
    assert_eq!(dim("min(s, max(512, s))"), dim("s"));
}

#[test]
fn overflow_absorbs_and_refuses() {
    let huge = Dim::from(i128::MAX);
    let sum = huge.clone() + Dim::ONE;
    assert!(sum.is_overflow() && (sum.clone() * Dim::ZERO).is_overflow());
    assert_eq!(sum.eval(&Bindings::new()), Err(EvalError::Overflow));
    assert!(huge.clone().pow(3).is_overflow());
    assert!((Dim::symbol("a") * huge.clone() * huge).is_overflow());
}

#[test]
fn unbound_symbols_are_named() {
    let error = dim("batch*3").eval(&Bindings::new()).unwrap_err();
    assert_eq!(error.to_string(), "symbol `batch` has no value");
}

/// As torch, sympy and onnxruntime write sizes.
#[test]
fn formulas_of_exporters() {
    let at = |text: &str, h: i128| dim(text).eval(&[("h".into(), h)].into()).unwrap();
    for h in [1, 7, 319, 320, 321] {
        assert_eq!(at("floor(h/2 - 1/2) + 1", h), (h - 1).div_euclid(2) + 1, "{h}");
        assert_eq!(at("floor(0.5*h - 0.5) + 1", h), (h - 1).div_euclid(2) + 1, "{h}");
        assert_eq!(at("ceiling(h/4)", h), (h + 3).div_euclid(4));
        assert_eq!(at("floor(floor(h/2)/2 + 3/4)", h), ((h / 2) * 2 + 3).div_euclid(4));
        assert_eq!(at("Max(1, h - 300, 2**3)", h), 8.max(h - 300));
        assert_eq!(at("FloorDiv(h + 1, 2)*Mod(h, 3)", h), (h + 1) / 2 * (h % 3));
    }
    assert_eq!(dim("floor(h/2 - 1/2) + 1"), dim("(h + 1)//2"));
    assert_eq!(dim("floor(b*h/(160*b))"), dim("h//160"));
    // A path is no division.
    assert!("decoder/rnn/Unsqueeze".parse::<Dim>().is_err());
}

#[test]
fn hostile_text_is_refused() {
    let deep = "(".repeat(10_000);
    for text in ["", "a+", "1/0", "a^99", "f(x)", ")", "a b", deep.as_str()] {
        assert!(text.parse::<Dim>().is_err(), "{text:.20}");
    }
}

fn any_dim() -> impl Strategy<Value = Dim> {
    let leaf = prop_oneof![
        (-20i64..20).prop_map(Dim::from),
        prop_oneof!["a", "b", "c"].prop_map(|s| Dim::symbol(&s)),
    ];
    leaf.prop_recursive(4, 24, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| a + b),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| a - b),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| a * b),
            (inner.clone(), 1i64..9).prop_map(|(a, k)| a.floor_div(&Dim::from(k))),
            (inner.clone(), 1i64..9).prop_map(|(a, k)| a.modulo(&Dim::from(k))),
            inner.clone().prop_map(|a| a.ceil_log2()),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| a.minimum(&b)),
            (inner.clone(), inner).prop_map(|(a, b)| a.maximum(&b)),
        ]
    })
}

fn bindings(a: i64, b: i64, c: i64) -> Bindings {
    [("a", a), ("b", b), ("c", c)].into_iter().map(|(k, v)| (k.into(), v.into())).collect()
}

proptest! {
    #[test]
    fn ring_laws(x in any_dim(), y in any_dim(), z in any_dim()) {
        prop_assert_eq!(x.clone() + y.clone(), y.clone() + x.clone());
        prop_assert_eq!(x.clone() * y.clone(), y.clone() * x.clone());
        let (left, right) = (x.clone() * (y.clone() + z.clone()), x.clone() * y + x * z);
        if !left.is_overflow() && !right.is_overflow() {
            prop_assert_eq!(left, right);
        }
    }

    #[test]
    fn evaluation_commutes(x in any_dim(), y in any_dim(), k in 1i64..9, a in 1i64..40, b in 1i64..40, c in 1i64..40) {
        let at = bindings(a, b, c);
        if let (Ok(p), Ok(q)) = (x.eval(&at), y.eval(&at)) {
            prop_assert_eq!((x.clone() + y.clone()).eval(&at), Ok(p + q));
            prop_assert_eq!((x.clone() * y.clone()).eval(&at), Ok(p * q));
            prop_assert_eq!(x.minimum(&y).eval(&at), Ok(p.min(q)));
            prop_assert_eq!(x.maximum(&y).eval(&at), Ok(p.max(q)));
            prop_assert_eq!(x.floor_div(&Dim::from(k)).eval(&at), Ok(p.div_euclid(k.into())));
            prop_assert_eq!(x.modulo(&Dim::from(k)).eval(&at), Ok(p.rem_euclid(k.into())));
            prop_assert_eq!(x.bind(&at).as_const(), Some(p));
            // By floating point, which is exact for numbers this small.
            #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
            if p < 1 << 40 {
                let stages = (p.max(2) as f64).log2().ceil() as i128;
                prop_assert_eq!(x.ceil_log2().eval(&at), Ok(stages));
            }
        }
    }

    #[test]
    fn reading_undoes_printing(x in any_dim()) {
        if !x.is_overflow() && x.to_string().len() < 4000 {
            prop_assert_eq!(x.to_string().parse::<Dim>().ok(), Some(x));
        }
    }

    #[test]
    fn any_text_is_safe(text in ".{0,80}") {
        let _ = text.parse::<Dim>();
    }
}

/// Found by fuzzing: nested divisions raised to powers took minutes to compare.
#[test]
fn nested_powers_are_refused_at_once() {
    let text = include_str!("../../../../tests/regressions/dim_nested_powers.txt");
    assert!(text.parse::<Dim>().map_or(true, |d| d.is_overflow() || !d.to_string().is_empty()));
}

#[test]
fn a_count_may_be_zero() {
    let (n, k) = (Dim::count("n"), dim("k"));
    assert_eq!(n.compare(&Dim::ONE), None);
    assert_eq!(k.compare(&Dim::ONE), Some(std::cmp::Ordering::Greater));
    assert_eq!(n.compare(&Dim::ZERO), Some(std::cmp::Ordering::Greater));
    assert_eq!(n.maximum(&Dim::ZERO), n);
    // Nothing is divided by what may be zero.
    let (above, below) = (n.clone() * dim("a"), n.clone() * dim("b"));
    assert_ne!(above.floor_div(&below), dim("a//b"));
    assert_eq!(n.bind(&[("n".into(), 3)].into()), Dim::from(3));
}

#[test]
fn ranges_hold_both_ends() {
    let n = Dim::count("n");
    let of = |name: &str| match name {
        "n" => Some((0, 10)),
        "k" => Some((7, 7)),
        _ => None,
    };
    let range = |d: &Dim| d.range(&of).unwrap();
    assert_eq!(range(&dim("k*k")), (49, 49));
    assert_eq!(range(&(dim("3*k") - n.clone())), (11, 21));
    assert_eq!(range(&n.floor_div(&Dim::from(3))), (0, 3));
    assert_eq!(range(&n.modulo(&Dim::from(4))), (0, 3));
    assert_eq!(range(&n.modulo(&dim("k"))), (0, 6));
    assert_eq!(range(&n.minimum(&Dim::from(4))), (0, 4));
    assert_eq!(range(&(dim("k") - n.maximum(&Dim::from(4)))), (-3, 3));
    assert_eq!(range(&dim("k").floor_div(&n)), (0, 7));
    assert!(dim("m").range(&of).is_err());
}

#[test]
fn sums_over_rounds_are_formulas() {
    let r = Dim::count("r");
    let t = dim("t");
    let sum = |d: &Dim| d.sum_over("r", &t).map(|s| s.to_string());
    assert_eq!(sum(&Dim::from(5)), Some("5·t".into()));
    assert_eq!(sum(&(r.clone() * Dim::from(2))), Some("t·(t - 1)".into()));
    assert_eq!(sum(&r.floor_div(&Dim::from(2))), None);
    assert_eq!(sum(&r.pow(4)), None);
}

proptest! {
    #[test]
    fn sums_are_those_of_the_rounds(c in prop::array::uniform4(-9i128..9), rounds in 0i128..40) {
        let (r, k) = (Dim::count("r"), dim("k"));
        let term = |(power, c): (u32, i128)| r.pow(power) * (k.clone() + Dim::from(c)) * Dim::from(c);
        let formula: Dim = (0..4).zip(c).map(term).sum();
        let at = |r: i128| formula.eval(&[("r".into(), r), ("k".into(), 5)].into()).unwrap();
        let sum = formula.sum_over("r", &dim("t")).unwrap();
        let found = sum.eval(&[("t".into(), rounds), ("k".into(), 5)].into()).unwrap();
        prop_assert_eq!(found, (0..rounds).map(at).sum::<i128>());
    }
}
