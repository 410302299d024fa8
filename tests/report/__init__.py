"""Tests of `vlures report`."""
