"""Quality of finished runs against labels that came in later."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import pyarrow as pa

from mlserve_cli.errors import DataError, UsageError, shown
from mlserve_cli.manifest.find import FoundRun, find_runs
from mlserve_cli.monitoring import influence
from mlserve_cli.monitoring.calibration import calibrate
from mlserve_cli.monitoring.evaluation import (
    EVALUATION_FORMAT,
    Evaluation,
    RunEvaluation,
)
from mlserve_cli.monitoring.evaluation_gate import judged as judged_by_gate
from mlserve_cli.monitoring.gate import NO_GATE, GateRequest, check_recordable, gate_of, only_version
from mlserve_cli.monitoring.held import Held, each_label_once, hold, together
from mlserve_cli.monitoring.join import Keep, LabelKeys, label_keys
from mlserve_cli.monitoring.labels import Labels, parse_time, read_labels
from mlserve_cli.monitoring.limits import Judge, check_limits
from mlserve_cli.monitoring.metrics import RANKABLE, libraries, measure
from mlserve_cli.monitoring.outcomes import Outcomes
from mlserve_cli.monitoring.question import Question, Task, ask, class_texts
from mlserve_cli.monitoring.run_rows import id_columns, read_rows
from mlserve_cli.monitoring.slices import mean_label, mean_score, slice_up
from mlserve_cli.monitoring.trend import steady
from mlserve_cli.tables import Dialect, text_of


def evaluate(
    *runs: str,
    labels: Sequence[str],
    on: Mapping[str, str] | Sequence[str] = (),
    label: str | None = None,
    positive: str | None = None,
    task: Task = "auto",
    score: str | None = None,
    threshold: float | None = None,
    by: Sequence[str] = (),
    rank_by: str | None = None,
    label_time: str | None = None,
    as_of: str | None = None,
    labels_keep: Keep = "error",
    confidence: float = 0.95,
    bins: int = 10,
    fail_under: Mapping[str, float] | None = None,
    fail_over: Mapping[str, float] | None = None,
    judge: Judge = "value",
    gate: GateRequest = NO_GATE,
    dialect: Dialect = Dialect(),
    input_format: Literal["parquet", "csv"] | None = None,
) -> Evaluation:
    """Hold every run at `runs` (runs, or folders of runs) against the labels in the files `labels`.

    `on` names the id: columns of the run, or a mapping of them to the label files' names; without it, the run's own id
    column. The labels are in column `label`. For a classifier `positive` says which label counts as positive: a value,
    or a comparison as in ">15". `by` are columns of the run, of the label files or of the run's input. `gate` names one
    whose verdict on the version that made the scores is wanted; `fail_under` and `fail_over` are limits of it too.

    Raises UsageError (2), InputMissing (66), DataError (65) where the run or the labels do not hold, an id stands twice
    or no label belongs to any row, ExtraMissing (69) without scikit-learn and scipy.
    """
    with libraries():
        import scipy.stats  # noqa: F401
        import sklearn.metrics  # noqa: F401
    if as_of is not None and label_time is None:
        raise UsageError("--as-of needs to know when a label became known", "--as-of", "name the column: --label-time")
    if label_time is not None and as_of is None and labels_keep == "error":
        raise UsageError("the times of labels decide nothing", "--label-time", "say --as-of or --labels-keep too")
    judging = gate_of(gate, has_limits=bool(fail_under or fail_over))
    found = find_runs(*runs)
    if gate.record:
        check_recordable(only_version(found), gate)
    pairs = _id_pairs(found, on)
    told = read_labels(
        labels,
        on=pairs,
        column=label,
        time=label_time,
        others=by,
        dialect=dialect,
        input_format=input_format,
    )
    wish = _Wish(positive, task, score, threshold)
    held = _hold_all(found, told, wish, keyed=_keyed(told, as_of=as_of, keep=labels_keep), by=by)
    labelled = [one for one in held if len(one.outcomes)]
    ranked_by = _ranked_by(labelled[0].outcomes, rank_by)
    settings = _Settings(ranked_by, confidence, bins)
    each = tuple(_evaluated(one, settings) for one in labelled)
    overall = _evaluated(together(held), settings) if len(held) > 1 and each_label_once(held) else None
    judged = overall or each[-1]
    limits = check_limits(judged, fail_under=fail_under or {}, fail_over=fail_over or {}, judge=judge)
    evaluation = Evaluation(
        format=EVALUATION_FORMAT,
        passed=all(limit.passed for limit in limits),
        kind=labelled[0].outcomes.kind,
        label=told.column,
        positive=positive or labelled[0].question.positive,
        on=pairs,
        labels=told.sources,
        as_of=as_of or "",
        confidence=confidence,
        ranked_by=ranked_by,
        runs=each,
        overall=overall,
        without_labels=tuple(_path(one.run) for one in held if not len(one.outcomes)),
        steady_p_value=steady([one.outcomes for one in labelled], each, ranked_by),
        judged="all runs together" if overall is not None else judged.path,
        limits=limits,
    )
    if judging is None:
        return evaluation
    rests_on = found if overall is not None else (labelled[-1].run,)
    return judged_by_gate(evaluation, judging, gate, runs=rests_on, labels=told, judge=judge)


@dataclass(frozen=True, slots=True)
class _Wish:
    """What was said of the question; what was not, the contract says."""

    positive: str | None
    task: Task
    score: str | None
    threshold: float | None


@dataclass(frozen=True, slots=True)
class _Settings:
    """How figures are made."""

    ranked_by: str
    confidence: float
    bins: int


def _hold_all(
    found: Sequence[FoundRun],
    told: Labels,
    wish: _Wish,
    *,
    keyed: Callable[[tuple[bool, ...]], LabelKeys],
    by: Sequence[str],
) -> list[Held]:
    """Every run held against its labels. DataError (65) where not one row has a label."""
    questions = [
        ask(
            run.manifest.plan.contract,
            task=wish.task,
            score=wish.score,
            positive=wish.positive,
            threshold=wish.threshold,
        )
        for run in found
    ]
    questions = _of_one_kind(_with_classes(questions, found, told))
    held = [
        hold(run, question, told, keyed, positive=wish.positive, by=by)
        for run, question in zip(found, questions, strict=True)
    ]
    if not any(len(one.outcomes) for one in held):
        raise _nothing_matched(held, told)
    return held


def _id_pairs(found: Sequence[FoundRun], on: Mapping[str, str] | Sequence[str]) -> dict[str, str]:
    if on:
        return dict(on) if isinstance(on, Mapping) else {name: name for name in on}
    ids = {id_columns(run.manifest) for run in found}
    if len(ids) > 1:
        raise UsageError("the runs identify their rows by different columns", "--on", "name one that all have")
    return {name: name for name in ids.pop()}


def _keyed(told: Labels, *, as_of: str | None, keep: Keep) -> Callable[[tuple[bool, ...]], LabelKeys]:
    """The labels by their keys, made once for each way in which the runs' ids can be compared."""
    moment = None if as_of is None else parse_time(as_of)

    @lru_cache(maxsize=4)
    def made(numeric: tuple[bool, ...]) -> LabelKeys:
        return label_keys(told.ids, told.values, numeric=numeric, times=told.times, as_of=moment, keep=keep)

    return made


