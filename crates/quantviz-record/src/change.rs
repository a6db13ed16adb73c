//! How far sampled elements have moved.

pub(crate) fn rms(values: impl Iterator<Item = f32>) -> f32 {
    let (count, squares) = values
        .fold((0u32, 0.0f64), |(count, squares), it| (count + 1, squares + f64::from(it) * f64::from(it)));
    (squares / f64::from(count.max(1))).sqrt() as f32
}

pub(crate) fn difference(now: &[f32], before: &[f32]) -> f32 {
    rms(now.iter().zip(before).map(|(now, before)| now - before))
}

/// The share of values that moved by less than half of the distance to the next number with so many binary digits.
pub(crate) fn unmoved(now: &[f32], before: &[f32], digits: i32) -> f32 {
    let is_unmoved = |(now, before): (&f32, &f32)| {
        let next =
            f64::from(before.abs().max(f32::MIN_POSITIVE)).log2().floor().exp2() * f64::from(-digits).exp2();
        (f64::from(*now) - f64::from(*before)).abs() < next
    };
    let unmoved = now.iter().zip(before).filter(|&pair| is_unmoved(pair)).count();
    unmoved as f32 / now.len().max(1) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_too_small_for_their_type() {
        // Around 1 the next number of eight digits is 1/128 away.
        assert_eq!(unmoved(&[1.003, 1.005, 1.0], &[1.0, 1.0, 1.0], 8), 2.0 / 3.0);
    }
}
