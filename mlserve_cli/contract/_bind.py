"""From what a model says, what its package says and what the command asks, to one contract. Nothing is guessed."""

from __future__ import annotations

import csv
import json
import re
from typing import Literal

import msgspec

from mlserve_cli.contract._values import (
    Contract,
    Declared,
    DeclaredOutput,
    Input,
    ModelFacts,
    Nulls,
    Output,
    TensorSpec,
)
from mlserve_cli.errors import InvalidModel, UsageError, nearest, shown

FILE_ORDER = "file-order"
PREDICTION = "prediction"
_HOW_TO_NAME = (
    "name the columns with --features a,b,c in the model's order, or --features file-order, "
    "or in a package's contract, or in the model's metadata as feature_names"
)


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
    inputs = _bind_inputs(facts, declared, features, file_columns)
    threshold = declared.threshold if threshold is None else threshold
    outputs = _bind_outputs(facts, declared, keep_labels=labels and threshold is None)
    _check_threshold(outputs, threshold)
    outputs, prediction = _rename_outputs(outputs, output_columns or {}, has_prediction=threshold is not None)
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


# Inputs


def _bind_inputs(
    facts: ModelFacts, declared: Declared, features: tuple[str, ...], file_columns: tuple[str, ...] | None
) -> tuple[Input, ...]:
    asked = _asked_columns(facts, features, file_columns)
    packaged = {one.tensor: one.columns for one in declared.inputs}
    strangers = set(packaged) - {spec.name for spec in facts.inputs}
    if strangers:
        raise InvalidModel(f"the package's contract names an input {shown(min(strangers))} that the model has not")
    return tuple(
        _bind_input(spec, asked=asked.get(spec.name), packaged=packaged.get(spec.name), facts=facts)
        for spec in facts.inputs
    )


def _bind_input(
    spec: TensorSpec, *, asked: tuple[str, ...] | None, packaged: tuple[str, ...] | None, facts: ModelFacts
) -> Input:
    if asked is not None:
        if not _fits(spec, asked):
            raise UsageError(
                f"--features names {len(asked)} columns, the input {shown(spec.name)} takes {spec.width}",
                "",
                "give as many, in the model's order",
            )
        return _input(spec, asked)
    columns = packaged or _own_columns(spec, facts)
    if not _fits(spec, columns):
        source = "the package's contract" if packaged else "the model's metadata feature_names"
        raise InvalidModel(
            f"{source} names {len(columns)} columns, the input {shown(spec.name)} takes {spec.width}", "", _HOW_TO_NAME
        )
    return _input(spec, columns)


def _own_columns(spec: TensorSpec, facts: ModelFacts) -> tuple[str, ...]:
    """What the model itself says: the input's name where it takes one value, else its metadata."""
    if spec.width == 1:
        return (spec.name,)
    names = _metadata_names(facts) if len(facts.inputs) == 1 else ()
    if not names:
        wide = "an open number of" if spec.width is None else str(spec.width)
        raise InvalidModel(
            f"the input {shown(spec.name)} takes {wide} columns, and nothing names them",
            "",
            _HOW_TO_NAME if len(facts.inputs) == 1 else f"name them with --features {spec.name}=a,b,c",
        )
    return names


def _metadata_names(facts: ModelFacts) -> tuple[str, ...]:
    text = facts.metadata.get("feature_names", "")
    try:
        names = json.loads(text)
    except ValueError:
        return _split(text) if text else ()
    if not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
        raise InvalidModel(f"the model's metadata feature_names is no list of names: {shown(text)}", "", _HOW_TO_NAME)
    return tuple(names)


def _fits(spec: TensorSpec, columns: tuple[str, ...]) -> bool:
    return bool(columns) and (spec.width in (None, len(columns)) or len(columns) == 1)


def _input(spec: TensorSpec, columns: tuple[str, ...]) -> Input:
    """An open width becomes the number of columns; a single one may still be a list of any width."""
    if spec.width is None and len(spec.shape) == 2 and len(columns) > 1:
        spec = msgspec.structs.replace(spec, shape=(spec.shape[0], len(columns)))
    return Input(tensor=spec, columns=columns)


def _asked_columns(
    facts: ModelFacts, features: tuple[str, ...], file_columns: tuple[str, ...] | None
) -> dict[str, tuple[str, ...]]:
    """Input -> columns, as --features says: `INPUT=a,b,c` once for each, or one list for the whole model."""
    names = tuple(spec.name for spec in facts.inputs)
    asked: dict[str, tuple[str, ...]] = {}
    for value in features:
        name, equals, columns = value.partition("=")
        if equals and name in names:
            if name in asked:
                raise UsageError(f"--features names the input {shown(name)} twice")
            asked[name] = _split(columns)
        else:
            asked.update(_whole_list(facts, value, features, file_columns))
    return asked


def _whole_list(
    facts: ModelFacts, value: str, features: tuple[str, ...], file_columns: tuple[str, ...] | None
) -> dict[str, tuple[str, ...]]:
    if len(features) > 1:
        raise UsageError(
            f"--features is given {len(features)} times, and {shown(value)} names no input of the model",
            "",
            f"the model's inputs: {', '.join(shown(spec.name) for spec in facts.inputs)}",
        )
    columns = _file_order(file_columns) if value == FILE_ORDER else _split(value)
    if len(facts.inputs) == 1:
        return {facts.inputs[0].name: columns}
    if any(spec.width != 1 for spec in facts.inputs):
        raise UsageError(
            f"the model has {len(facts.inputs)} inputs, --features must say which columns feed which",
            "",
            " ".join(f"--features {spec.name}=a,b,c" for spec in facts.inputs[:3]),
        )
    if len(columns) != len(facts.inputs):
        raise UsageError(f"--features names {len(columns)} columns, the model has {len(facts.inputs)} inputs")
    return {spec.name: (column,) for spec, column in zip(facts.inputs, columns, strict=True)}


