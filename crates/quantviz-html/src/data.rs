//! What the script of a fragment is given: JSON that cannot end the element it stands in.

use quantviz_draw::Heatmap;
use quantviz_view::{ModelPage, RangeOrder};
use serde::Serialize;

/// The data of a fragment.
#[derive(Serialize)]
pub(crate) struct Data {
    /// The layer that is selected first.
    first: usize,
    /// For each row of the ranges, its layer.
    rows: Vec<Option<usize>>,
    /// For each order of rows, their places.
    orders: Vec<Vec<usize>>,
    /// The height of a row.
    row_height: f64,
    /// Where models stand in a row, of which there may be more.
    starts: Vec<f64>,
}

impl Data {
    pub(crate) fn of(page: &ModelPage) -> Self {
        let heatmap = Heatmap::of(&page.chart);
        Data {
            first: page.first,
            rows: page.row_layers.clone(),
            orders: RangeOrder::ALL.iter().map(|&order| page.chart.order(order)).collect(),
            row_height: heatmap.row_height(),
            starts: heatmap.starts(),
        }
    }
}

/// JSON that may stand in a `<script>`: nothing in it ends the element, begins a comment or a line that scripts do not
/// expect.
pub(crate) fn json(data: &impl Serialize) -> String {
    let text = serde_json::to_string(data).unwrap_or_else(|_| "null".to_owned());
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => safe.push_str("\\u003c"),
            '\u{2028}' => safe.push_str("\\u2028"),
            '\u{2029}' => safe.push_str("\\u2029"),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_stay_data() {
        let hostile = ["</script><script>alert(1)</script>", "<!--", "a\u{2028}b\u{2029}", "\"\\&"];
        let text = json(&hostile);
        assert!(!text.contains(['<', '\u{2028}', '\u{2029}']), "{text}");
        let read: Vec<String> = serde_json::from_str(&text).expect("JSON");
        assert_eq!(read, hostile);
    }
}
