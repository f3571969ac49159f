"""A model's life as plain functions: each command of `mlserve model` is one here, under the same name."""

from __future__ import annotations

__all__: list[str] = []
_HOMES: dict[str, str] = {}  # function -> the module that it comes from


def __getattr__(name: str) -> object:
    """Loaded when first asked for, as in `mlserve_cli` itself."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
