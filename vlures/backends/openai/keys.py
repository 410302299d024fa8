"""Environment variables of OpenAI's keys, in a module of their own because every command loads them first."""

KEY_VARIABLES = ("OPENAI_API_KEY",)
"""Of the key; the first that is set wins."""

NO_KEY = "none"
"""What a server of the user's own is sent where no key is set."""

SECRET_VARIABLES = (*KEY_VARIABLES, "OPENAI_ADMIN_KEY", "AZURE_OPENAI_API_KEY")
"""Variables whose values its SDK may send; they are never shown or written."""
