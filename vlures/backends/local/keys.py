"""The environment variables that hold keys of the Hugging Face Hub."""

from __future__ import annotations

SECRET_VARIABLES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
