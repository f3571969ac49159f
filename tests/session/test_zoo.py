"""Every honest model, all the way from columns to written columns, against ONNX Runtime called directly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from mlserve_cli import features
from mlserve_cli.contract import Contract, ModelFacts, TensorSpec, bind
from mlserve_cli.scoring.batches import Clock
from mlserve_cli.scoring.distinct import score_rows
from mlserve_cli.session import Predictor, check_supported, open_predictor, read_facts, settle
from mlserve_cli.session._runtime import ort
from tests import models
from tests.planning.plans import plan_of

ROWS, BATCH = 83, 32
Columns = dict[str, pa.Array]


@pytest.mark.parametrize("name", sorted(models.HONEST))
def test_an_honest_model_scores_as_onnx_runtime_does(name: str, tmp_path: Path) -> None:
    path = str(models.save(models.HONEST[name](), tmp_path / "model.onnx"))
    facts = read_facts(path)
    columns = {column: values for spec in facts.inputs for column, values in _columns_for(spec).items()}
    contract, predictor = _opened(path, facts, columns)

    table = pa.table(columns)
    features.check_types(contract, [(field.name, str(field.type)) for field in table.schema], file="shard")
    converted = features.convert(table, contract)
    assert len(converted.faults) == 0
    scored = [
        features.output_table(contract, predictor.predict(features.batch_tensors(converted, start, stop)))
        for start, stop in _batches()
    ]
    _assert_same(pa.concat_tables(scored), contract, _directly(path, facts, columns), facts)


@pytest.mark.parametrize("name", sorted(set(models.HONEST) - {"dynamic int8"}))
def test_a_row_alone_scores_as_in_its_batch(name: str, tmp_path: Path) -> None:
    """Within rounding: matrix products may sum in another order. Dynamic int8 is the known exception."""
    path = str(models.save(models.HONEST[name](), tmp_path / "model.onnx"))
    facts = read_facts(path)
    columns = {column: values for spec in facts.inputs for column, values in _columns_for(spec).items()}
    contract, predictor = _opened(path, facts, columns)
    converted = features.convert(pa.table(columns), contract)
    together = predictor.predict(features.batch_tensors(converted, 0, 5))
    alone = predictor.predict(features.batch_tensors(converted, 3, 4))
    for tensor, values in together.items():
        _assert_close(alone[tensor], values[3:4])


@pytest.mark.parametrize("name", sorted(set(models.HONEST) - {"dynamic int8"}))
def test_rows_scored_once_have_the_scores_that_each_has_by_itself(name: str, tmp_path: Path) -> None:
    path = str(models.save(models.HONEST[name](), tmp_path / "model.onnx"))
    facts = read_facts(path)
    columns = {column: values for spec in facts.inputs for column, values in _columns_for(spec).items()}
    contract, predictor = _opened(path, facts, columns)
    few = np.random.default_rng(0).integers(0, 30, ROWS)
    converted = features.convert(pa.table(columns).take(pa.array(few)), contract)
    batch_rows = facts.fixed_batch or BATCH
    plan = msgspec.structs.replace(plan_of(), contract=contract, batch_rows=batch_rows)
    once = msgspec.structs.replace(plan, deduplicate_rows=2 * batch_rows)

    scored, distinct_rows = score_rows(converted, plan=once, predictor=predictor, clock=Clock())
    plain, rows = score_rows(converted, plan=plan, predictor=predictor, clock=Clock())

    for tensor, values in plain.outputs.items():
        assert scored.outputs[tensor].tolist() == values.tolist()
    assert scored.kept.tolist() == list(range(ROWS))
    assert distinct_rows < rows == ROWS or batch_rows == 1


def _opened(path: str, facts: ModelFacts, columns: Columns) -> tuple[Contract, Predictor]:
    wide = [f"{spec.name}={','.join(_columns_for(spec))}" for spec in facts.inputs if spec.width != 1]
    contract = bind(facts, features=tuple(wide))
    assert set(contract.columns) == set(columns)
    check_supported(facts, contract)
    predictor = open_predictor(path, sha256=facts.sha256, contract=contract, threads=1)
    return settle(contract, predictor=predictor), predictor


def _batches() -> list[tuple[int, int]]:
    return [(start, min(start + BATCH, ROWS)) for start in range(0, ROWS, BATCH)]


MAKERS: dict[str, Callable[[NDArray[np.float64]], list[Any]]] = {
    "float16": lambda x: x.astype(np.float16).tolist(),
    "float32": lambda x: x.astype(np.float32).tolist(),
    "float64": lambda x: x.tolist(),
    "int64": lambda x: (x * 100).astype(np.int64).tolist(),
    "int32": lambda x: (x * 100).astype(np.int32).tolist(),
    "bool": lambda x: (x > 0).tolist(),
    "string": lambda x: ["Oslo" if value > 0 else f"Rome {value:.1f}" for value in x],
}
TYPES = {
    "float16": pa.float16(),
    "float32": pa.float32(),
    "float64": pa.float64(),
    "int64": pa.int64(),
    "int32": pa.int32(),
    "bool": pa.bool_(),
    "string": pa.string(),
}


def _columns_for(spec: TensorSpec) -> Columns:
    """One column of ROWS values per value of the input; one list column for rank 3."""
    if spec.width == 1:
        return {spec.name: _column(spec, seed=len(spec.name))}
    if len(spec.shape) > 2:
        flat = pa.concat_arrays([_column(spec, seed=seed) for seed in range(spec.width or 1)])
        return {"lists": pa.FixedSizeListArray.from_arrays(flat, spec.width)}
    return {f"{spec.name}{place}": _column(spec, seed=place) for place in range(spec.width or 2)}


def _column(spec: TensorSpec, *, seed: int) -> pa.Array:
    drawn = np.random.default_rng(seed).normal(size=ROWS)
    return pa.array(MAKERS[spec.dtype](drawn), TYPES[spec.dtype])


def _directly(path: str, facts: ModelFacts, columns: Columns) -> dict[str, Any]:
    """What a person would write: a session, the columns stacked, the same batches, all outputs."""
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    tensors = {spec.name: _stacked(spec, columns) for spec in facts.inputs}
    names = [spec.name for spec in facts.outputs]
    pieces: list[list[Any]] = []
    for start, stop in _batches():
        feed = {name: values[start:stop] for name, values in tensors.items()}
        size = facts.fixed_batch
        if size is None:
            pieces.append(session.run(names, feed))
        else:
            for row in range(0, stop - start, size):
                piece = {
                    name: np.resize(values[row : row + size], (size, *values.shape[1:]))
                    for name, values in feed.items()
                }
                found = session.run(names, piece)
                pieces.append([values[: min(size, stop - start - row)] for values in found])
    return {name: _joined([piece[place] for piece in pieces]) for place, name in enumerate(names)}


def _joined(pieces: list[Any]) -> Any:
    if isinstance(pieces[0], list):
        return [row for piece in pieces for row in piece]
    return np.concatenate(pieces)


def _stacked(spec: TensorSpec, columns: Columns) -> NDArray[Any]:
    own = [columns[name] for name in _columns_for(spec)]
    dtype = object if spec.dtype == "string" else spec.dtype
    values: NDArray[Any] = np.array([column.to_pylist() for column in own], dtype=dtype)
    stacked: NDArray[Any] = np.ascontiguousarray(values.T) if len(spec.shape) == 2 else values[0]
    return stacked if len(spec.shape) <= 2 else stacked.reshape(ROWS, *(size or 1 for size in spec.shape[1:]))


def _assert_same(table: pa.Table, contract: Contract, expected: dict[str, Any], facts: ModelFacts) -> None:
    wraps = {plain: outer for outer, plain in facts.zipmaps.items()}
    for output in contract.outputs:
        values = expected[wraps.get(output.tensor.name, output.tensor.name)]
        if isinstance(values, list):  # a ZipMap's list of dicts
            values = np.array([[row[one] for one in output.classes] for row in values])
        found = np.array([table[name].to_pylist() for name in output.columns])
        found = found[0] if len(output.columns) == 1 else found.T
        _assert_close(found.reshape(ROWS, -1), values.reshape(ROWS, -1))


def _assert_close(found: NDArray[Any], expected: NDArray[Any]) -> None:
    if expected.dtype.kind == "f":
        tolerance = 1e-2 if expected.dtype == np.float16 else 1e-6
        np.testing.assert_allclose(
            found.astype(np.float64), expected.astype(np.float64), rtol=tolerance, atol=tolerance
        )
    else:
        assert found.tolist() == expected.tolist()
