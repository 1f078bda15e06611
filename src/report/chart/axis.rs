//! Where values lie on an axis, and which of them it names.

/// An axis: values from `low` to `high` on pixels from `from` to `to`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Axis {
    pub(super) log: bool,
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Axis {
    /// An axis that holds all finite `values`; `None` where there are none. A logarithmic one takes
    /// positive values only. With `zero` a linear one begins at 0.
    pub(super) fn around(
        values: impl Iterator<Item = f64>,
        log: bool,
        zero: bool,
        (from, to): (f64, f64),
    ) -> Option<Self> {
        let fits = |v: &f64| v.is_finite() && (!log || *v > 0.0);
        let (mut low, mut high) = values
            .filter(fits)
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
        if low > high {
            return None;
        }
        if log {
            (low, high) = (low.log10(), high.log10());
        } else if zero {
            low = low.min(0.0);
        }
        if high - low <= high.abs().max(low.abs()) * 1e-9 {
            let room = match (log, high) {
                (true, _) => 0.5,
                (false, 0.0) => 0.1,
                (false, high) => high.abs() * 0.1,
            };
            // A share of 0 or 1, and a count of 0, have no room below.
            (low, high) = (low - if low == 0.0 { 0.0 } else { room }, high + room);
        }
        Some(Self { log, low, high, from, to })
    }

    /// With a little room beyond the highest value, and below the lowest if that is not 0.
    pub(super) fn roomy(self) -> Self {
        let room = (self.high - self.low) * 0.06;
        let low = if self.low == 0.0 && !self.log { 0.0 } else { self.low - room };
        Self { low, high: self.high + room, ..self }
    }

    /// No further than `high`.
    pub(super) fn at_most(self, high: f64) -> Self {
        Self { high: self.high.min(high), ..self }
    }

    /// The pixel of `value`; `None` for one that has no place.
    pub(super) fn at(&self, value: f64) -> Option<f64> {
        if self.log && value <= 0.0 || !value.is_finite() {
            return None;
        }
        let value = if self.log { value.log10() } else { value };
        let share = (value - self.low) / (self.high - self.low);
        Some(self.from + share * (self.to - self.from))
    }

    /// Some `wanted` round values, and how far they are apart; of bytes powers of two.
    pub(super) fn ticks(&self, wanted: usize, bytes: bool) -> (Vec<f64>, f64) {
        if self.log && bytes {
            let [low, high] = [self.low, self.high].map(|log| log / 2f64.log10());
            let (first, last) = (low.ceil() as i32, high.floor() as i32);
            let every = ((last - first + 1).max(1) as usize).div_ceil(wanted.max(1));
            let mut ticks: Vec<f64> = (first..=last).step_by(every).map(|p| 2f64.powi(p)).collect();
            if ticks.len() < 2 {
                let quarters = (4 * (first - 1)..4 * (last + 1))
                    .map(|q| (1.0 + f64::from(q.rem_euclid(4)) / 4.0) * 2f64.powi(q.div_euclid(4)));
                ticks = quarters.filter(|v| (low..=high).contains(&v.log2())).collect();
            }
            return (ticks, 1.0);
        }
        if self.log {
            let (first, last) = (self.low.floor() as i32, self.high.ceil() as i32);
            let within = |v: &f64| (self.low - 1e-9..=self.high + 1e-9).contains(&v.log10());
            let of = |heads: &[f64]| -> Vec<f64> {
                let powers = (first..=last).map(|p| 10f64.powi(p));
                powers.flat_map(|p| heads.iter().map(move |h| h * p)).filter(within).collect()
            };
            let mut ticks = of(&[1.0]);
            let every = ticks.len().div_ceil(wanted.max(1)).max(1);
            if ticks.len() < 3 {
                ticks = of(&[1.0, 2.0, 5.0]);
                if ticks.len() < 2 {
                    ticks = of(&[1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]);
                }
                let least = ticks.first().copied().unwrap_or(1.0);
                return (ticks, 10f64.powf(least.log10().floor()));
            }
            let least = ticks[0];
            return (ticks.into_iter().step_by(every).collect(), least);
        }
        let rough = (self.high - self.low) / wanted.max(1) as f64;
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 2.5, 5.0, 10.0].map(|head| head * power);
        let step = step.into_iter().find(|step| *step >= rough * 0.999).unwrap_or(rough);
        let (first, last) = ((self.low / step - 1e-6).ceil(), (self.high / step + 1e-6).floor());
        let count = (last - first).clamp(-1.0, 50.0) as i64;
        ((0..=count).map(|i| (first + i as f64) * step).collect(), step)
    }
}
