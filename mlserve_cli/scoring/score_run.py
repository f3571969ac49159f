"""Score every shard that a request names and commit them as one run, or leave nothing."""

from __future__ import annotations

from pathlib import Path

import msgspec

from mlserve_cli.manifest import Manifest
from mlserve_cli.planning import Estimate, Plan
from mlserve_cli.registry import Use, login_name, note_use
from mlserve_cli.scoring.drift_check import drift_check
from mlserve_cli.scoring.estimate import expected_seconds
from mlserve_cli.scoring.layout import Layout, lay_out
from mlserve_cli.scoring.plan import make_plan
from mlserve_cli.scoring.request import SILENT, Observer, ScoreRequest
from mlserve_cli.scoring.resolve import ResolvedModel
from mlserve_cli.scoring.rivals import resolve_all, with_rivals
from mlserve_cli.scoring.rows import output_schema
from mlserve_cli.scoring.run import hold_output, open_run, run_tasks
from mlserve_cli.scoring.spool import standard_input
from mlserve_cli.tables import text_of


class RunResult(msgspec.Struct, frozen=True):
    """A finished run: its manifest, and where it stands. `already` where it stood before this call."""

    manifest: Manifest
    output: Path
    manifest_path: Path
    already: bool

    @property
    def exit_code(self) -> int:
        """0; 3 where rows are in quarantine and no `--max-errors` allowed them; 4 where they drifted and may not."""
        return self.manifest.run.exit_code


class Preview(msgspec.Struct, frozen=True):
    """What a run would do: the plan, how this machine would carry it out, and what that is expected to take."""

    plan: Plan
    model: ResolvedModel
    layout: Layout
    estimate: Estimate
    expected_seconds: float

    @property
    def output_columns(self) -> tuple[str, ...]:
        """What each written row would consist of."""
        return tuple(output_schema(self.plan).names)


def score(request: ScoreRequest, *, observer: Observer = SILENT) -> RunResult:
    """Score, prove, commit.

    Raises the classes of `mlserve_cli.errors`; whatever happens, what stood at the output still stands, or the whole
    new run does.
    """
    return score_as(request, observer=observer)


def score_as(request: ScoreRequest, *, observer: Observer, told: str = "") -> RunResult:
    """The same; `told` is what people call the output, where it only stands for a moment at a place of its own."""
    observer.stage("planning")
    model, others = resolve_all(request, observer=observer)
    with hold_output(request) as place, standard_input(request.inputs) as inputs:
        plan, predictor = make_plan(request, model, inputs=inputs, observer=observer)
        plan, rivals = with_rivals(plan, request, model, others, observer=observer)
        check = drift_check(request, plan, model)
        with open_run(
            plan, request, model=model, place=place, observer=observer, rivals=rivals, drift_check=check
        ) as run:
            if run.standing is not None:
                return RunResult(run.standing, place.out, place.manifest, already=True)
            run_tasks(run, predictor=predictor, observer=observer)
            observer.stage("committing")
            result = RunResult(run.commit(), place.out, place.manifest, already=False)
            for used in (model, *rivals.models.values()):
                _note_use(used, result, told or str(result.output))
            return result


def _note_use(model: ResolvedModel, result: RunResult, output: str) -> None:
    """For `mlserve model remove` and `show`; the run stands already, whatever comes of it."""
    found, run = model.found, result.manifest.run
    if found.registry:
        use = Use(run.id, run.finished_at, login_name(), found.alias, text_of(output))
        note_use(Path(found.registry) / found.name, found.version, use)


def preview(request: ScoreRequest, *, observer: Observer = SILENT) -> Preview:
    """The plan and an estimate of time and memory, measured on the first rows; nothing is written."""
    model, others = resolve_all(request, observer=observer)
    with standard_input(request.inputs) as inputs:
        plan, predictor = make_plan(request, model, inputs=inputs, observer=observer)
        plan, rivals = with_rivals(plan, request, model, others, observer=observer)
        drift_check(request, plan, model)  # what the run would refuse
        layout = lay_out(plan, request, model_bytes=model.facts.size_bytes, rival_bytes=rivals.size_bytes)
        expected = expected_seconds(plan, layout, predictor=predictor, rivals=rivals.predictors)
        return Preview(plan, model, layout, layout.estimate, expected)
