//! What the snapshots of a session are columns over.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::arrays::{ArrayWriter, Arrays, WrittenArrays};
use super::shards::Shard;
use crate::{
    DType, Error, ErrorKind, Format, Model, Parameter, ParameterId, Result, Role, Shape, TransformerPart,
};

/// What a plan says in words: the catalogue, and which sample of it is taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PlanHeader {
    /// The version of what is written.
    pub schema: u32,
    /// What people call the run.
    pub name: String,
    /// What else they say of it.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// The catalogue.
    pub parameters: Vec<PlannedParameter>,
    /// The parameters whose rows have places in space.
    #[serde(default)]
    pub embeddings: Vec<PlannedEmbedding>,
    /// Steps between two snapshots, or seconds, as it was asked for.
    #[serde(default)]
    pub every: String,
    /// How many elements of a parameter are counted for its histogram, at most; `None` where nobody said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counted: Option<u64>,
}

/// One parameter of the catalogue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PlannedParameter {
    /// Its name.
    pub name: String,
    /// Other names of the same weights.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<String>,
    /// The type of its elements.
    pub dtype: DType,
    /// Its shape.
    pub shape: Vec<u64>,
    /// What it is for.
    pub role: Role,
    /// The part of a transformer that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<TransformerPart>,
    /// Its place among the matrices, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matrix: Option<u32>,
    /// Which part of the whole this is, where ranks share it out and whoever records has said so. Its shape is that of the part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<Shard>,
}

impl PlannedParameter {
    /// How many elements it has.
    pub fn elements(&self) -> u64 {
        self.shape.iter().fold(1, |product, &dim| product.saturating_mul(dim))
    }

    /// As a matrix: how many rows, which are its first axis, and how many columns, which are all others.
    pub fn rows_and_columns(&self) -> (u64, u64) {
        let rows = self.shape.first().copied().unwrap_or(1);
        (rows, self.elements().checked_div(rows).unwrap_or(0))
    }

    /// What a catalogue says of a parameter of a model.
    pub fn of(model: &Model, id: ParameterId) -> Self {
        let parameter = model.parameter(id);
        PlannedParameter {
            name: parameter.name.clone(),
            also: Vec::new(),
            dtype: parameter.dtype,
            shape: parameter.logical_shape().dims().to_vec(),
            role: parameter.role,
            part: TransformerPart::of(model, id),
            matrix: None,
            shard: None,
        }
    }
}

/// A parameter whose rows have places in space.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PlannedEmbedding {
    /// Its place in the catalogue.
    pub parameter: u32,
    /// How many of its rows are shown: fewer than it has where it has many.
    pub rows: u32,
    /// The length of a row.
    pub width: u32,
    /// What rows are called, in the order in which they are shown; empty where nobody said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// What a position of 32,767 stands for.
    pub scale: f32,
    /// The step at which the basis was taken.
    pub basis_step: u64,
    /// How often the basis has turned before.
    pub turns: u32,
    /// Why the basis is another than before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turned_because: Option<String>,
}

/// The plan of a session, as it was written.
#[derive(Clone, Debug)]
pub struct Plan {
    header: PlanHeader,
    arrays: Arrays,
    id: String,
}

impl PlanHeader {
    /// The version that is written.
    pub const SCHEMA: u32 = 1;

    /// A plan of a model's parameters, those that were chosen, in this order. Weights that have several names count once.
    pub fn new(name: impl Into<String>, model: &Model, chosen: &[ParameterId]) -> Self {
        let mut parameters: Vec<PlannedParameter> =
            chosen.iter().map(|&id| PlannedParameter::of(model, id)).collect();
        for id in model.parameter_ids() {
            let Some(first) = model.parameter(id).shares else { continue };
            if let Some(at) = chosen.iter().position(|&it| it == first) {
                parameters[at].also.push(model.parameter(id).name.clone());
            }
        }
        let matrices = parameters.iter_mut().filter(|it| {
            let (rows, columns) = it.rows_and_columns();
            rows > 1 && columns > 1
        });
        (0u32..).zip(matrices).for_each(|(at, matrix)| matrix.matrix = Some(at));
        PlanHeader {
            schema: PlanHeader::SCHEMA,
            name: name.into(),
            tags: BTreeMap::new(),
            parameters,
            embeddings: Vec::new(),
            every: String::new(),
            counted: None,
        }
    }

