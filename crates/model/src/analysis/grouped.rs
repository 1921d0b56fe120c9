//! Lists of ids by a number from zero on, in two vectors: who reads each value, what ends at each step.

/// The ids of each number, in the order they came in.
pub(super) struct Grouped<T> {
    ids: Vec<T>,
    /// Where those of each number begin.
    start: Vec<usize>,
}

impl<T: Copy> Grouped<T> {
    /// Groups the ids of `pairs` by `number`, which is below `count`.
    pub(super) fn new<K: Copy>(count: usize, pairs: &[(K, T)], number: fn(K) -> usize) -> Self {
        let mut start = vec![0; count + 1];
        for (key, _) in pairs {
            start[number(*key) + 1] += 1;
        }
        for at in 0..count {
            start[at + 1] += start[at];
        }
        let mut next = start.clone();
        let mut ids: Vec<T> = pairs.iter().map(|(_, id)| *id).collect();
        for (key, id) in pairs {
            let at = &mut next[number(*key)];
            ids[*at] = *id;
            *at += 1;
        }
        Self { ids, start }
    }

    /// Those of one number.
    pub(super) fn of(&self, number: usize) -> &[T] {
        &self.ids[self.start[number]..self.start[number + 1]]
    }
}
