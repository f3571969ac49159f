"""What `evaluate` wrote, read for a page: which of the files says what became of which run."""

from __future__ import annotations

import glob
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlserve_cli import storage
from mlserve_cli.contract import decode_sealed
from mlserve_cli.errors import InputMissing, UsageError, shown
from mlserve_cli.manifest import Manifest
from mlserve_cli.monitoring.evaluation import Evaluation, RunEvaluation


@dataclass(frozen=True, slots=True)
class Judged:
    """A run in an evaluation, of itself or of many."""

    evaluation: Evaluation
    run: RunEvaluation


def judged_runs(names: Sequence[str], manifests: Sequence[Manifest]) -> Mapping[str, Judged]:
    """By the run's id what the files `names` (or globs) say of it; nothing where none is named.

    Of a run that several of them judge the evaluation with the most labels counts: labels come in one by one. Raises
    InputMissing (66) where a file is not there, UsageError (2) where not one of the runs is in any.
    """
    wanted = {manifest.run.id for manifest in manifests}
    found: dict[str, Judged] = {}
    for path in (path for name in names for path in _files(name)):
        evaluation = _read(path)
        for run in evaluation.runs:
            before = found.get(run.run_id)
            if run.run_id in wanted and (before is None or run.labelled >= before.run.labelled):
                found[run.run_id] = Judged(evaluation, run)
    if names and not found:
        raise UsageError(
            "the evaluation is of other runs", "--evaluation", "mlserve evaluate RUN --labels F --output FILE"
        )
    return found


def _files(name: str) -> Sequence[Path]:
    is_pattern = any(character in name for character in "*?[") and not Path(name).exists()
    return [Path(one) for one in sorted(glob.glob(name))] or [Path(name)] if is_pattern else [Path(name)]


def _read(path: Path) -> Evaluation:
    with storage.translated(path, "read"):
        if not path.is_file():
            raise InputMissing(
                "there is no evaluation", shown(str(path), limit=400), "mlserve evaluate --output writes one"
            )
        data = path.read_bytes()
    return decode_sealed(data, Evaluation, where=shown(str(path), limit=400))
