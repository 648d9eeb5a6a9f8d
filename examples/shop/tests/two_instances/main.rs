//! Two instances on one database: what one writes, the other answers, over real sockets.

mod browser;
mod instance;
mod pages;
mod writes;
