//! How a script is called: again with its source where the server does not know it, and again after a question where the epoch
//! began on another server than the connection takes this one for.

use super::{
    RedisRemote, RemoteError,
    connection::Class,
    identity::Server,
    layout::Name,
    many::{Answers, of_all},
    scripts::{self, Addressee, Script},
};
use redis::{Cmd, Pipeline, Value};

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
    /// One script.
    pub(super) async fn run(
        &self,
        class: Class,
        script: &Script,
        keys: &[Name],
        arguments: impl Fn(&mut Cmd),
    ) -> Result<Value, RemoteError> {
        let mut telling = Telling::default();
        let mut answer = self.call(class, script, keys, &arguments, telling).await;
        if is(&answer, scripts::is_unknown) {
            telling.needs_source = true;
            answer = self.call(class, script, keys, &arguments, telling).await;
        }
        if is(&answer, scripts::is_fenced) {
            self.connections.identify(class).await?;
            telling.just_asked = true;
            answer = self.call(class, script, keys, &arguments, telling).await;
        }
        answer
    }

    async fn call(
        &self,
        class: Class,
        script: &Script,
        keys: &[Name],
        arguments: &impl Fn(&mut Cmd),
        telling: Telling,
    ) -> Result<Value, RemoteError> {
        let command = |server| filled_in(script.call(keys, telling.to(server)), arguments);
        self.connections.send_to(class, command).await
    }

    /// One script for many entities, as one pipeline.
    pub(super) async fn run_all<K: AsRef<[Name]>, F: Fn(&mut Cmd)>(
        &self,
        class: Class,
        script: &Script,
        calls: impl Iterator<Item = (K, F)>,
    ) -> Answers<Value> {
        let calls: Vec<_> = calls.collect();
        let all: Vec<_> = (0..calls.len()).collect();
        let mut telling = Telling::default();
        let mut replies = self.call_all(class, script, &calls, &all, telling).await;
        let unknown = those(&replies, scripts::is_unknown);
        if !unknown.is_empty() {
            telling.needs_source = true;
            let answers = self.call_all(class, script, &calls, &unknown, telling);
            put(&mut replies, &unknown, answers.await);
        }
        let fenced = those(&replies, scripts::is_fenced);
        if !fenced.is_empty() && self.connections.identify(class).await.is_ok() {
            telling = Telling {
                just_asked: true,
                needs_source: false,
            };
            let answers = self.call_all(class, script, &calls, &fenced, telling);
            put(&mut replies, &fenced, answers.await);
        }
        replies
    }

    /// The chosen ones of these calls.
    async fn call_all<K: AsRef<[Name]>, F: Fn(&mut Cmd)>(
        &self,
        class: Class,
        script: &Script,
        calls: &[(K, F)],
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
                let (keys, arguments) = &calls[*index];
                pipeline.add_command(filled_in(script.call(keys.as_ref(), to), arguments));
                // The first one teaches the server the script; the others find it there.
                to.needs_source = false;
            }
            pipeline
        };
        match self.connections.send_all(class, pipeline).await {
            Ok(replies) if replies.len() == chosen.len() => replies,
            Ok(_) => of_all(
                chosen.len(),
                &RemoteError::Nonsense("the number of answers"),
            ),
            Err(error) => of_all(chosen.len(), &error),
        }
    }
}

fn filled_in(mut command: Cmd, arguments: impl Fn(&mut Cmd)) -> Cmd {
    arguments(&mut command);
    command
}

fn is<T>(answer: &Result<T, RemoteError>, what: fn(&redis::RedisError) -> bool) -> bool {
    matches!(answer, Err(RemoteError::Failed(error)) if what(error))
}

fn those(replies: &Answers<Value>, what: fn(&redis::RedisError) -> bool) -> Vec<usize> {
    let indices = 0..replies.len();
    indices.filter(|index| is(&replies[*index], what)).collect()
}

fn put(replies: &mut Answers<Value>, indices: &[usize], answers: Answers<Value>) {
    for (index, answer) in indices.iter().zip(answers) {
        replies[*index] = answer;
    }
}
