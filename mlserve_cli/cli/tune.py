"""`mlserve tune`: trials on the real input, a table of them, and the choice in a file that `score --config` reads."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING, Annotated

from mlserve_cli.cli import options, parse
from mlserve_cli.cli.command import option
from mlserve_cli.cli.terminal import TERMINAL, is_interactive
from mlserve_cli.errors import shown

if TYPE_CHECKING:
    from mlserve_cli.cli.terminal import Facts
    from mlserve_cli.scoring.tuning import Measured, Tuned

TUNING = "Tuning"

Budget = Annotated[
    float,
    option(
        "--budget",
        panel=TUNING,
        help="Time for all trials together, as in 30s or 5m.",
        converter=parse.duration,
        metavar="TIME",
    ),
]
TryBatchRows = Annotated[
    list[str] | None,
    option(
        "--try-batch-rows",
        panel=TUNING,
        help="Batches to try, also where scores move with the batch. Default: a quarter to four times what auto takes.",
        metavar="N,N,…",
    ),
]
Write = Annotated[
    str | None,
    option(
        "--write",
        panel=TUNING,
        help="Put what won into this file, for score --config; other keys and comments in it stay.",
        metavar="F.toml",
    ),
]


def tune(
    model: options.Model,
    inputs: options.Inputs,
    budget: Budget = "30s",  # type: ignore[assignment]  # the default is converted too
    try_batch_rows: TryBatchRows = None,
    write: Write = None,
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
    output_format: options.OutputFormat = None,
    compression: options.Compression = None,
    on_error: options.OnError = "fail",
    memory_limit: options.MemoryLimit = None,
    deduplicate: options.Deduplicate = "auto",
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    progress: options.Progress = True,
) -> int:
    """Find the predictor, batch rows, workers and threads with which this model scores this input fastest here.

    Where rows repeat, whether they are scored once is tried too, unless --deduplicate says it.

    \b
        mlserve tune -m champion.onnx -i day=2026-11-23/ --write mlserve.toml
        mlserve score -m champion.onnx -i today/ -o scores --config mlserve.toml

    Each trial reads, scores and writes rows of the input as a run does, into a folder that is removed. Where nothing is
    faster than auto by more than trials of the same settings differ, it says so and writes nothing.
    """
    TERMINAL.configure(json=json, quiet=quiet, verbose=verbose, progress=progress)
    from mlserve_cli.cli.progress import watching
    from mlserve_cli.scoring import ScoreRequest
    from mlserve_cli.scoring.tuning import tune as find_settings

    request = ScoreRequest(
        model=model,
        inputs=tuple(inputs),
        output="",
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
        output_format=output_format,
        compression=compression,
        on_error=on_error,
        memory_limit=memory_limit,
        deduplicate=deduplicate,
    )
    silent = quiet or not progress
    with watching() as observer:
        found = find_settings(
            request,
            budget_s=budget,
            try_batch_rows=parse.counts(try_batch_rows or (), "--try-batch-rows"),
            write=write,
            observer=observer,
            tell=_unheard if silent or not is_interactive() else TERMINAL.note,
        )
    TERMINAL.show_result(tuned_lines(found, model=model), tuned_facts(found))
    return 0


def _unheard(text: str) -> None:
    """Nobody waits at a terminal: the table at the end says it all."""


def tuned_lines(found: Tuned, *, model: str) -> list[str]:
    """The table, what won and by how much, and how to use it."""
    auto = ", ".join(f"{name} {value}" for name, value in found.auto.items())
    return [
        f"tuned on {found.rows:,} rows of input in {found.seconds:.0f} s; auto is {auto}",
        f"  {'tried':<52} {'rows/s':>12} {'all rows':>9} {'speed':>7} {'noise':>6}",
        *(_row(one) for one in found.measured),
        *([_row(found.final)] if found.final is not None else []),
        *(f"  note      {shown(note, limit=400)}" for note in found.notes),
        *_verdict(found, model=model),
    ]


def _row(one: Measured) -> str:
    mark = "  faster" if one.wins else ""
    name = str(one.candidate)
    return f"  {name:<52} {one.rows_per_s:>12,.0f} {one.expected_s:>7.2f} s {one.ratio:>6.2f}x {one.noise:>6.2f}{mark}"


def _verdict(found: Tuned, *, model: str) -> list[str]:
    if found.chosen is None or found.final is None:
        return ["  chosen    auto: nothing that was tried is faster by more than the noise; nothing was written"]
    gain, noise = found.final.ratio, found.final.noise
    chosen = [f"  chosen    {found.chosen}: {gain:.2f} times as fast as auto, give or take {noise:.2f}"]
    if found.written is None:
        flags = " ".join(f"--{name} {value}" for name, value in found.chosen.settings.items())
        return [*chosen, f"  use it    mlserve score -m {shlex.quote(shown(model, limit=400))} {flags} …"]
    path = shlex.quote(os.fspath(found.written))
    return [*chosen, f"  written   {path}: mlserve score --config {path} …"]


def tuned_facts(found: Tuned) -> Facts:
    """All of it for machines."""
    return {
        "status": "tuned",
        "exit_code": 0,
        "rows": found.rows,
        "seconds": round(found.seconds, 3),
        "auto": found.auto,
        "chosen": found.chosen.settings if found.chosen is not None else None,
        "speed_over_auto": round(found.final.ratio, 4) if found.chosen is not None and found.final else 1.0,
        "written": os.fspath(found.written) if found.written is not None else None,
        "measured": [_facts(one) for one in found.measured],
        "final": _facts(found.final) if found.final is not None else None,
        "notes": list(found.notes),
    }


def _facts(one: Measured) -> dict[str, object]:
    return {
        "stage": one.what,
        "settings": one.candidate.settings,
        "rows_per_s": round(one.rows_per_s, 1),
        "expected_seconds": round(one.expected_s, 3),
        "speed": round(one.ratio, 4),
        "noise": round(one.noise, 4),
        "rounds": one.rounds,
        "faster": one.wins,
    }
