//! Which boxes suppression keeps, where boxes and scores are constants: how many rows its output has.
//! Knows numbers only, and nothing of graphs or costs.

use std::cmp::Ordering;

/// What suppression is asked to do, after ONNX's `NonMaxSuppression`.
pub(super) struct Suppression {
    /// Boxes kept of a class in one image, at most.
    pub(super) most: usize,
    /// Overlap, as a share of the union, above which a box goes.
    pub(super) overlap: f32,
    /// Score that a box must exceed, where one is asked for.
    pub(super) score: Option<f32>,
    /// Whether a box is its centre and size; two opposite corners otherwise.
    pub(super) centred: bool,
}

/// Least and largest coordinate on each of the two axes.
type Corners = [(f32, f32); 2];

impl Suppression {
    /// How many boxes stay, over `images` images and `classes` classes: `boxes: [images, count, 4]`,
    /// `scores: [images, classes, count]`. Nothing where the lengths do not fit.
    pub(super) fn kept(
        &self,
        (images, classes, count): (usize, usize, usize),
        boxes: &[f32],
        scores: &[f32],
    ) -> Option<usize> {
        let wanted = images.checked_mul(count)?;
        if boxes.len() != wanted.checked_mul(4)? || scores.len() != wanted.checked_mul(classes)? {
            return None;
        }
        if wanted == 0 {
            return Some(0);
        }
        let corners: Vec<Corners> = boxes.chunks_exact(4).map(|b| self.corners(b)).collect();
        let mut kept = 0;
        for image in 0..images {
            let boxes = &corners[image * count..][..count];
            for class in 0..classes {
                let scores = &scores[(image * classes + class) * count..][..count];
                kept += self.of_class(boxes, scores);
            }
        }
        Some(kept)
    }

    fn of_class(&self, boxes: &[Corners], scores: &[f32]) -> usize {
        let enough = |i: &usize| self.score.is_none_or(|least| scores[*i] > least);
        let mut order: Vec<usize> = (0..boxes.len()).filter(enough).collect();
        order.sort_by(|a, b| scores[*b].partial_cmp(&scores[*a]).unwrap_or(Ordering::Equal));
        let mut kept: Vec<Corners> = Vec::new();
        for i in order {
            if kept.len() == self.most {
                break;
            }
            if kept.iter().all(|k| overlap(k, &boxes[i]) <= self.overlap) {
                kept.push(boxes[i]);
            }
        }
        kept.len()
    }

    fn corners(&self, b: &[f32]) -> Corners {
        let sorted = |a: f32, b: f32| (a.min(b), a.max(b));
        if self.centred {
            let around = |centre: f32, size: f32| (centre - size / 2.0, centre + size / 2.0);
            [around(b[0], b[2]), around(b[1], b[3])]
        } else {
            [sorted(b[0], b[2]), sorted(b[1], b[3])]
        }
    }
}

/// The intersection of two boxes as a share of their union; zero where they have none.
fn overlap(a: &Corners, b: &Corners) -> f32 {
    let area = |c: &Corners| c.iter().map(|(low, high)| high - low).product::<f32>();
    let both = [0, 1].map(|i| (a[i].0.max(b[i].0), a[i].1.min(b[i].1)));
    let shared = if both.iter().any(|(low, high)| high <= low) { 0.0 } else { area(&both) };
    let union = area(a) + area(b) - shared;
    if shared > 0.0 && union > 0.0 { shared / union } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_that_overlap_more_than_the_limit_go() {
        let mut wanted = Suppression { most: 9, overlap: 0.5, score: None, centred: false };
        // The second lies on 1/3 of its union with the first, and the third is the first with its corners
        // in another order.
        let boxes = [[0.0, 0.0, 2.0, 1.0], [1.0, 0.0, 3.0, 1.0], [2.0, 1.0, 0.0, 0.0]].concat();
        let scores = [0.9, 0.8, 0.7];
        assert_eq!(wanted.kept((1, 1, 3), &boxes, &scores), Some(2));
        wanted.overlap = 0.3;
        assert_eq!(wanted.kept((1, 1, 3), &boxes, &scores), Some(1));
        wanted.overlap = 1.0;
        assert_eq!(wanted.kept((1, 1, 3), &boxes, &scores), Some(3));
        (wanted.most, wanted.score) = (2, Some(0.8));
        assert_eq!(wanted.kept((1, 1, 3), &boxes, &scores), Some(1));
        assert_eq!(wanted.kept((1, 2, 3), &boxes, &scores), None);
        assert_eq!(wanted.kept((usize::MAX, usize::MAX, 0), &[], &[]), Some(0));
        let nan = [f32::NAN; 3];
        assert_eq!(wanted.kept((1, 1, 3), &boxes, &nan), Some(0));
    }
}
