//! Which answers are compared with what is wanted, and which are known to be like one that was.
//!
//! An answer of the same bytes as an earlier one is as good as that was: one hash of the bytes tells. Where answers
//! to the same requests differ, small ones are all compared, and of large ones as many as fit into a share of the
//! sender's time; how many were not is counted.

use crate::connector::Answer;
use crate::random::mix;
use crate::stream::Failure;
use std::collections::HashMap;

/// What was found out about an answer.
pub(super) enum Checked {
    /// Compared in full: what is wrong with it.
    Compared(Option<Failure>),
    /// Of the same bytes as one that was: what is wrong with both.
    Same(Option<Failure>),
    /// Read in full while it arrived: what is wrong with it, and the nanoseconds that reading took.
    Read(Option<Failure>, u64),
    /// Not looked into.
    Skipped,
}

/// The answers that a sender has compared so far.
pub(super) struct Checker {
    /// What is wrong with them, by the hash of their bytes.
    known: HashMap<u64, Option<Failure>>,
    answers: u64,
    /// Answers of the same bytes as an earlier one.
    same: u64,
    /// Nanoseconds that comparing took.
    spent: u64,
    /// Answers to the same request differ, so that hashes say nothing.
    vary: bool,
}

/// Answers of this size and less are always compared, bytes.
const SMALL: usize = 4096;
/// The first answers of a sender are always compared.
const FIRST: u64 = 8;
/// Large answers are compared while that takes no more than one part in so many of the time.
const PART: u64 = 20;
/// One in so many is compared whatever it takes.
const EVERY: u64 = 64;
/// Hashes that are kept.
const KNOWN: usize = 4096;
/// After so many answers without two alike, hashing ends.
const PATIENCE: u64 = 512;

impl Checker {
    /// Nothing compared yet; `vary` where answers to the same request differ.
    pub(super) fn new(vary: bool) -> Self {
        Self { known: HashMap::new(), answers: 0, same: 0, spent: 0, vary }
    }

    /// Finds out about an answer that arrived `now` nanoseconds after the start; `compare` compares it in full.
    pub(super) fn check(
        &mut self,
        answer: &Answer,
        now: u64,
        compare: impl FnOnce() -> Option<Failure>,
    ) -> Checked {
        self.answers += 1;
        self.vary |= self.answers > PATIENCE && self.same == 0;
        let hash = (!self.vary).then(|| hash(answer));
        if let Some(found) = hash.and_then(|hash| self.known.get(&hash)) {
            self.same += 1;
            return Checked::Same(found.clone());
        }
        let number = self.answers - 1;
        let always = answer.body.len() <= SMALL || number < FIRST || number.is_multiple_of(EVERY);
        if !always && self.spent > now / PART {
            return Checked::Skipped;
        }
        let found = compare();
        if let Some(hash) = hash.filter(|_| self.known.len() < KNOWN) {
            self.known.insert(hash, found.clone());
        }
        Checked::Compared(found)
    }

    /// Counts the time of a comparison, nanoseconds.
    pub(super) fn spent(&mut self, nanoseconds: u64) {
        self.spent += nanoseconds;
    }
}

/// A hash of an answer's bytes and of where its tensors begin. Two different answers have the same one by chance
/// once in 2^64.
fn hash(answer: &Answer) -> u64 {
    /// Odd and without a pattern.
    const KEY: [u64; 2] = [0x9e37_79b9_7f4a_7c15, 0xd1b5_4a32_d192_ed03];
    let word = |bytes: &[u8]| {
        let mut word = [0; 8];
        word[..bytes.len()].copy_from_slice(bytes);
        u64::from_le_bytes(word)
    };
    let fold = |a: u64, b: u64| {
        let product = u128::from(a) * u128::from(b);
        let [low, high] = [product, product >> 64].map(|half| half & u128::from(u64::MAX));
        u64::try_from(low ^ high).unwrap_or(0)
    };
    let body = &answer.body[..];
    let mut state =
        mix(body.len() as u64 ^ mix(answer.inference_header.map_or(0, |n| n as u64 + 1)));
    for pair in body.chunks(16) {
        let (first, second) = pair.split_at(pair.len().min(8));
        state = fold(word(first) ^ KEY[0] ^ state, word(second) ^ KEY[1]) ^ state.rotate_left(23);
    }
    mix(state)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Fault;

    fn answer(bytes: &[u8]) -> Answer {
        Answer { body: bytes.to_vec().into(), ..Answer::default() }
    }

    #[test]
    fn a_changed_byte_anywhere_changes_the_hash() {
        for length in [0, 1, 7, 8, 15, 16, 17, 100, 4097] {
            let bytes = vec![0; length];
            let plain = hash(&answer(&bytes));
            assert_ne!(plain, hash(&answer(&[&bytes[..], &[0]].concat())), "{length}");
            for at in 0..length {
                let mut other = bytes.clone();
                other[at] = 1;
                assert_ne!(plain, hash(&answer(&other)), "{at} of {length}");
            }
        }
        let split = Answer { inference_header: Some(3), ..answer(b"abcdef") };
        assert_ne!(hash(&split), hash(&answer(b"abcdef")));
    }

    #[test]
    fn like_answers_are_compared_once_and_wrong_ones_stay_wrong() {
        let (mut checker, mut compared) = (Checker::new(false), 0);
        let mut wrong = 0;
        for i in 0..3000u32 {
            let body = [if i % 10 == 3 { b'B' } else { b'G' }; 8192];
            let answer = answer(&body);
            let found = checker.check(&answer, 0, || {
                compared += 1;
                (body[0] == b'B').then(|| (Fault::WrongAnswer, "bad".into()))
            });
            match found {
                Checked::Compared(found) | Checked::Same(found) => {
                    wrong += u32::from(found.is_some());
                }
                Checked::Read(..) | Checked::Skipped => panic!("{i} was not compared"),
            }
        }
        assert_eq!((compared, wrong), (2, 300));
    }

    #[test]
    fn large_answers_that_differ_are_compared_as_time_allows() {
        let (mut checker, mut compared, mut skipped) = (Checker::new(false), 0, 0);
        for i in 0..10_000u64 {
            let mut body = vec![0; 8192];
            body[..8].copy_from_slice(&i.to_le_bytes());
            // One each millisecond; a comparison takes one.
            match checker.check(&answer(&body), i * 1_000_000, || None) {
                Checked::Compared(_) => {
                    compared += 1;
                    checker.spent(1_000_000);
                }
                Checked::Same(_) | Checked::Read(..) => panic!("{i} is like none before"),
                Checked::Skipped => skipped += 1,
            }
        }
        assert!((450..700).contains(&compared), "{compared}");
        assert_eq!(compared + skipped, 10_000);
        assert!(checker.vary && checker.known.len() <= 512);
    }
}
