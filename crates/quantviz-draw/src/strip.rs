//! What quantization cost each channel of a weight: a strip of cells.

use quantviz_view::ChannelStrip;

use crate::escape::escaped;
use crate::picture::{End, Picture, fitted, short};

const WIDTH: f64 = 960.0;
const LEFT: f64 = 48.0;
const TOP: f64 = 26.0;
const PLOT: f64 = 60.0;

/// The decibels of all channels.
pub fn strip(strip: &ChannelStrip) -> Picture {
    let title = format!("Channels of {}, {}", strip.parameter, strip.label);
    let mut picture = Picture::new(WIDTH, TOP + PLOT + 24.0, &title);
    let caption = format!("{} · {}", strip.label, strip.caption);
    picture.text("qv-text", 0.0, 14.0, &fitted(&caption, 130, End::First));
    let width = WIDTH - LEFT - 8.0;
    for tick in &strip.decibels {
        let y = TOP + PLOT * (1.0 - tick.at);
        picture.line("qv-grid", [LEFT, y], [LEFT + width, y]);
        picture.text("qv-end", LEFT - 4.0, y + 4.0, &tick.label);
    }
    let each = width / strip.cells.len().max(1) as f64;
    for (index, cell) in strip.cells.iter().enumerate() {
        let height = (cell.height * PLOT).max(1.0);
        picture.add(format_args!(
            "<rect class=\"qv-fill-quantized\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"><title>{}</title></rect>",
            short(LEFT + each * index as f64),
            short(TOP + PLOT - height),
            short((each - 0.6).max(0.6)),
            short(height),
            escaped(&cell.tooltip)
        ));
    }
    // A cell has a width, and its number stands in the middle.
    let inner = width - each;
    for tick in &strip.axis.ticks {
        let x = LEFT + each / 2.0 + tick.at * inner;
        picture.text("qv-mid", x, TOP + PLOT + 15.0, &tick.label);
    }
    picture.text("qv-end", LEFT - 4.0, TOP + PLOT + 15.0, "dB");
    picture
}
