"""A gate without limits of its own says of an evaluation what that says of itself, by the figures and by intervals."""

from __future__ import annotations

from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from mlserve_cli.monitoring.evaluation import EVALUATION_FORMAT, Evaluation, Figure, JoinAccount, RunEvaluation
from mlserve_cli.monitoring.evaluation_gate import gate_figures, limited_by
from mlserve_cli.monitoring.limits import Judge, check_limits
from mlserve_cli.registry import Gate

FIGURES = st.builds(
    lambda value, width: Figure(value, value - width, value + width) if value is not None and width else Figure(value),
    st.sampled_from([None, 0.0, 0.5, 1.0]),
    st.sampled_from([0.0, 0.25]),
)
LIMITS = st.dictionaries(st.sampled_from(["auc", "log_loss", "coverage"]), st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]))


def of_run(auc: Figure, log_loss: Figure) -> RunEvaluation:
    join = JoinAccount(10, 8, 2, 0, 8, 0, 0, 0, 0, 0)
    figures = {"auc": auc, "log_loss": log_loss}
    return RunEvaluation("1", "run", "", "churn 2", "", 0, 0, join, 8, 0.5, None, 0.5, figures)


@given(FIGURES, FIGURES, LIMITS, LIMITS, st.sampled_from(get_args(Judge)))
def test_the_verdict_is_that_of_the_limits(
    auc: Figure, log_loss: Figure, under: dict[str, float], over: dict[str, float], judge: Judge
) -> None:
    one = of_run(auc, log_loss)
    limits = check_limits(one, fail_under=under, fail_over=over, judge=judge)
    passed = all(limit.passed for limit in limits)
    found = Evaluation(
        *(EVALUATION_FORMAT, passed, "binary", "late", "1", {"id": "id"}, {}, "", 0.95, "auc", (one,), None),
        *((), None, "run", limits),
    )
    gate = limited_by(Gate("quality", {}, {}), limits, judge=judge)
    assert gate.judge(gate_figures(found, one), by="evaluate", rows=8).passed == passed
