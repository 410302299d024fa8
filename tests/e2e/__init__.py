"""The real command against the sandbox."""
