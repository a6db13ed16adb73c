//! Which elements and which rows stand for all, the same in every process and in every run.

/// Numbers that follow from a seed and a name, so that ranks and resumed runs draw the same ones.
#[derive(Clone, Debug)]
pub struct Seeded(u64);

impl Seeded {
    /// From a seed and a name.
    pub fn new(seed: u64, name: &str) -> Self {
        let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        Seeded(name.bytes().fold(seed ^ 0xcbf2_9ce4_8422_2325, mix))
    }

    /// The next number: splitmix64.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut it = self.0;
        it = (it ^ (it >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        it = (it ^ (it >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        it ^ (it >> 31)
    }

    /// A number below `end`; zero where there is none.
    pub fn below(&mut self, end: u64) -> u64 {
        let product = u128::from(self.draw()) * u128::from(end);
        u64::try_from(product >> 64).unwrap_or(0)
    }

    /// A number from zero to one.
    pub fn share(&mut self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "53 bits")]
        let share = (self.draw() >> 11) as f64 / (1u64 << 53) as f64;
        share
    }

    /// At most so many different numbers below `end`, in order: all of them where there are no more.
    pub fn several(&mut self, count: usize, end: u64) -> Vec<u64> {
        if end <= count as u64 {
            return (0..end).collect();
        }
        // One from each of so many equal parts: as good as any draw, and never twice the same.
        let count = count as u64;
        (0..count)
            .map(|part| {
                let begin =
                    u64::try_from(u128::from(part) * u128::from(end) / u128::from(count)).unwrap_or(0);
                let next =
                    u64::try_from(u128::from(part + 1) * u128::from(end) / u128::from(count)).unwrap_or(end);
                begin + self.below(next - begin)
            })
            .collect()
    }
}

/// Which rows of an embedding are shown, in order, and the stratum of each: 0 all rows, or one that was asked for, 1 of
/// the first of them, 2 drawn evenly on a logarithmic scale, 3 drawn evenly. Vocabularies are ordered by frequency, as far
/// as they are ordered.
pub fn shown_rows(rows: u64, most: usize, wanted: &[u64], seeded: &mut Seeded) -> Vec<(u64, u8)> {
    if rows <= most as u64 {
        return (0..rows).map(|row| (row, 0)).collect();
    }
    let mut shown = std::collections::BTreeMap::new();
    for &row in wanted.iter().filter(|&&row| row < rows).take(most / 2) {
        shown.insert(row, 0);
    }
    let quarter = (most - shown.len()) / 4;
    for row in 0..quarter as u64 {
        shown.entry(row).or_insert(1);
    }
    // The rest of a draw that hits rows twice is drawn evenly.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a draw"
    )]
    for _ in 0..2 * quarter {
        let scale = (rows as f64).ln();
        let row = (seeded.share() * scale).exp() as u64;
        shown.entry(row.min(rows - 1)).or_insert(2);
    }
    for row in seeded.several(most, rows) {
        if shown.len() >= most {
            break;
        }
        // Evenly, though not all fit: every second, third … would leave out the end.
        if seeded.share() < 0.75 {
            shown.entry(row).or_insert(3);
        }
    }
    shown.into_iter().collect()
}

/// The lower end and the width of 64 bins that hold numbers as large as this, with room to grow: the width is a power of
/// two, so that grids of different sessions, and of a session that has outgrown its first one, share their edges.
pub fn histogram_grid(largest: f32) -> (f32, f32) {
    let largest = if largest.is_finite() && largest > 1e-30 { largest } else { 1e-30 };
    let width = (largest.min(1e30) * 2.0 / 32.0).log2().ceil().exp2();
    (-32.0 * width, width)
}

/// The fourth moment about the mean by the square of the variance: 3 of a normal distribution. Of numbers that are all the
/// same there is none.
pub fn tail_weight(values: &[f32]) -> f32 {
    let finite = || values.iter().map(|&it| f64::from(it)).filter(|it| it.is_finite());
    #[expect(clippy::cast_precision_loss, reason = "a sample")]
    let count = finite().count() as f64;
    let mean = finite().sum::<f64>() / count;
    let (second, fourth) = finite()
        .map(|it| (it - mean).powi(2))
        .fold((0.0, 0.0), |(second, fourth), it| (second + it, fourth + it * it));
    #[expect(clippy::cast_possible_truncation, reason = "to be shown")]
    let weight = (count * fourth / (second * second)) as f32;
    weight
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_the_same_every_time_and_spread() {
        let draw = || Seeded::new(7, "h.0.weight").several(128, 1_000_000);
        assert_eq!(draw(), draw());
        assert_ne!(draw(), Seeded::new(8, "h.0.weight").several(128, 1_000_000));
        assert!(draw().windows(2).all(|pair| pair[0] < pair[1]) && draw().len() == 128);
        assert_eq!(Seeded::new(7, "bias").several(128, 5), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn large_vocabularies_are_shown_in_strata() {
        let rows = shown_rows(50_257, 4_096, &[50_256, 99_999], &mut Seeded::new(1, "wte"));
        assert!((3_900..=4_096).contains(&rows.len()), "{}", rows.len());
        assert!(rows.contains(&(50_256, 0)) && rows[..1000].iter().all(|&(_, stratum)| stratum == 1));
        let in_second_half = rows.iter().filter(|&&(row, _)| row > 25_000).count();
        assert!(in_second_half > 300, "{in_second_half}");
        assert_eq!(shown_rows(65, 4_096, &[], &mut Seeded::new(1, "wte")).len(), 65);
    }

    #[test]
    fn grids_have_room_and_edges_at_powers_of_two() {
        for largest in [0.0, 1e-8, 0.02, 1.0, 3.0, f32::INFINITY] {
            let (low, width) = histogram_grid(largest);
            assert_eq!((low, width.log2().fract()), (-32.0 * width, 0.0));
            assert!(!largest.is_finite() || largest * 2.0 <= 32.0 * width, "{largest} {width}");
        }
    }

    #[test]
    fn tails() {
        let even: Vec<f32> = (0..1000u16).map(f32::from).collect();
        assert!((tail_weight(&even) - 1.8).abs() < 0.01);
        assert!(tail_weight(&[1.0; 9]).is_nan());
    }
}
