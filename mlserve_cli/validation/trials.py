"""The trials of a model, each a function that a process apart carries out: it returns what it found."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlserve_cli.contract import Contract
from mlserve_cli.engines import resident_bytes
from mlserve_cli.errors import InvalidModel, shown
from mlserve_cli.planning import PlannedModel
from mlserve_cli.scoring.golden import check_golden_rows
from mlserve_cli.session import Predictor, RowsFailed, open_predictor, runtime_version, settle
from mlserve_cli.validation.findings import Finding, Outcome, Severity, listed, of_error
from mlserve_cli.validation.rows import TrialRows

BATCH_ROWS = 1024
BUDGET_S = 4.0  # of one trial, roughly
MOST_BYTES = 64 << 20
ROUNDING = 1e-5  # what the order of float32 sums may move a score by
Tensors = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Trial:
    """A model, the contract under which it is tried, and the rows."""

    path: str
    sha256: str
    external: frozenset[str]
    contract: Contract | None
    golden: PlannedModel | None
    rows: TrialRows | None

    @property
    def bound(self) -> Contract:
        assert self.contract is not None
        return self.contract

    @property
    def tensors(self) -> Tensors:
        assert self.rows is not None
        return self.rows.tensors

    def open(self, *, threads: int = 1) -> Predictor:
        """A session on the model."""
        return open_predictor(
            self.path, sha256=self.sha256, contract=self.bound, threads=threads, allowed_external=self.external
        )


def check_with_onnx(trial: Trial) -> Outcome:
    """The ONNX project's own checker, with its inference of types and shapes."""
    if importlib.util.find_spec("onnx") is None:
        return Outcome(
            (Finding("checker", "note", "left out: onnx is not installed", "pip install 'mlserve-cli[validate]'"),)
        )
    import onnx

    try:
        onnx.checker.check_model(trial.path, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError, ValueError, RuntimeError) as error:
        lines = " ".join(str(error).split())
        return Outcome((Finding("checker", "warning", f"onnx {onnx.__version__}: {shown(lines, limit=300)}"),))
    return Outcome((Finding("checker", "ok", f"onnx {onnx.__version__} finds nothing wrong"),))


def load(trial: Trial) -> Outcome:
    """A session opens, and gives one row for each row."""
    runtime, before = f"onnxruntime {runtime_version()}", resident_bytes()
    if trial.contract is None:
        return Outcome((Finding("runtime", "note", f"not tried with {runtime}: what feeds it is not known"),))
    try:
        predictor = trial.open()
        settle(trial.contract, predictor=predictor)
    except InvalidModel as error:
        return Outcome((of_error("runtime", error),))
    memory = max(resident_bytes() - before, 0)
    return Outcome((Finding("runtime", "ok", f"{runtime} loads it"),), {"session_memory_bytes": float(memory)})


def score_golden(trial: Trial) -> Outcome:
    """The golden rows are scored as training saw them."""
    if trial.golden is None or trial.golden.golden is None:
        return Outcome()
    predictor = trial.open()
    contract = settle(trial.bound, predictor=predictor)
    try:
        check_golden_rows(trial.golden, contract, predictor=predictor, batch_rows=BATCH_ROWS)
    except InvalidModel as error:
        return Outcome((of_error("golden rows", error),))
    within = trial.golden.golden.tolerance
    return Outcome((Finding("golden rows", "ok", f"scored as training saw them, within {within:g}"),))


def score_alike(trial: Trial) -> Outcome:
    """Again, by another session, with more threads, in other batches: the same scores, or how far they are apart."""
    predictor = trial.open()
    try:
        tensors = _affordable(predictor, trial.tensors, calls=8)
        first = predictor.predict(tensors)
        again, anew = predictor.predict(tensors), trial.open().predict(tensors)
        threads = trial.open(threads=2).predict(tensors)
        batches = [_in_batches(predictor, tensors, size) for size in (1, 7, 64)]
    except RowsFailed as failure:
        return Outcome((_failed("same scores", failure, trial),))
    except InvalidModel as error:
        return Outcome((of_error("same scores", error),))
    repeated = max(_apart(first, other) for other in (again, anew))
    findings = [*_odd_scores(first, trial)]
    if repeated > 0:
        findings.append(
            Finding(
                "same scores",
                "error",
                f"the same rows get other scores each time, by up to {repeated:.3g}",
                "no run of it can be replayed or proved: take random operators out, or give them a seed",
            )
        )
        return Outcome(tuple(findings))
    findings += _moved("threads", _apart(first, threads), "the scores depend on the number of threads")
    findings += _moved("batches", max(_apart(first, other) for other in batches), "a row's score depends on its batch")
    if len(findings) == len(_odd_scores(first, trial)):
        findings.append(Finding("same scores", "ok", "the same again, in any batch and with any threads, to the bit"))
    return Outcome(tuple(findings))


