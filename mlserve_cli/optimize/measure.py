"""What is measured beside the differences: speed against the parent, dependence on the batch, quality by labels."""

from __future__ import annotations

import statistics
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlserve_cli.contract import Contract, Output
from mlserve_cli.errors import DataError, UsageError, shown
from mlserve_cli.optimize.gate import Scores, compare
from mlserve_cli.optimize.rows import Rows, scores_of
from mlserve_cli.session import Predictor

SPEED_S = 2.0
ROUNDS = 40
LEAST_ROUNDS, MOST_ROUNDS = 9, 101
BATCH_TRIAL_ROWS = 4_096
SMALL_BATCHES = (1, 7, 64)
LEAST_PROBABILITY = 1e-15


def speed_ratio(
    parent: Predictor,
    child: Predictor,
    rows: Rows,
    *,
    batch_rows: int,
    child_rows: Rows | None = None,
    seconds: float = SPEED_S,
) -> dict[str, float]:
    """Rows a second of both on one thread of this machine, and how many times as fast the child is.

    They take turns, since other work slows both alike then, and of each the median round counts: rounds so short that
    `ROUNDS` fit into `seconds`. `child_rows` are the same rows, where the child takes them otherwise.
    """
    batches = {"parent": _full_batches(rows, batch_rows), "child": _full_batches(child_rows or rows, batch_rows)}
    count = min(
        _batches_of_a_round(parent, batches["parent"], seconds=seconds / ROUNDS),
        _batches_of_a_round(child, batches["child"], seconds=seconds / ROUNDS),
    )
    times: dict[str, list[float]] = {"parent": [], "child": []}
    started = time.perf_counter()
    for turn in range(MOST_ROUNDS):
        if turn >= LEAST_ROUNDS and time.perf_counter() - started > seconds:
            break
        for name, predictor in (("parent", parent), ("child", child)):
            times[name].append(_seconds(predictor, batches[name], count))
    scored = count * len(next(iter(batches["parent"][0].values())))
    parent_s, child_s = statistics.median(times["parent"]), statistics.median(times["child"])
    return {
        "speed_ratio": parent_s / child_s,
        "parent_rows_per_s": scored / parent_s,
        "rows_per_s": scored / child_s,
    }


def batch_difference(child: Predictor, rows: Rows, contract: Contract, *, batch_rows: int) -> float:
    """How far a row's score moves when it is scored in another batch: 0 where it depends on the row alone."""
    some = rows.where(np.arange(len(rows)) < BATCH_TRIAL_ROWS)
    usual = scores_of(child, some, batch_rows=batch_rows)
    others = [scores_of(child, some, batch_rows=small) for small in SMALL_BATCHES if small < batch_rows]
    return max((compare(usual, other, contract=contract).max_difference for other in others), default=0.0)


def quality(scores: Scores, labels: NDArray[Any], contract: Contract) -> dict[str, float]:
    """AUC and log loss of a binary classifier, log loss and accuracy of one with more classes, RMSE of a regressor.

    Raises UsageError (2) where the contract has no such output, DataError (65) where a label is none of its classes.
    """
    output = _judged_output(contract)
    values = scores[output.tensor.name].reshape(len(labels), -1).astype(np.float64)
    if output.role != "probability":
        numbers = _numbers(labels)
        return {"rmse": float(np.sqrt(np.mean((values[:, -1] - numbers) ** 2)))}
    classes = output.classes or tuple(range(max(values.shape[1], 2)))
    truth = _places(labels, classes)
    if values.shape[1] == 1:
        values = np.hstack([1 - values, values])
    chosen = np.clip(values[np.arange(len(truth)), truth], LEAST_PROBABILITY, 1.0)
    log_loss = float(-np.mean(np.log(chosen)))
    if len(classes) > 2:
        return {"accuracy": float(np.mean(np.argmax(values, axis=1) == truth)), "log_loss": log_loss}
    return {"auc": auc(values[:, 1], truth == 1), "log_loss": log_loss}


def quality_figures(parent: dict[str, float], child: dict[str, float]) -> dict[str, float]:
    """Both beside each other, and `quality_loss`: AUC or accuracy lost, or the share by which the RMSE grew."""
    main = next(iter(parent))
    lost = child[main] / max(parent[main], 1e-300) - 1 if main == "rmse" else parent[main] - child[main]
    beside = {f"parent_{name}": value for name, value in parent.items()}
    return {"quality_loss": lost, **child, **beside}


def auc(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    """The area under the ROC curve, exactly: the share of pairs in the right order, ties counted half."""
    positives, negatives = int(positive.sum()), int((~positive).sum())
    if not positives or not negatives:
        raise DataError("all labels are the same: there is no AUC", "--labels", "hold out rows of both classes")
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2
    total = float(ranks[place][positive].sum())
    return (total - positives * (positives + 1) / 2) / (positives * negatives)


def _full_batches(rows: Rows, batch_rows: int) -> list[dict[str, NDArray[Any]]]:
    """Those of full size, where there are any."""
    batches = list(rows.batches(batch_rows))
    return [batch for batch in batches if len(next(iter(batch.values()))) == batch_rows] or batches


def _batches_of_a_round(predictor: Predictor, batches: list[dict[str, NDArray[Any]]], *, seconds: float) -> int:
    """So many that a round is long enough for the clock; the first run, which allocates, does not count."""
    _seconds(predictor, batches, 1)
    once = _seconds(predictor, batches, min(len(batches), 4)) / min(len(batches), 4)
    return max(1, min(int(seconds / max(once, 1e-7)), 10_000))


def _seconds(predictor: Predictor, batches: list[dict[str, NDArray[Any]]], count: int) -> float:
    started = time.perf_counter()
    for number in range(count):
        predictor.predict(batches[number % len(batches)])
    return time.perf_counter() - started


def _judged_output(contract: Contract) -> Output:
    floats = [output for output in contract.outputs if output.tensor.dtype.startswith("float")]
    likely = [output for output in floats if output.role == "probability"] or floats
    if len(likely) != 1 or (likely[0].role != "probability" and likely[0].tensor.width not in (1, None)):
        raise UsageError(
            f"labels need one output to be held against, the model has {len(likely)}", "--labels", "leave it out"
        )
    return likely[0]


def _numbers(labels: NDArray[Any]) -> NDArray[np.float64]:
    if labels.dtype.kind != "f":
        raise DataError(f"{shown(str(labels[0]))} is no number", "--labels", "a regressor's labels are numbers")
    numbers: NDArray[np.float64] = labels
    return numbers


def _places(labels: NDArray[Any], classes: tuple[str | int, ...]) -> NDArray[np.int64]:
    """Where each label stands among the classes, int64, shape [rows]."""
    by_text = labels.dtype.kind != "f" or isinstance(classes[0], str)
    values = labels.astype(str) if labels.dtype.kind != "f" else labels
    if by_text and labels.dtype.kind == "f":
        values = np.array([f"{value:g}" for value in np.unique(labels)])[np.unique(labels, return_inverse=True)[1]]
    known = np.array([str(one) for one in classes]) if by_text else np.array(classes, np.float64)
    places = np.full(len(values), -1, np.int64)
    for place, one in enumerate(known):
        places[values == one] = place
    if (places < 0).any():
        stranger = values[int(np.argmax(places < 0))]
        raise DataError(
            f"label {shown(str(stranger))} is none of the model's classes",
            "--labels",
            f"its classes are {', '.join(map(shown, map(str, classes)))}",
        )
    return places
