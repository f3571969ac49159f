"""A model's life as plain functions: each command of `mlserve model` is one here, under the same name."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlserve_cli.optimize.baseline import baseline
    from mlserve_cli.optimize.convert import convert
    from mlserve_cli.optimize.prune import prune
    from mlserve_cli.optimize.quantize import quantize
    from mlserve_cli.registry.commands import add, alias, history, list, remove, rollback, show
    from mlserve_cli.scoring.package_model import package
    from mlserve_cli.signing import keygen, sign, trust_add, trust_check, trust_list, trust_remove, trust_set
    from mlserve_cli.validation import validate

__all__ = [
    "add",
    "alias",
    "baseline",
    "convert",
    "history",
    "keygen",
    "list",
    "package",
    "prune",
    "quantize",
    "remove",
    "rollback",
    "show",
    "sign",
    "trust_add",
    "trust_check",
    "trust_list",
    "trust_remove",
    "trust_set",
    "validate",
]
_SIGNING, _VALIDATION = "mlserve_cli.signing", "mlserve_cli.validation"
_REGISTRY = "mlserve_cli.registry.commands"
_HOMES = {  # function -> the module that it comes from
    "add": _REGISTRY,
    "alias": _REGISTRY,
    "baseline": "mlserve_cli.optimize.baseline",
    "convert": "mlserve_cli.optimize.convert",
    "history": _REGISTRY,
    "list": _REGISTRY,
    "remove": _REGISTRY,
    "rollback": _REGISTRY,
    "show": _REGISTRY,
    "package": "mlserve_cli.scoring.package_model",
    "prune": "mlserve_cli.optimize.prune",
    "quantize": "mlserve_cli.optimize.quantize",
    "keygen": _SIGNING,
    "sign": _SIGNING,
    "trust_add": _SIGNING,
    "trust_check": _SIGNING,
    "trust_list": _SIGNING,
    "trust_remove": _SIGNING,
    "trust_set": _SIGNING,
    "validate": _VALIDATION,
}


def __getattr__(name: str) -> object:
    """Loaded when first asked for, as in `mlserve_cli` itself."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
