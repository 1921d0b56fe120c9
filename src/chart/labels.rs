//! Where labels go: beside their point, on nothing else, inside the picture.

/// A rectangle in pixels, y downwards.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Box2 {
    pub(super) x0: f64,
    pub(super) y0: f64,
    pub(super) x1: f64,
    pub(super) y1: f64,
}

impl Box2 {
    fn overlaps(&self, other: &Self) -> bool {
        self.x0 < other.x1 && other.x0 < self.x1 && self.y0 < other.y1 && other.y0 < self.y1
    }

    fn contains(&self, other: &Self) -> bool {
        self.x0 <= other.x0 && other.x1 <= self.x1 && self.y0 <= other.y0 && other.y1 <= self.y1
    }
}

/// Keeps track of what is taken.
pub(super) struct Placer {
    frame: Box2,
    marks: Vec<Box2>,
    labels: Vec<Box2>,
}

/// Width of `text` in a sans-serif face of this size; an upper estimate, so that what does not
/// overlap here does not overlap in any common font.
pub(super) fn width(text: &str, size: f64) -> f64 {
    let em = |c: char| match c {
        'i' | 'l' | 'j' | 't' | 'f' | 'I' | '.' | ',' | ':' | ' ' | '/' | '(' | ')' => 0.40,
        'm' | 'w' | 'M' | 'W' | '×' | '…' => 0.98,
        c if c.is_uppercase() => 0.76,
        _ => 0.64,
    };
    text.chars().map(em).sum::<f64>() * size
}

impl Placer {
    pub(super) fn new(frame: Box2) -> Self {
        Self { frame, marks: Vec::new(), labels: Vec::new() }
    }

    /// Marks a drawn thing that labels should leave visible.
    pub(super) fn block_point(&mut self, x: i32, y: i32, radius: f64) {
        let (x, y) = (f64::from(x), f64::from(y));
        self.marks.push(Box2 { x0: x - radius, y0: y - radius, x1: x + radius, y1: y + radius });
    }

    /// The nearest free place for a label at `at`: off every mark if there is one, and off every
    /// other label always; `None` when nothing near is free.
    pub(super) fn place(&mut self, text: &str, at: (i32, i32), size: f64) -> Option<Box2> {
        let (w, h) = (width(text, size), size * 1.25);
        let (x, y) = (f64::from(at.0), f64::from(at.1));
        let mut candidates = Vec::new();
        for ring in 0..14 {
            let gap = 10.0 + 16.0 * f64::from(ring);
            for (dx, dy) in [
                (gap, -h / 2.0),
                (-gap - w, -h / 2.0),
                (gap, -gap - h),
                (gap, gap),
                (-gap - w, gap),
                (-gap - w, -gap - h),
                (-w / 2.0, -gap - h),
                (-w / 2.0, gap),
            ] {
                let (x0, y0) = (x + dx, y + dy);
                candidates.push(Box2 { x0, y0, x1: x0 + w, y1: y0 + h });
            }
        }
        let allowed =
            |b: &&Box2| self.frame.contains(b) && !self.labels.iter().any(|l| l.overlaps(b));
        let clear = |b: &&Box2| allowed(b) && !self.marks.iter().any(|m| m.overlaps(b));
        let spot = candidates.iter().find(clear).or_else(|| candidates.iter().find(allowed));
        let spot = spot.copied()?;
        self.labels.push(spot);
        Some(spot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_stay_inside_and_apart() {
        let frame = Box2 { x0: 0.0, y0: 0.0, x1: 600.0, y1: 400.0 };
        let mut placer = Placer::new(frame);
        for i in 0..10 {
            placer.block_point(300 + i, 200, 5.0);
        }
        let placed: Vec<Box2> = (0..30)
            .filter_map(|i| placer.place("a label of some length", (295 + i, 200), 15.0))
            .collect();
        assert!(placed.len() >= 10, "{}", placed.len());
        for (i, a) in placed.iter().enumerate() {
            assert!(frame.contains(a));
            assert!(placed.iter().skip(i + 1).all(|b| !a.overlaps(b)));
        }
    }
}
