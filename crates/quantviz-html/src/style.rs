//! The style of fragments, stronger than that of whoever shows them.

use quantviz_draw::STYLE as PICTURES;

const PAGE: &str = include_str!("page.css");

/// What notebooks do to everything in an output, undone.
const NOTEBOOK: &str = "\
.qv table{color:inherit;border:0;margin:0;table-layout:auto}\
.qv thead{border:0}\
.qv tr,.qv tbody tr:nth-child(n),.qv tbody tr:nth-child(n):hover{background:none;border:0;text-align:left}\
.qv :is(h1,h2,h3){font-weight:600;line-height:1.3}\
.qv p{text-align:inherit}\n";

/// The style that a fragment carries. Notebooks have rules of their own for tables and headings, whose selectors are more
/// specific than one class and an element: naming the class three times wins over them, and changes nothing between ours.
pub(crate) fn style() -> String {
    let ours = [NOTEBOOK, PAGE].concat();
    let ours = ours.replace(".qv ", ".qv.qv.qv ").replace(".qv-runs ", ".qv.qv-runs.qv-runs.qv-runs ");
    [PICTURES, &ours].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many classes, pseudo-classes and attributes a selector has before its first element.
    #[test]
    fn every_rule_of_a_page_wins_over_those_of_notebooks() {
        let style = style();
        let ours = style.split_once(PICTURES).map(|(_, ours)| ours).expect("pictures come first");
        let selectors = ours.split('}').filter_map(|rule| Some(rule.rsplit_once('{')?.0));
        let of_elements = selectors.flat_map(|all| all.split(",.")).filter(|it| it.contains("qv "));
        let weak: Vec<&str> = of_elements.filter(|it| it.matches("qv").count() < 3).collect();
        assert_eq!(weak, Vec::<&str>::new());
    }
}
