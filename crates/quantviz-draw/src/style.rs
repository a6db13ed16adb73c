//! Colours and letters of all pictures, light and dark.

/// The style of all pictures, for a page that they stand in. Every class begins with `qv-`.
///
/// Magnitude has seven steps of one hue whose lightness falls evenly (rises, on dark ground), so that it can be told without
/// seeing colours; what they stand for is written too. Verdicts have a sign of their own besides their colour.
pub const STYLE: &str = "\
.qv-text,.qv-none-text,.qv-quiet,.qv-strong,.qv-end,.qv-mid,.qv-poor,.qv-look{font:12px system-ui,-apple-system,'Segoe UI','DejaVu Sans',sans-serif;fill:#1f2328}\
.qv-quiet,.qv-none-text,.qv-end,.qv-mid{font-size:11px;fill:#59636e}\
.qv-strong{font-weight:600}.qv-none-text{font-style:italic}\
.qv-end{text-anchor:end}.qv-mid{text-anchor:middle}\
.qv-poor{fill:#a1260d;font-weight:600;text-anchor:end}.qv-look{fill:#7a4d00;font-weight:600;text-anchor:end}\
.qv-grid{stroke:#d1d9e0;fill:none}.qv-zero{stroke:#8c959f;fill:none}\
.qv-none{stroke:#8c959f;stroke-dasharray:3 3;fill:none}\
.qv-m0,.qv-m1,.qv-m2,.qv-m3,.qv-m4,.qv-m5,.qv-m6{stroke:#59636e;stroke-width:.6}.qv-fill{fill:#2171b5}.qv-fill-quantized{fill:#9a4f00}.qv-cells{fill:#b9792f}\
.qv-m0{fill:#dbe9f6}.qv-m1{fill:#b7d4ea}.qv-m2{fill:#85bcdc}.qv-m3{fill:#529dcc}.qv-m4{fill:#2979b9}.qv-m5{fill:#0f529f}.qv-m6{fill:#08306b}\
.qv-hit{fill:transparent}\
.qv-curve{fill:none;stroke:#2171b5;stroke-width:1.6;stroke-linejoin:round}.qv-odd{fill:none;stroke:#f6c9c0}\
.qv-empty{fill:none;stroke:#8c959f;stroke-dasharray:3 3}.qv-bare.qv-bare{stroke:none}.qv-dot{fill:#2171b5}\
.qv-on-faint,.qv-on-full,.qv-row-name{font:12px system-ui,-apple-system,'Segoe UI','DejaVu Sans',sans-serif;fill:#1f2328}.qv-on-full{fill:#fff}\
.qv-row-name{text-anchor:middle}\
.qv-log,.qv-codes{display:none}\
@media (prefers-color-scheme:dark){\
.qv-text,.qv-strong{fill:#e6edf3}.qv-quiet,.qv-none-text,.qv-end,.qv-mid{fill:#9da7b1}\
.qv-poor{fill:#ff9a8a}.qv-look{fill:#e3b341}\
.qv-grid{stroke:#30363d}.qv-zero,.qv-none{stroke:#6e7681}\
.qv-m0,.qv-m1,.qv-m2,.qv-m3,.qv-m4,.qv-m5,.qv-m6{stroke:#9da7b1}.qv-fill{fill:#6aa9e0}.qv-fill-quantized{fill:#e0a458}.qv-cells{fill:#a8763a}\
.qv-curve{stroke:#6aa9e0}.qv-odd{stroke:#5c2a24}.qv-empty{stroke:#6e7681}.qv-dot{fill:#6aa9e0}.qv-on-faint,.qv-row-name{fill:#e6edf3}.qv-on-full{fill:#0d1117}\
.qv-m0{fill:#173350}.qv-m1{fill:#1f4a73}.qv-m2{fill:#2a659b}.qv-m3{fill:#3f84c0}.qv-m4{fill:#66a5db}.qv-m5{fill:#9acaf0}.qv-m6{fill:#d6ebfb}\
}";

/// What a picture stands on that stands alone.
pub(crate) const BACKGROUND: &str =
    ".qv-ground{fill:#fff}@media (prefers-color-scheme:dark){.qv-ground{fill:#0d1117}}";

/// The steps of magnitude.
pub(crate) const STEPS: u8 = 7;

/// The step of a magnitude from 0 to 1.
pub(crate) fn step(magnitude: f64) -> u8 {
    let step = (magnitude * f64::from(STEPS)) as u8;
    step.min(STEPS - 1)
}
