"""Keys that no file or screen may show, and characters that no screen may obey."""
