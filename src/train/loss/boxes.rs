//! How little boxes overlap: GIoU (Rezatofighi et al. 2019), DIoU and CIoU (Zheng et al. 2020), as torchvision's
//! `generalized_box_iou_loss`, `distance_box_iou_loss` and `complete_box_iou_loss`.

/// The form of the loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BoxLoss {
    /// Less the empty part of the box around both.
    Generalized,
    /// Plus the distance of the centres.
    Distance,
    /// Plus the difference of the shapes.
    Complete,
}

/// A number and its slope along each of the four sides of the found box (forward differentiation).
#[derive(Clone, Copy)]
struct Dual(f64, [f64; 4]);

impl Dual {
    fn of(value: f64) -> Self {
        Self(value, [0.0; 4])
    }

    fn map(self, value: f64, slope: f64) -> Self {
        Self(value, self.1.map(|d| d * slope))
    }

    fn with(self, other: Self, value: f64, [a, b]: [f64; 2]) -> Self {
        Self(value, std::array::from_fn(|at| a * self.1[at] + b * other.1[at]))
    }

    fn add(self, other: Self) -> Self {
        self.with(other, self.0 + other.0, [1.0, 1.0])
    }

    fn sub(self, other: Self) -> Self {
        self.with(other, self.0 - other.0, [1.0, -1.0])
    }

    fn mul(self, other: Self) -> Self {
        self.with(other, self.0 * other.0, [other.0, self.0])
    }

    fn div(self, other: Self) -> Self {
        self.with(other, self.0 / other.0, [1.0 / other.0, -self.0 / (other.0 * other.0)])
    }

    fn plus(self, value: f64) -> Self {
        Self(self.0 + value, self.1)
    }

    fn max(self, other: Self) -> Self {
        if self.0 >= other.0 { self } else { other }
    }

    fn min(self, other: Self) -> Self {
        if self.0 <= other.0 { self } else { other }
    }
}

/// The loss of each pair of boxes, x1, y1, x2, y2, and its gradient for the found one. `least` keeps fractions finite.
#[must_use]
pub fn box_iou(form: BoxLoss, found: &[[f32; 4]], wanted: &[[f32; 4]], least: f64) -> (Vec<f64>, Vec<[f32; 4]>) {
    let pair = |(found, wanted): (&[f32; 4], &[f32; 4])| {
        let side = |at: usize| {
            let mut slope = [0.0; 4];
            slope[at] = 1.0;
            Dual(f64::from(found[at]), slope)
        };
        let found: [Dual; 4] = std::array::from_fn(side);
        let loss = one(form, found, wanted.map(|v| Dual::of(f64::from(v))), least);
        (loss.0, loss.1.map(|d| d as f32))
    };
    found.iter().zip(wanted).map(pair).unzip()
}

fn one(form: BoxLoss, a: [Dual; 4], b: [Dual; 4], least: f64) -> Dual {
    let area = |b: [Dual; 4]| b[2].sub(b[0]).mul(b[3].sub(b[1]));
    let (left, top) = (a[0].max(b[0]), a[1].max(b[1]));
    let (right, bottom) = (a[2].min(b[2]), a[3].min(b[3]));
    let apart = right.0 <= left.0 || bottom.0 <= top.0;
    let shared = if apart { Dual::of(0.0) } else { right.sub(left).mul(bottom.sub(top)) };
    let union = area(a).add(area(b)).sub(shared);
    let iou = shared.div(union.plus(least));
    let (x1, y1) = (a[0].min(b[0]), a[1].min(b[1]));
    let (x2, y2) = (a[2].max(b[2]), a[3].max(b[3]));
    let (wide, high) = (x2.sub(x1), y2.sub(y1));
    let miss = Dual::of(1.0).sub(iou);
    if form == BoxLoss::Generalized {
        let around = wide.mul(high);
        return miss.add(around.sub(union).div(around.plus(least)));
    }
    let diagonal = wide.mul(wide).add(high.mul(high)).plus(least);
    let centre = |b: [Dual; 4], at: usize| b[at].add(b[at + 2]).mul(Dual::of(0.5));
    let (dx, dy) = (centre(a, 0).sub(centre(b, 0)), centre(a, 1).sub(centre(b, 1)));
    let distance = miss.add(dx.mul(dx).add(dy.mul(dy)).div(diagonal));
    if form == BoxLoss::Distance {
        return distance;
    }
    let angle = |b: [Dual; 4]| {
        let slope = b[2].sub(b[0]).div(b[3].sub(b[1]));
        slope.map(slope.0.atan(), 1.0 / (1.0 + slope.0 * slope.0))
    };
    let turn = angle(b).sub(angle(a));
    let shape = turn.mul(turn).mul(Dual::of(4.0 / std::f64::consts::PI.powi(2)));
    // The weight of the shape is taken for a constant (Zheng et al. 2020, §3.3).
    let weight = shape.0 / (1.0 - iou.0 + shape.0 + least);
    distance.add(shape.mul(Dual::of(weight)))
}
