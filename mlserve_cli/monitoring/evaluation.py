"""What an evaluation comes to, as values: figures with their intervals, calibration, slices, and runs over time."""

from __future__ import annotations

from typing import Any, Literal

from mlserve_cli.contract import Sealed, Value, schema_of
from mlserve_cli.registry import Verdict

EVALUATION_FORMAT = 1
Kind = Literal["binary", "multiclass", "regression"]


class Figure(Value, frozen=True):
    """A metric and the interval that holds its true value as often as the confidence says.

    Null where it cannot be said, for the `reason`. `method` is how the interval was made, "" where there is none.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    method: str = ""
    reason: str = ""


class JoinAccount(Value, frozen=True):
    """Where each row of the run and each row of the label files went.

    rows = matched + unlabelled + without_id; label_rows = matched + labels_without_value (null, NaN) + labels_too_late
    (after --as-of) + labels_without_id + labels_repeated + labels_elsewhere (no row of this run).
    """

    rows: int
    matched: int
    unlabelled: int
    without_id: int
    label_rows: int
    labels_without_value: int
    labels_too_late: int
    labels_without_id: int
    labels_repeated: int
    labels_elsewhere: int

    def adds_up(self) -> bool:
        """Whether both sums hold."""
        unused = self.labels_without_value + self.labels_too_late + self.labels_without_id
        return (
            self.rows == self.matched + self.unlabelled + self.without_id
            and self.label_rows == self.matched + unused + self.labels_repeated + self.labels_elsewhere
            and min(self.unlabelled, self.labels_elsewhere, self.labels_repeated) >= 0
        )


class CalibrationBin(Value, frozen=True):
    """Rows with scores from `low` to `high`: what was said on average, and what came."""

    low: float
    high: float
    rows: int
    mean_score: float
    observed: Figure


class Calibration(Value, frozen=True):
    """Whether scores are what comes: bins of as many rows each, and the line through them.

    `ece` is the mean distance of score and outcome over the bins; a perfect model of so many rows would show about
    `ece_by_chance`. `slope` is 1 and `intercept` 0 where scores are calibrated (of the log odds for classifiers);
    a slope below 1 means that scores are too extreme. `of` says what the score is held against.
    """

    of: str
    bins: tuple[CalibrationBin, ...]
    ece: float
    ece_by_chance: float
    slope: Figure
    intercept: Figure


class SliceEvaluation(Value, frozen=True):
    """The rows with one value (or range) of a column. `difference` is the ranked metric's, slice minus all rows.

    `p_value` is the chance of such a difference if there were none, corrected for the number of slices; `worse` says
    that it is below what the confidence allows, in the bad direction.
    """

    column: str
    value: str
    rows: int
    labelled: int
    mean_score: float | None
    mean_label: float | None
    figures: dict[str, Figure]
    difference: Figure
    p_value: float | None
    worse: bool


class RunEvaluation(Value, frozen=True):
    """One run against its labels, or all runs together (as the last of them, but for the figures).

    `rows_without_score` have one that is NaN or infinite, and are not judged. `mean_score` is over the rows with a
    label, `mean_score_unlabelled` over those without: far apart, the labels are not of rows like the rest. `confusion`
    counts, by true class and predicted class, in the order of `classes`.
    """

    run_id: str
    path: str
    started_at: str
    model: str
    model_digest: str
    rows_quarantined: int
    rows_without_score: int
    join: JoinAccount
    labelled: int
    mean_score: float | None
    mean_score_unlabelled: float | None
    mean_label: float | None
    figures: dict[str, Figure]
    classes: tuple[str, ...] = ()
    confusion: tuple[tuple[int, ...], ...] = ()
    calibration: Calibration | None = None
    slices: tuple[SliceEvaluation, ...] = ()


class Limit(Value, frozen=True):
    """What `--fail-under` or `--fail-over` asked for, what was found, and whether it holds."""

    metric: str
    bound: Literal["at least", "at most"]
    limit: float
    found: Figure
    passed: bool


class Evaluation(Sealed, frozen=True):
    """Runs held against labels that came in later.

    `overall` is over all runs together; None for one run, and where a label would count in two of them. `judged` says
    what the limits were held against, and the gate: `verdict` is what that said, `recorded` the version in whose
    history it stands. `passed` where every limit holds and the gate says yes. `ranked_by` is the metric that slices and
    runs are compared by, `steady_p_value` the chance that it differs so much from run to run where nothing changed
    (Cochran's Q).
    """

    known_format = EVALUATION_FORMAT
    passed: bool
    kind: Kind
    label: str
    positive: str
    on: dict[str, str]
    labels: dict[str, str]
    as_of: str
    confidence: float
    ranked_by: str
    runs: tuple[RunEvaluation, ...]
    overall: RunEvaluation | None
    without_labels: tuple[str, ...]
    steady_p_value: float | None
    judged: str
    limits: tuple[Limit, ...]
    verdict: Verdict | None = None
    recorded: str = ""
    digest: str = ""


def json_schema() -> dict[str, Any]:
    """The JSON Schema of an evaluation's file (draft 2020-12), as shipped with mlserve and published in the docs."""
    return schema_of(Evaluation, title="mlserve evaluation")
