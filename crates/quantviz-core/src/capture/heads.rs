//! Whether two heads of an attention do the same.

use fearless_simd::{Level, Simd, dispatch};

use super::spectrum::dot_inlined;

/// The largest cosine between what two heads make of their inputs, which is the form Wᵩᵀ·Wₖ: 1 where they weigh all pairs of
/// inputs alike, about zero where they have nothing to do with each other. Rows are outputs, head after head; `None` where
/// they cannot be divided by so many heads, or a head is zero.
///
/// ```
/// // Of two heads the second is the first, turned round.
/// let query = [1.0, 0.0, 0.0, 2.0, -1.0, 0.0, 0.0, -2.0];
/// let key = [3.0, 1.0, 0.0, 1.0, -3.0, -1.0, 0.0, -1.0];
/// assert_eq!(quantviz_core::head_similarity(&query, &key, 2, 2), Some(1.0));
/// ```
pub fn head_similarity(query: &[f32], key: &[f32], heads: usize, width: usize) -> Option<f32> {
    let size = query.len().checked_div(heads.checked_mul(width)?)?;
    if size == 0 || heads < 2 || query.len() != size * heads * width || key.len() != query.len() {
        return None;
    }
    let products = dispatch!(Level::new(), simd => products(simd, query, key, heads, width));
    let of = |a: usize, b: usize| products[a * heads + b];
    if (0..heads).any(|head| !(of(head, head) > 0.0 && of(head, head).is_finite())) {
        return None;
    }
    let pairs = (0..heads).flat_map(|a| (0..a).map(move |b| (a, b)));
    let cosines = pairs.map(|(a, b)| of(a, b) / (of(a, a) * of(b, b)).sqrt());
    #[expect(clippy::cast_possible_truncation, reason = "to be shown")]
    Some(cosines.fold(-1.0f64, f64::max) as f32)
}

/// ⟨A, B⟩ of the forms of all pairs of heads, a square of which the lower half is told. Of Aᵀ = WₖᵀWᵩ it is the sum over
/// the products of their rows: neither form is ever written out.
#[inline(always)]
fn products<S: Simd>(simd: S, query: &[f32], key: &[f32], heads: usize, width: usize) -> Vec<f64> {
    let size = query.len() / heads / width;
    let places = |at: usize| at * width..(at + 1) * width;
    let mut products = vec![0.0; heads * heads];
    simd.vectorize(
        #[inline(always)]
        || {
            for a in 0..heads {
                for b in 0..=a {
                    let mut sum = 0.0;
                    for i in a * size..(a + 1) * size {
                        for j in b * size..(b + 1) * size {
                            sum += dot_inlined(&query[places(i)], &query[places(j)])
                                * dot_inlined(&key[places(i)], &key[places(j)]);
                        }
                    }
                    products[a * heads + b] = sum;
                }
            }
        },
    );
    products
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Seeded;

    const WIDTH: usize = 12;
    const SIZE: usize = 4;

    fn noise(seed: u64, rows: usize) -> Vec<f32> {
        let mut seeded = Seeded::new(seed, "heads");
        (0..rows * WIDTH)
            .map(|_| f32::from(u8::try_from(seeded.below(200)).unwrap_or(0)) / 100.0 - 1.0)
            .collect()
    }

    /// Against the forms themselves, written out.
    #[test]
    fn the_cosine_is_that_of_the_forms() {
        let (heads, query, key) = (3, noise(1, 12), noise(2, 12));
        let form = |head: usize| -> Vec<f64> {
            let at =
                |of: &[f32], row: usize, column: usize| f64::from(of[(head * SIZE + row) * WIDTH + column]);
            let cell =
                |i: usize, j: usize| (0..SIZE).map(|row| at(&query, row, i) * at(&key, row, j)).sum::<f64>();
            (0..WIDTH * WIDTH).map(|it| cell(it / WIDTH, it % WIDTH)).collect()
        };
        let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let forms: Vec<Vec<f64>> = (0..heads).map(form).collect();
        let cosine = |a: usize, b: usize| {
            product(&forms[a], &forms[b])
                / (product(&forms[a], &forms[a]) * product(&forms[b], &forms[b])).sqrt()
        };
        let truth = cosine(0, 1).max(cosine(0, 2)).max(cosine(1, 2));
        let found = head_similarity(&query, &key, heads, WIDTH).expect("three heads");
        assert!((f64::from(found) - truth).abs() < 1e-5, "{found} {truth}");
    }

    #[test]
    fn what_has_no_heads() {
        let (query, key) = (noise(1, 12), noise(2, 12));
        assert_eq!(head_similarity(&query, &key, 5, WIDTH), None);
        assert_eq!(head_similarity(&query, &key, 1, WIDTH), None);
        assert_eq!(head_similarity(&query, &key[1..], 3, WIDTH), None);
        assert_eq!(head_similarity(&query, &[0.0; 144], 3, WIDTH), None);
        assert_eq!(head_similarity(&[], &[], 3, WIDTH), None);
        assert_eq!(head_similarity(&query, &key, usize::MAX, 2), None);
    }
}
