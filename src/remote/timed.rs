//! How long questions to the remote tier take: those that were asked.

use super::RemoteError;
use crate::observe::round_trip;
use std::future::Future;
use tokio::time::Instant;

/// One question, with a round trip of its own.
pub(super) async fn timed<T>(
    operation: &'static str,
    question: impl Future<Output = Result<T, RemoteError>>,
) -> Result<T, RemoteError> {
    let began = Instant::now();
    let answer = question.await;
    note(operation, began, &answer);
    answer
}

/// Questions that travel together; one that failed tells of all.
pub(super) async fn timed_many<T>(
    operation: &'static str,
    questions: impl Future<Output = Vec<Result<T, RemoteError>>>,
) -> Vec<Result<T, RemoteError>> {
    let began = Instant::now();
    let answers = questions.await;
    let failed = answers.iter().find(|answer| answer.is_err());
    if let Some(answer) = failed.or(answers.first()) {
        note(operation, began, answer);
    }
    answers
}

fn note<T>(operation: &'static str, began: Instant, answer: &Result<T, RemoteError>) {
    if !matches!(answer, Err(RemoteError::Away | RemoteError::Doubted)) {
        round_trip(operation, began, answer.is_ok());
    }
}