def _with_classes(questions: list[Question], found: Sequence[FoundRun], told: Labels) -> list[Question]:
    """For models that say a class and not which there are: those that any of them said, and those that came."""
    unknown = [one for one in questions if one.kind == "multiclass" and not one.classes]
    if not unknown:
        return questions
    said = (
        class_texts(read_rows(run, one.columns)[one.columns[0]], numeric=one.numeric).unique().to_pylist()
        for run, one in zip(found, questions, strict=True)
    )
    came = class_texts(told.values, numeric=unknown[0].numeric).unique().to_pylist()
    classes = tuple(sorted({text for texts in (*said, came) for text in texts if text is not None}))
    return [replace(one, classes=classes) for one in questions]


def _of_one_kind(questions: list[Question]) -> list[Question]:
    kinds = {(one.kind, one.classes if one.kind == "multiclass" else ()) for one in questions}
    if len(kinds) > 1:
        raise UsageError(
            "the runs' models answer different questions", "", "evaluate them one by one, or say which: --task, --score"
        )
    return questions


def _ranked_by(outcomes: Outcomes, wanted: str | None) -> str:
    possible = (name for name in RANKABLE[outcomes.kind] if influence.of_metric(outcomes, name) is not None)
    if wanted is None:
        return next(possible, RANKABLE[outcomes.kind][0])
    if wanted not in (names := tuple(possible)):
        raise UsageError(
            f"slices cannot be ranked by {shown(wanted)}", "--rank-by", f"by one of {', '.join(names) or 'none'}"
        )
    return wanted


def _evaluated(one: Held, settings: _Settings) -> RunEvaluation:
    """All figures of a run, or of all of them as one."""
    outcomes, manifest, confidence = one.outcomes, one.run.manifest, settings.confidence
    unlabelled = one.unlabelled_scores
    return RunEvaluation(
        run_id=manifest.run.id,
        path=_path(one.run),
        started_at=manifest.run.started_at,
        model=f"{manifest.model.name} {manifest.model.version}".strip(),
        model_digest=manifest.model.digest,
        rows_quarantined=manifest.rows.rows_quarantined,
        rows_without_score=one.rows_without_score,
        join=one.account,
        labelled=len(outcomes),
        mean_score=mean_score(outcomes.scores),
        mean_score_unlabelled=mean_score(unlabelled),
        mean_label=mean_label(outcomes),
        figures=measure(outcomes, confidence=confidence),
        classes=outcomes.classes,
        confusion=_confusion(outcomes),
        calibration=calibrate(outcomes, bins=settings.bins, confidence=confidence),
        slices=slice_up(outcomes, one.by, one.labelled, ranked_by=settings.ranked_by, confidence=confidence),
    )


def _confusion(outcomes: Outcomes) -> tuple[tuple[int, ...], ...]:
    if outcomes.predicted is None:
        return ()
    from sklearn.metrics import confusion_matrix

    counted = confusion_matrix(outcomes.truth, outcomes.predicted, labels=list(range(len(outcomes.classes))))
    return tuple(tuple(row) for row in counted.tolist())


def _nothing_matched(held: Sequence[Held], told: Labels) -> DataError:
    account = held[0].account
    if account.labels_without_value + account.labels_too_late == account.label_rows:
        return DataError(
            f"none of the {account.label_rows:,} labels is known yet", "--labels", "run it again when some have come"
        )
    return DataError(
        f"no label belongs to any row: the run has ids as {_some(held)}, the labels {_some_of(told.ids)}",
        "--on",
        "name the id, or RUN_COLUMN=LABEL_COLUMN where the files call it otherwise",
    )


def _some(held: Sequence[Held]) -> str:
    run = held[0].run
    return _some_of(read_rows(run, id_columns(run.manifest)))


def _some_of(ids: pa.Table) -> str:
    return ", ".join(shown(" ".join(map(str, row.values())), limit=40) for row in ids.slice(0, 2).to_pylist()) or "none"


def _path(run: FoundRun) -> str:
    return text_of(str(run.path))
