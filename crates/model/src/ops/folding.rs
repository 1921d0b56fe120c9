//! Arithmetic on single elements of followed tensors: on numbers with the rounding of their type, on
//! formulas where the result is exact.
//!
//! A formula in a floating-point tensor is a size that was cast, so that it is below 2²² and its sums,
//! halves and quotients are rounded to nothing that a floor could see.

use crate::dim::Dim;
use crate::ir::{DType, Elem};

/// Above this odd factor, a product with a size may be rounded.
const MAX_ODD: f64 = 2048.0;
/// Denominators beyond this number are given up on.
const MAX_DENOMINATOR: u64 = 1 << 40;

/// Arithmetic in one element type.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arithmetic {
    dtype: Option<DType>,
    /// Whether `Mod` has the sign of the dividend, as C has it.
    pub(super) c_remainder: bool,
}

impl Arithmetic {
    /// On elements of this type.
    pub(super) fn on(dtype: Option<DType>) -> Self {
        Self { dtype, c_remainder: false }
    }

    fn is_integer(self) -> bool {
        self.dtype.is_some_and(|d| !d.is_float())
    }

    /// A number of this type, as the nearest one that it has.
    fn float(self, x: f64) -> Elem {
        match rounded(x, self.dtype) {
            Some(x) if !x.is_nan() => Elem::Float(x),
            _ => Elem::Unknown,
        }
    }

    /// A whole number of this type; a constant wraps around as the machine's does.
    fn int(self, d: Dim) -> Elem {
        match (d.as_const(), self.dtype) {
            _ if d.is_overflow() => Elem::Unknown,
            (Some(c), Some(dtype)) if dtype.is_integer() => Elem::Int(wrapped(c, dtype).into()),
            _ => Elem::Int(d),
        }
    }

    /// The whole number `n` as an element of this type.
    pub(super) fn whole(self, n: usize) -> Elem {
        #[allow(clippy::cast_precision_loss)]
        if self.is_integer() { self.int(Dim::from(n)) } else { self.float(n as f64) }
    }

    /// What the operator `op` makes of one element.
    pub(super) fn unary(self, op: &str, e: &Elem) -> Elem {
        match e {
            Elem::Unknown => Elem::Unknown,
            Elem::Int(d) if self.is_integer() => {
                unary_int(op, d).map_or(Elem::Unknown, |d| self.int(d))
            }
            _ => match e.as_f64() {
                Some(x) if matches!(op, "IsInf" | "IsNaN") => {
                    flag(if op == "IsNaN" { x.is_nan() } else { x.is_infinite() })
                }
                Some(x) => unary_float(op, x).map_or(Elem::Unknown, |x| self.float(x)),
                None => unary_ratio(op, e).unwrap_or(Elem::Unknown),
            },
        }
    }

    /// What the operator `op` makes of two elements.
    pub(super) fn binary(self, op: &str, a: &Elem, b: &Elem) -> Elem {
        let is = |e: &Elem, yes: bool| e.as_const().is_some_and(|c| (c != 0) == yes);
        match op {
            "And" if is(a, false) || is(b, false) => return flag(false),
            "Or" if is(a, true) || is(b, true) => return flag(true),
            _ => {}
        }
        if let (Elem::Int(x), Elem::Int(y), true) = (a, b, self.is_integer()) {
            let result = self.ints(op, x, y);
            let answer = compares(op);
            return result
                .map_or(Elem::Unknown, |d| if answer { Elem::Int(d) } else { self.int(d) });
        }
        match (a.as_f64(), b.as_f64()) {
            (Some(x), Some(y)) if self.is_integer() && op == "Pow" => power(x, y, self),
            _ if self.is_integer() => Elem::Unknown,
            (Some(x), Some(y)) => self.floats(op, x, y),
            _ => match (Ratio::of(a), Ratio::of(b)) {
                (Some(a), Some(b)) => self.ratios(op, a, b).unwrap_or(Elem::Unknown),
                _ => Elem::Unknown,
            },
        }
    }

