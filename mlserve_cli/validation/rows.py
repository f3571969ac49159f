"""The rows that a model is tried on: those of a data path, else its golden rows, else made-up ones."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from mlserve_cli.contract import Contract, TensorSpec
from mlserve_cli.errors import DataError
from mlserve_cli.optimize.rows import Rows, rows_for
from mlserve_cli.scoring.resolve import ResolvedModel
from mlserve_cli.validation.findings import Finding, of_error

MOST_ROWS, LEAST_ROWS = 256, 8
MOST_VALUES = 4 << 20  # of made-up rows, for models of pictures
Source = Literal["data", "golden rows", "made-up rows"]


@dataclass(frozen=True, slots=True)
class TrialRows:
    """Rows as the contract's inputs, each of shape [rows, …], where they come from, and what was found on the way."""

    source: Source
    tensors: dict[str, NDArray[Any]]
    findings: tuple[Finding, ...] = ()

    @property
    def count(self) -> int:
        return len(next(iter(self.tensors.values())))

    @property
    def real(self) -> bool:
        """Whether the model must be able to score them."""
        return self.source != "made-up rows"


def rows_to_try(resolved: ResolvedModel, contract: Contract, *, data: Sequence[str]) -> TrialRows:
    """At most 256 rows. DataError (65) where rows of `data` are asked for and none fits."""
    if data:
        rows = rows_for(data, contract, limit=MOST_ROWS)
        return TrialRows("data", rows.tensors, _left_out(rows))
    golden = resolved.planned(contract).golden
    if golden is not None:
        path = os.path.join(resolved.package.path, golden.file)
        own = msgspec.structs.replace(contract, inputs=golden.inputs, rename={}, nulls="nan")
        try:
            return TrialRows("golden rows", rows_for([path], own, limit=MOST_ROWS).tensors)
        except DataError as error:
            return TrialRows("made-up rows", _made_up(contract), (of_error("golden rows", error),))
    return TrialRows("made-up rows", _made_up(contract))


def _left_out(rows: Rows) -> tuple[Finding, ...]:
    if not rows.left_out:
        return ()
    return (Finding("data", "warning", f"{rows.left_out:,} of the rows cannot be fed to it, the first: {rows.fault}"),)


def _made_up(contract: Contract) -> dict[str, NDArray[Any]]:
    """Rows from a seed. Ones for ints: what they index is not known, and a whole number divided by 0 ends a process."""
    seed = np.random.default_rng(20)
    made = {part.tensor.name: _values(part.tensor, seed) for part in contract.inputs}
    rows = min(map(len, made.values()))
    return {name: values[:rows] for name, values in made.items()}


def _values(spec: TensorSpec, seed: np.random.Generator) -> NDArray[Any]:
    width = spec.width or 1
    rows = max(min(MOST_ROWS, MOST_VALUES // width), LEAST_ROWS)
    shape = (rows, *(size or 1 for size in spec.shape[1:]))
    if spec.dtype == "string":
        return np.full(shape, "a", dtype=object)
    if spec.dtype == "bool":
        return seed.integers(0, 2, shape).astype(np.bool_)
    if spec.dtype.startswith("float"):
        return seed.normal(0.0, 1.0, shape).astype(spec.dtype)
    return np.ones(shape, dtype=spec.dtype)