    /// The catalogue as a model: names, shapes and types, and a layer for each module. Of what a plan cannot have rightly, a
    /// shape with more elements than can be counted, nothing is shown but the name.
    pub fn model(&self) -> Model {
        // What was recorded lay in the memory of the process that trained.
        let mut model = Model::new(Format::Memory);
        for planned in &self.parameters {
            let shape = Shape::new(planned.shape.clone()).unwrap_or_else(|_| Shape::vector(0));
            model.parameters.push(Parameter::new(planned.name.clone(), planned.dtype, shape, planned.role));
        }
        model.add_module_layers();
        model
    }

    /// How many parameters are matrices.
    pub fn matrices(&self) -> usize {
        self.parameters.iter().filter(|it| it.matrix.is_some()).count()
    }

    /// The place of a parameter by one of its names.
    pub fn parameter_named(&self, name: &str) -> Option<usize> {
        self.parameters.iter().position(|it| it.name == name || it.also.iter().any(|also| also == name))
    }
}

impl PlannedEmbedding {
    /// So many rows of a width, of a place in the catalogue, before anything is known of where they lie.
    pub fn new(parameter: u32, rows: u32, width: u32) -> Self {
        PlannedEmbedding {
            parameter,
            rows,
            width,
            labels: Vec::new(),
            scale: 1.0,
            basis_step: 0,
            turns: 0,
            turned_because: None,
        }
    }

    /// Where its rows are shown: what the largest position stands for, at which step the basis was taken, how often it has
    /// turned before, and why it is not what it was.
    #[must_use]
    pub fn shown_in(self, scale: f32, basis_step: u64, turns: u32, turned_because: Option<String>) -> Self {
        PlannedEmbedding { scale, basis_step, turns, turned_because, ..self }
    }

    /// With what rows are called.
    #[must_use]
    pub fn with_labels(self, labels: Vec<String>) -> Self {
        PlannedEmbedding { labels, ..self }
    }
}

impl Plan {
    /// Writes a plan with its arrays; returns it with its bytes.
    pub fn write(header: PlanHeader, arrays: ArrayWriter) -> Result<(Self, WrittenArrays)> {
        let written = arrays.finish(&header)?;
        let plan = Plan::parse(written.bytes.clone())?;
        Ok((plan, written))
    }

    /// Reads a plan.
    pub fn parse(bytes: impl Into<Arc<[u8]>>) -> Result<Self> {
        let bytes = bytes.into();
        let id = format!("{:016x}", fingerprint(&bytes));
        let arrays = Arrays::parse(bytes)?;
        let header: PlanHeader = with_schema(&arrays, PlanHeader::SCHEMA)?;
        Ok(Plan { header, arrays, id })
    }

    /// What snapshots call it by: a number that follows from its bytes.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What it says in words.
    pub fn header(&self) -> &PlanHeader {
        &self.header
    }

    /// Its arrays.
    pub fn arrays(&self) -> &Arrays {
        &self.arrays
    }

    /// The lower end and the width of a bin of the histogram of a parameter.
    pub fn grid(&self, parameter: usize) -> Option<(f32, f32)> {
        Some((self.arrays.number("w.hist_low", parameter)?, self.arrays.number("w.hist_width", parameter)?))
    }
}

/// The header of arrays, unless a later version has written them.
pub(super) fn with_schema<T: serde::de::DeserializeOwned>(arrays: &Arrays, known: u32) -> Result<T> {
    #[derive(Deserialize)]
    struct Schema {
        schema: u32,
    }
    let Schema { schema } = arrays.metadata()?;
    if schema > known {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "a newer quantviz has written it: its schema is {schema}, this one knows {known}; update quantviz"
            ),
        ));
    }
    arrays.metadata()
}

/// FNV-1a: told apart are the few plans of one session, and nobody makes them collide but to their own loss.
fn fingerprint(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}
