"""The desk, for commands as people give them."""

from tests.cli.conftest import desk

__all__ = ["desk"]