    fn floats(self, op: &str, x: f64, y: f64) -> Elem {
        self.float(match op {
            "Add" | "Sum" | "Mean" => x + y,
            "Sub" => x - y,
            "Mul" => x * y,
            "Div" => x / y,
            "Pow" => x.powf(y),
            "Min" => x.min(y),
            "Max" => x.max(y),
            // The sign of the dividend: floats have no other remainder in ONNX.
            "Mod" => x % y,
            // Equality is the operator's own, bit for bit but for the two zeros.
            #[allow(clippy::float_cmp)]
            "Equal" => return flag(x == y),
            "Less" => return flag(x < y),
            "LessOrEqual" => return flag(x <= y),
            "Greater" => return flag(x > y),
            "GreaterOrEqual" => return flag(x >= y),
            _ => return Elem::Unknown,
        })
    }

    fn ratios(self, op: &str, a: Ratio, b: Ratio) -> Option<Elem> {
        if op == "Pow" {
            let exponent = (b.under == 1).then(|| b.top.as_const()).flatten()?;
            let exponent = u32::try_from(exponent).ok().filter(|e| (1..=4).contains(e))?;
            return Ratio { top: a.top.pow(exponent), under: a.under.checked_pow(exponent)? }
                .elem();
        }
        let (p, q) = (a.top, Dim::from(a.under));
        let (r, s) = (b.top, Dim::from(b.under));
        let under = a.under.checked_mul(b.under)?;
        let (left, right) = (p.clone() * s.clone(), r.clone() * q.clone());
        match op {
            "Add" | "Sum" | "Mean" => Ratio { top: left + right, under }.elem(),
            "Sub" => Ratio { top: left - right, under }.elem(),
            "Mul" => Ratio { top: p * r, under }.elem(),
            "Min" => Ratio { top: left.minimum(&right), under }.elem(),
            "Max" => Ratio { top: left.maximum(&right), under }.elem(),
            "Div" => match right.as_const() {
                Some(0) => None,
                Some(c) => {
                    let top = if c < 0 { -left } else { left };
                    Ratio { top, under: u64::try_from(c.unsigned_abs()).ok()? }.elem()
                }
                None => Some(Elem::Int(left.exact_div(&right)?)),
            },
            "Mod" if under == 1 && p.lower_bound()? >= 0 && r.as_const()? > 0 => {
                Some(Elem::Int(p.modulo(&r)))
            }
            _ if compares(op) => Some(Elem::Int(self.ints(op, &left, &right)?)),
            _ => None,
        }
    }

    fn ints(self, op: &str, a: &Dim, b: &Dim) -> Option<Dim> {
        let consts = a.as_const().zip(b.as_const());
        match op {
            "Add" | "Sum" => Some(a.clone() + b.clone()),
            "Sub" => Some(a.clone() - b.clone()),
            "Mul" => Some(a.clone() * b.clone()),
            // C division truncates towards zero; where nothing is negative, the floor is the same.
            "Div" => match consts {
                Some((x, y)) => Some(Dim::from(x.checked_div(y)?)),
                None if a.lower_bound()? >= 0 && b.lower_bound()? >= 1 => Some(a.floor_div(b)),
                None => None,
            },
            "Mod" => match consts {
                Some((x, y)) => {
                    let rest = x.checked_rem(y)?;
                    let turned = !self.c_remainder && rest != 0 && (rest < 0) != (y < 0);
                    Some(Dim::from(if turned { rest + y } else { rest }))
                }
                None if self.c_remainder && a.lower_bound()? < 0 => None,
                None if b.lower_bound()? >= 1 => Some(a.modulo(b)),
                None => None,
            },
            "Min" => Some(a.minimum(b)),
            "Max" => Some(a.maximum(b)),
            "Pow" => Some(a.pow(u32::try_from(b.as_const()?).ok().filter(|e| *e <= 16)?)),
            "BitwiseAnd" => Some(Dim::from(consts?.0 & consts?.1)),
            "BitwiseOr" => Some(Dim::from(consts?.0 | consts?.1)),
            "BitwiseXor" => Some(Dim::from(consts?.0 ^ consts?.1)),
            _ => truth(op, a, b).map(|yes| Dim::from(i64::from(yes))),
        }
    }
}

/// Whether an operator answers yes or no.
pub(super) fn compares(op: &str) -> bool {
    matches!(
        op,
        "And"
            | "Or"
            | "Xor"
            | "Not"
            | "Equal"
            | "Greater"
            | "GreaterOrEqual"
            | "Less"
            | "LessOrEqual"
            | "IsInf"
            | "IsNaN"
    )
}

fn flag(yes: bool) -> Elem {
    Elem::Int(Dim::from(i64::from(yes)))
}

