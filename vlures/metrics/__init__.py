"""Metrics: numbers in, numbers out. No files, no benchmark, no network."""
