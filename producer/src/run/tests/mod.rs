//! Runs over a portal in memory.

mod changes;
mod decisions;
mod portal;
mod publish;
mod scene;
mod take_up;
mod whole;
