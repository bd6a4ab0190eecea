//! Samples of command output under `tests/samples`: text behind `#` lines that say where it is from.

/// The output itself. `#` lines at its beginning are the sample's source.
pub(crate) fn body(sample: &'static str) -> &'static str {
    let mut rest = sample;
    while let Some((_, behind)) = rest.starts_with("# ").then(|| rest.split_once('\n')).flatten() {
        rest = behind;
    }
    assert!(rest.len() < sample.len(), "a sample begins with its source");
    rest
}

/// The body of `tests/samples/$path`.
macro_rules! sample {
    ($path:literal) => {
        $crate::cmd::sample::body(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/samples/", $path)))
    };
}
pub(crate) use sample;
