"""vlures: a vision-language model's answers to a whole multilingual benchmark."""

__version__ = "0.1.0"
