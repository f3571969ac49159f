"""`mlserve compare`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlserve_cli.cli import evaluate, gate_options, options, parse
from mlserve_cli.cli.command import option
from mlserve_cli.cli.terminal import TERMINAL

if TYPE_CHECKING:
    from mlserve_cli.scoring import ScoreRequest

SHOWN = "Figures"


def compare(
    a: Annotated[
        str,
        typer.Argument(
            metavar="A", help="A run; with --input a model; alone a run or a folder of runs.", show_default=False
        ),
    ],
    b: Annotated[
        str, typer.Argument(metavar="[B]", help="What A is compared with, of the same kind.", show_default=False)
    ] = "",
    inputs: Annotated[
        list[str] | None,
        option(
            "--input",
            "-i",
            panel=options.DATA,
            help="A file, a folder, a glob, or - for standard input; may be given several times.",
            metavar="PATH",
        ),
    ] = None,
    challenger: Annotated[
        str,
        option(
            "--challenger",
            panel=options.DATA,
            metavar="NAME[:VERSION]",
            help="Which challenger of the run, or which arm of its split, where it has several.",
        ),
    ] = "",
    registry: options.Registry = None,
    trust_policy: options.TrustPolicy = None,
    features: options.Features = None,
    rename: options.Rename = None,
    nulls: options.Nulls = None,
    id_column: options.IdColumn = None,
    threshold: options.Threshold = None,
    limit: options.Limit = None,
    workers: options.Workers = "auto",  # type: ignore[assignment]  # the default is converted too
    label_files: Annotated[
        list[str] | None,
        option(
            "--labels",
            panel=evaluate.LABELS,
            metavar="PATH",
            help="What turned out to be true: a file, a folder or a glob; may be given several times.",
        ),
    ] = None,
    on: evaluate.On = None,
    label: evaluate.Label = None,
    label_time: evaluate.LabelTime = None,
    as_of: evaluate.AsOf = None,
    labels_keep: evaluate.LabelsKeep = "error",
    positive: evaluate.Positive = None,
    task: evaluate.Task = "auto",
    score: evaluate.Score = None,
    at: evaluate.At = None,
    confidence: evaluate.Confidence = 0.95,
    expected_rows: Annotated[
        int,
        option(
            "--expected-rows",
            panel=SHOWN,
            metavar="N",
            help="Rows with labels at which the anytime interval is narrowest; stays as it is from look to look.",
            converter=parse.positive_count,
        ),
    ] = 10_000,
    moved: Annotated[
        int,
        option(
            "--moved",
            panel=SHOWN,
            metavar="N",
            help="Show the N rows whose scores are farthest apart.",
            converter=parse.count,
        ),
    ] = 5,
    gates: gate_options.Gates = None,
    gate: gate_options.Gate = "",
    record: gate_options.Record = False,
    why: gate_options.Why = "",
    by: gate_options.By = None,
    input_format: options.InputFormat = None,
    delimiter: options.Delimiter = "",
    encoding: options.Encoding = "utf-8",
    quote: options.Quote = '"',
    null_value: options.NullValue = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    progress: options.Progress = True,
) -> int:
    """Compare two models: how far apart their scores are, who is right more often, and how sure that is.

    \b
        mlserve compare runs/monday-old runs/monday-new
        mlserve compare churn@champion churn:4 -i data/ --labels came.csv
        mlserve compare runs/ --labels came.csv --gates g.toml --gate promote

    Two runs over the same rows; two models over one input; or one run, or a folder of them, with a challenger or a
    split. B is the one that may follow A: a gain is positive where B is better. The anytime interval may be looked at
    every day.
    """
    TERMINAL.configure(json=json, quiet=quiet, verbose=verbose, progress=progress)
    from mlserve_cli import rollout
    from mlserve_cli.cli.compare_looks import compared_facts, compared_lines
    from mlserve_cli.cli.progress import watching

    dialect: Any = parse.dialect(delimiter, encoding=encoding, quote=quote, null_value=null_value)
    request = rollout.CompareRequest(
        a=a,
        b=b,
        scoring=_scoring(
            inputs,
            registry=registry,
            trust_policy=trust_policy,
            features=tuple(features or ()),
            rename=parse.renames(rename),
            nulls=nulls,
            id_column=id_column,
            threshold=threshold,
            limit=limit,
            workers=workers or None,
            dialect=dialect,
            input_format=input_format,
        ),
        challenger=challenger,
        labels=tuple(label_files or ()),
        on=evaluate.id_pairs(on or ()),
        label=label,
        label_time=label_time,
        asked=rollout.Asked(task=task, positive=positive, score=score, threshold=at, keep=labels_keep, as_of=as_of),
        dialect=dialect,
        confidence=confidence,
        expected_rows=expected_rows,
        moved=moved,
        gate=gate_options.gate_request(gates, gate, record=record, registry=registry, why=why, by=by),
    )
    with watching() as observer:
        found = rollout.compare(request, observer=observer)
    TERMINAL.show_result(compared_lines(found), compared_facts(found))
    return found.exit_code


def _scoring(inputs: list[str] | None, **of_run: Any) -> ScoreRequest | None:
    """How both models score, where models are compared; bad rows are set aside, since they are not the question."""
    if not inputs:
        return None
    from mlserve_cli.scoring import ScoreRequest

    return ScoreRequest(model="", inputs=tuple(inputs), output="", on_error="quarantine", profile="off", **of_run)
