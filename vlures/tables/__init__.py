"""Verdicts as numbers: means with their intervals, agreement, comparisons."""
