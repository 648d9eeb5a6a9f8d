//! Request headers that a response depends on: added to its `Vary`, each once.
//!
//! What the handler wrote into `Vary` stays. The names are added when the layer writes its headers, so that nothing
//! that the handler sets later can overwrite them.

use std::sync::Arc;

use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Response, header};

/// The names that a mark carries. Kept in the response's extensions until they are written.
#[derive(Clone, Debug, Default)]
pub(crate) struct VariesOn(Arc<[HeaderName]>);

impl VariesOn {
    pub(crate) fn and(&self, name: HeaderName) -> Self {
        Self(self.0.iter().cloned().chain([name]).collect())
    }

    /// Notes the names beside those that another mark has noted.
    pub(crate) fn note(&self, extensions: &mut Extensions) {
        if self.0.is_empty() {
            return;
        }
        let earlier = extensions.remove::<Self>().unwrap_or_default();
        let names = earlier.0.iter().chain(self.0.iter()).cloned();
        extensions.insert(Self(names.collect()));
    }
}

/// Adds the names that marks have noted to `Vary`, unless the response is only an interim one.
pub(crate) fn append_vary<B>(response: &mut Response<B>) {
    if response.status().is_informational() {
        return;
    }
    let Some(VariesOn(names)) = response.extensions().get::<VariesOn>().cloned() else {
        return;
    };
    for name in names.iter().cloned() {
        if !varies_on(response.headers(), &name) {
            let value = HeaderValue::from(name);
            response.headers_mut().append(header::VARY, value);
        }
    }
}

fn varies_on(headers: &HeaderMap, name: &HeaderName) -> bool {
    let lines = headers.get_all(header::VARY).iter();
    lines
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .any(|listed| listed == b"*" || listed.eq_ignore_ascii_case(name.as_str().as_bytes()))
}
