"""A batch as the sandbox keeps it, whichever provider it belongs to."""
