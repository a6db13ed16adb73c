//! The list of layers to choose from, which can be searched.

use maud::{Markup, html};
use quantviz_view::{Badge, ModelPage, PageLayer, Tone};

/// Parameters that are named in the list; recurrent layers have dozens.
const PARAMETERS: usize = 4;

pub(crate) fn picker(page: &ModelPage, id: &str) -> Markup {
    let list = format!("{id}-list");
    html! {
        div class="qv-picker qv-live" {
            label for={ (id) "-search" } { "Layer" }
            div class="qv-combo" {
                input id={ (id) "-search" } class="qv-search" type="text" role="combobox" autocomplete="off"
                    spellcheck="false" aria-autocomplete="list" aria-expanded="false" aria-controls=(list)
                    placeholder="search by name, operator, parameter or badge";
                button type="button" class="qv-open" tabindex="-1" aria-label="Show all layers" { "▾" }
                ul id=(list) class="qv-list" role="listbox" aria-label="Layers" hidden {
                    @for (index, layer) in page.layers.iter().enumerate() {
                        li id={ (id) "-option-" (index) } role="option" aria-selected="false" data-layer=(index) {
                            span class="qv-name" { (layer.name) }
                            " " span class="qv-op" { (layer.op) } " "
                            span class="qv-op qv-parts" { (parameters(layer)) }
                            " " (badges(&layer.badges, false))
                        }
                    }
                }
            }
            button type="button" class="qv-previous" aria-label="Previous layer" { "←" }
            button type="button" class="qv-next" aria-label="Next layer" { "→" }
            span class="qv-hint" { "or click a row above; ↑ and ↓ move on" }
            span class="qv-announce" role="status" aria-live="polite" {}
        }
    }
}

/// What a layer of an opaque name is known by: its parameters, as the first model that has some calls them, without the name
/// of the layer. The script finds them with it, too.
fn parameters(layer: &PageLayer) -> String {
    let Some((first, _)) = layer.parameters.first() else { return String::new() };
    let of_first = layer.parameters.iter().filter(|(model, _)| model == first);
    let within = |name: &str| {
        name.strip_prefix(&layer.name).and_then(|rest| rest.strip_prefix('.')).unwrap_or(name).to_owned()
    };
    of_first.map(|(_, row)| within(&row.name)).take(PARAMETERS).collect::<Vec<_>>().join(", ")
}

/// With what each is about where somebody points at it, if that is wanted.
pub(crate) fn badges(badges: &[Badge], explained: bool) -> Markup {
    html! {
        @for badge in badges {
            span class={ "qv-badge " (tone(badge.tone)) } title=[explained.then_some(&badge.tooltip)] { (sign(badge.tone)) (badge.text) }
            " "
        }
    }
}

fn tone(tone: Tone) -> &'static str {
    match tone {
        Tone::Bad => "qv-bad",
        Tone::Look => "qv-looks",
        Tone::Good => "qv-good",
        _ => "qv-plain",
    }
}

/// Colours alone say nothing to some.
fn sign(tone: Tone) -> &'static str {
    match tone {
        Tone::Bad => "▲ ",
        Tone::Look => "◆ ",
        _ => "",
    }
}
