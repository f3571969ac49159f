"""Whether the ONNX model scores as the library does: every row by both, their differences, and the gate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlserve_cli.contract import Contract
from mlserve_cli.errors import InvalidModel, shown
from mlserve_cli.optimize.convert.form import Form
from mlserve_cli.optimize.convert.onnx_side import OnnxSide
from mlserve_cli.optimize.convert.source import Scores, Source, scoring
from mlserve_cli.optimize.gate import Gate, compare
from mlserve_cli.optimize.rows import Rows, scores_of
from mlserve_cli.registry import GateResult

BATCH_ROWS = 1_024
LEAST_TOLERANCE = 1e-5
ELSEWHERE = 10  # times the difference seen here may another processor's be
Expected = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Limits:
    """How far the scores may be from the library's: absolutely for probabilities, else as a share of the largest.

    `max_flips` is the share of rows that may be decided otherwise.
    """

    max_difference: float = 1e-5
    max_flips: float = 0.0


@dataclass(frozen=True, slots=True)
class Parity:
    """The gate's word, the library's scores by output tensor, what golden rows must keep to, and words for people."""

    gate: GateResult
    expected: Expected
    tolerance: float
    words: tuple[str, ...]


def check_parity(source: Source, side: OnnxSide, rows: Rows, limits: Limits, *, form: Form) -> Parity:
    """Both score all rows, in the batches of a run; nothing is raised where they differ."""
    with scoring(source.library):
        own = source.predict(rows.tensors)
    found = scores_of(side.predictor, _as_fed(rows, side.contract), batch_rows=BATCH_ROWS)
    expected = _by_tensor(own, found, side.contract)
    differences = compare(expected, found, contract=side.contract)
    scale = _scale(source, expected)
    figures = differences.figures | {name: float(count) for name, count in form.moved.items()}
    if scale != 1.0:
        figures["max_relative_difference"] = differences.max_difference / scale
    figures["values_beyond_float32"] = float(form.unfit)
    most = {"max_difference" if scale == 1.0 else "max_relative_difference": limits.max_difference}
    gate = Gate("parity", most=most | {"flip_share": limits.max_flips}).judge(figures, rows=differences.rows)
    tolerance = max(LEAST_TOLERANCE, min(limits.max_difference * scale, ELSEWHERE * differences.max_difference))
    return Parity(gate, expected, tolerance, _words(source, rows, form=form))


def _as_fed(rows: Rows, contract: Contract) -> Rows:
    """The rows in the types that the ONNX model takes; an input that it has no use for is left out."""
    tensors = {part.tensor.name: rows.tensors[part.tensor.name] for part in contract.inputs}
    for part in contract.inputs:
        name, dtype = part.tensor.name, part.tensor.dtype
        if dtype.startswith("float") and tensors[name].dtype != np.dtype(dtype):
            with np.errstate(over="ignore"):
                tensors[name] = tensors[name].astype(dtype)
    return Rows(tensors, None, rows.left_out, rows.fault)


def _by_tensor(own: Scores, found: Expected, contract: Contract) -> dict[str, NDArray[Any]]:
    """The library's scores under the names of the ONNX model's outputs: floats in their order, labels as labels."""
    left, expected = list(own.values), {}
    for output in contract.outputs:
        name, made = output.tensor.name, found[output.tensor.name]
        values = (left.pop(0) if left else None) if made.dtype.kind == "f" else own.labels
        if values is None:
            raise InvalidModel(f"the converter made an output {shown(name)} that the model has not")
        if values.size != made.size:
            raise InvalidModel(
                f"output {shown(name)} has shape {list(made.shape)}, the library gives {list(values.shape)}"
            )
        expected[name] = _like(values.reshape(made.shape), made)
    return expected


def _like(values: NDArray[Any], made: NDArray[Any]) -> NDArray[Any]:
    """Labels in the ONNX output's type; floats stay as precise as they are."""
    if made.dtype.kind == "f":
        return values
    return values.astype(made.dtype) if made.dtype.kind in "iub" else values.astype(str).astype(object)


def _scale(source: Source, expected: Expected) -> float:
    """What differences are a share of: 1 for probabilities, and for others the largest score."""
    floats = [np.abs(values[np.isfinite(values)]) for values in expected.values() if values.dtype.kind == "f"]
    largest = max((float(values.max(initial=0.0)) for values in floats), default=0.0)
    return largest if source.kind != "classifier" and largest > 0 else 1.0


def _words(source: Source, rows: Rows, *, form: Form) -> tuple[str, ...]:
    words = []
    if form.moved:
        words.append(
            f"{form.moved['rows_in_other_leaf']:,} rows take another leaf than in the library"
            f" ({form.moved['rows_in_other_leaf_if_rounded']:,} would, as exporters round thresholds to float32)"
        )
    if form.unfit:
        kept = "and the model takes doubles" if form.precision == "float64" else "so the model sees them rounded"
        also = f", as {source.library} itself does" if form.precision == source.exact_in == "float32" else ""
        words.append(f"{form.unfit:,} values of the rows do not fit float32, {kept}{also}")
    if rows.left_out:
        words.append(f"{rows.left_out:,} rows could not be fed and were left out: {rows.fault}")
    return tuple(words)
