//! A layer of a page: what all models say of it, laid together.

use std::collections::{HashMap, HashSet};

use quantviz_core::{Role, number, one_line};
use quantviz_insight::Finding;

use crate::channel_strip::ChannelStrip;
use crate::comparison::{ComparisonView, PairView};
use crate::fidelity_table::{FidelityRow, Verdict};
use crate::findings::{FindingGroup, Findings};
use crate::followers::Followers;
use crate::histogram_set::{HistogramPanel, HistogramSet};
use crate::inspection::{Inspection, LayerView};
use crate::layers::{Badge, BadgeKind, Tone};
use crate::model_page::{PageModel, by_name, key};
use crate::table::{ActivationRow, Row, not_folded};
use crate::words;

/// One layer, in all models that have it.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct PageLayer {
    /// The node's name or the module's path.
    pub name: String,
    /// The operator or the class.
    pub op: String,
    /// What is to be seen at a glance, the worst first.
    pub badges: Vec<Badge>,
    /// Its parameters, each with what the model is called that has it.
    pub parameters: Vec<(String, Row)>,
    /// What quantization cost each parameter in each variant.
    pub measures: Vec<PageMeasure>,
    /// What was found, with the model.
    pub findings: Vec<(String, FindingGroup)>,
    /// How the numbers of its parameters are spread.
    pub histograms: Vec<HistogramSet>,
    /// What quantization cost each channel.
    pub channels: Vec<ChannelStrip>,
    /// What it makes, where its quantization is fixed, with the model.
    pub activations: Vec<(String, ActivationRow)>,
}

/// What quantization cost a parameter.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PageMeasure {
    /// The variant.
    pub model: String,
    /// What is said of it everywhere.
    pub row: FidelityRow,
    /// Codes in use: `212 of 255`.
    pub levels: String,
    /// How much of it is cut off, in percent.
    pub clipped: String,
    /// The largest error.
    pub max_error: String,
    /// The cosine of the angle between both.
    pub cosine: String,
}

impl PageMeasure {
    fn of(model: &str, pair: &PairView) -> Self {
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
        let levels = pair.levels_used.zip(pair.levels);
        PageMeasure {
            model: model.to_owned(),
            row: FidelityRow { name: one_line(&pair.reference), ..FidelityRow::of(pair) },
            levels: or_dash(levels.map(|(used, all)| format!("{used} of {all}"))),
            clipped: or_dash(pair.clipped.map(|share| format!("{} %", number(share * 100.0)))),
            max_error: or_dash(pair.max_abs_error.map(number)),
            cosine: or_dash(pair.cosine.map(|it| format!("{it:.6}"))),
        }
    }
}

/// Which layers of all models are the same: those that a pair of parameters joins, and those of one name.
pub(crate) struct Linked<'a> {
    reference: &'a Inspection,
    variants: &'a [Inspection],
    comparison: &'a ComparisonView,
    models: &'a [PageModel],
    /// For each model, where its layers stand on the page.
    places: Vec<Vec<usize>>,
    /// For each model, where what is named stands: parameters and activations.
    names: Vec<HashMap<String, usize>>,
    /// All layers, in the order of the page.
    layers: Vec<&'a LayerView>,
}

