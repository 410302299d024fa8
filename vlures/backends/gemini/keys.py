"""Environment variables of Gemini's keys, in a module of their own because every command loads them first."""

KEY_VARIABLES = ("GOOGLE_API_KEY", "GEMINI_API_KEY")
"""Of the key; the first that is set wins."""

SECRET_VARIABLES = KEY_VARIABLES
"""Variables whose values its SDK may send; they are never shown or written."""
