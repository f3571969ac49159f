"""The run as a Prometheus textfile, for the textfile collector of node_exporter: the last run, and counters over all.

No sample carries a time (the collector refuses a file that has one), the file is replaced in one step, and every series
has the label `name`, the file's own name: two files with one series in common would be an error of the whole scrape.
Labels take few values: nothing is labelled with a run's id, an input or a time.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from mlserve_cli.storage import replace, wait_to_hold
from mlserve_cli.tables import text_of
from mlserve_cli.telling.account import Ending, Status

if TYPE_CHECKING:
    from prometheus_client import Metric

    from mlserve_cli.manifest import Manifest

LOCK_TIMEOUT_S = 3.0
MOST_VALUES = 20  # of a label that follows the data: reasons, drifted columns
Samples = dict[tuple[str, ...], float]

SUCCEEDED = "mlserve_last_success_timestamp_seconds"
COUNTED = "mlserve_runs_total"
ROWS = "mlserve_rows_total"
RESULTS: dict[Status, str] = {
    "complete": "complete",
    "complete with rows in quarantine": "quarantine",
    "gate failed": "gate",
    "failed": "failed",
    "interrupted": "interrupted",
}
HELP = {  # one text for ever: the collector complains of a metric whose files give it two
    SUCCEEDED: "When the last run with exit code 0 ended, in seconds since 1970.",
    COUNTED: "Runs that ended, by how: complete, quarantine, gate, failed, interrupted.",
    ROWS: "Rows of committed runs: read, scored, quarantined.",
    "mlserve_last_run_timestamp_seconds": "When the last run ended, in seconds since 1970.",
    "mlserve_last_run_exit_code": "Exit code of the last run.",
    "mlserve_last_run_success": "1 if the last run ended with exit code 0, else 0.",
    "mlserve_last_run_duration_seconds": "How long the last run took.",
    "mlserve_last_run_info": "1; the labels say which model the last run asked for and got, and how it ended.",
    "mlserve_last_run_rows": "Rows of the last run: read, scored, quarantined.",
    "mlserve_last_run_rows_per_second": "Speed of the last run.",
    "mlserve_last_run_quarantined_rows": "Rows that the last run set aside, by reason.",
    "mlserve_last_run_stage_seconds": "Seconds of all threads in each stage of the last run.",
    "mlserve_last_run_batch_seconds": "Latency of a batch in the last run.",
    "mlserve_last_run_peak_memory_bytes": "Most memory of all processes of the last run together.",
    "mlserve_last_run_lost_workers": "Workers that died in the last run and were replaced.",
    "mlserve_last_run_output_bytes": "Bytes of the data files of the last run.",
    "mlserve_last_run_drifted_columns": "Columns that drifted from the baseline in the last run.",
    "mlserve_last_run_drift_psi": "Population stability index of the columns that drifted, the largest first.",
    "mlserve_last_run_challenger_agreement": "Share of the rows on which the challenger predicts as the champion does.",
    "mlserve_last_run_challenger_success": "1 if the challenger scored to the end, else 0.",
}
LABELS = {
    COUNTED: ("result",),
    ROWS: ("kind",),
    "mlserve_last_run_info": ("model", "version", "alias", "status", "error"),
    "mlserve_last_run_rows": ("kind",),
    "mlserve_last_run_quarantined_rows": ("reason",),
    "mlserve_last_run_stage_seconds": ("stage",),
    "mlserve_last_run_batch_seconds": ("quantile",),
    "mlserve_last_run_drift_psi": ("column",),
    "mlserve_last_run_challenger_agreement": ("challenger",),
    "mlserve_last_run_challenger_success": ("challenger",),
}


def write_metrics(path: str, ending: Ending) -> None:
    """Replace the textfile with one that tells of this run, and carries on what the one before had counted.

    Raises what storage.replace does, and TryLater (75) where another run has been writing it for long.
    """
    from prometheus_client import generate_latest

    target = Path(os.path.realpath(path))  # a link stays one
    with wait_to_hold(target.with_name(f".{target.name}.lock"), timeout_s=LOCK_TIMEOUT_S):
        samples = {**_carried(target, ending), **dict(_of_run(ending))}
        replace(target, generate_latest(_Families(_name_of(target), samples)))


class _Families:
    """What generate_latest takes: something that lists metrics."""

    def __init__(self, name: str, samples: dict[str, Samples]) -> None:
        self.name, self.samples = name, samples

    def collect(self) -> Iterable[Metric]:
        """Each metric once, in the order of HELP; those that have no sample are left out."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        for metric, text in HELP.items():
            kind = CounterMetricFamily if metric.endswith("_total") else GaugeMetricFamily
            family = kind(metric, text, labels=("name", *LABELS.get(metric, ())))
            for labels, value in self.samples.get(metric, {}).items():
                family.add_metric((self.name, *labels), value)
            if family.samples:
                yield family


