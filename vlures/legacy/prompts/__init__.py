"""Imports the original scripts' prompt dictionaries as prompt packs, without running the scripts."""
