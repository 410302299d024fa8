"""Environment variables of OpenAI's keys. By themselves, because every command asks for them before anything else."""

KEY_VARIABLES = ("OPENAI_API_KEY",)
"""Of the key, the first that is set wins."""

SECRET_VARIABLES = (*KEY_VARIABLES, "OPENAI_ADMIN_KEY", "AZURE_OPENAI_API_KEY")
"""Whose values its SDK may send: never shown or written."""
