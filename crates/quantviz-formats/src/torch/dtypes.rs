//! What torch and numpy call the types of elements.

use quantviz_core::DType;

/// The type of a typed storage's elements, and how many bytes each of what it counts takes.
pub(super) fn of_storage(class: &str) -> Option<(DType, u64)> {
    let name = class.strip_suffix("Storage")?;
    let (_, dtype) = STORAGES.iter().find(|(known, _)| *known == name)?;
    // Storages of packed codes count bytes.
    Some((*dtype, dtype.bits().map_or(1, |bits| u64::from(bits).div_ceil(8))))
}

/// The type that `torch.<name>` is.
pub(super) fn of_torch(name: &str) -> Option<DType> {
    DTYPES.iter().find(|(known, _)| *known == name).map(|(_, dtype)| *dtype)
}

/// The type with this number in the files that torch.export writes.
pub(super) fn of_export(number: u64) -> Option<DType> {
    EXPORTED.iter().find(|(known, _)| *known == number).and_then(|(_, name)| of_torch(name))
}

/// The type that numpy writes as a letter and a number of bytes.
pub(super) fn of_numpy(code: &str) -> Option<DType> {
    NUMPY.iter().find(|(known, _)| *known == code).map(|(_, dtype)| *dtype)
}

const STORAGES: &[(&str, DType)] = &[
    ("Double", DType::F64),
    ("Float", DType::F32),
    ("Half", DType::F16),
    ("BFloat16", DType::Bf16),
    ("Long", DType::I64),
    ("Int", DType::I32),
    ("Short", DType::I16),
    ("Char", DType::I8),
    ("Byte", DType::U8),
    ("Bool", DType::Bool),
    ("ComplexDouble", DType::C128),
    ("ComplexFloat", DType::C64),
    ("QInt8", DType::I8),
    ("QUInt8", DType::U8),
    ("QInt32", DType::I32),
    ("QUInt4x2", DType::U4),
    ("QUInt2x4", DType::U2),
];

const DTYPES: &[(&str, DType)] = &[
    ("float64", DType::F64),
    ("double", DType::F64),
    ("float32", DType::F32),
    ("float", DType::F32),
    ("float16", DType::F16),
    ("half", DType::F16),
    ("bfloat16", DType::Bf16),
    ("float8_e4m3fn", DType::F8E4M3Fn),
    ("float8_e4m3fnuz", DType::F8E4M3FnUz),
    ("float8_e5m2", DType::F8E5M2),
    ("float8_e5m2fnuz", DType::F8E5M2FnUz),
    ("float8_e8m0fnu", DType::F8E8M0),
    ("int64", DType::I64),
    ("long", DType::I64),
    ("int32", DType::I32),
    ("int", DType::I32),
    ("int16", DType::I16),
    ("short", DType::I16),
    ("int8", DType::I8),
    ("uint64", DType::U64),
    ("uint32", DType::U32),
    ("uint16", DType::U16),
    ("uint8", DType::U8),
    ("bool", DType::Bool),
    ("complex32", DType::C32),
    ("chalf", DType::C32),
    ("complex64", DType::C64),
    ("cfloat", DType::C64),
    ("complex128", DType::C128),
    ("cdouble", DType::C128),
    ("qint8", DType::I8),
    ("quint8", DType::U8),
    ("qint32", DType::I32),
    ("quint4x2", DType::U4),
    ("quint2x4", DType::U2),
];

/// `ScalarType` of torch's `_export/serde/schema.py`.
const EXPORTED: &[(u64, &str)] = &[
    (1, "uint8"),
    (2, "int8"),
    (3, "int16"),
    (4, "int32"),
    (5, "int64"),
    (6, "float16"),
    (7, "float32"),
    (8, "float64"),
    (9, "complex32"),
    (10, "complex64"),
    (11, "complex128"),
    (12, "bool"),
    (13, "bfloat16"),
    (28, "uint16"),
    (29, "float8_e4m3fn"),
    (30, "float8_e5m2"),
    (31, "float8_e4m3fnuz"),
    (32, "float8_e5m2fnuz"),
    (33, "float8_e8m0fnu"),
    (34, "uint32"),
    (35, "uint64"),
];

const NUMPY: &[(&str, DType)] = &[
    ("f8", DType::F64),
    ("f4", DType::F32),
    ("f2", DType::F16),
    ("i8", DType::I64),
    ("i4", DType::I32),
    ("i2", DType::I16),
    ("i1", DType::I8),
    ("u8", DType::U64),
    ("u4", DType::U32),
    ("u2", DType::U16),
    ("u1", DType::U8),
    ("b1", DType::Bool),
    ("c8", DType::C64),
    ("c16", DType::C128),
];