def _carried(path: Path, ending: Ending) -> dict[str, Samples]:
    """Counters with this run added, and when a run last went well."""
    before = _standing(path)
    counted = before.get(COUNTED, {})
    runs: Samples = {(result,): counted.get((result,), 0.0) for result in RESULTS.values()}  # from 0, or rates miss it
    runs[RESULTS[ending.status],] += 1
    rows = {**before.get(ROWS, {})}
    for kind, count in _rows(ending.manifest if not _is_old(ending) else None).items():
        rows[kind] = rows.get(kind, 0.0) + count
    good: Samples = {(): ending.when_s} if ending.exit_code == 0 else before.get(SUCCEEDED, {})
    return {COUNTED: runs, ROWS: rows, SUCCEEDED: good}


def _is_old(ending: Ending) -> bool:
    """Whether the run stood there already: its rows were counted when it was made."""
    return ending.result is not None and ending.result.already


def _standing(path: Path) -> dict[str, Samples]:
    """What the file says now; nothing where it cannot be read as ours: counters may begin anew."""
    from prometheus_client.parser import text_string_to_metric_families

    try:
        text = path.read_text("utf-8")
        families = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    except (OSError, ValueError, KeyError, IndexError):  # what the parser raises for a text that is none
        return {}
    found: dict[str, Samples] = {}
    for sample in families:
        labels = tuple(sample.labels.get(label, "") for label in LABELS.get(sample.name, ()))
        found.setdefault(sample.name, {})[labels] = sample.value
    return found


def _of_run(ending: Ending) -> Iterator[tuple[str, Samples]]:
    """The metrics of this run alone."""
    manifest = ending.manifest
    model = ending.plan.model if ending.plan is not None else None
    alias = manifest.model.alias if manifest is not None else ""
    error = ending.failure.type if ending.failure is not None else ""
    named = (model.name, model.version) if model is not None else (ending.beginning.job, "")
    yield "mlserve_last_run_timestamp_seconds", {(): ending.when_s}
    yield "mlserve_last_run_exit_code", {(): ending.exit_code}
    yield "mlserve_last_run_success", {(): float(ending.exit_code == 0)}
    yield "mlserve_last_run_duration_seconds", {(): round(ending.seconds, 3)}
    yield "mlserve_last_run_info", {(*named, alias, ending.status, error): 1}
    if manifest is not None:
        yield from _of_manifest(manifest)


def _of_manifest(manifest: Manifest) -> Iterator[tuple[str, Samples]]:
    speed = manifest.throughput
    stages = {stage.removesuffix("_s"): getattr(speed.stages, stage) for stage in speed.stages.__struct_fields__}
    batches = {"0.5": speed.batch_p50_s, "0.95": speed.batch_p95_s, "0.99": speed.batch_p99_s}
    reasons = sorted(manifest.rows.reasons.items(), key=lambda one: -one[1])[:MOST_VALUES]
    yield "mlserve_last_run_rows", _rows(manifest)
    yield "mlserve_last_run_rows_per_second", {(): speed.rows_per_s}
    yield "mlserve_last_run_quarantined_rows", {(reason,): count for reason, count in reasons}
    yield "mlserve_last_run_stage_seconds", {(stage,): seconds for stage, seconds in stages.items()}
    yield "mlserve_last_run_batch_seconds", {(share,): seconds for share, seconds in batches.items()}
    yield "mlserve_last_run_peak_memory_bytes", {(): speed.peak_memory_bytes}
    yield "mlserve_last_run_lost_workers", {(): manifest.run.lost_workers}
    data = [file.size_bytes for file in manifest.outputs if file.kind == "data"]
    yield "mlserve_last_run_output_bytes", {(): sum(data)}
    yield from _of_verdicts(manifest)


def _of_verdicts(manifest: Manifest) -> Iterator[tuple[str, Samples]]:
    """Drift and challengers, where the run had them."""
    if manifest.drift is not None:
        drifted = sorted((one for one in manifest.drift.columns if one.reasons), key=lambda one: -one.psi)
        yield "mlserve_last_run_drifted_columns", {(): len(drifted)}
        yield "mlserve_last_run_drift_psi", {(one.name,): one.psi for one in drifted[:MOST_VALUES]}
    rivals = {f"{one.model.name}:{one.model.version}".rstrip(":"): one for one in manifest.challengers}
    agreed: Samples = {(name,): one.agreement for name, one in rivals.items() if one.agreement is not None}
    yield "mlserve_last_run_challenger_agreement", agreed
    done: Samples = {(name,): float(one.status == "complete") for name, one in rivals.items()}
    yield "mlserve_last_run_challenger_success", done


def _rows(manifest: Manifest | None) -> Samples:
    if manifest is None:
        return {}
    rows = manifest.rows
    return {("read",): rows.rows_in, ("scored",): rows.rows_out, ("quarantined",): rows.rows_quarantined}


def _name_of(path: Path) -> str:
    return text_of(path.name.removesuffix(".prom"))
