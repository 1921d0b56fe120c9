//! Formulas as data: a pool of sums of products, evaluated in one pass.
//!
//! A formula is a list of terms `[coefficient, [[atom, power], …]]`; an atom is the name of a size, or an operation
//! on two formulas that stand before it in the pool. Nothing is parsed from text, so that a page can evaluate it
//! without running code that a file brought.

use rooflens_model::dim::{Dim, Factor, Shape};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

/// Values of sizes, by name.
pub type Values = BTreeMap<String, f64>;

/// A whole number; as text where a double cannot hold it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Coefficient {
    /// Below 2^53, with either sign.
    Short(i64),
    /// Any other, in decimal digits.
    Long(String),
}

impl Coefficient {
    fn of(number: i128) -> Self {
        const MOST: i64 = 1 << 53;
        match i64::try_from(number) {
            Ok(short) if (-MOST..=MOST).contains(&short) => Self::Short(short),
            _ => Self::Long(number.to_string()),
        }
    }

    fn value(&self) -> f64 {
        match self {
            Self::Short(number) => *number as f64,
            Self::Long(text) => text.parse().unwrap_or(f64::NAN),
        }
    }
}

rooflens_ground::words! {
    /// An operation that is no product and no sum.
    #[cfg_attr(test, derive(schemars::JsonSchema))]
    pub enum Operation {
        /// The quotient of Euclid: the remainder is never below zero.
        Div = "div",
        /// The remainder of that quotient.
        Mod = "mod",
        /// The smaller of the two.
        Min = "min",
        /// The larger of the two.
        Max = "max",
        /// `⌈log2⌉` of the first, at least one.
        Log2 = "log2",
    }
}

/// What is multiplied: the name of a size, or an operation on two formulas of the pool, by their positions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Atom {
    /// A size by its name.
    Size(String),
    /// An operation on two formulas that stand before every formula with this atom.
    Of(Operation, usize, usize),
}

/// A coefficient, and the atoms that it is multiplied with: their positions and powers, which are at least one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Term(pub Coefficient, pub Vec<(usize, u32)>);

/// A sum of terms; none, and null in files, where the count was too large to hold.
pub type Expr = Option<Vec<Term>>;

/// Formulas that share their atoms.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Pool {
    /// Sizes and operations.
    pub atoms: Vec<Atom>,
    /// Formulas; those that an atom is made of stand before the first that has it.
    pub exprs: Vec<Expr>,
}

/// A pool while it is filled: equal formulas are one.
#[derive(Default)]
pub struct Filling {
    pool: Pool,
    known: HashMap<Dim, usize>,
    atoms: HashMap<String, usize>,
}

impl Filling {
    /// The position of a formula, which is added where it is new.
    pub fn add(&mut self, dim: &Dim) -> usize {
        if let Some(at) = self.known.get(dim) {
            return *at;
        }
        let expr = match dim.shape() {
            Shape::Overflow => None,
            Shape::Number(0) => Some(Vec::new()),
            Shape::Number(n) => Some(vec![Term(Coefficient::of(n), Vec::new())]),
            Shape::Sum(terms) => Some(
                terms
                    .into_iter()
                    .map(|(coefficient, factors)| {
                        let factors = factors.into_iter().map(|(f, power)| (self.atom(f), power));
                        Term(Coefficient::of(coefficient), factors.collect())
                    })
                    .collect(),
            ),
        };
        self.pool.exprs.push(expr);
        let at = self.pool.exprs.len() - 1;
        self.known.insert(dim.clone(), at);
        at
    }

    fn atom(&mut self, factor: Factor<'_>) -> usize {
        let (key, atom) = match factor {
            Factor::Symbol(name) => (format!("size {name}"), Atom::Size(name.to_owned())),
            Factor::FloorDiv(a, b) => self.operation(Operation::Div, a, b),
            Factor::Mod(a, b) => self.operation(Operation::Mod, a, b),
            Factor::Min(a, b) => self.operation(Operation::Min, a, b),
            Factor::Max(a, b) => self.operation(Operation::Max, a, b),
            Factor::CeilLog2(a) => self.operation(Operation::Log2, a, &Dim::ZERO),
        };
        if let Some(at) = self.atoms.get(&key) {
            return *at;
        }
        self.pool.atoms.push(atom);
        let at = self.pool.atoms.len() - 1;
        self.atoms.insert(key, at);
        at
    }

    fn operation(&mut self, operation: Operation, a: &Dim, b: &Dim) -> (String, Atom) {
        let (a, b) = (self.add(a), self.add(b));
        (format!("{operation} {a} {b}"), Atom::Of(operation, a, b))
    }

    /// The pool, filled.
    pub fn done(self) -> Pool {
        self.pool
    }
}

impl Pool {
    /// Every formula at these sizes, in order; none where it overflowed, where a size has no value, or where it
    /// divides by zero.
    pub fn evaluate(&self, values: &Values) -> Vec<Option<f64>> {
        evaluate(&self.atoms, &self.exprs, values)
    }

    /// The names of all sizes.
    pub fn sizes(&self) -> impl Iterator<Item = &str> {
        self.atoms.iter().filter_map(|atom| match atom {
            Atom::Size(name) => Some(name.as_str()),
            Atom::Of(..) => None,
        })
    }
}

/// Every formula at these sizes, in order; none where it overflowed, where a size has no value, or where it divides
/// by zero.
pub(super) fn evaluate(atoms: &[Atom], exprs: &[Expr], values: &Values) -> Vec<Option<f64>> {
    let mut known: Vec<Option<f64>> = vec![None; atoms.len()];
    let mut numbers: Vec<Option<f64>> = Vec::with_capacity(exprs.len());
    for expr in exprs {
        let number = expr.as_ref().and_then(|terms| {
            terms.iter().try_fold(0.0, |sum, Term(coefficient, factors)| {
                let mut product = coefficient.value();
                for (atom, power) in factors {
                    let value = match known.get(*atom)? {
                        Some(value) => *value,
                        None => atoms.get(*atom)?.evaluate(values, &numbers)?,
                    };
                    *known.get_mut(*atom)? = Some(value);
                    product *= value.powi(i32::try_from(*power).ok()?);
                }
                Some(sum + product)
            })
        });
        numbers.push(number.filter(|n| n.is_finite()));
    }
    numbers
}

impl Atom {
    /// The value, where all formulas that it is made of are among `numbers`.
    fn evaluate(&self, values: &Values, numbers: &[Option<f64>]) -> Option<f64> {
        let (operation, a, b) = match self {
            Self::Size(name) => return values.get(name).copied(),
            Self::Of(operation, a, b) => (*operation, (*numbers.get(*a)?)?, (*numbers.get(*b)?)?),
        };
        // Euclid's: the remainder is never below zero.
        let quotient = || match b {
            0.0 => None,
            b if b > 0.0 => Some((a / b).floor()),
            b => Some(-(a / -b).floor()),
        };
        match operation {
            Operation::Div => quotient(),
            Operation::Mod => Some(a - b * quotient()?),
            Operation::Min => Some(a.min(b)),
            Operation::Max => Some(a.max(b)),
            Operation::Log2 => Some(stages(a)),
        }
    }
}

/// `⌈log2 n⌉`, at least one, by doubling: logarithms of doubles are not exact.
fn stages(n: f64) -> f64 {
    let (mut stages, mut reached) = (1.0, 2.0);
    while reached < n && stages < 127.0 {
        reached *= 2.0;
        stages += 1.0;
    }
    stages
}
