//! The rules of real numbers: they are what the definition makes of the parts, one by one.

use quantviz_core::{
    Granularity, GroupIndex, ParameterId, ParameterSource, Part, QuantDescriptor, Result, Shape, SourceExt,
};

use super::reading::is_excused;

/// Panics unless a quantized parameter can be dequantized, and gives what its parts give.
pub(super) fn check_real(source: &dyn ParameterSource, id: ParameterId) {
    let model = source.model();
    let parameter = model.parameter(id);
    let Some(quantization) = &parameter.quantization else { return };
    let name = &parameter.name;
    let expected = match by_definition(source, id, quantization, &parameter.shape) {
        Ok(expected) => expected,
        Err(error) if is_excused(model, id, &error) => return,
        Err(error) => panic!("parameter {name:?}: its parts cannot be read together: {error}"),
    };
    let found = match source.real_array(id) {
        Ok(found) => found,
        Err(error) => panic!("parameter {name:?}: its real values cannot be read: {error}"),
    };
    for (index, (&found, expected)) in found.iter().zip(&expected).enumerate() {
        let expected = *expected as f32;
        let is_same = found.to_bits() == expected.to_bits() || (found.is_nan() && expected.is_nan());
        assert!(
            is_same,
            "parameter {name:?}: element {index} stands for {found}, but by its parts for {expected}"
        );
    }
    match source.real_summary(id) {
        Ok(summary) => assert_eq!(summary.count(), expected.len() as u64, "parameter {name:?}: real values"),
        Err(error) => panic!("parameter {name:?}: its real values cannot be summarised: {error}"),
    }
}

/// Coordinate by coordinate: slow, and without anything that the core does to be quick.
fn by_definition(
    source: &dyn ParameterSource,
    id: ParameterId,
    quantization: &QuantDescriptor,
    stored: &Shape,
) -> Result<Vec<f64>> {
    let dims = quantization.logical.as_ref().unwrap_or(stored).dims();
    let index = match quantization.group_index {
        Some(GroupIndex::Listed { axis, parameter }) => Some((axis, source.values(parameter, Part::Stored)?)),
        Some(GroupIndex::InTurns { axis }) => {
            let sizes = quantization.granularity.sizes(dims).unwrap_or_default();
            let slabs = dims[axis].div_ceil(sizes[axis]);
            Some((axis, (0..dims[axis]).map(|position| (position % slabs) as f64).collect()))
        }
        None => None,
    };
    let group = |granularity: &Granularity, index: Option<&(usize, Vec<f64>)>, element: usize| {
        let sizes = granularity.sizes(dims).unwrap_or_default();
        let mut behind: u64 = dims.iter().product();
        let (mut rest, mut group) = (element as u64, 0);
        for (axis, (&dim, &size)) in dims.iter().zip(&sizes).enumerate() {
            behind /= dim;
            let (position, slabs) = (rest / behind, dim.div_ceil(size));
            rest %= behind;
            let slab = match index {
                Some((indexed, slabs)) if *indexed == axis => slabs[position as usize] as u64,
                _ => position / size,
            };
            group = group * slabs + slab;
        }
        group as usize
    };
    let codes = source.values(id, Part::Codes)?;
    let parts = [Part::Scales, Part::OuterScales, Part::ZeroPoints, Part::Offsets];
    let [scales, outer_scales, zero_points, offsets] = parts.map(|part| source.values(id, part));
    let (scales, outer_scales, zero_points, offsets) = (scales?, outer_scales?, zero_points?, offsets?);
    let real = |(element, code): (usize, f64)| {
        let own = group(&quantization.granularity, index.as_ref(), element);
        let mut scale = scales[own];
        if let Some(outer) = &quantization.outer_scale {
            scale *= outer_scales[group(&outer.granularity, None, element)];
        }
        let value = match &quantization.table {
            Some(table) => f64::from(table[code as usize]),
            None => code,
        };
        let centred = value - zero_points.get(own).unwrap_or(&0.0);
        scale * centred + offsets.get(own).unwrap_or(&-0.0)
    };
    Ok(codes.into_iter().enumerate().map(real).collect())
}
