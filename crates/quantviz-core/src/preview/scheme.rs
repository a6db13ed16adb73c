//! The names of schemes, and what codes and scales take.

use std::fmt;
use std::str::FromStr;

use super::family::{FAMILIES, Family, Shared};
use crate::{Error, ErrorKind, Result};

/// A way to round weights to few bits: `int8`, `int8-channel`, `int4-block32`, `nf4-block64`.
///
/// ```
/// use quantviz_core::PreviewScheme;
///
/// let scheme: PreviewScheme = "int4-block32-asym".parse()?;
/// assert_eq!(scheme.to_string(), "int4-block32-asym");
/// assert!("int5".parse::<PreviewScheme>().is_err_and(|error| error.to_string().contains("int4-blockN")));
/// # Ok::<(), quantviz_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct PreviewScheme {
    pub(super) family: &'static Family,
    pub(super) per: Per,
}

/// Which weights share a scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Per {
    Tensor,
    Channel,
    Block(u64),
}

/// Scales of larger blocks would be as few as those of channels.
const LARGEST_BLOCK: u64 = 1 << 16;

impl PreviewScheme {
    /// The names there are, with `N` for the weights of a block.
    pub fn names() -> Vec<String> {
        FAMILIES.iter().flat_map(Family::names).collect()
    }

    /// What normally distributed weights come to, in dB: a tensor of 1024×1024 of them, as far as that plays a role.
    pub fn good_sqnr_db(&self) -> f64 {
        let steps = match self.per {
            Per::Tensor => 0.0,
            Per::Channel => 1.0,
            #[expect(clippy::cast_precision_loss, reason = "sizes of blocks are small")]
            Per::Block(size) if matches!(self.family.shared, Shared::Blocks(_)) => {
                (size as f64 / 32.0).log2()
            }
            Per::Block(_) => 0.0,
        };
        self.family.good_db + steps * self.family.good_step_db
    }

    /// The bits that so many weights take, which have so many scales: codes in whole bytes, scales, zero-points.
    pub(super) fn bits(&self, weights: u64, scales: u64) -> u64 {
        let codes = weights.saturating_mul(self.family.bits).div_ceil(8).saturating_mul(8);
        let of_groups = scales.saturating_mul(self.family.scale_bits + self.family.zero_point_bits);
        codes.saturating_add(of_groups).saturating_add(self.family.outer_bits())
    }
}

impl Family {
    fn names(&self) -> Vec<String> {
        let Family { name, shared, .. } = self;
        match shared {
            Shared::TensorOrChannel => vec![(*name).to_owned(), format!("{name}-channel")],
            Shared::Blocks(ending) => vec![format!("{name}-blockN{ending}")],
            Shared::Fixed(_) => vec![(*name).to_owned()],
        }
    }

    /// How scales are shared, if the name is one of this family.
    fn read(&self, name: &str) -> Option<Per> {
        let rest = name.strip_prefix(self.name)?;
        match self.shared {
            Shared::TensorOrChannel => match rest {
                "" => Some(Per::Tensor),
                "-channel" => Some(Per::Channel),
                _ => None,
            },
            Shared::Blocks(ending) => {
                let size = rest.strip_prefix("-block")?.strip_suffix(ending)?;
                let is_plain = size.bytes().all(|byte| byte.is_ascii_digit()) && !size.starts_with('0');
                let size = size.parse().ok().filter(|size| is_plain && (1..=LARGEST_BLOCK).contains(size));
                size.map(Per::Block)
            }
            Shared::Fixed(size) => rest.is_empty().then_some(Per::Block(size)),
        }
    }
}

impl FromStr for PreviewScheme {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let known =
            FAMILIES.iter().find_map(|family| Some(PreviewScheme { family, per: family.read(name)? }));
        known.ok_or_else(|| {
            let names = PreviewScheme::names().join(", ");
            let message =
                format!("no scheme is called {name:?}; there are {names} (N from 1 to {LARGEST_BLOCK})");
            Error::new(ErrorKind::UnknownName, message)
        })
    }
}

impl fmt::Display for PreviewScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Family { name, shared, .. } = self.family;
        match (self.per, shared) {
            (Per::Channel, _) => f.pad(&format!("{name}-channel")),
            (Per::Block(size), Shared::Blocks(ending)) => f.pad(&format!("{name}-block{size}{ending}")),
            _ => f.pad(name),
        }
    }
}

impl PartialEq for PreviewScheme {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.family, other.family) && self.per == other.per
    }
}

impl Eq for PreviewScheme {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_and_printed() {
        for name in PreviewScheme::names() {
            for size in ["1", "16", "32", "100", "65536"] {
                let name = name.replace('N', size);
                let scheme: PreviewScheme = name.parse().expect("a name that is listed");
                assert_eq!(scheme.to_string(), name);
            }
        }
    }

    #[test]
    fn other_names_are_refused_with_those_there_are() {
        let names = [
            "",
            "int",
            "int8-",
            "int8-block",
            "int4-block0",
            "int4-block032",
            "int4-block-1",
            "int4-block65537",
        ];
        for name in
            names.into_iter().chain(["int4-block32-", "mxfp4-block32", "nf4", "INT8", "int8-channel "])
        {
            let error = name.parse::<PreviewScheme>().expect_err(name).to_string();
            assert!(error.contains("int8-channel") && error.contains("nf4-blockN"), "{error}");
            assert_eq!(error.lines().count(), 1);
        }
    }

    #[test]
    fn bits_are_those_of_codes_scales_and_zero_points() {
        let bits = |name: &str, weights, scales| {
            name.parse::<PreviewScheme>().expect("a known name").bits(weights, scales)
        };
        assert_eq!(bits("int8", 100, 1), 840);
        assert_eq!(bits("f8-e4m3-channel", 100, 10), 1120);
        assert_eq!(bits("int4-block32", 64, 2), 64 * 4 + 64);
        assert_eq!(bits("int4-block32-asym", 64, 2), 64 * 4 + 72);
        // Three codes take two bytes.
        assert_eq!(bits("nf4-block64", 3, 1), 16 + 32);
        assert_eq!(bits("nvfp4", 32, 2), 32 * 4 + 16 + 32);
    }
}
