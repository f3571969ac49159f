"""The verdict on a profile beside its baseline: which columns moved, how far, and whether more than chance does."""

from __future__ import annotations

from typing import Literal

from mlserve_cli.contract import Value


class ColumnDrift(Value, frozen=True):
    """One feature or score, now beside the baseline. `reasons` name what is over its threshold; none: no drift.

    `psi` is the population stability index, `js` the Jensen-Shannon distance (base 2, 0 to 1), `ks` the
    Kolmogorov-Smirnov statistic (None for a category); `noise` is the `psi` that two draws of these sizes from one
    distribution exceed as seldom as the stated rate allows (0 where nothing could be told apart), and `p_value` the
    chance of what was seen if nothing changed, already corrected for the number of tests. `out_of_range` and `unseen`
    are shares of the rows; `unseen_values` are the most frequent of those categories. `limits` are those that the
    figures were held against, by the names that `reasons` have; a column that is a number on one side and a category
    on the other has the reason "kind".
    """

    name: str
    role: Literal["feature", "score"]
    kind: Literal["number", "category"]
    psi: float
    js: float
    ks: float | None
    noise: float
    p_value: float
    base_mean: float | None
    now_mean: float | None
    base_null_share: float
    now_null_share: float
    out_of_range: float
    unseen: float
    unseen_values: tuple[str, ...]
    reasons: tuple[str, ...]
    limits: dict[str, float] = {}


class Drift(Value, frozen=True):
    """Every column of two profiles, what moved most first. `passed` where no column has a reason.

    `base` and `base_digest` say what it was compared with; `false_alarm_rate` is the chance that any column at all is
    reported where nothing changed.
    """

    passed: bool
    base: str
    base_digest: str
    base_rows: int
    now_rows: int
    false_alarm_rate: float
    columns: tuple[ColumnDrift, ...]
    missing: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
