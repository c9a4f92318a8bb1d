//! The state machine under the simulator: real drivers between a scripted producer and scripted consumers.

mod bypass;
mod caps;
mod changes;
mod fan;
mod faults;
mod flow;
mod scaling;
mod shed;
mod sim;
mod storm;
mod text;
mod threads;