def score_odd(trial: Trial) -> Outcome:
    """What NaN and infinities do, in one feature at a time."""
    predictor = trial.open()
    places = list(_float_columns(trial))
    if not places:
        return Outcome((Finding("missing values", "note", "no feature is a float, so no NaN can come in"),))
    few = {name: values[:ROWS_EACH] for name, values in trial.tensors.items()}
    began = time.perf_counter()
    before = predictor.predict(few)
    most = max(int(BUDGET_S / 2 / (time.perf_counter() - began)), 1)
    tried = places[:most]
    nan, infinite = (_effects(predictor, few, before, tried, value) for value in (np.nan, np.inf))
    findings = [*_nan_findings(trial, nan, len(tried)), *_infinity_findings(infinite)]
    if len(tried) < len(places):
        text = f"tried in the first {len(tried):,} of {len(places):,} features: the others would take too long"
        findings.append(Finding("missing values", "note", text))
    return Outcome(tuple(findings))


def measure(trial: Trial) -> Outcome:
    """Time for a row in full batches on one thread, and alone; memory of a batch."""
    predictor, before = trial.open(), resident_bytes()
    one = {name: values[:1] for name, values in trial.tensors.items()}
    try:
        alone = _seconds(predictor, one)
        rows = _batch_rows(one, alone)
        full = {name: np.resize(values, (rows, *values.shape[1:])) for name, values in trial.tensors.items()}
        in_batches = _seconds(predictor, full)
    except RowsFailed as failure:
        return Outcome((_failed("cost", failure, trial),))
    figures = {
        "microseconds_per_row": in_batches / rows * 1e6,
        "microseconds_for_one_row": alone * 1e6,
        "rows_per_s_one_thread": rows / in_batches,
        "batch_rows": float(rows),
        "batch_memory_bytes": float(max(resident_bytes() - before, 0)),
    }
    text = f"{figures['microseconds_per_row']:.3g} µs a row in batches of {rows:,}, one thread"
    return Outcome(
        (Finding("cost", "ok", f"{text}; {figures['microseconds_for_one_row']:.3g} µs for one alone"),), figures
    )


def _affordable(predictor: Predictor, tensors: Tensors, *, calls: int) -> Tensors:
    """As many of the rows as can be scored so many times in some seconds: a model of pictures takes its time."""
    began = time.perf_counter()
    predictor.predict({name: values[:1] for name, values in tensors.items()})
    rows = max(int(BUDGET_S / calls / (time.perf_counter() - began)), 2)
    return {name: values[:rows] for name, values in tensors.items()}


