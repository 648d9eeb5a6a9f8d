//! What a sentinel is asked, and what it answers.

use super::words::Word;
use redis::{ConnectionAddr, Pipeline, RedisError, Value, cmd};
use tokio::time::Instant;

/// The number of the last failover, and then the address: a sentinel that leads a failover has the new number before its list of
/// masters has the new address, and tells that by the second question only. So a number may be told that is too low, never one too high.
pub(super) fn question(master: &str) -> Pipeline {
    let mut pipeline = redis::pipe();
    for question in ["MASTER", "GET-MASTER-ADDR-BY-NAME"] {
        pipeline.cmd("SENTINEL").arg(question).arg(master);
    }
    pipeline
}

/// Whom it names; `None` if it knows no master of this name.
///
/// # Errors
/// If it refuses to say, or is no sentinel.
pub(super) fn named(answers: Vec<Value>) -> Result<Option<Word>, RedisError> {
    let mut answers = answers.into_iter().map(Value::extract_error);
    let epoch = answers.next().and_then(Result::ok).as_ref().map(epoch);
    let Some(master) = answers.next().transpose()?.as_ref().and_then(address) else {
        return Ok(None);
    };
    Ok(Some(Word {
        master,
        epoch: epoch.unwrap_or_default(),
        heard: Instant::now(),
    }))
}

/// The question which masters it knows.
pub(super) fn question_of_names() -> redis::Cmd {
    let mut command = cmd("SENTINEL");
    command.arg("MASTERS");
    command
}

/// The names in the answer.
pub(super) fn names(answer: &Value) -> Vec<String> {
    let Value::Array(masters) = answer else {
        return Vec::new();
    };
    let names = masters.iter().filter_map(|master| field(master, "name"));
    names.map(ToOwned::to_owned).collect()
}

/// Zero where it is not told.
fn epoch(master: &Value) -> u64 {
    let epoch = field(master, "config-epoch").and_then(|epoch| epoch.parse().ok());
    epoch.unwrap_or_default()
}

/// Of a list of names and values.
fn field<'a>(list: &'a Value, name: &str) -> Option<&'a str> {
    let Value::Array(list) = list else {
        return None;
    };
    let mut pairs = list.chunks_exact(2);
    let pair = pairs.find(|pair| text(&pair[0]) == Some(name))?;
    text(&pair[1])
}

fn address(answer: &Value) -> Option<ConnectionAddr> {
    let Value::Array(parts) = answer else {
        return None;
    };
    let [host, port] = &parts[..] else {
        return None;
    };
    let port = text(port)?.parse().ok()?;
    Some(ConnectionAddr::Tcp(text(host)?.to_owned(), port))
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_that_of_the_second_answer() {
        let list = list(["name", "shop", "ip", "10.0.0.1", "config-epoch", "7"]);
        let word = named(vec![list.clone(), self::list(["10.0.0.2", "6380"])]);
        let word = word.unwrap().unwrap();

        assert_eq!(word.master.to_string(), "10.0.0.2:6380");
        assert_eq!(word.epoch, 7);
        assert_eq!(names(&Value::Array(vec![list])), ["shop"]);
    }

    #[test]
    fn one_that_tells_no_number_has_named_all_the_same() {
        let answers = vec![error(), list(["10.0.0.2", "6380"])];

        assert_eq!(named(answers).unwrap().unwrap().epoch, 0);
    }

    #[test]
    fn one_that_knows_no_such_name_names_nobody() {
        for nothing in [Value::Nil, list([]), list(["host"]), list(["host", "port"])] {
            assert_eq!(named(vec![error(), nothing]).unwrap(), None);
        }
    }

    #[test]
    fn one_that_refuses_is_an_error() {
        assert!(named(vec![error(), error()]).is_err());
    }

    fn list<const N: usize>(texts: [&str; N]) -> Value {
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        Value::Array(texts.into_iter().map(text).collect())
    }

    fn error() -> Value {
        let text = "-ERR No such master with that name\r\n";
        redis::parse_redis_value(text.as_bytes()).unwrap()
    }
}
