"""Keys that must not be shown, and control characters that a screen must not obey."""
