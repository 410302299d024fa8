"""Importing this reads the specifications that a sandbox checks requests against, once for all that are forked."""

from tests.sandbox.specs import load_checker

load_checker()
