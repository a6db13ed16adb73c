//! A network of one's own as a source: the trait asks for two methods, and every view works with it.
//!
//! `cargo run -p quantviz-examples --example own_source`
#![allow(clippy::print_stdout, reason = "a program for a terminal")]

use std::ops::{ControlFlow, Range};

use ndarray::Array2;
use quantviz::view::{Inspection, ParameterTable, Request};
use quantviz::{
    Block, DType, Elements, Error, Format, Model, Parameter, ParameterId, ParameterSource, Part, Result,
    Role, Shape, Sink, check_range, read_derived,
};

/// Two layers, as a training loop would hold them.
struct Network {
    weights: Vec<Array2<f32>>,
    model: Model,
}

impl Network {
    fn new(sizes: &[(usize, usize)]) -> Result<Self> {
        let mut model = Model::new(Format::Memory);
        let mut weights = Vec::new();
        for (index, &(rows, columns)) in sizes.iter().enumerate() {
            let shape = Shape::new([rows as u64, columns as u64])?;
            model.parameters.push(Parameter::new(
                format!("layer{index}.weight"),
                DType::F32,
                shape,
                Role::Weight,
            ));
            weights.push(Array2::from_shape_fn((rows, columns), |(row, column)| {
                ((row * 7 + column) as f32).sin()
            }));
        }
        model.add_module_layers();
        Ok(Network { weights, model })
    }
}

impl ParameterSource for Network {
    fn model(&self) -> &Model {
        &self.model
    }

    fn read(
        &self,
        id: ParameterId,
        part: Part,
        range: Range<u64>,
        sink: &mut dyn Sink,
    ) -> Result<ControlFlow<()>> {
        if part != Part::Stored {
            return read_derived(self, id, part, range, sink);
        }
        // Nothing is copied: the sink sees the memory that the network trains.
        let values = self.weights[id.index()].as_slice();
        let values = values.ok_or_else(|| Error::unsupported("its elements do not lie side by side"))?;
        check_range(&range, values.len() as u64)?;
        let elements = Elements::F32(&values[range.start as usize..range.end as usize]);
        Ok(sink.block(Block { start: range.start, elements }))
    }
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let network = Network::new(&[(16, 32), (32, 4)])?;
    let inspection =
        Inspection::of(&network, "my network", &Request::default(), &|_| ControlFlow::Continue(()))?;
    for row in ParameterTable::of(&inspection, false).rows {
        if let Some(range) = row.range {
            println!("{}  {}  from {} to {}", row.name, row.shape, range.min, range.max);
        }
    }
    Ok(())
}
