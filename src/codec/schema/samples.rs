//! What a probe answers where a value is needed to get past it.
//!
//! The first sample is taken until a type refuses it; then the next. The order costs passes only,
//! it never changes a description.

pub(super) const BOOLS: &[bool] = &[false, true];
pub(super) const FLOATS: &[f32] = &[1.0, 0.0, 0.5];
/// Small enough for every integer type; 1 suits months, days, years and non-zero numbers.
pub(super) const INTEGERS: &[i8] = &[1, 0, 2, 10, 100];
pub(super) const CHARS: &[char] = &['a', 'A', '0', '/'];

pub(super) const BYTES: &[&[u8]] = &[
    &[0; 16],
    &[],
    &[0; 4],
    &[0; 8],
    &[0; 12],
    &[0; 20],
    &[0; 24],
    &[0; 32],
    &[0; 64],
];

pub(super) const STRINGS: &[&str] = &[
    "",
    "1",
    "a",
    "1970-01-01T00:00:00Z",
    "1970-01-01",
    "00:00:00",
    "1970-01-01T00:00:00",
    "1970-01-01T00:00:00Z[UTC]",
    "00000000-0000-0000-0000-000000000000",
    "127.0.0.1",
    "::1",
    "127.0.0.1:1",
    "[::1]:1",
    "http://a.b/",
    "P1D",
    "PT1S",
    "1s",
    "UTC",
    "a@b.co",
    "USD",
    "US",
    "en",
    "en-US",
    "0.0.0",
    "/",
    "#000000",
    "10.0.0.0/8",
    "0000000000000000",
    "000000000000000000000000",
    "00000000000000000000000000",
    "+15550100000",
];