def _file_order(file_columns: tuple[str, ...] | None) -> tuple[str, ...]:
    if not file_columns:
        raise UsageError("--features file-order needs an input with columns", "", "name the columns instead")
    return file_columns


def _split(text: str) -> tuple[str, ...]:
    """Names between commas; one with a comma or a quote in it is quoted as in CSV."""
    return tuple(next(csv.reader([text], strict=False), []))


# Outputs


def _bind_outputs(facts: ModelFacts, declared: Declared, *, keep_labels: bool) -> tuple[Output, ...]:
    outputs = (
        tuple(_declared_output(facts, one) for one in declared.outputs)
        if declared.outputs
        else tuple(_own_output(facts, spec) for spec in facts.outputs)
    )
    kept = tuple(output for output in outputs if keep_labels or output.role != "label")
    if not kept:
        raise InvalidModel("no output is left to write", "", "leave out --no-labels")
    return kept


def _declared_output(facts: ModelFacts, one: DeclaredOutput) -> Output:
    wraps = {plain: outer for outer, plain in facts.zipmaps.items()}
    spec = next((spec for spec in facts.outputs if spec.name in (one.tensor, wraps.get(one.tensor))), None)
    if spec is None:
        names = tuple(spec.name for spec in facts.outputs)
        raise InvalidModel(
            f"the package's contract names an output {shown(one.tensor)} that the model has not",
            "",
            nearest(one.tensor, names) or f"the model's outputs: {', '.join(map(shown, names))}",
        )
    plain, classes = _plain(facts, spec), facts.classes.get(spec.name, ())
    width = plain.width
    if not one.columns or (len(one.columns) > 1 and width is not None and width != len(one.columns)):
        raise InvalidModel(
            f"the package's contract names {len(one.columns)} columns, the output {shown(spec.name)} has {width}"
        )
    if width is None and len(one.columns) > 1:
        plain = msgspec.structs.replace(plain, shape=(plain.shape[0], len(one.columns)))
    return Output(tensor=plain, role=one.role, columns=one.columns, classes=classes)


def _own_output(facts: ModelFacts, spec: TensorSpec) -> Output:
    classes = facts.classes.get(spec.name, ())
    plain = _plain(facts, spec)
    if classes:
        several = sum(other.name in facts.classes for other in facts.outputs) > 1
        prefix = f"{_column_name(spec.name)}_probability" if several else "probability"
        return Output(plain, "probability", tuple(f"{prefix}_{one}" for one in classes), classes)
    if spec.name in facts.labels:
        name = PREDICTION if len(facts.labels) == 1 else _column_name(spec.name)
        return Output(plain, "label", (name,))
    return Output(plain, "value", (_column_name(spec.name),))


def _plain(facts: ModelFacts, spec: TensorSpec) -> TensorSpec:
    """The tensor that is asked of the session: what a ZipMap wraps instead of the ZipMap, as wide as its classes."""
    classes = facts.classes.get(spec.name, ())
    if spec.name in facts.zipmaps:
        return TensorSpec(facts.zipmaps[spec.name], "float32", (None, len(classes) or None))
    if classes and len(spec.shape) <= 2 and spec.width in (None, 1) and len(classes) > 1:
        return msgspec.structs.replace(spec, shape=(*(spec.shape[:1] or (None,)), len(classes)))
    return spec


def _column_name(tensor: str) -> str:
    """A tensor's name as a column's: `sequential/dense_2/Softmax:0` becomes `sequential_dense_2_Softmax_0`."""
    return re.sub(r"\W+", "_", tensor).strip("_") or "output"


def _check_threshold(outputs: tuple[Output, ...], threshold: float | None) -> None:
    if threshold is not None and threshold_output(outputs) is None:
        raise InvalidModel(
            "--threshold needs a binary classifier: one output of two class probabilities, or of a single one",
            "the model writes " + ", ".join(shown(column) for output in outputs for column in output.columns),
            "leave --threshold out, or name the probabilities in a package's contract",
        )


def threshold_output(outputs: tuple[Output, ...]) -> Output | None:
    """The output whose last column a threshold is held against, where there is exactly one that can be."""
    floats = [output for output in outputs if output.tensor.dtype.startswith("float")]
    likely = [output for output in floats if output.role == "probability"] or floats
    if len(likely) != 1:
        return None
    (output,) = likely
    if len(output.columns) == 2 or (len(output.columns) == 1 and output.tensor.width == 1):
        return output
    return None


def _rename_outputs(
    outputs: tuple[Output, ...], names: dict[str, str], *, has_prediction: bool
) -> tuple[tuple[Output, ...], str]:
    written = [column for output in outputs for column in output.columns] + [PREDICTION] * has_prediction
    for old, new in names.items():
        if not new:
            raise UsageError(f"--output-columns gives {shown(old)} an empty name")
        if old not in written:
            raise UsageError(
                f"--output-columns renames {shown(old)}, which is not written",
                "",
                nearest(old, tuple(written)) or f"written are {', '.join(map(shown, written))}",
            )
    renamed = tuple(
        msgspec.structs.replace(output, columns=tuple(names.get(column, column) for column in output.columns))
        for output in outputs
    )
    prediction = names.get(PREDICTION, PREDICTION)
    columns = [column for output in renamed for column in output.columns] + [prediction] * has_prediction
    twice = sorted({column for column in columns if columns.count(column) > 1})
    if twice:
        raise InvalidModel(
            f"two outputs would be written as {shown(twice[0])}", "", "rename one with --output-columns OLD=NEW"
        )
    return renamed, prediction


# The whole


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
