//! Hostile input over real sockets, a line each: what is sent, and the exact answer. THREATS.md has the list.

mod floods;
mod frames;
mod heads;
mod injection;
mod json;
mod origins;
mod panics;
mod smuggling;
