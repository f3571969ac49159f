"""From what a model says, what its package says and what the command asks, to one contract. Nothing is guessed."""

from __future__ import annotations

from typing import Literal

from mlserve_cli.contract._bind_inputs import bind_inputs
from mlserve_cli.contract._bind_outputs import bind_outputs, check_threshold, rename_outputs
from mlserve_cli.contract._values import Contract, Declared, ModelFacts, Nulls
from mlserve_cli.errors import InvalidModel, UsageError, nearest, shown


def bind(
    facts: ModelFacts,
    declared: Declared | None = None,
    *,
    features: tuple[str, ...] = (),
    rename: dict[str, str] | None = None,
    nulls: Nulls | None = None,
    nan_scores: Literal["bad", "allow"] = "bad",
    schema_mode: Literal["strict", "coerce"] = "strict",
    threshold: float | None = None,
    labels: bool = True,
    output_columns: dict[str, str] | None = None,
    file_columns: tuple[str, ...] | None = None,
) -> Contract:
    """The contract of one model and one request.

    `features` are the raw values of --features, `rename` maps a model column to the file's name for it,
    `output_columns` a written column to its new name, `file_columns` are the first shard's, for `file-order`.
    UsageError for an option that does not fit the model, InvalidModel for a model or package that does not fit itself.
    """
    declared = declared or Declared()
    inputs = bind_inputs(facts, declared, features=features, file_columns=file_columns)
    threshold = declared.threshold if threshold is None else threshold
    outputs = bind_outputs(facts, declared, keep_labels=labels and threshold is None)
    check_threshold(outputs, threshold)
    outputs, prediction = rename_outputs(outputs, output_columns or {}, has_prediction=threshold is not None)
    contract = Contract(
        inputs=inputs,
        outputs=outputs,
        nulls=nulls or declared.nulls,
        nan_scores=nan_scores,
        schema_mode=schema_mode,
        threshold=threshold,
        prediction=prediction,
        fill=declared.fill,
        rename=rename or {},
    )
    _check_columns(contract)
    return contract


def _check_columns(contract: Contract) -> None:
    """One column feeds one dtype; --rename and the fill values name columns that the model takes."""
    dtypes: dict[str, str] = {}
    for part in contract.inputs:
        for column in part.columns:
            if dtypes.setdefault(column, part.tensor.dtype) != part.tensor.dtype:
                raise InvalidModel(f"column {shown(column)} would feed both {dtypes[column]} and {part.tensor.dtype}")
    for column in contract.rename:
        if column not in dtypes:
            raise UsageError(
                f"--rename names {shown(column)}, which the model does not take", "", nearest(column, tuple(dtypes))
            )
    for column, value in contract.fill.items():
        if column not in dtypes:
            raise InvalidModel(f"the package's contract fills {shown(column)}, which the model does not take")
        if not _fill_fits(value, dtypes[column]):
            raise InvalidModel(f"the fill value {value!r} of {shown(column)} is no {dtypes[column]}")


def _fill_fits(value: str | float | bool, dtype: str) -> bool:
    if dtype == "string":
        return isinstance(value, str)
    if dtype == "bool":
        return isinstance(value, bool)
    if dtype.startswith("float"):
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, int) and not isinstance(value, bool)
