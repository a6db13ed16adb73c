//! Fragments smaller than a page: a layer, a parameter, histograms, a listing, an error.

use maud::{Markup, PreEscaped, html};
use quantviz_draw::{Counts, Picture, Values, histograms, strip};
use quantviz_view::{HistogramSet, Listing, PageLayer, PageParameter};

use crate::fragment::{Fragment, id_of};
use crate::layer::{layer, measures, parameters};
use crate::style::style;

impl Fragment {
    /// Layers, each with all that is known of it.
    ///
    /// ```
    /// use quantviz_html::Fragment;
    ///
    /// assert!(Fragment::of_layers("no layers", &[], "a").html().contains(r#"id="qv-a""#));
    /// ```
    pub fn of_layers(title: &str, layers: &[PageLayer], name: &str) -> Self {
        let id = id_of(name);
        let all = html! { @for (index, it) in layers.iter().enumerate() { (layer(it, index, &id, true)) } };
        around(title, &id, &all)
    }

    /// One parameter, in all models that have it.
    ///
    /// ```
    /// # use std::ops::ControlFlow;
    /// # use quantviz_core::MemorySource;
    /// # use quantviz_view::{ComparisonView, Inspection, ModelPage, Request};
    /// use quantviz_html::Fragment;
    ///
    /// # let source = MemorySource::new().with("fc.weight", ndarray::arr2(&[[-1.0f32, 0.5], [2.0, 0.0]]));
    /// # let model = Inspection::of(&source, "m", &Request::default(), &|_| ControlFlow::Continue(()))?;
    /// # let alone = ComparisonView::of("m", Vec::new());
    /// # let page = ModelPage::of("m", &model, None, &[], &alone);
    /// let weight = page.parameter("fc.weight", &alone)?;
    /// assert!(Fragment::of_parameter(&weight, "a").html().contains("2×2"));
    /// # Ok::<(), quantviz_core::Error>(())
    /// ```
    pub fn of_parameter(parameter: &PageParameter, name: &str) -> Self {
        let PageParameter { name: title, layer, op, rows, measures: all, channels, .. } = parameter;
        let shown = html! {
            h2 class="qv-name" { (title) }
            " " span class="qv-op" { (layer) " " (op) }
            @if !rows.is_empty() { (parameters(rows)) }
            @if !all.is_empty() { (measures(all)) }
            @for it in channels { (figure(&strip(it))) }
        };
        around(title, &id_of(name), &shown)
    }

    /// Histograms side by side, drawn in one way.
    ///
    /// ```
    /// # use std::ops::ControlFlow;
    /// # use quantviz_core::{MemorySource, Role};
    /// # use quantviz_view::{HistogramSet, Inspection, Request};
    /// use quantviz_draw::{Counts, Values};
    /// use quantviz_html::Fragment;
    ///
    /// # let mut source = MemorySource::new().with("fc.weight", ndarray::arr2(&[[-1.0f32, 0.5], [2.0, 0.0]]));
    /// # source.model_mut().parameters[0].role = Role::Weight;
    /// # let request = Request { bins: Some(4), ..Request::default() };
    /// # let model = Inspection::of(&source, "m", &request, &|_| ControlFlow::Continue(()))?;
    /// let sets = HistogramSet::of_one(&model, "FP32");
    /// assert!(Fragment::of_histograms(&sets[0], Values::Real, Counts::Log, "a").html().contains("<svg"));
    /// # Ok::<(), quantviz_core::Error>(())
    /// ```
    pub fn of_histograms(set: &HistogramSet, values: Values, counts: Counts, name: &str) -> Self {
        let shown = html! {
            h2 { span class="qv-name" { (set.title) } " " span class="qv-op" { (set.height) } }
            (figure(&histograms(set, values, counts)))
        };
        around(&set.title, &id_of(name), &shown)
    }

    /// Models to choose from.
    ///
    /// ```
    /// use quantviz_html::Fragment;
    /// use quantviz_view::{Listing, Place};
    ///
    /// let listing = Listing::of("m", &[("m/net.onnx", &Place::default())]);
    /// assert!(Fragment::of_listing(&listing, "a").html().contains("net.onnx"));
    /// ```
    pub fn of_listing(listing: &Listing, name: &str) -> Self {
        let shown = html! {
            h2 class="qv-name" { (listing.title) }
            div class="qv-wide" {
                table class="qv-choices" {
                    thead {
                        tr {
                            th scope="col" class="qv-number" { "number" }
                            @for name in ["model", "variant", "file", "what it is"] { th scope="col" { (name) } }
                        }
                    }
                    tbody {
                        @for (index, row) in listing.rows.iter().enumerate() {
                            tr {
                                td class="qv-number" { (index) }
                                th scope="row" { @if row.is_first { (row.group) } }
                                td { (row.variant) }
                                td class="qv-name" { (row.file) }
                                td { @if row.is_reference { "the reference" } }
                            }
                        }
                    }
                }
            }
        };
        around(&listing.title, &id_of(name), &shown)
    }

    /// What went wrong, in a line.
    ///
    /// ```
    /// use quantviz_html::Fragment;
    ///
    /// assert!(Fragment::of_error("m.onnx: <odd>", "a").html().contains("m.onnx: &lt;odd&gt;"));
    /// ```
    pub fn of_error(line: &str, name: &str) -> Self {
        let shown = html! { p role="alert" { span class="qv-bad" { "error: " } (line) } };
        around("error", &id_of(name), &shown)
    }
}

fn figure(picture: &Picture) -> Markup {
    html! { figure { (PreEscaped(picture.inline("img"))) } }
}

fn around(title: &str, id: &str, shown: &Markup) -> Fragment {
    let all = html! {
        div class="qv" id=(id) {
            style { (PreEscaped(style())) }
            (shown)
        }
    };
    Fragment::new(title, all)
}
