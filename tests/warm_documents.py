"""Importing this reads the published documents that a sandbox checks requests against, once for all that are forked."""

from vlures.sandbox.specs import load_checker

load_checker()