impl<'a> Linked<'a> {
    pub(crate) fn of(
        reference: &'a Inspection,
        variants: &'a [Inspection],
        comparison: &'a ComparisonView,
        models: &'a [PageModel],
    ) -> Self {
        let of_reference: HashMap<&str, usize> =
            reference.parameters.iter().filter_map(|it| Some((it.name.as_str(), it.layer_index?))).collect();
        let mut linked = Linked {
            reference,
            variants,
            comparison,
            models,
            places: vec![(0..reference.layers.len()).collect()],
            names: Vec::new(),
            layers: reference.layers.iter().collect(),
        };
        // What a layer that only variants have stands behind.
        let mut followers: Followers = Followers::new(reference.layers.len());
        let mut named = by_name(reference);
        for (inspection, variant) in variants.iter().zip(&comparison.variants) {
            let layer_of: HashMap<&str, usize> = inspection
                .parameters
                .iter()
                .filter_map(|it| Some((it.name.as_str(), it.layer_index?)))
                .collect();
            let mut joined = HashMap::new();
            for pair in &variant.pairs {
                let (from, of) = (of_reference.get(&*pair.reference), layer_of.get(&*pair.quantized));
                if let Some((&from, &of)) = from.zip(of) {
                    joined.entry(of).or_insert(from);
                }
            }
            let mut before = None;
            let place = |(index, layer): (usize, &'a LayerView)| {
                let name = words::layer_name(&layer.name, layer.kind);
                let known = joined.get(&index).or_else(|| named.get(&name)).copied();
                let place = known.unwrap_or_else(|| {
                    let place = followers.add(before);
                    linked.layers.push(layer);
                    named.insert(name, place);
                    place
                });
                before = Some(place);
                place
            };
            let places = inspection.layers.iter().enumerate().map(place).collect();
            linked.places.push(places);
        }
        let order = followers.order();
        linked.layers = order.iter().map(|&place| linked.layers[place]).collect();
        let mut moved = vec![0; order.len()];
        order.iter().enumerate().for_each(|(to, &from)| moved[from] = to);
        linked.places.iter_mut().flatten().for_each(|place| *place = moved[*place]);
        linked.names = [reference]
            .into_iter()
            .chain(variants)
            .zip(&linked.places)
            .map(|(inspection, places)| {
                let parameters =
                    inspection.parameters.iter().filter_map(|it| Some((key(&it.name), it.layer_index?)));
                let layers = inspection.layers.iter().enumerate();
                let activations = layers.flat_map(|(index, layer)| {
                    layer.activations.iter().map(move |it| (key(&it.tensor), index))
                });
                activations.chain(parameters).map(|(name, layer)| (name, places[layer])).collect()
            })
            .collect();
        for (names, variant) in linked.names[1..].iter_mut().zip(&comparison.variants) {
            // What was made of a parameter stands with it, wherever its own file has it.
            let joined = variant
                .pairs
                .iter()
                .filter_map(|pair| Some((key(&pair.quantized), *of_reference.get(pair.reference.as_str())?)))
                .map(|(name, layer)| (name, linked.places[0][layer]));
            names.extend(joined);
        }
        linked
    }

    /// Where a layer of the reference stands on the page.
    pub(crate) fn place(&self, layer: usize) -> usize {
        self.places[0][layer]
    }

    /// Whether a finding of any model is about no layer.
    pub(crate) fn is_of_none(&self, finding: &Finding) -> bool {
        let name = finding.parameter.as_deref().map(key);
        !name.is_some_and(|name| self.names.iter().any(|names| names.contains_key(&name)))
    }

    /// Every layer of the page, without histograms.
    pub(crate) fn layers(&self, found: &[Finding]) -> Vec<PageLayer> {
        let mut layers: Vec<PageLayer> = self
            .layers
            .iter()
            .map(|layer| PageLayer {
                name: words::layer_name(&layer.name, layer.kind),
                op: layer.op.as_deref().map(one_line).unwrap_or_default(),
                ..PageLayer::default()
            })
            .collect();
        let inspections = [self.reference].into_iter().chain(self.variants);
        for (model, inspection) in inspections.enumerate() {
            self.add_model(model, inspection, &mut layers);
        }
        let mut findings: Vec<Vec<(usize, &Finding)>> = vec![Vec::new(); layers.len()];
        let of_variants = self.comparison.variants.iter().map(|it| it.findings.as_slice());
        for (model, all) in [found].into_iter().chain(of_variants).enumerate() {
            for finding in all {
                let name = finding.parameter.as_deref().map(key);
                if let Some(&layer) = name.and_then(|name| self.names[model].get(&name)) {
                    findings[layer].push((model, finding));
                }
            }
        }
        let mut pairs: Vec<Vec<(usize, &PairView)>> = vec![Vec::new(); layers.len()];
        for (model, variant) in self.comparison.variants.iter().enumerate() {
            for pair in &variant.pairs {
                if let Some(&layer) = self.names[0].get(&key(&pair.reference)) {
                    pairs[layer].push((model + 1, pair));
                }
            }
        }
        for ((layer, findings), pairs) in layers.iter_mut().zip(&findings).zip(&pairs) {
            self.judge(layer, findings, pairs);
        }
        layers
    }

