"""The desk that these tests work at, and schemas of OpenLineage."""

from tests.cli.conftest import desk

__all__ = ["desk"]
