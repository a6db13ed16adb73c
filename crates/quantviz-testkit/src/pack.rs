//! Codes of any width, side by side.

/// Packs the low `bits` bits of every code, low bits first and without gaps, as all little-endian and sub-byte types
/// are stored.
///
/// ```
/// assert_eq!(quantviz_testkit::pack([0x1, 0x2, 0xf], 4), [0x21, 0x0f]);
/// assert_eq!(quantviz_testkit::pack([0xbeef], 16), [0xef, 0xbe]);
/// ```
pub fn pack(codes: impl IntoIterator<Item = u128>, bits: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut used = 0;
    for code in codes {
        for bit in 0..bits {
            if used % 8 == 0 {
                bytes.push(0);
            }
            if let Some(last) = bytes.last_mut() {
                *last |= ((code >> bit & 1) as u8) << (used % 8);
            }
            used += 1;
        }
    }
    bytes
}
