//! Pictures as PNG: the same SVG, painted here, with letters that come along.

use std::fmt;
use std::sync::{Arc, LazyLock};

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb::Database};

use crate::picture::Picture;

/// Machines without fonts draw what others do, so none but these are looked at.
const LETTERS: [&[u8]; 2] =
    [include_bytes!("../font/DejaVuSans.ttf"), include_bytes!("../font/DejaVuSans-Bold.ttf")];

static FONTS: LazyLock<Arc<Database>> = LazyLock::new(|| {
    let mut fonts = Database::new();
    LETTERS.into_iter().for_each(|font| fonts.load_font_data(font.to_vec()));
    Arc::new(fonts)
});

/// Whether the letters that come along have this one: `font/README.md` lists which they are.
fn is_there(letter: char) -> bool {
    matches!(letter,
        '\n' | ' '..='~' | '\u{a0}'..='\u{17f}' | '\u{391}'..='\u{3c9}' | '\u{400}'..='\u{45f}' | '\u{2010}'..='\u{2027}'
        | '\u{2030}'..='\u{205e}' | '\u{20ac}' | '\u{2190}'..='\u{2199}' | '\u{2212}' | '\u{221e}' | '\u{2248}'
        | '\u{2260}'..='\u{2265}' | '\u{25a0}'..='\u{25c9}')
}

/// Dots for a unit: as sharp as screens are, where that is not too much.
const SCALES: [f32; 2] = [2.0, 1.0];
/// Dots of a picture, at most: 400 MB while it is painted.
const MOST_DOTS: f32 = 1e8;

/// Why there is no picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotPainted(String);

impl fmt::Display for NotPainted {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for NotPainted {}

impl Picture {
    /// The same as [`Picture::document`], as a PNG file, light.
    ///
    /// # Errors
    /// When it is too large to be painted in memory.
    ///
    /// ```
    /// use std::ops::ControlFlow;
    /// use quantviz_core::MemorySource;
    /// use quantviz_draw::Heatmap;
    /// use quantviz_view::{ComparisonView, Inspection, RangeChart, Request};
    ///
    /// let mut source = MemorySource::new().with("fc.weight", ndarray::arr2(&[[-1.0f32, 0.5], [2.0, 0.0]]));
    /// source.model_mut().parameters[0].role = quantviz_core::Role::Weight;
    /// let model = Inspection::of(&source, "m.onnx", &Request::default(), &|_| ControlFlow::Continue(()))?;
    /// let chart = RangeChart::of(&model, &ComparisonView::of("m.onnx", Vec::new()));
    /// let png = Heatmap::of(&chart).picture().png()?;
    /// assert!(png.starts_with(b"\x89PNG\r\n"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn png(&self) -> Result<Vec<u8>, NotPainted> {
        let options = Options { fontdb: Arc::clone(&FONTS), ..Options::default() };
        // A letter that is not there would leave no trace.
        let known = |letter| if is_there(letter) { letter } else { '\u{fffd}' };
        let document: String = self.document().chars().map(known).collect();
        let tree = Tree::from_str(&document, &options);
        let tree = tree.map_err(|error| NotPainted(format!("it cannot be painted: {error}")))?;
        let (width, height) = (tree.size().width(), tree.size().height());
        let too_large = || {
            NotPainted(format!(
                "{width} by {height} dots are too many for a PNG: name a file that ends in .svg"
            ))
        };
        let scale = scale(width, height).ok_or_else(too_large)?;
        let dots = |length: f32| (length * scale).ceil() as u32;
        let mut painted = Pixmap::new(dots(width), dots(height)).ok_or_else(too_large)?;
        resvg::render(&tree, Transform::from_scale(scale, scale), &mut painted.as_mut());
        painted.encode_png().map_err(|error| NotPainted(format!("it cannot be written as PNG: {error}")))
    }
}

/// Dots for a unit of a picture of this size, if it can be painted at all.
fn scale(width: f32, height: f32) -> Option<f32> {
    SCALES.into_iter().find(|scale| width * height * scale * scale <= MOST_DOTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Dots that are neither the ground nor near it.
    fn dark(png: &[u8]) -> usize {
        let painted = Pixmap::decode_png(png).expect("a PNG");
        painted.pixels().iter().filter(|dot| dot.red() < 128).count()
    }

    #[test]
    fn letters_are_painted() {
        let with = |text: &str| {
            let mut picture = Picture::new(200.0, 40.0, "");
            picture.text("qv-text", 4.0, 20.0, text);
            dark(&picture.png().expect("small"))
        };
        assert_eq!(with(""), 0, "nothing is dark on a light ground");
        // Letters that stand in our pictures, and such as names may have.
        for letter in "aÄβж…–−·▲◆→".chars() {
            assert!(with(&letter.to_string()) > 5, "{letter}");
        }
        // What the letters that come along do not have is seen to be something.
        assert!(with("層") > 5);
        assert_eq!(with("層"), with("\u{fffd}"));
        let mut strong = Picture::new(200.0, 40.0, "");
        strong.text("qv-strong", 4.0, 20.0, "strong");
        assert!(dark(&strong.png().expect("small")) > with("strong") * 5 / 4);
    }

    #[test]
    fn what_is_too_large_is_said() {
        assert_eq!([600.0, 40_000.0, 1e6].map(|height| scale(988.0, height)), [Some(2.0), Some(1.0), None]);
        let refused = Picture::new(960.0, 1e6, "tall").png().expect_err("a gigabyte");
        assert!(refused.to_string().ends_with("name a file that ends in .svg"), "{refused}");
    }
}
