//! The scale and the zero-point of every channel, where channels are what shares them.

use crate::{Granularity, ParameterId, ParameterSource, Part, Result, SourceExt, part_len};

/// What the codes of each channel are computed with.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ChannelScales {
    /// The axis that channels lie along, in the shape of the codes.
    pub axis: usize,
    /// The scale of each channel.
    pub scales: Vec<f64>,
    /// The zero-point of each channel; `None` where the file has none.
    pub zero_points: Option<Vec<f64>>,
}

/// More channels than this are no channels: nothing has so many outputs, and nobody looks at them one by one.
const MOST: u64 = 1 << 20;

impl ChannelScales {
    /// Of a parameter whose scales are one for each index along an axis. `None` where they are shared in another way: by
    /// the whole tensor, or by blocks, whose scales can be a tenth of the file.
    ///
    /// ```
    /// use quantviz_core::{
    ///     ChannelScales, DType, Encoding, Granularity, MemorySource, Operand, ParameterId, ParameterSource, QuantDescriptor,
    /// };
    ///
    /// let source = MemorySource::new().with("s", ndarray::arr1(&[0.5f32, 0.25]));
    /// let scale = Operand::Parameter(ParameterId::new(0).expect("small"));
    /// let descriptor =
    ///     QuantDescriptor::of_stored(Encoding::Qdq, "m", DType::I8, Granularity::Axis(0), scale, None).expect("codes");
    /// let source = source.with("w", ndarray::arr2(&[[1i8, 2, 3], [4, 5, 6]])).quantized(descriptor)?;
    /// let id = source.model().parameter_named("w").expect("was added");
    /// let channels = ChannelScales::of(&source, id)?.expect("two channels");
    /// assert_eq!((channels.axis, channels.scales, channels.zero_points), (0, vec![0.5, 0.25], None));
    /// # Ok::<(), quantviz_core::Error>(())
    /// ```
    pub fn of<S: ParameterSource + ?Sized>(source: &S, id: ParameterId) -> Result<Option<Self>> {
        let Some(descriptor) = &source.model().parameter(id).quantization else { return Ok(None) };
        let Granularity::Axis(axis) = descriptor.granularity else { return Ok(None) };
        // Codes that lie in groups of their own, or scales that others scale, are no plain row of channels.
        let is_plain = descriptor.group_index.is_none() && descriptor.outer_scale.is_none();
        if !is_plain || part_len(source.model(), id, Part::Scales)? > MOST {
            return Ok(None);
        }
        let zero_points = descriptor.zero_point.is_some().then(|| source.values(id, Part::ZeroPoints));
        Ok(Some(ChannelScales {
            axis,
            scales: source.values(id, Part::Scales)?,
            zero_points: zero_points.transpose()?,
        }))
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{arr1, arr2};

    use super::*;
    use crate::{DType, Encoding, MemorySource, Operand, QuantDescriptor};

    fn source(granularity: Granularity, scales: &[f32], zero_point: Option<Operand>) -> MemorySource {
        let codes = arr2(&[[1u8, 2, 3, 4], [5, 6, 7, 8]]);
        let source = MemorySource::new().with("s", arr1(scales));
        let scale = Operand::Parameter(ParameterId::new(0).expect("small"));
        let descriptor =
            QuantDescriptor::of_stored(Encoding::Qdq, "m", DType::U8, granularity, scale, zero_point);
        source.with("w", codes).quantized(descriptor.expect("codes")).expect("they fit")
    }

    fn of(source: &MemorySource) -> Option<ChannelScales> {
        ChannelScales::of(source, ParameterId::new(1).expect("small")).expect("readable")
    }

    #[test]
    fn every_channel_has_its_own() {
        let zero = Operand::One { value: 128.0, parameter: None };
        let columns = of(&source(Granularity::Axis(1), &[1.0, 2.0, 3.0, 4.0], Some(zero))).expect("channels");
        assert_eq!((columns.axis, columns.scales), (1, vec![1.0, 2.0, 3.0, 4.0]));
        // One number stands for all.
        assert_eq!(columns.zero_points, Some(vec![128.0; 4]));
    }

    #[test]
    fn others_have_no_channels() {
        assert_eq!(of(&source(Granularity::Tensor, &[1.0], None)), None);
        assert_eq!(of(&source(Granularity::Block(vec![1, 2]), &[1.0, 2.0, 3.0, 4.0], None)), None);
        let plain = MemorySource::new().with("w", arr1(&[1.0f32]));
        assert_eq!(ChannelScales::of(&plain, ParameterId::new(0).expect("small")).expect("readable"), None);
    }
}
