"""Which columns feed which input. Nothing is guessed: what nobody names is refused."""

from __future__ import annotations

import csv
import json

import msgspec

from mlserve_cli.contract._values import Declared, Input, ModelFacts, TensorSpec
from mlserve_cli.errors import InvalidModel, UsageError, shown

FILE_ORDER = "file-order"
_HOW_TO_NAME = (
    "name the columns with --features a,b,c in the model's order, or --features file-order, "
    "or in a package's contract, or in the model's metadata as feature_names"
)


def bind_inputs(
    facts: ModelFacts, declared: Declared, *, features: tuple[str, ...], file_columns: tuple[str, ...] | None
) -> tuple[Input, ...]:
    """Each input with its columns: of --features, else of the package, else of the model's own names or metadata."""
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
