"""Gemini. `facts.py` describes it, `connect.py` makes its clients."""
