//! How a script is called: again with its source where the server does not know it, and again after a question where the epoch
//! began on another server than the connection takes this one for.

use super::{
    RedisRemote, RemoteError,
    connection::{Class, Connections},
    identity::Server,
    layout::Name,
    many::{Answers, of_all},
    node::Node,
    scripts::{self, Addressee, Script},
};
use redis::{Cmd, Pipeline, Value};
use std::sync::Arc;

/// What a call is to be told, but for the server that it turns out to go to.
#[derive(Clone, Copy, Default)]
struct Telling {
    just_asked: bool,
    needs_source: bool,
}

impl Telling {
    fn to(self, server: Server) -> Addressee {
        Addressee {
            server,
            just_asked: self.just_asked,
            needs_source: self.needs_source,
        }
    }
}

impl RedisRemote {
    /// One script, on the server of its bucket.
    pub(super) async fn run(
        &self,
        bucket: u16,
        class: Class,
        script: &Script,
        keys: &[Name],
        arguments: impl Fn(&mut Cmd),
    ) -> Result<Value, RemoteError> {
        let arguments = &arguments;
        let run = |node: Arc<Node>| async move {
            let on = &node.connections;
            run_on(on, class, script, keys, arguments).await
        };
        Box::pin(self.nodes.ask(bucket, run)).await
    }

    /// One script for each of these keys, with its bucket, in one pipeline for each server.
    pub(super) async fn run_all<K: AsRef<[Name]>, F: Fn(&mut Cmd)>(
        &self,
        class: Class,
        script: &Script,
        calls: impl Iterator<Item = (u16, K, F)>,
    ) -> Answers<Value> {
        let calls: Vec<_> = calls.collect();
        let buckets: Vec<_> = calls.iter().map(|(bucket, ..)| *bucket).collect();
        let calls = &calls;
        let run = |node: Arc<Node>, chosen: Vec<usize>| async move {
            run_all_on(&node.connections, class, script, calls, &chosen).await
        };
        // In a box: the compiler does not follow futures that lie so deep in each other.
        Box::pin(self.nodes.ask_all(&buckets, run)).await
    }
}

async fn run_on(
    on: &Connections,
    class: Class,
    script: &Script,
    keys: &[Name],
    arguments: &impl Fn(&mut Cmd),
) -> Result<Value, RemoteError> {
    let mut telling = Telling::default();
    let mut answer = call(on, class, script, keys, arguments, telling).await;
    if is(&answer, scripts::is_unknown) {
        telling.needs_source = true;
        answer = call(on, class, script, keys, arguments, telling).await;
    }
    if is(&answer, scripts::is_fenced) {
        on.identify(class).await?;
        telling.just_asked = true;
        answer = call(on, class, script, keys, arguments, telling).await;
    }
    answer
}

async fn call(
    on: &Connections,
    class: Class,
    script: &Script,
    keys: &[Name],
    arguments: &impl Fn(&mut Cmd),
    telling: Telling,
) -> Result<Value, RemoteError> {
    let command = |server| filled_in(script.call(keys, telling.to(server)), arguments);
    on.send_to(class, command).await
}

/// The chosen ones of these calls.
async fn run_all_on<K: AsRef<[Name]>, F: Fn(&mut Cmd)>(
    on: &Connections,
    class: Class,
    script: &Script,
    calls: &[(u16, K, F)],
    chosen: &[usize],
) -> Answers<Value> {
    let those = |replies: &Answers<Value>, what: fn(&redis::RedisError) -> bool| -> Vec<usize> {
        let places = 0..replies.len();
        places.filter(|place| is(&replies[*place], what)).collect()
    };
    let indices =
        |places: &[usize]| -> Vec<usize> { places.iter().map(|it| chosen[*it]).collect() };
    let mut telling = Telling::default();
    let mut replies = call_all(on, class, script, calls, chosen, telling).await;
    let unknown = those(&replies, scripts::is_unknown);
    if !unknown.is_empty() {
        telling.needs_source = true;
        let chosen = indices(&unknown);
        let answers = call_all(on, class, script, calls, &chosen, telling).await;
        put(&mut replies, &unknown, answers);
    }
    let fenced = those(&replies, scripts::is_fenced);
    if !fenced.is_empty() && on.identify(class).await.is_ok() {
        telling = Telling {
            just_asked: true,
            needs_source: false,
        };
        let chosen = indices(&fenced);
        let answers = call_all(on, class, script, calls, &chosen, telling).await;
        put(&mut replies, &fenced, answers);
    }
    replies
}

async fn call_all<K: AsRef<[Name]>, F: Fn(&mut Cmd)>(
    on: &Connections,
    class: Class,
    script: &Script,
    calls: &[(u16, K, F)],
    chosen: &[usize],
    telling: Telling,
) -> Answers<Value> {
    if chosen.is_empty() {
        return Vec::new();
    }
    let pipeline = |server| {
        let mut pipeline = Pipeline::with_capacity(chosen.len());
        let mut to = telling.to(server);
        for index in chosen {
            let (_, keys, arguments) = &calls[*index];
            pipeline.add_command(filled_in(script.call(keys.as_ref(), to), arguments));
            // The first one teaches the server the script; the others find it there.
            to.needs_source = false;
        }
        pipeline
    };
    match on.send_all(class, pipeline).await {
        Ok((replies, _)) if replies.len() == chosen.len() => replies,
        Ok(_) => of_all(
            chosen.len(),
            &RemoteError::Nonsense("the number of answers"),
        ),
        Err(error) => of_all(chosen.len(), &error),
    }
}

fn filled_in(mut command: Cmd, arguments: impl Fn(&mut Cmd)) -> Cmd {
    arguments(&mut command);
    command
}

fn is<T>(answer: &Result<T, RemoteError>, what: fn(&redis::RedisError) -> bool) -> bool {
    matches!(answer, Err(RemoteError::Failed(error)) if what(error))
}

fn put(replies: &mut Answers<Value>, indices: &[usize], answers: Answers<Value>) {
    for (index, answer) in indices.iter().zip(answers) {
        replies[*index] = answer;
    }
}
