"""What the installed ONNX Runtime knows, without loading a model: opsets and operators."""

from __future__ import annotations

from functools import cache

from mlserve_cli.contract import ModelFacts
from mlserve_cli.session._runtime import operator_schemas


def newer_opsets(facts: ModelFacts) -> dict[str, tuple[int, int]]:
    """Domain -> the model's opset and the newest that the runtime knows, where the model's is newer."""
    known = _known_opsets()
    return {
        domain: (version, known[domain])
        for domain, version in facts.opsets.items()
        if domain in known and version > known[domain]
    }


def unknown_operators(facts: ModelFacts) -> tuple[str, ...]:
    """The operators of a model that this runtime has never heard of, in the domains that it knows."""
    known, domains = _known_operators(), _known_opsets().keys()
    return tuple(
        name for name in facts.operators if (name.rpartition(".")[0] or "ai.onnx") in domains and name not in known
    )


@cache
def _known_operators() -> frozenset[str]:
    return frozenset(f"{one.domain}.{one.name}".lstrip(".") for one in operator_schemas())


@cache
def _known_opsets() -> dict[str, int]:
    known: dict[str, int] = {}
    for one in operator_schemas():
        domain = one.domain or "ai.onnx"
        known[domain] = max(known.get(domain, 0), one.since_version)
    return known
