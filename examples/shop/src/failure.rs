//! Why there is no page.

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};

use crate::store::StoreError;

pub(crate) enum Failure {
    Cache(tricache::Error),
    Store(StoreError),
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match self {
            Self::Cache(error) if error.is_absent() => StatusCode::NOT_FOUND,
            Self::Cache(error) => unavailable(&error),
            Self::Store(error) => unavailable(&error),
        }
        .into_response()
    }
}

fn unavailable(error: &(dyn std::error::Error + 'static)) -> StatusCode {
    tracing::error!(error, "a page could not be made");
    StatusCode::SERVICE_UNAVAILABLE
}

impl From<tricache::Error> for Failure {
    fn from(error: tricache::Error) -> Self {
        Self::Cache(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}
