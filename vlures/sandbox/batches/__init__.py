"""Batches as the sandbox keeps them, for both providers."""