/// The answer of a comparison that is the same whatever the symbols are.
fn truth(op: &str, a: &Dim, b: &Dim) -> Option<bool> {
    use std::cmp::Ordering::{Equal, Greater, Less};
    let consts = a.as_const().zip(b.as_const()).map(|(a, b)| (a != 0, b != 0));
    // `compare` answers "less or equal"; a strict order needs a gap of one.
    let strictly_less = |a: &Dim, b: &Dim| {
        let gap = a.clone() + Dim::ONE;
        match (gap.compare(b), b.compare(a)) {
            (Some(Less | Equal), _) => Some(true),
            (_, Some(Less | Equal)) => Some(false),
            _ => None,
        }
    };
    match op {
        "Equal" if a == b => Some(true),
        "Equal" => {
            let (less, more) = (strictly_less(a, b), strictly_less(b, a));
            (less == Some(true) || more == Some(true)).then_some(false)
        }
        "Less" => strictly_less(a, b),
        "Greater" => strictly_less(b, a),
        "LessOrEqual" => Some(!strictly_less(b, a)?),
        "GreaterOrEqual" => match a.compare(b) {
            Some(Greater | Equal) => Some(true),
            _ => Some(!strictly_less(a, b)?),
        },
        "And" => consts.map(|(a, b)| a && b),
        "Or" => consts.map(|(a, b)| a || b),
        "Xor" => consts.map(|(a, b)| a != b),
        _ => None,
    }
}

/// An integer to the power of a float, rounded towards zero.
fn power(x: f64, y: f64, arithmetic: Arithmetic) -> Elem {
    truncated(x.powf(y)).map_or(Elem::Unknown, |c| arithmetic.int(Dim::from(c)))
}

fn unary_int(op: &str, d: &Dim) -> Option<Dim> {
    let positive = |least| d.lower_bound().is_some_and(|l| l >= least);
    match op {
        "Neg" => Some(-d.clone()),
        "Not" => d.as_const().map(|c| Dim::from(i64::from(c == 0))),
        "BitwiseNot" => d.as_const().map(|c| Dim::from(!c)),
        "Relu" => Some(d.maximum(&Dim::ZERO)),
        "Abs" if positive(0) => Some(d.clone()),
        "Abs" => d.as_const().map(|c| Dim::from(c.saturating_abs())),
        "Sign" if positive(1) => Some(Dim::ONE),
        "Sign" => d.as_const().map(|c| Dim::from(c.signum())),
        _ => None,
    }
}

fn unary_float(op: &str, x: f64) -> Option<f64> {
    Some(match op {
        "Abs" => x.abs(),
        "Ceil" => x.ceil(),
        "Cos" => x.cos(),
        "Exp" => x.exp(),
        "Floor" => x.floor(),
        "Log" => x.ln(),
        "Neg" => -x,
        "Reciprocal" => 1.0 / x,
        "Relu" => x.max(0.0),
        "Round" => x.round_ties_even(),
        "Sigmoid" => 1.0 / (1.0 + (-x).exp()),
        "Sign" if x == 0.0 => 0.0,
        "Sign" => x.signum(),
        "Sin" => x.sin(),
        "Sqrt" => x.sqrt(),
        "Tanh" => x.tanh(),
        _ => return None,
    })
}

/// On a formula in a floating-point tensor.
fn unary_ratio(op: &str, e: &Elem) -> Option<Elem> {
    let Ratio { top, under } = Ratio::of(e)?;
    let (one, denominator) = (under == 1, Dim::from(under));
    let least = top.lower_bound();
    let positive = least.is_some_and(|l| l >= 0);
    match op {
        "Neg" => Ratio { top: -top, under }.elem(),
        "Abs" | "Relu" if positive => Some(e.clone()),
        "Relu" => Ratio { top: top.maximum(&Dim::ZERO), under }.elem(),
        "Sign" if least? >= 1 => Some(Elem::Float(1.0)),
        "Floor" | "Ceil" | "Round" if one => Some(e.clone()),
        "Floor" => Some(Elem::Int(top.floor_div(&denominator))),
        "Ceil" => Some(Elem::Int(top.ceil_div(&denominator))),
        // Over an odd number, nothing lies halfway between two whole ones.
        "Round" if under % 2 == 1 => {
            let twice = Dim::from(2);
            Some(Elem::Int(
                (top * twice.clone() + denominator.clone()).floor_div(&(denominator * twice)),
            ))
        }
        _ => None,
    }
}

