"""A server that refuses the JSON schema of an answer."""

from __future__ import annotations

import re

from vlures.errors import VluresError

_ABOUT_THE_FORM = re.compile(
    r"response_?format|text\.format|json[ _]?(schema|mode|object)|response_?(json_?)?schema|response_?mime_?type"
    r"|structured[ _]outputs?|guided|grammar",
    re.IGNORECASE,
)
"""How servers call it: OpenAI `response_format` and `text.format`, Gemini `responseSchema` and "JSON mode", vLLM and
llama.cpp also "guided decoding" and "grammar"."""


def check_form(model: str, said: str) -> None:
    """Raises VluresError where a refusal of a request with a schema is about that schema: it would be the same for all
    requests. said: the server's status and words."""
    if _ABOUT_THE_FORM.search(said):
        raise VluresError(
            f"{model} does not take the JSON schema that answers are to follow: {said} Choose a model or a server with "
            "structured outputs (--model, --base-url)."
        )
