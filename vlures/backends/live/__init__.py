"""The live driver: how many requests may be in flight, when to send, when to retry."""
