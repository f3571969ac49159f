"""Which outputs are written, under which names, and what a threshold stands against."""

from __future__ import annotations

import re

import msgspec

from mlserve_cli.contract._values import Declared, DeclaredOutput, ModelFacts, Output, TensorSpec
from mlserve_cli.errors import InvalidModel, UsageError, nearest, shown

PREDICTION = "prediction"


def bind_outputs(facts: ModelFacts, declared: Declared, *, keep_labels: bool) -> tuple[Output, ...]:
    """The outputs that are written: those that the package lists, else all."""
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
    plain, classes = _plain(facts, spec), _classes(facts, spec, one)
    width = plain.width
    if not one.columns or (len(one.columns) > 1 and width is not None and width != len(one.columns)):
        raise InvalidModel(
            f"the package's contract names {len(one.columns)} columns, the output {shown(spec.name)} has {width}"
        )
    if width is None and len(one.columns) > 1:
        plain = msgspec.structs.replace(plain, shape=(plain.shape[0], len(one.columns)))
    return Output(tensor=plain, role=one.role, columns=one.columns, classes=classes)


def _classes(facts: ModelFacts, spec: TensorSpec, one: DeclaredOutput) -> tuple[str | int, ...]:
    """The labels behind an output's columns: the graph's own, or the package's where the graph has none."""
    found = facts.classes.get(spec.name, ())
    if one.classes and found and one.classes != found:
        raise InvalidModel(
            f"the package's contract gives {shown(spec.name)} the classes {list(one.classes)}, the model {list(found)}"
        )
    if one.classes and len(one.columns) not in (1, len(one.classes)):
        raise InvalidModel(
            f"the package's contract names {len(one.classes)} classes for the {len(one.columns)} columns "
            f"of {shown(spec.name)}"
        )
    return found or one.classes


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


def check_threshold(outputs: tuple[Output, ...], threshold: float | None) -> None:
    """InvalidModel where a threshold is set and nothing stands against it."""
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
    # an open width counts as 1 until a run has settled it, and then this is asked again
    if len(output.columns) == 2 or (len(output.columns) == 1 and output.tensor.width in (1, None)):
        return output
    return None


def rename_outputs(
    outputs: tuple[Output, ...], names: dict[str, str], *, has_prediction: bool
) -> tuple[tuple[Output, ...], str]:
    """The outputs under their new column names, and the prediction's; no two alike."""
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
