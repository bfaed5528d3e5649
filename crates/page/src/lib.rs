//! The operator's page: what is protected, what is under way, which jobs failed and why, and the acts on them.
