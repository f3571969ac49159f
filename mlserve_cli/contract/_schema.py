"""The JSON Schema of a file that is a value: made from the value's own types and docstrings, so that both agree."""

from __future__ import annotations

from typing import Any

import msgspec

from mlserve_cli.contract._values import Value


def schema_of(kind: type[Value], *, title: str) -> dict[str, Any]:
    """The schema (draft 2020-12), with each value within as a definition of its own."""
    (reference,), components = msgspec.json.schema_components([kind], ref_template="#/$defs/{name}")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        **reference,
        "$defs": components,
    }