def _batch_rows(one: Tensors, seconds: float) -> int:
    """Rows of a full batch, of fewer where that would take some seconds or a lot of memory."""
    row_bytes = sum(values.nbytes for values in one.values())
    return max(min(BATCH_ROWS, int(BUDGET_S / 10 / seconds), MOST_BYTES // max(row_bytes, 1)), 1)


# Comparing scores


def _in_batches(predictor: Predictor, tensors: Tensors, size: int) -> dict[str, NDArray[Any]]:
    rows = len(next(iter(tensors.values())))
    pieces = [
        predictor.predict({name: values[start : start + size] for name, values in tensors.items()})
        for start in range(0, rows, size)
    ]
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}


def _apart(one: dict[str, NDArray[Any]], other: dict[str, NDArray[Any]]) -> float:
    """The largest difference of any score; infinite where anything but a finite float differs."""
    return max((_array_apart(one[name], other[name]) for name in one), default=0.0)


def _array_apart(one: NDArray[Any], other: NDArray[Any]) -> float:
    if one.shape != other.shape:
        return float("inf")
    if one.dtype.kind != "f":
        return 0.0 if np.array_equal(one, other) else float("inf")
    same = (one == other) | (np.isnan(one) & np.isnan(other))
    with np.errstate(invalid="ignore"):
        apart = np.where(same, 0.0, np.abs(one.astype(np.float64) - other.astype(np.float64)))
    return float(np.nan_to_num(apart, nan=np.inf).max(initial=0.0))


def _moved(check: str, apart: float, what: str) -> list[Finding]:
    if apart == 0:
        return []
    severity: Severity = "note" if apart <= ROUNDING else "warning"
    hint = "a run's plan fixes its batches and a run uses one thread for each, so that its scores stay the same"
    return [Finding(check, severity, f"{what}, by up to {apart:.3g}", hint)]


def _odd_scores(scores: dict[str, NDArray[Any]], trial: Trial) -> list[Finding]:
    """Scores that no run would write, or that say nothing."""
    if trial.rows is None or not trial.rows.real:
        return []
    floats = {name: values for name, values in scores.items() if values.dtype.kind == "f" and len(values) > 1}
    found = []
    for name, values in floats.items():
        bad = int((~np.isfinite(values)).reshape(len(values), -1).any(axis=1).sum())
        if bad:
            text = f"{bad:,} of {len(values):,} rows get a score in {shown(name)} that is not finite"
            found.append(Finding("scores", "warning", text, "a run counts them as bad rows; --nan-scores allow"))
        elif (values == values[:1]).all():
            found.append(Finding("scores", "warning", f"every row gets the same score in {shown(name)}"))
    return found


def _failed(check: str, failure: RowsFailed, trial: Trial) -> Finding:
    if trial.rows is not None and trial.rows.real:
        return Finding(check, "error", str(failure), "export it anew, or look at the rows")
    return Finding(check, "warning", f"made-up rows: {failure}", "try it on real rows with --data")


# NaN and infinities

ROWS_EACH, MOST_COLUMNS = 8, 10_000


@dataclass(frozen=True, slots=True)
class _Place:
    """One feature: a column of an input, and what people call it."""

    tensor: str
    column: int
    name: str


@dataclass(slots=True)
class _Effects:
    """What a value does, by the names of the features in which it does it."""

    not_finite: list[str]
    ignored: list[str]
    failing: list[str]


def _float_columns(trial: Trial) -> Iterator[_Place]:
    for part in trial.bound.inputs:
        if not part.tensor.dtype.startswith("float"):
            continue
        values = trial.tensors[part.tensor.name]
        width = values.reshape(len(values), -1).shape[1]
        for column in range(min(width, MOST_COLUMNS)):
            name = part.columns[column] if len(part.columns) == width else f"{part.columns[0]}[{column}]"
            yield _Place(part.tensor.name, column, shown(name))


def _effects(
    predictor: Predictor, base: Tensors, before: dict[str, NDArray[Any]], places: list[_Place], value: float
) -> _Effects:
    """A value in each feature in turn, in some rows that are otherwise as they were and are scored as `before`."""
    found = _Effects([], [], [])
    for place in places:
        changed = dict(base)
        values = base[place.tensor].copy()
        values.reshape(len(values), -1)[:, place.column] = value
        changed[place.tensor] = values
        try:
            after = predictor.predict(changed)
        except RowsFailed:
            found.failing.append(place.name)
            continue
        if any(_lost(before[name], after[name]) for name in before):
            found.not_finite.append(place.name)
        elif _apart(before, after) == 0:
            found.ignored.append(place.name)
    return found


def _lost(before: NDArray[Any], after: NDArray[Any]) -> bool:
    return before.dtype.kind == "f" and bool((np.isfinite(before) & ~np.isfinite(after)).any())


def _nan_findings(trial: Trial, nan: _Effects, features: int) -> Iterator[Finding]:
    lets_pass = trial.bound.nulls == "nan"
    severity: Severity = "warning" if lets_pass else "note"
    though = ", though the contract lets missing values pass" if lets_pass else ""
    if nan.failing:
        yield Finding("missing values", severity, f"NaN in {listed(nan.failing)} makes it fail{though}")
    if nan.not_finite:
        hint = "such rows are bad rows of a run, unless --nan-scores allow" if lets_pass else ""
        text = f"NaN in {listed(nan.not_finite)} ({len(nan.not_finite)} of {features}) gives no finite score{though}"
        yield Finding("missing values", severity, text, hint)
    if nan.ignored:
        yield Finding("missing values", "note", f"NaN in {listed(nan.ignored)} changes no score of the rows tried")
    if not (nan.failing or nan.not_finite):
        yield Finding("missing values", "ok", f"NaN gives a finite score in each of {features} features")


def _infinity_findings(infinite: _Effects) -> Iterator[Finding]:
    if infinite.failing:
        yield Finding("infinities", "note", f"an infinity in {listed(infinite.failing)} makes it fail")
    if infinite.not_finite:
        yield Finding("infinities", "note", f"an infinity in {listed(infinite.not_finite)} gives no finite score")


def _seconds(predictor: Predictor, tensors: Tensors) -> float:
    """The median of as many calls as fit into a tenth of a second, after one that counts for nothing."""
    predictor.predict(tensors)
    taken: list[float] = []
    until = time.perf_counter() + 0.1
    while len(taken) < 3 or (time.perf_counter() < until and len(taken) < 200):
        began = time.perf_counter()
        predictor.predict(tensors)
        taken.append(time.perf_counter() - began)
    return float(np.median(taken))
