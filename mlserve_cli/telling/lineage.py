"""The run as OpenLineage events (spec 2-0-2): START, then COMPLETE, FAIL or ABORT, each a line of JSON.

The inputs as they were named are the input data sets, not each shard: a lineage graph with a node for every file of
every night is of no use to anyone. The model is an input too, with its digest as its version.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from mlserve_cli._version import __version__
from mlserve_cli.contract import encode_canonical
from mlserve_cli.storage import held_log, translated
from mlserve_cli.tables import text_of
from mlserve_cli.telling.account import Beginning, Ending, iso
from mlserve_cli.telling.datasets import inputs_at, inputs_of, output_at, outputs_of
from mlserve_cli.telling.facets import EVENT_SCHEMA, PRODUCER, facet

Json = dict[str, Any]
LOCK_TIMEOUT_S = 3.0
DEFAULT_NAMESPACE = "default"  # what OpenLineage's own clients fall back on
ENDS: dict[str, Literal["COMPLETE", "FAIL", "ABORT"]] = {"failed": "FAIL", "interrupted": "ABORT"}


def append_start(path: str, beginning: Beginning) -> None:
    """Append the event of a run that is about to begin. Raises what held_log does."""
    _append(path, start_event(beginning))


def append_end(path: str, ending: Ending) -> None:
    """Append the event of a run that has ended. Raises what held_log does."""
    _append(path, end_event(ending))


def start_event(beginning: Beginning) -> Json:
    """A START event: of the data sets no more is known than their names."""
    inputs, outputs = inputs_at(beginning), output_at(beginning)
    return _event("START", beginning, beginning.when_s, facets={}, inputs=inputs, outputs=outputs)


def end_event(ending: Ending) -> Json:
    """A COMPLETE event where a run was committed, whatever a gate or the quarantine made of its exit code."""
    facets = {"mlserve_run": _run_facet(ending)}
    if ending.failure is not None:
        parts = (ending.failure.what, ending.failure.where, ending.failure.hint)
        message = "; ".join(part for part in parts if part)
        facets["errorMessage"] = facet("ErrorMessageRunFacet", message=message, programmingLanguage="Python")
    event_type = "COMPLETE" if ending.result is not None else ENDS.get(ending.status, "FAIL")
    return _event(
        event_type, ending.beginning, ending.when_s, facets=facets, inputs=inputs_of(ending), outputs=outputs_of(ending)
    )


def _event(
    event_type: str, beginning: Beginning, when_s: float, *, facets: Json, inputs: list[Json], outputs: list[Json]
) -> Json:
    engine = facet("ProcessingEngineRunFacet", name="mlserve", version=__version__)
    return {
        "eventType": event_type,
        "eventTime": iso(when_s),
        "producer": PRODUCER,
        "schemaURL": EVENT_SCHEMA,
        "run": {"runId": beginning.run, "facets": {"processing_engine": engine, **_parent(), **facets}},
        "job": {
            "namespace": os.environ.get("OPENLINEAGE_NAMESPACE") or DEFAULT_NAMESPACE,
            "name": f"mlserve.score.{beginning.job}",
            "facets": {
                "jobType": facet("JobTypeJobFacet", processingType="BATCH", integration="MLSERVE", jobType="COMMAND")
            },
        },
        "inputs": inputs,
        "outputs": outputs,
    }


def _run_facet(ending: Ending) -> Json:
    """What no facet of the standard has room for."""
    plan, manifest = ending.plan, ending.manifest
    found: Json = {
        "status": ending.status,
        "exitCode": ending.exit_code,
        "seconds": round(ending.seconds, 3),
        "planId": plan.id if plan is not None else None,
        "model": {
            "name": plan.model.name if plan is not None else text_of(ending.beginning.request.champion),
            "version": plan.model.version if plan is not None else "",
            "digest": plan.model.digest if plan is not None else "",
            "alias": manifest.model.alias if manifest is not None else "",
        },
        "user": ending.beginning.user,
        "host": ending.beginning.host,
        "tasksDone": ending.done_tasks,
    }
    if manifest is not None:
        rows = manifest.rows
        found["rows"] = {"in": rows.rows_in, "out": rows.rows_out, "quarantined": rows.rows_quarantined}
        found["manifest"] = {
            "path": text_of(str(ending.result.manifest_path)) if ending.result else "",
            "digest": manifest.digest,
        }
    return facet("RunFacet", **found)


def _parent() -> Json:
    """The orchestrator's own run, and the run that it is part of, where it says so as it does for dbt."""
    parent, root = _run_named("OPENLINEAGE_PARENT_ID"), _run_named("OPENLINEAGE_ROOT_PARENT_ID")
    if not parent:
        return {}
    return {"parent": facet("ParentRunFacet", **parent, **({"root": root} if root else {}))}


def _run_named(variable: str) -> Json:
    """A run and its job from NAMESPACE/JOB/RUN-ID in the environment; nothing where it is not of that form."""
    before, _, run = os.environ.get(variable, "").rpartition("/")
    namespace, _, job = before.partition("/")
    if not (namespace and job and _is_uuid(run)):
        return {}
    return {"run": {"runId": run}, "job": {"namespace": namespace, "name": job}}


def _is_uuid(text: str) -> bool:
    import uuid

    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False


def _append(path: str, event: Json) -> None:
    with held_log(Path(path), timeout_s=LOCK_TIMEOUT_S) as log, translated(path, "append to the file"):
        log.append(encode_canonical(event))
