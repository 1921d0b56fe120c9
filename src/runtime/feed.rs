//! What the inputs of a model are fed: contents that were given, else generated ones.

use crate::probe::ProbeError;
use crate::probe::random::Random;

/// A number of an input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// Of an integer or a flag.
    Int(i64),
    /// Of a float.
    Float(f64),
}

/// What an input of a model is fed.
#[derive(Clone, Debug, PartialEq)]
pub struct Feed {
    /// Its sizes.
    pub shape: Vec<usize>,
    /// Its contents in row-major order, as many as the shape holds; generated where there are none.
    pub numbers: Option<Vec<Number>>,
}

impl From<Vec<usize>> for Feed {
    fn from(shape: Vec<usize>) -> Self {
        Self { shape, numbers: None }
    }
}

impl Feed {
    /// How many numbers it holds.
    ///
    /// # Errors
    /// Where no memory holds as many.
    pub fn count(&self) -> Result<usize, ProbeError> {
        const MOST: usize = 1 << 36;
        let count = self.shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d));
        count.filter(|n| *n <= MOST).ok_or_else(|| {
            ProbeError::Load(format!("no memory holds an input of {:?} numbers", self.shape))
        })
    }

    /// Contents for an input of floats, in row-major order: those given, else uniform in −1 to 1.
    ///
    /// # Errors
    /// As for [`Feed::count`].
    pub fn floats(&self, random: &mut Random) -> Result<Vec<f64>, ProbeError> {
        let count = self.count()?;
        let float = |number: &Number| match number {
            Number::Int(n) => *n as f64,
            Number::Float(n) => *n,
        };
        Ok(match &self.numbers {
            Some(numbers) => numbers.iter().map(float).collect(),
            None => (0..count).map(|_| f64::from(random.symmetric())).collect(),
        })
    }

    /// Contents for an input of integers or flags, in row-major order: those given, else ones, which are valid as
    /// token ids, masks and flags alike.
    ///
    /// # Errors
    /// As for [`Feed::count`], and where what is given holds a float.
    pub fn integers(&self) -> Result<Vec<i64>, ProbeError> {
        let count = self.count()?;
        let whole = |number: &Number| match number {
            Number::Int(n) => Ok(*n),
            Number::Float(n) => {
                Err(ProbeError::Load(format!("an input of integers is given {n}, a float")))
            }
        };
        match &self.numbers {
            Some(numbers) => numbers.iter().map(whole).collect(),
            None => Ok(vec![1; count]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_contents_are_fed_and_others_generated() {
        let mut random = Random::new(1);
        let generated = Feed::from(vec![2, 3]);
        let floats = generated.floats(&mut random).unwrap();
        assert!(floats.len() == 6 && floats.iter().all(|x| x.abs() <= 1.0), "{floats:?}");
        assert_eq!(generated.integers().unwrap(), [1; 6]);
        let numbers = Some(vec![Number::Int(i64::MAX), Number::Int(0)]);
        let given = Feed { shape: vec![2], numbers };
        assert_eq!(given.integers().unwrap(), [i64::MAX, 0]);
        assert_eq!(given.floats(&mut random).unwrap()[1].to_bits(), 0);
        let half = Feed { shape: vec![], numbers: Some(vec![Number::Float(0.5)]) };
        assert!(half.integers().is_err());
    }

    #[test]
    fn sizes_beyond_memory_are_refused() {
        for shape in [vec![usize::MAX, 2], vec![1 << 40], vec![1 << 20, 1 << 20]] {
            assert!(Feed::from(shape).integers().is_err());
        }
    }
}
