"""Environment variables of Gemini's keys. By themselves, because every command asks for them before anything else."""

KEY_VARIABLES = ("GOOGLE_API_KEY", "GEMINI_API_KEY")
"""Of the key, the first that is set wins."""

SECRET_VARIABLES = KEY_VARIABLES
"""Whose values its SDK may send: never shown or written."""
