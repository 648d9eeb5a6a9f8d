//! Purging: the queue with vendors that answer what a test says, and the clients with fakes of the vendors' interfaces.

mod clients;
mod edge;
mod failures;
mod fakes;
mod for_good;
mod killed;
mod queue;
mod scripted;
mod secrets;
mod varnish;
