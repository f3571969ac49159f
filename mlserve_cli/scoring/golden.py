"""The golden rows: before its first task a worker proves that it scores them as training saw them.

A differing library, processor or provider shows here, before it has written anything.
"""

from __future__ import annotations

import os

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mlserve_cli import features, tables
from mlserve_cli.contract import Contract
from mlserve_cli.errors import InvalidModel, shown
from mlserve_cli.planning import Plan, PlannedModel
from mlserve_cli.scoring.batches import Clock, ScoredRows, score_batches
from mlserve_cli.session import Predictor


def check_golden_rows(plan: Plan, predictor: Predictor) -> None:
    """Score the package's golden rows and compare.

    Raises InvalidModel (78) where a score is further from the expected one than the package allows.
    """
    golden = plan.model.golden
    if golden is None:
        return
    rows, scored = _score(plan.model, plan.contract, predictor=predictor, batch_rows=plan.batch_rows)
    path = _path(plan.model)
    found = features.output_table(_bare(plan.contract), scored.outputs)
    for column, expected in golden.columns.items():
        if expected not in rows.column_names:
            continue
        distance = np.abs(_floats(found, column) - _floats(rows, expected))
        worst = int(np.argmax(distance)) if len(distance) else 0
        if len(distance) and not distance[worst] <= golden.tolerance:
            raise InvalidModel(
                f"{shown(column)} of golden row {worst} is off by {distance[worst]:.3g}, "
                f"the package allows {golden.tolerance:g}",
                path,
                "this machine or these libraries score the model differently: compare `mlserve inspect` here and there",
            )


def golden_outputs(model: PlannedModel, contract: Contract, *, predictor: Predictor, batch_rows: int) -> ScoredRows:
    """The scores of the golden rows, of a model that has some, as any predictor gives them."""
    return _score(model, contract, predictor=predictor, batch_rows=batch_rows)[1]


def _score(
    model: PlannedModel, contract: Contract, *, predictor: Predictor, batch_rows: int
) -> tuple[pa.Table, ScoredRows]:
    path = _path(model)
    rows = tables.read_part(path)
    contract = _bare(contract)
    chunk = features.convert(rows, contract)
    scored = score_batches(chunk, contract=contract, predictor=predictor, batch_rows=batch_rows, clock=Clock())
    if len(scored.kept) != rows.num_rows:
        row = int(scored.faults.rows[0])
        raise InvalidModel(f"golden row {row} cannot be scored", path, "package the model anew with rows that it takes")
    return rows, scored


def _path(model: PlannedModel) -> str:
    return os.path.join(model.path, model.golden.file if model.golden else "")


def _bare(contract: Contract) -> Contract:
    """The contract as the package's own rows fulfil it, whatever the run's files are like."""
    return msgspec.structs.replace(contract, rename={}, nan_scores="allow")


def _floats(table: pa.Table, column: str) -> NDArray[np.float64]:
    return np.asarray(table[column].cast(pa.float64()).to_numpy())
