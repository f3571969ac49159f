"""`mlserve score`."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import typer

from mlserve_cli.cli import drift_options, options, parse, profile_options, rollout_options, telling_options
from mlserve_cli.cli.command import taking
from mlserve_cli.cli.settings import settings_of
from mlserve_cli.cli.terminal import STREAM, TERMINAL
from mlserve_cli.errors import OutputError, UsageError, shown

if TYPE_CHECKING:
    from mlserve_cli.scoring import ScoreRequest
    from mlserve_cli.telling import Tell

TAKE_UP = "what is finished stands: take it up with --resume"


def request_of(
    context: typer.Context,
    *,
    model: rollout_options.ModelUnlessSplit = None,
    inputs: options.Inputs,
    output: options.Output,
    registry: options.Registry = None,
    trust_policy: options.TrustPolicy = None,
    features: options.Features = None,
    rename: options.Rename = None,
    schema_mode: options.SchemaMode = "strict",
    nulls: options.Nulls = None,
    nan_scores: options.NanScores = "bad",
    id_column: options.IdColumn = None,
    passthrough: options.Passthrough = None,
    threshold: options.Threshold = None,
    labels: options.Labels = True,
    input_format: options.InputFormat = None,
    delimiter: options.Delimiter = "",
    encoding: options.Encoding = "utf-8",
    quote: options.Quote = '"',
    null_value: options.NullValue = None,
    header: options.Header = True,
    max_field_bytes: options.MaxFieldBytes = "16MiB",  # type: ignore[assignment]  # the default is converted too
    output_columns: options.OutputColumns = None,
    output_format: options.OutputFormat = None,
    compression: options.Compression = None,
    on_error: options.OnError = "fail",
    max_errors: options.MaxErrors = None,
    if_exists: options.IfExists = "error",
    resume: options.Resume = False,
    reuse: options.Reuse = None,
    workers: options.Workers = "auto",  # type: ignore[assignment]  # the default is converted too
    threads_per_worker: options.ThreadsPerWorker = "auto",  # type: ignore[assignment]  # the default is converted too
    batch_rows: options.BatchRows = "auto",  # type: ignore[assignment]  # the default is converted too
    memory_limit: options.MemoryLimit = None,
    max_retries: options.MaxRetries = 2,
    task_timeout: options.TaskTimeout = None,
    predictor: options.Predictor = "auto",
    deduplicate: options.Deduplicate = "auto",
    limit: options.Limit = None,
    profile: profile_options.Profile = "auto",
    drift_profile: drift_options.DriftProfile = None,
    drift_thresholds: drift_options.DriftThresholds = None,
    fail_on_drift: drift_options.FailOnDrift = False,
    challenger: rollout_options.Challengers = None,
    canary: rollout_options.Canary = None,
    split: rollout_options.Split = None,
    split_key: rollout_options.SplitKey = None,
    split_salt: rollout_options.SplitSalt = None,
) -> ScoreRequest:
    """What a run is asked to be: every option that decides what is scored, and how; `watch` has them for each shard."""
    from mlserve_cli import scoring
    from mlserve_cli.tables import text_of

    return scoring.ScoreRequest(
        model=model or "",
        inputs=tuple(inputs),
        output=_checked_output(output),
        registry=registry,
        trust_policy=trust_policy,
        features=tuple(features or ()),
        rename=parse.renames(rename),
        schema_mode=schema_mode,
        nulls=nulls,
        nan_scores=nan_scores,
        id_column=id_column,
        passthrough=parse.names(passthrough or ()),
        threshold=threshold,
        labels=labels,
        dialect=parse.dialect(
            delimiter,
            encoding=encoding,
            quote=quote,
            null_value=null_value,
            header=header,
            max_field_bytes=max_field_bytes,
        ),
        input_format=input_format,
        output_columns=parse.pairs(output_columns or (), "--output-columns"),
        output_format=output_format,
        compression=compression,
        on_error=on_error,
        max_errors=max_errors,
        if_exists=_if_exists(if_exists, resume=resume),
        workers=workers or None,
        threads_per_worker=threads_per_worker or None,
        batch_rows=batch_rows or None,
        memory_limit=memory_limit,
        max_retries=max_retries,
        task_timeout=task_timeout,
        predictor=predictor,
        deduplicate=deduplicate,
        profile=profile,
        drift_profile=drift_profile,
        drift_thresholds=drift_thresholds,
        fail_on_drift=fail_on_drift,
        challengers=tuple(challenger or ()),
        canary=canary,
        split=parse.shares(split or (), "--split"),
        split_key=split_key,
        split_salt=split_salt,
        reuse=reuse,
        limit=limit,
        settings=settings_of(context),
        command=tuple(map(text_of, sys.argv)),
    )


@taking(request_of)
def score(
    context: typer.Context,
    dry_run: options.DryRun = False,
    prometheus_file: telling_options.PrometheusFile = None,
    openlineage_file: telling_options.OpenlineageFile = None,
    log_file: telling_options.LogFile = None,
    audit_log: telling_options.AuditLog = None,
    config: options.Config = None,  # noqa: ARG001  its callback has read it
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    progress: options.Progress = True,
    **of_run: Any,
) -> int:
    """Score every row of the inputs and commit the result as one run, or leave what stood there.

    \b
        mlserve score -m champion.onnx -i day=2026-11-23/ -o runs/2026-11-23
        cat rows.csv | mlserve score -m champion.onnx -i - -o - > scored.csv

    Each option may also be given as an environment variable, --batch-rows as MLSERVE_BATCH_ROWS (several values on
    lines of their own), or as a key of the --config file.
    """
    TERMINAL.configure(
        json=json,
        quiet=quiet,
        verbose=verbose,
        progress=progress,
        carries_data=of_run["output"] == STREAM and not dry_run,
    )
    request = request_of(context, **of_run)
    if dry_run:
        return _preview(request)
    from mlserve_cli.telling import Tell

    return _score(request, Tell(prometheus_file, openlineage_file, log_file, audit_log))


def _score(request: ScoreRequest, tell: Tell) -> int:
    from mlserve_cli.cli.progress import watching
    from mlserve_cli.cli.summary import run_facts, run_lines
    from mlserve_cli.telling import told

    stream = _open_output() if request.output == STREAM else None
    with watching() as observer:
        TERMINAL.goes_on = TAKE_UP if stream is None else ""
        result = told(request, tell=tell, observer=observer, stream=stream)
    facts = run_facts(result)
    if request.output == STREAM:  # where it was kept until it was whole does not exist any more
        facts = {**facts, "output": STREAM, "manifest": None}
    TERMINAL.show_result(run_lines(result), facts)
    return result.exit_code


def _open_output() -> BinaryIO:
    if sys.stdout is None:
        raise OutputError("standard output is closed", "--output -", "name a file or a folder instead")
    return sys.stdout.buffer


def _preview(request: ScoreRequest) -> int:
    from mlserve_cli import scoring
    from mlserve_cli.cli.summary import preview_facts, preview_lines

    found = scoring.preview(request)
    TERMINAL.show_result(preview_lines(found), preview_facts(found))
    return 0


def _if_exists(
    if_exists: Literal["error", "overwrite", "resume"], *, resume: bool
) -> Literal["error", "overwrite", "resume"]:
    if resume and if_exists == "overwrite":
        raise UsageError("--resume contradicts --if-exists overwrite", "", "say one of them")
    return "resume" if resume else if_exists


def _checked_output(output: str) -> str:
    """Airflow runs a BashOperator's command in a temporary folder that it deletes: a relative OUT would go with it."""
    if "AIRFLOW_CTX_DAG_ID" in os.environ and output != STREAM and not os.path.isabs(output):
        raise UsageError(
            "the output's path is relative, and Airflow deletes the folder that it would be in",
            f"--output {shown(output, limit=400)}",
            "give an absolute path",
        )
    return output
