"""A champion and its challenger, which scored the same rows beside it, over one run or many."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mlserve_cli.errors import InputMissing, UsageError, shown
from mlserve_cli.manifest import ChallengerAccount, FoundRun
from mlserve_cli.monitoring.gate import evidence_of, spelled
from mlserve_cli.planning import PlannedRival
from mlserve_cli.rollout.paired import compare_pairs, ids_for, labels_for
from mlserve_cli.rollout.pairs import written
from mlserve_cli.rollout.request import CompareRequest
from mlserve_cli.rollout.sides import is_called, side_of, subject_of
from mlserve_cli.rollout.values import Comparison

Beside = tuple[FoundRun, PlannedRival, ChallengerAccount]


def compare_challenger(request: CompareRequest, runs: Sequence[FoundRun]) -> Comparison:
    """The champion's rows beside those of its challenger, over all runs with the two models of the last one.

    Raises InputMissing (66) where no run has rows of such a challenger, UsageError (2) where it is not clear which.
    """
    every = [found for run in runs for found in _challengers(run, request.challenger)]
    if not every:
        known = sorted({spelled(one.model) for run in runs for one in run.manifest.challengers})
        raise InputMissing(
            f"no run has rows of a challenger {shown(request.challenger)}".rstrip(" '"),
            "",
            f"there are {', '.join(map(shown, known)) or 'none'}",
        )
    last = every[-1]
    if sum(run is last[0] for run, _, _ in every) > 1:
        known = sorted({spelled(account.model) for run, _, account in every if run is last[0]})
        raise UsageError("the run has several challengers", "", f"--challenger names one of {', '.join(known)}")
    chosen = [one for one in every if _models(one) == _models(last)]
    labels = labels_for(request, last[0])
    sides = [(side_of(run, others=ids_for(labels)), side_of(run, rival=rival)) for run, rival, _ in chosen]
    ratios = [account.cost_ratio for _, _, account in chosen if account.cost_ratio is not None]
    return compare_pairs(
        request,
        "challenger",
        (subject_of(last[0].manifest.model), subject_of(last[2].model)),
        sides,
        labels=labels,
        ratio=float(np.median(ratios)) if ratios else None,
        evidence=evidence_of([run for run, _, _ in chosen], labels),
        notes=_notes(chosen, left_out=len(every) - len(chosen)),
    )


def _challengers(run: FoundRun, wanted: str) -> list[Beside]:
    """Those of a run that are meant, as far as they scored a row."""
    pairs = zip(run.manifest.plan.challengers, run.manifest.challengers, strict=True)
    return [(run, rival, account) for rival, account in pairs if is_called(account.model, wanted) and account.rows]


def _models(one: Beside) -> tuple[object, ...]:
    """What must be the same in all runs of a comparison: both models, and what they write."""
    run, rival, account = one
    contracts = run.manifest.plan.contract, rival.contract
    ours = (run.manifest.model.digest, account.model.digest)
    return (*ours, *((written(contract), contract.threshold) for contract in contracts))


def _notes(chosen: Sequence[Beside], *, left_out: int) -> tuple[str, ...]:
    others = (f"{left_out:,} runs are of other models and left out",) if left_out else ()
    failed = [account for _, _, account in chosen if account.error]
    first = f", first: {shown(failed[0].error, limit=200)}" if failed else ""
    return (*others, *((f"the challenger failed in {len(failed):,} runs{first}",) if failed else ()))
