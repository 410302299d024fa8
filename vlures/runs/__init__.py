"""A run from its configuration to its results: prepare, plan, execute, interrupt, cancel, report."""
