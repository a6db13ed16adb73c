//! An order into which more is put, each behind what it follows.

/// Some that stand in an order, and others that were added behind one of them.
pub(crate) struct Followers {
    first: usize,
    before_all: Vec<usize>,
    /// For each, what was added behind it.
    behind: Vec<Vec<usize>>,
}

impl Followers {
    /// So many in their order.
    pub(crate) fn new(first: usize) -> Self {
        Followers { first, before_all: Vec::new(), behind: vec![Vec::new(); first] }
    }

    /// Adds one behind another, or before all of them, and says its number.
    pub(crate) fn add(&mut self, behind: Option<usize>) -> usize {
        let added = self.behind.len();
        behind.map_or(&mut self.before_all, |it| &mut self.behind[it]).push(added);
        self.behind.push(Vec::new());
        added
    }

    /// All of them, each behind what it follows; of several that follow one, the earliest first.
    pub(crate) fn order(&self) -> Vec<usize> {
        let mut order = Vec::with_capacity(self.behind.len());
        let mut next: Vec<usize> = self.before_all.iter().copied().chain(0..self.first).collect();
        next.reverse();
        while let Some(one) = next.pop() {
            order.push(one);
            next.extend(self.behind[one].iter().rev());
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stands_behind_what_it_follows() {
        let mut followers = Followers::new(3);
        assert_eq!(followers.order(), [0, 1, 2]);
        let first = followers.add(None);
        let third = followers.add(Some(1));
        let fourth = followers.add(Some(third));
        let of_another = followers.add(Some(1));
        let last = followers.add(Some(2));
        assert_eq!(followers.order(), [first, 0, 1, third, fourth, of_another, 2, last]);
        assert!(Followers::new(0).order().is_empty());
    }

    #[test]
    fn long_chains_are_no_trouble() {
        let mut followers = Followers::new(1);
        let mut last = 0;
        (0..100_000).for_each(|_| last = followers.add(Some(last)));
        assert_eq!(followers.order(), (0..=100_000).collect::<Vec<_>>());
    }
}