/// A formula over a number.
struct Ratio {
    top: Dim,
    under: u64,
}

impl Ratio {
    fn of(e: &Elem) -> Option<Self> {
        match e {
            Elem::Int(d) => Some(Self { top: d.clone(), under: 1 }),
            Elem::Ratio(top, under) => Some(Self { top: top.clone(), under: *under }),
            Elem::Float(x) => Self::exactly(*x),
            Elem::Unknown => None,
        }
    }

    /// A float that a size times it is not rounded.
    fn exactly(x: f64) -> Option<Self> {
        let (mut odd, mut under, mut scale) = (x, 1u64, 1i64);
        if !x.is_finite() || x.abs() > 1e12 {
            return None;
        }
        while odd.fract() != 0.0 && under < 1 << 16 {
            (odd, under) = (odd * 2.0, under * 2);
        }
        while odd != 0.0 && odd % 2.0 == 0.0 {
            (odd, scale) = (odd / 2.0, scale * 2);
        }
        (odd.fract() == 0.0 && odd.abs() <= MAX_ODD)
            .then(|| truncated(odd))
            .flatten()
            .map(|odd| Self { top: Dim::from(odd) * Dim::from(scale), under })
    }

    /// As an element: whole where it divides.
    fn elem(self) -> Option<Elem> {
        let Self { top, under } = self;
        let denominator = Dim::from(under);
        if top.is_overflow() || under > MAX_DENOMINATOR {
            return None;
        }
        if top.modulo(&denominator).is_zero() {
            return Some(Elem::Int(top.floor_div(&denominator)));
        }
        Some(Elem::Ratio(top, under))
    }
}

/// `e` cast to another type.
pub(super) fn cast(e: &Elem, to: Option<DType>) -> Elem {
    let Some(dtype) = to else { return Elem::Unknown };
    let target = Arithmetic::on(to);
    match (e, dtype) {
        (Elem::Unknown, _)
        | (_, DType::String | DType::C64 | DType::C128)
        | (Elem::Ratio(..), DType::Bool) => Elem::Unknown,
        (Elem::Int(d), DType::Bool) => match d.as_const() {
            Some(c) => flag(c != 0),
            None if d.lower_bound().is_some_and(|l| l >= 1) => flag(true),
            None => Elem::Unknown,
        },
        (Elem::Float(x), DType::Bool) => flag(*x != 0.0),
        (Elem::Int(d), _) if dtype.is_integer() => target.int(d.clone()),
        (Elem::Float(x), _) if dtype.is_integer() => match truncated(*x) {
            Some(c) if wrapped(c, dtype) == c => Elem::Int(Dim::from(c)),
            _ => Elem::Unknown,
        },
        (Elem::Ratio(top, under), _) if dtype.is_integer() => match top.lower_bound() {
            Some(0..) => Elem::Int(top.floor_div(&Dim::from(*under))),
            _ => Elem::Unknown,
        },
        _ => match e.as_f64() {
            Some(x) => target.float(x),
            // A size survives a cast to a type that holds it: exporters scale sizes so.
            None if matches!(dtype, DType::F32 | DType::F64) => e.clone(),
            None => Elem::Unknown,
        },
    }
}

/// The whole part of a number, towards zero.
pub(super) fn truncated(x: f64) -> Option<i128> {
    #[allow(clippy::cast_possible_truncation)]
    (x.abs() < 1e30).then(|| x.trunc() as i128)
}

/// A whole number as one of this integer type, by its lowest bits.
fn wrapped(c: i128, dtype: DType) -> i128 {
    let range = 1i128 << dtype.bits().clamp(1, 64);
    let low = c.rem_euclid(range);
    if dtype.name().starts_with('i') && low >= range / 2 { low - range } else { low }
}

/// The number of a floating-point type that is nearest; f32 where the type is not known.
fn rounded(x: f64, dtype: Option<DType>) -> Option<f64> {
    // Significant bits, the least normal exponent, and the greatest number.
    let (bits, least, most) = match dtype {
        Some(DType::F64) => return Some(x),
        #[allow(clippy::cast_possible_truncation)]
        Some(DType::F32) | None => return Some(f64::from(x as f32)),
        Some(DType::F16) => (11, -14, 65_504.0),
        Some(DType::BF16) => (8, -126, f64::from(f32::MAX)),
        _ => return None,
    };
    if x == 0.0 || !x.is_finite() {
        return Some(x);
    }
    #[allow(clippy::cast_possible_truncation)]
    let exponent = (x.abs().log2().floor() as i32).max(least);
    let unit = 2f64.powi(exponent - (bits - 1));
    let near = (x / unit).round_ties_even() * unit;
    Some(if near.abs() > most { near.signum() * f64::INFINITY } else { near })
}

