"""Gemini. `facts.py` says what it is, `connect.py` makes its clients."""
