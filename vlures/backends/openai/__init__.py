"""OpenAI, and every server that speaks its language. `facts.py` says what it is, `connect.py` loads its SDK."""
