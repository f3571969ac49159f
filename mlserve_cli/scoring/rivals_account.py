"""What the manifest says of the other models: what each scored, and how a challenger stands beside the champion."""

from __future__ import annotations

from collections.abc import Sequence

from mlserve_cli.manifest import ArmAccount, ChallengerAccount, ModelAccount, RivalRecord, SplitAccount, TaskRecord
from mlserve_cli.planning import Plan, PlannedRival, PlannedSplit
from mlserve_cli.scoring.agreement import compared
from mlserve_cli.scoring.model_account import model_account
from mlserve_cli.scoring.resolve import ResolvedModel
from mlserve_cli.scoring.rivals import FailedRival, Rivals


def challenger_accounts(plan: Plan, rivals: Rivals, records: Sequence[TaskRecord]) -> tuple[ChallengerAccount, ...]:
    """Those of the plan in their order, then those that could not be planned."""
    planned = tuple(_account(plan, rival, rivals.models[rival.name], records) for rival in plan.challengers)
    return (*planned, *map(_of_failed, rivals.failed))


def split_account(
    plan: Plan, split: PlannedSplit, champion: ResolvedModel, rivals: Rivals, records: Sequence[TaskRecord]
) -> SplitAccount:
    """Each arm with the rows that it scored."""
    models = [
        model_account(champion, plan),
        *(model_account(rivals.models[rival.name], plan.of(rival)) for rival in split.rivals),
    ]
    rows = [sum(record.arm_rows[arm] for record in records if record.arm_rows) for arm in range(len(models))]
    return SplitAccount(
        key=split.key,
        salt=split.salt,
        column=split.column,
        arms=tuple(
            ArmAccount(model, round(percent / 100, 9), count)
            for model, percent, count in zip(models, split.percents, rows, strict=True)
        ),
        rows_without_key=sum(record.rows_without_key for record in records),
    )


def _account(plan: Plan, rival: PlannedRival, model: ResolvedModel, records: Sequence[TaskRecord]) -> ChallengerAccount:
    """Over the tasks that it got through; the first error of the others says how it failed."""
    own = [(record, one) for record in records for one in record.challengers if one.name == rival.name]
    error = next((one.error for _, one in own if one.error), "")
    whole: list[RivalRecord] = [one for _, one in own if not one.error]
    inference_s = float(sum(one.inference_s for one in whole))
    champion_s = sum(record.stages.inference_s for record, one in own if not one.error)
    found = compared(whole)
    return ChallengerAccount(
        model=model_account(model, plan.of(rival)),
        status="failed" if error else "complete",
        error=error,
        rows=sum(one.rows for one in whole),
        rows_failed=sum(one.rows_failed for one in whole),
        agreement=found.agreement,
        flips=found.flips,
        differences=found.differences,
        rank_correlation=found.rank_correlation,
        inference_s=round(inference_s, 6),
        cost_ratio=round(inference_s / champion_s, 4) if champion_s and whole else None,
        name=rival.name,
    )


def _of_failed(failed: FailedRival) -> ChallengerAccount:
    """A challenger that no row was scored with: what is known of it is what it was called."""
    unknown = ModelAccount(
        name=failed.spelled,
        version="",
        digest="",
        sha256="",
        size_bytes=0,
        precision="",
        family="",
        opsets={},
        producer="",
        inputs=(),
        outputs=(),
        golden_rows="none",
        predictor="onnxruntime",
        predictor_reason="",
    )
    return ChallengerAccount(unknown, "failed", failed.error, 0, 0, None, None, {}, {}, 0.0, None)
