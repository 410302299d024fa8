"""Synthetic answers: what a request asks, and the text that answers it."""
