//! The nodes: a process each, of this same program, which can be killed and stopped where they stand.

use std::{path::PathBuf, process::Stdio, time::Duration};

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use super::{
    hub::{Hub, Stage},
    message::ToNode,
    plan::Plan,
};
use crate::failure::Failure;

/// All nodes, and the hub that they are connected to. Dropping it kills them.
#[derive(Debug)]
pub(super) struct Nodes {
    hub: Hub,
    program: PathBuf,
    arguments: Vec<String>,
    /// The arguments that lead each node to Redis.
    ways: Vec<Vec<String>>,
    processes: Vec<Process>,
    lives: u64,
}

/// A node's present process.
#[derive(Debug)]
struct Process {
    life: u64,
    /// `None`: it was killed.
    child: Option<Child>,
}

impl Nodes {
    /// Starts a process for each way to Redis, and waits until all are built.
    ///
    /// # Errors
    /// When a process does not come up.
    pub(super) async fn start(
        plan: &Plan,
        hub: Hub,
        ways: Vec<Vec<String>>,
    ) -> Result<Self, Failure> {
        let program = std::env::current_exe();
        let program = program.map_err(|error| Failure::new("cannot find this program", error))?;
        let mut nodes = Self {
            arguments: plan.node_arguments(hub.port()),
            hub,
            program,
            ways,
            processes: Vec::new(),
            lives: 0,
        };
        for node in 0..nodes.ways.len() {
            let process = nodes.spawn(node)?;
            nodes.processes.push(process);
        }
        for node in 0..nodes.ways.len() {
            nodes.is_built(node).await?;
        }
        Ok(nodes)
    }

    pub(super) fn count(&self) -> usize {
        self.processes.len()
    }

    /// Ends the node's process at once.
    ///
    /// # Errors
    /// When the system refuses.
    pub(super) async fn kill(&mut self, node: usize) -> Result<(), Failure> {
        if let Some(mut child) = self.processes[node].child.take() {
            let killed = child.kill().await;
            killed.map_err(|error| Failure::new(format!("cannot kill node {node}"), error))?;
        }
        Ok(())
    }

    /// Starts a process in the place of one that was killed, and waits until it is built.
    ///
    /// # Errors
    /// When it does not come up.
    pub(super) async fn revive(&mut self, node: usize) -> Result<(), Failure> {
        self.processes[node] = self.spawn(node)?;
        self.is_built(node).await
    }

    /// Stops the node's process where it stands.
    ///
    /// # Errors
    /// When the system refuses.
    pub(super) fn pause(&self, node: usize) -> Result<(), Failure> {
        self.signal(node, Signal::STOP)
    }

    /// Lets a stopped process go on.
    ///
    /// # Errors
    /// When the system refuses.
    pub(super) fn resume(&self, node: usize) -> Result<(), Failure> {
        self.signal(node, Signal::CONT)
    }

    /// Steps the node's clock forward.
    pub(super) fn step_clock(&self, node: usize, by: Duration) {
        let nanos = super::clock::nanos(by);
        let life = self.processes[node].life;
        self.hub.tell(life, ToNode::Step { nanos });
    }

    /// Fails if a process has ended by itself.
    ///
    /// # Errors
    /// With what it ended with.
    pub(super) fn check(&mut self) -> Result<(), Failure> {
        for (node, process) in self.processes.iter_mut().enumerate() {
            let ended = process.child.as_mut().map(Child::try_wait);
            if let Some(Ok(Some(status))) = ended {
                let message = format!("node {node} ended by itself with {status}");
                return Err(Failure::plain(message));
            }
        }
        Ok(())
    }

    /// Lets all nodes look once more at everything, and waits for their end.
    ///
    /// # Errors
    /// When one does not end.
    pub(super) async fn finish(self) -> Result<(), Failure> {
        for process in &self.processes {
            self.hub.tell(process.life, ToNode::Stop);
        }
        for (node, process) in self.processes.iter().enumerate() {
            if !self.hub.reaches(process.life, Stage::Done, LAST_PASS).await {
                return Err(Failure::plain(format!("node {node} does not end")));
            }
        }
        Ok(())
    }

    async fn is_built(&mut self, node: usize) -> Result<(), Failure> {
        let life = self.processes[node].life;
        if self.hub.reaches(life, Stage::Built, START).await {
            return Ok(());
        }
        self.check()?;
        Err(Failure::plain(format!("node {node} does not come up")))
    }

    fn spawn(&mut self, node: usize) -> Result<Process, Failure> {
        self.lives += 1;
        let life = self.lives;
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .args(["--node", &node.to_string(), "--life", &life.to_string()])
            .args(&self.ways[node])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            // Ctrl-c at the terminal is for the campaign, which ends its nodes.
            .process_group(0)
            .kill_on_drop(true);
        let child = command.spawn();
        let child = child.map_err(|error| Failure::new("cannot start a node", error))?;
        Ok(Process {
            life,
            child: Some(child),
        })
    }

    fn signal(&self, node: usize, signal: Signal) -> Result<(), Failure> {
        let child = self.processes[node].child.as_ref();
        let id = child.and_then(Child::id).map(u32::cast_signed);
        let Some(process) = id.and_then(Pid::from_raw) else {
            return Err(Failure::plain(format!("node {node} has no process")));
        };
        kill_process(process, signal)
            .map_err(|error| Failure::new(format!("cannot signal node {node}"), error))
    }
}

/// Generous: a busy machine is no fault.
const START: Duration = Duration::from_secs(30);
const LAST_PASS: Duration = Duration::from_secs(60);
