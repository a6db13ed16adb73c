//! How one of several is named.

/// What chooses one of several: its number in the listing, or its name.
///
/// ```
/// use quantviz_evcxr::Which;
///
/// assert_eq!((2.number(), "int8".number()), (Some(2), None));
/// ```
pub trait Which {
    /// The number, if it is one.
    fn number(&self) -> Option<usize>;
    /// The name, or the number as text.
    fn name(&self) -> String;
}

impl Which for usize {
    fn number(&self) -> Option<usize> {
        Some(*self)
    }

    fn name(&self) -> String {
        self.to_string()
    }
}

impl Which for &str {
    fn number(&self) -> Option<usize> {
        None
    }

    fn name(&self) -> String {
        (*self).to_owned()
    }
}

impl Which for String {
    fn number(&self) -> Option<usize> {
        None
    }

    fn name(&self) -> String {
        self.clone()
    }
}
