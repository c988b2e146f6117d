"""The command line: thin; it parses arguments, calls the packages below, and prints."""

from __future__ import annotations

from claimsformer.cli.group import cli, main

__all__ = ["cli", "main"]
