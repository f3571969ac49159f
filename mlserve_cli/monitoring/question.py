"""What is held against the labels: which columns of a run say what, and which label is the positive one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mlserve_cli.contract import Contract, Output
from mlserve_cli.errors import DataError, UsageError, shown
from mlserve_cli.monitoring.evaluation import Kind
from mlserve_cli.monitoring.join import NUMBER, canonical, holds_numbers
from mlserve_cli.monitoring.run_rows import prediction_column, score_outputs

Task = Literal["auto", "binary", "multiclass", "regression"]
COMPARISON = re.compile(r"\s*(>=|<=|>|<)\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*")
COMPARE = {">": pc.greater, ">=": pc.greater_equal, "<": pc.less, "<=": pc.less_equal}
USUAL_THRESHOLD = 0.5
NO_AND_YES = ("0", "1")  # of a model that does not say what its classes are


@dataclass(frozen=True, slots=True)
class Question:
    """`scores` are written columns; `place` is the one of their values that is the positive class's, -1 for all.

    `prediction` is the written column of predicted classes, None where a `threshold` (or the largest probability)
    predicts. `classes` are the model's, as texts; () where nothing says them. `numeric` says that they are numbers.
    """

    kind: Kind
    scores: tuple[str, ...]
    place: int = -1
    prediction: str | None = None
    threshold: float | None = None
    classes: tuple[str, ...] = ()
    numeric: bool = True
    positive: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """What is read of the run."""
        return (*self.scores, *([self.prediction] if self.prediction is not None else []))


def ask(
    contract: Contract,
    *,
    task: Task = "auto",
    score: str | None = None,
    positive: str | None = None,
    threshold: float | None = None,
) -> Question:
    """The question that this contract's output answers. UsageError (2) where it is not clear which one, or none."""
    prediction = prediction_column(contract) if threshold is None else None
    output = _chosen_output(contract, score)
    if output is None:
        return _by_labels_alone(contract, task=task, positive=positive, threshold=threshold)
    width = len(output.columns) if len(output.columns) > 1 else (output.tensor.width or 1)
    kind = _kind(output, width, task=task, score=score, positive=positive)
    if kind != "binary":
        _refuse_without_two_classes(kind, positive=positive, threshold=threshold)
    if kind == "regression":
        column = score or output.columns[0]
        return Question("regression", (column,), place=0)
    numeric = not (output.classes and isinstance(output.classes[0], str))
    classes = tuple(map(str, output.classes)) or (tuple(map(str, range(width))) if width > 2 else ())
    if kind == "multiclass":
        return Question("multiclass", output.columns, -1, prediction, None, classes, numeric)
    place, name = _positive_place(output, classes, width, score=score, positive=positive)
    if threshold is None and prediction is None and (output.role == "probability" or task == "binary"):
        threshold = USUAL_THRESHOLD
    return Question("binary", output.columns, place, prediction, threshold, classes, numeric, name)


def truth_of(question: Question, labels: pa.ChunkedArray, *, positive: str | None) -> NDArray[np.float64]:
    """What came, from the labels of rows that have one: 0 or 1, the class's place, or a number (shape [rows]).

    Raises DataError (65) for a label that is none of the classes, or no number where one is wanted.
    """
    if question.kind == "regression":
        return _numbers(labels)
    if positive is not None and (match := COMPARISON.fullmatch(positive)):
        held = COMPARE[match[1]](pa.array(_numbers(labels)), float(match[2]))
        return np.asarray(held.to_numpy(zero_copy_only=False), np.float64)
    if question.kind == "binary" and positive is not None:
        numeric = holds_numbers(labels.type) or pa.types.is_boolean(labels.type) or _is_number_or_flag(positive)
        wanted = class_texts(pa.chunked_array([pa.array([positive])]), numeric=numeric)[0]
        return np.asarray(pc.equal(class_texts(labels, numeric=numeric), wanted).to_numpy(zero_copy_only=False), float)
    classes = question.classes or NO_AND_YES
    places = places_of(class_texts(labels, numeric=question.numeric), classes)
    if question.kind == "binary":
        return np.asarray(places == classes.index(question.positive), np.float64)
    return places.astype(np.float64)


def predicted_of(question: Question, rows: pa.Table, scores: NDArray[np.float64] | None) -> NDArray[np.int64] | None:
    """The predicted classes: 0 or 1, or the class's place (int64, shape [rows]); None where there is none."""
    if question.prediction is not None:
        texts = class_texts(rows[question.prediction], numeric=question.numeric)
        if question.kind == "binary":
            return np.asarray(pc.equal(texts, question.positive).to_numpy(zero_copy_only=False), np.int64)
        return places_of(texts, question.classes)
    if scores is None or question.kind == "regression":
        return None
    if question.kind == "multiclass":
        return np.asarray(scores.argmax(axis=1), np.int64)
    return None if question.threshold is None else np.asarray(scores >= question.threshold, np.int64)


