"""What the original scripts left: checkpoints and prompt dictionaries."""
