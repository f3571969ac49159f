"""The golden rows: before its first task a worker proves that it scores them as training saw them.

A differing library, processor or provider shows here, before it has written anything.
"""

from __future__ import annotations

import os

import msgspec
import numpy as np
import pyarrow as pa

from mlserve_cli import features, tables
from mlserve_cli.contract import Contract
from mlserve_cli.errors import InvalidModel, shown
from mlserve_cli.planning import PlannedGolden, PlannedModel
from mlserve_cli.scoring.batches import Clock, ScoredRows, score_batches
from mlserve_cli.scoring.distance import distances
from mlserve_cli.session import Predictor


def check_golden_rows(model: PlannedModel, contract: Contract, *, predictor: Predictor, batch_rows: int) -> None:
    """Score the package's golden rows and compare.

    Raises InvalidModel (78) where a score is further from the expected one than the package allows, or none can be
    compared.
    """
    golden = model.golden
    if golden is None:
        return
    rows, scored = _score(golden, model, contract, predictor=predictor, batch_rows=batch_rows)
    found = features.output_table(_own(golden, contract), scored.outputs)
    present = {column: name for column, name in golden.columns.items() if name in rows.column_names}
    if not present:
        raise InvalidModel(
            "the golden rows do not say what they should score",
            _path(golden, model),
            f"package it anew, with a column for each output: {', '.join(map(shown, golden.columns.values()))}",
        )
    for column, name in present.items():
        _compare(found[column], rows[name], column=column, golden=golden, path=_path(golden, model))


def golden_outputs(model: PlannedModel, contract: Contract, *, predictor: Predictor, batch_rows: int) -> ScoredRows:
    """The scores of the golden rows, of a model that has some, as any predictor gives them."""
    if model.golden is None:
        raise InvalidModel("the model has no golden rows", shown(model.path, limit=400))
    return _score(model.golden, model, contract, predictor=predictor, batch_rows=batch_rows)[1]


def _score(
    golden: PlannedGolden, model: PlannedModel, contract: Contract, *, predictor: Predictor, batch_rows: int
) -> tuple[pa.Table, ScoredRows]:
    path = _path(golden, model)
    rows = tables.read_part(path)
    if rows.num_rows == 0:
        raise InvalidModel("there is no golden row in it", path, "package the model anew, or leave out [golden]")
    contract = _own(golden, contract)
    for column in contract.columns:
        if column not in rows.column_names:
            raise InvalidModel(f"the golden rows lack the column {shown(column)}", path, "package the model anew")
    chunk = features.convert(rows, contract, file=path)
    scored = score_batches(chunk, contract=contract, predictor=predictor, batch_rows=batch_rows, clock=Clock())
    if len(scored.kept) != rows.num_rows:
        row = int(scored.faults.rows[0])
        raise InvalidModel(f"golden row {row} cannot be scored", path, "package the model anew with rows that it takes")
    return rows, scored


def _own(golden: PlannedGolden, contract: Contract) -> Contract:
    """The contract as the package's own rows fulfil it, whatever the run's files are like and may hold."""
    return msgspec.structs.replace(contract, inputs=golden.inputs, rename={}, nulls="nan", nan_scores="allow")


def _compare(
    found: pa.ChunkedArray, expected: pa.ChunkedArray, *, column: str, golden: PlannedGolden, path: str
) -> None:
    apart = distances(found, _like(expected, found.type))
    worst = int(np.argmax(apart))
    if apart[worst] > golden.tolerance:
        raise InvalidModel(
            f"{shown(column)} of golden row {worst} is {shown(str(found[worst]))}, "
            f"the package expects {shown(str(expected[worst]))} within {golden.tolerance:g}",
            path,
            "this machine or these libraries score the model differently: compare `mlserve inspect` here and there",
        )


def _like(expected: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """Labels in the type that the model gives them: a package may have stored them as categories or wider ints."""
    if pa.types.is_floating(kind) or pa.types.is_fixed_size_list(kind):
        return expected
    try:
        return expected.cast(kind)
    except pa.ArrowInvalid:  # then they are not the same either
        return expected


def _path(golden: PlannedGolden, model: PlannedModel) -> str:
    return os.path.join(model.folder, golden.file)