    fn add_model(&self, model: usize, inspection: &Inspection, layers: &mut [PageLayer]) {
        let label = &self.models[model].label;
        for parameter in not_folded(inspection) {
            let layer = parameter.layer_index.and_then(|index| inspection.layers.get(index));
            if let Some(&place) = self.names[model].get(&key(&parameter.name)) {
                layers[place].parameters.push((label.clone(), Row::of(parameter, layer)));
            }
        }
        for (layer, &place) in inspection.layers.iter().zip(&self.places[model]) {
            let rows = layer.activations.iter().map(|it| (label.clone(), ActivationRow::of(it, layer)));
            layers[place].activations.extend(rows);
        }
    }

    fn judge(&self, layer: &mut PageLayer, found: &[(usize, &Finding)], pairs: &[(usize, &PairView)]) {
        for (model, it) in self.models.iter().enumerate() {
            let of_model: Vec<Finding> =
                found.iter().filter(|(of, _)| *of == model).map(|(_, finding)| (*finding).clone()).collect();
            let groups = Findings::of(&it.label, &of_model, 0).groups;
            layer.findings.extend(groups.into_iter().map(|group| (it.label.clone(), group)));
        }
        // Weights say more than biases, which stand behind them.
        let (weights, biases): (Vec<_>, Vec<_>) = pairs.iter().partition(|(_, pair)| pair.role != Role::Bias);
        for (model, pair) in weights.into_iter().chain(biases) {
            layer.measures.push(PageMeasure::of(&self.models[model].label, pair));
            layer
                .channels
                .extend(ChannelStrip::of(pair).map(|strip| strip.in_model(&self.models[model].label)));
        }
        let found: Vec<&Finding> = found.iter().map(|(_, finding)| *finding).collect();
        let of_pairs = Badge::of_pairs(pairs.iter().map(|(_, pair)| *pair));
        layer.badges = [Badge::of_findings(&found), of_pairs].into_iter().flatten().collect();
        layer.badges.push(self.quantization(layer));
    }

    /// In which models it is quantized, and how.
    fn quantization(&self, layer: &PageLayer) -> Badge {
        let mut labels: Vec<&str> = Vec::new();
        let mut lines = Vec::new();
        let parameters =
            layer.parameters.iter().filter(|(_, row)| row.scale.is_some() || row.zero_point.is_some());
        let activations = layer.activations.iter().map(|(model, row)| (model, &row.tensor));
        for (model, name) in parameters.map(|(model, row)| (model, &row.name)).chain(activations) {
            if !labels.contains(&model.as_str()) {
                labels.push(model);
            }
            lines.push(format!("{model}: {name}"));
        }
        let (text, tooltip) = match labels.len() {
            0 => ("not quantized".to_owned(), "it has no quantization parameters".to_owned()),
            1..=3 => (labels.join(", "), lines.join("; ")),
            many => (format!("quantized in {many} models"), lines.join("; ")),
        };
        Badge { kind: BadgeKind::Quantization, text, tone: Tone::Plain, tooltip }
    }

    /// Hangs every set into the layer of its weight. Biases whose codes are as good as can be have their rows in the tables,
    /// and no pictures that look all alike.
    pub(crate) fn hang_up(&self, sets: Vec<HistogramSet>, layers: &mut [PageLayer]) {
        let biases = self.reference.parameters.iter().filter(|it| it.role == Role::Bias);
        let biases: HashSet<String> = biases.map(|it| key(&it.name)).collect();
        let is_fine = |panel: &HistogramPanel| panel.verdict == Some(Verdict::Fine);
        let is_told = |set: &HistogramSet| {
            set.panels.len() > 1 && biases.contains(&set.title) && set.panels[1..].iter().all(is_fine)
        };
        for set in sets.into_iter().filter(|set| !is_told(set)) {
            if let Some(&layer) = self.names[0].get(&set.title) {
                layers[layer].histograms.push(set);
            }
        }
        let place = |layer: &PageLayer, set: &HistogramSet| {
            layer.parameters.iter().position(|(_, row)| row.name == set.title)
        };
        for layer in layers {
            let mut sets = std::mem::take(&mut layer.histograms);
            sets.sort_by_key(|set| place(layer, set));
            layer.histograms = sets;
        }
    }
}
