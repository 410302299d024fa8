"""Prompt dictionaries of the original scripts, read without being run, as prompt packs."""
