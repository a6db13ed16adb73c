//! Shapes whose number of elements is known to fit.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The dimensions of a tensor, row-major; the product of all of them fits a `u64`.
///
/// ```
/// use quantviz_core::Shape;
///
/// let shape = Shape::new([16, 3, 3, 3])?;
/// assert_eq!((shape.elements(), shape.to_string().as_str()), (432, "16×3×3×3"));
/// assert!(Shape::new([u64::MAX, 2]).is_err());
/// # Ok::<(), quantviz_core::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<u64>", into = "Vec<u64>")]
pub struct Shape(Vec<u64>);

impl Shape {
    /// The shape with these dimensions, if its elements can be counted.
    pub fn new(dims: impl Into<Vec<u64>>) -> Result<Self> {
        let dims = dims.into();
        // A zero among the dimensions must not hide an overflow among the others.
        let product =
            dims.iter().filter(|&&dim| dim != 0).try_fold(1u64, |product, &dim| product.checked_mul(dim));
        match product {
            Some(_) => Ok(Shape(dims)),
            None => Err(Error::malformed(format!("the shape {dims:?} has 2^64 elements or more"))),
        }
    }

    /// The shape of a vector.
    pub fn vector(length: u64) -> Self {
        Shape(vec![length])
    }

    /// The shape of a single number.
    pub fn scalar() -> Self {
        Shape(Vec::new())
    }

    /// The dimensions, outermost first.
    pub fn dims(&self) -> &[u64] {
        &self.0
    }

    /// The number of dimensions.
    pub fn rank(&self) -> usize {
        self.0.len()
    }

    /// The product of all dimensions; one for a scalar.
    pub fn elements(&self) -> u64 {
        self.0.iter().product()
    }

    /// Elements between neighbours along `axis`: the product of the dimensions behind it.
    ///
    /// # Panics
    /// Where there is no such axis.
    pub fn stride(&self, axis: usize) -> u64 {
        self.0[axis + 1..].iter().product()
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.pad("scalar");
        }
        let dims: Vec<String> = self.0.iter().map(u64::to_string).collect();
        f.pad(&dims.join("×"))
    }
}

impl TryFrom<Vec<u64>> for Shape {
    type Error = Error;

    fn try_from(dims: Vec<u64>) -> Result<Self> {
        Shape::new(dims)
    }
}

impl From<Shape> for Vec<u64> {
    fn from(shape: Shape) -> Self {
        shape.0
    }
}