#[cfg(test)]
mod tests {
    use super::*;

    const F32: Arithmetic = Arithmetic { dtype: Some(DType::F32), c_remainder: false };

    fn float(x: f32) -> Elem {
        Elem::Float(x.into())
    }

    /// By numpy 2: `np.float32(41) * (1 / np.float32(41))`, and so on.
    #[test]
    fn floats_are_rounded_to_their_type() {
        let third = F32.unary("Reciprocal", &float(3.0));
        assert_eq!(third, float(1.0 / 3.0));
        let near_one = F32.binary("Mul", &float(41.0), &F32.unary("Reciprocal", &float(41.0)));
        assert_eq!(near_one, float(0.999_999_94));
        assert_eq!(F32.unary("Floor", &near_one), float(0.0));
        assert_eq!(F32.binary("Add", &float(16_777_216.0), &float(1.0)), float(16_777_216.0));
        let half = Arithmetic::on(Some(DType::F16));
        assert_eq!(half.unary("Neg", &Elem::Float(0.1)), Elem::Float(-0.099_975_585_937_5));
        assert_eq!(cast(&Elem::Int(Dim::from(4097)), Some(DType::F16)), Elem::Float(4096.0));
        assert_eq!(cast(&Elem::Float(70_000.0), Some(DType::F16)), Elem::Float(f64::INFINITY));
    }

    #[test]
    fn casts_truncate_and_wrap() {
        let int = |c: i64| Elem::Int(Dim::from(c));
        assert_eq!(cast(&float(-2.7), Some(DType::I64)), int(-2));
        assert_eq!(cast(&int(300), Some(DType::U8)), int(44));
        assert_eq!(cast(&int(200), Some(DType::I8)), int(-56));
        assert_eq!(cast(&float(f32::NAN), Some(DType::I32)), Elem::Unknown);
    }

    /// ⌊h·0.5⌋ = ⌊h/2⌋, and so on; what may be rounded stays open.
    #[test]
    fn formulas_fold_where_they_stay_exact() {
        let h = Elem::Int(Dim::symbol("h"));
        let dim = |text: &str| Elem::Int(text.parse().unwrap_or_default());
        let half = F32.binary("Mul", &h, &float(0.5));
        assert_eq!(half, Elem::Ratio(Dim::symbol("h"), 2));
        assert_eq!(F32.unary("Floor", &half), dim("h//2"));
        assert_eq!(F32.unary("Ceil", &half), dim("(h+1)//2"));
        assert_eq!(cast(&half, Some(DType::I64)), dim("h//2"));
        assert_eq!(F32.binary("Mul", &half, &float(4.0)), dim("2*h"));
        assert_eq!(F32.binary("Div", &half, &float(8.0)), Elem::Ratio(Dim::symbol("h"), 16));
        let wider = F32.binary("Add", &half, &float(0.25));
        assert_eq!(F32.unary("Floor", &wider), dim("(2*h + 1)//4"));
        assert_eq!(F32.binary("Mul", &h, &float(0.3)), Elem::Unknown);
        assert_eq!(F32.binary("Div", &F32.binary("Mul", &h, &float(2.0)), &h), dim("2"));
        assert_eq!(F32.binary("Less", &half, &h), dim("1"));
        let thirds = F32.binary("Div", &h, &float(3.0));
        assert_eq!(F32.unary("Round", &thirds), dim("(2*h + 3)//6"));
    }

    #[test]
    fn remainders_have_the_sign_that_is_asked_for() {
        let int = |c: i64| Elem::Int(Dim::from(c));
        let python = Arithmetic::on(Some(DType::I64));
        let c = Arithmetic { c_remainder: true, ..python };
        for (x, y, ours, theirs) in [(-7, 3, 2, -1), (7, -3, -2, 1), (-7, -3, -1, -1), (7, 3, 1, 1)]
        {
            assert_eq!(python.binary("Mod", &int(x), &int(y)), int(ours));
            assert_eq!(c.binary("Mod", &int(x), &int(y)), int(theirs));
        }
    }
}