def places_of(texts: pa.Array, classes: tuple[str, ...]) -> NDArray[np.int64]:
    """Where each text stands among the classes (int64, shape [rows]). DataError (65) for a stranger."""
    found = pc.index_in(texts, value_set=pa.array(classes, pa.large_string()))
    if found.null_count:
        stranger = texts.filter(pc.is_null(found))[0].as_py()
        raise DataError(
            f"label {shown(str(stranger))} is none of the classes",
            "--labels",
            f"they are {', '.join(map(shown, classes))}; --positive VALUE, or --positive '>15', says what is positive",
        )
    return np.asarray(found.to_numpy(zero_copy_only=False), np.int64)


def class_texts(labels: pa.ChunkedArray, *, numeric: bool) -> pa.Array:
    """Labels as texts that compare: true is 1, 1.0 is 1 where classes are numbers."""
    if numeric and pa.types.is_boolean(labels.type):
        labels = labels.cast(pa.int8())
    if numeric and (pa.types.is_string(labels.type) or pa.types.is_large_string(labels.type)):
        lower = pc.utf8_lower(labels)
        labels = pc.if_else(pc.equal(lower, "true"), "1", pc.if_else(pc.equal(lower, "false"), "0", labels))
    return canonical(labels, "label", as_number=numeric)


def _chosen_output(contract: Contract, score: str | None) -> Output | None:
    outputs = score_outputs(contract)
    if score is not None:
        outputs = tuple(output for output in contract.outputs if score in output.columns)
    columns = ", ".join(shown(column) for output in score_outputs(contract) for column in output.columns)
    if len(outputs) > 1 or (score is not None and not outputs):
        raise UsageError(
            f"{shown(score)} is no score of this run" if score is not None else "the run has several scores",
            "--score",
            f"name one of {columns}",
        )
    return outputs[0] if outputs else None


def _kind(output: Output, width: int, *, task: Task, score: str | None, positive: str | None) -> Kind:
    if task == "multiclass" and width < 3:
        raise UsageError("the model has no probabilities of several classes", "--task", "--task binary")
    if task != "auto":
        return task
    if width > 2 and score is None and positive is not None and COMPARISON.fullmatch(positive):
        raise UsageError(
            "which of the model's scores is of that?", "--positive", f"--score, one of {', '.join(output.columns)}"
        )
    if output.role != "probability" and positive is None:
        if width > 1 and score is None:
            raise UsageError("the model gives several numbers", "--score", "name one of its columns")
        return "regression"
    if width <= 2 or score is not None or (positive is not None and positive in map(str, output.classes)):
        return "binary"
    if positive is not None:
        raise UsageError(
            f"{shown(positive)} is none of the model's classes",
            "--positive",
            f"they are {', '.join(map(shown, map(str, output.classes)))}; without it all of them are judged",
        )
    return "multiclass"


def _refuse_without_two_classes(kind: Kind, *, positive: str | None, threshold: float | None) -> None:
    for option, value in (("--positive", positive), ("--at", threshold)):
        if value is not None:
            what = "numbers are" if kind == "regression" else "several classes are"
            raise UsageError(f"{what} judged, and {option} speaks of two classes", option, "leave one of them out")


def _positive_place(
    output: Output, classes: tuple[str, ...], width: int, *, score: str | None, positive: str | None
) -> tuple[int, str]:
    """Which value is the positive class's probability, and what that class is called."""
    if score is not None and len(output.columns) > 1:
        place = output.columns.index(score)
    elif positive is not None and width > 1 and positive in classes:
        place = classes.index(positive)
    else:
        place = width - 1
    if width == 1:
        return 0, classes[1] if len(classes) == 2 else "1"
    return place, classes[place] if classes else str(place)


def _by_labels_alone(contract: Contract, *, task: Task, positive: str | None, threshold: float | None) -> Question:
    """A model that says a class and no probability."""
    column = prediction_column(contract)
    if column is None or task == "regression" or threshold is not None:
        raise UsageError("the run has no scores to hold against labels", "--task", "it needs floats or class labels")
    output = next((one for one in contract.outputs if column in one.columns), contract.outputs[0])
    numeric, classes = output.tensor.dtype != "string", tuple(map(str, output.classes))
    if positive is not None and not COMPARISON.fullmatch(positive):
        return Question("binary", (), -1, column, None, classes, numeric, positive)
    if task == "binary" or positive is not None or len(classes) == 2:
        return Question("binary", (), -1, column, None, classes, numeric, classes[1] if len(classes) == 2 else "1")
    return Question("multiclass", (), -1, column, None, classes, numeric)


def _is_number_or_flag(text: str) -> bool:
    """Whether 1 and 1.0, or 1 and true, may be meant alike."""
    return re.fullmatch(NUMBER, text) is not None or text.lower() in ("true", "false")


def _numbers(labels: pa.ChunkedArray) -> NDArray[np.float64]:
    if pa.types.is_boolean(labels.type):
        labels = labels.cast(pa.int8())
    try:
        return np.asarray(labels.cast(pa.float64()).to_numpy(), np.float64)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(
            f"a label is no number: {' '.join(str(error).split())[:120]}", "--labels", "name another --label column"
        ) from error
