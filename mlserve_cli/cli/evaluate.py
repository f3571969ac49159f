"""`mlserve evaluate`: what runs were worth, once it is known what came."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import typer

from mlserve_cli.cli import gate_options, options, parse
from mlserve_cli.cli.command import option
from mlserve_cli.cli.gate_options import GATE
from mlserve_cli.cli.terminal import TERMINAL
from mlserve_cli.errors import UsageError, shown

LABELS, QUESTION, FIGURES = "Labels", "What is judged", "Figures"
MOST_BINS = 100


def confidence(text: str) -> float:
    """How sure an interval is: more than half, less than all."""
    value = parse.share(text)
    if not 0.5 <= value < 1:
        raise ValueError(f"{text!r} is no confidence; write it as in 0.95 or 95%")
    return value


def bins(text: str) -> int:
    """How many bins a curve has."""
    if not 2 <= parse.count(text) <= MOST_BINS:
        raise ValueError(f"{text} bins: from 2 to {MOST_BINS}")
    return int(text)


Runs = Annotated[
    list[str],
    typer.Argument(
        metavar="RUN",
        help="A run's folder, its output file, its manifest, or a folder with runs below it; several of them.",
        show_default=False,
    ),
]
LabelFiles = Annotated[
    list[str],
    option(
        "--labels",
        panel=LABELS,
        metavar="PATH",
        help="What turned out to be true: a file, a folder or a glob; may be given several times.",
    ),
]
On = Annotated[
    list[str] | None,
    option(
        "--on",
        panel=LABELS,
        metavar="ID",
        help="The id, of one column or several: a,b; RUN_COLUMN=LABEL_COLUMN where they differ. Default: the run's id.",
    ),
]
Label = Annotated[
    str | None,
    option(
        "--label",
        panel=LABELS,
        metavar="COL",
        help="The column of labels. Default: the only one beside the id.",
    ),
]
LabelTime = Annotated[
    str | None, option("--label-time", panel=LABELS, metavar="COL", help="When each label became known.")
]
AsOf = Annotated[
    str | None,
    option("--as-of", panel=LABELS, metavar="TIME", help="Only labels that were known then, by --label-time."),
]
LabelsKeep = Annotated[
    Literal["error", "first", "last"],
    option(
        "--labels-keep",
        panel=LABELS,
        choices=("error", "first", "last"),
        help="Where an id has two labels that differ: refuse them, or take the first or the last.",
    ),
]
Positive = Annotated[
    str | None,
    option(
        "--positive",
        panel=QUESTION,
        metavar="VALUE",
        help="The label that counts as positive, or a comparison: '>15'. Default: the model's second class.",
    ),
]
Task = Annotated[
    Literal["auto", "binary", "multiclass", "regression"],
    option(
        "--task",
        panel=QUESTION,
        choices=("auto", "binary", "multiclass", "regression"),
        help="What the score is. Default: what the model's contract says.",
    ),
]
Score = Annotated[
    str | None, option("--score", panel=QUESTION, metavar="COL", help="The score to judge, where a run has several.")
]
At = Annotated[
    float | None,
    option(
        "--at",
        panel=QUESTION,
        metavar="X",
        converter=parse.number,
        help="A score of at least X predicts the positive class, in place of what the run predicted.",
    ),
]
By = Annotated[
    list[str] | None,
    option(
        "--by",
        panel=FIGURES,
        metavar="COL",
        help="Also by slice: a column of the run, of its input or of the labels; may be given several times.",
    ),
]
RankBy = Annotated[
    str | None,
    option(
        "--rank-by",
        panel=FIGURES,
        metavar="METRIC",
        help="What slices and runs are compared by. Default: auc, accuracy or mae.",
    ),
]
Confidence = Annotated[
    float,
    option(
        "--confidence", panel=FIGURES, metavar="SHARE", converter=confidence, help="How often an interval must hold."
    ),
]
Bins = Annotated[
    int, option("--bins", panel=FIGURES, metavar="N", converter=bins, help="Of the calibration, as many rows in each.")
]
Output = Annotated[
    str | None,
    option("--output", "-o", panel=FIGURES, metavar="F.json", help="Write all figures, sealed with their digest."),
]
FailUnder = Annotated[
    list[str] | None,
    option(
        "--fail-under",
        panel=GATE,
        metavar="METRIC=X",
        help="Exit 4 where the metric is below X: auc=0.7, coverage=0.9; may be given several times.",
    ),
]
FailOver = Annotated[
    list[str] | None,
    option(
        "--fail-over",
        panel=GATE,
        metavar="METRIC=X",
        help="Exit 4 where the metric is above X: log_loss=0.5, rmse=12; may be given several times.",
    ),
]
Judge = Annotated[
    Literal["value", "interval"],
    option(
        "--judge",
        panel=GATE,
        choices=("value", "interval"),
        help="Hold the limits against the figure, or let it pass where its interval reaches them.",
    ),
]
RecordedBy = Annotated[  # --by names slices here
    str | None,
    option("--recorded-by", panel=GATE, metavar="WHO", help="Who has it recorded. Default: the login name."),
]


def evaluate(
    runs: Runs,
    labels: LabelFiles,
    on: On = None,
    label: Label = None,
    label_time: LabelTime = None,
    as_of: AsOf = None,
    labels_keep: LabelsKeep = "error",
    positive: Positive = None,
    task: Task = "auto",
    score: Score = None,
    at: At = None,
    by: By = None,
    rank_by: RankBy = None,
    confidence: Confidence = 0.95,
    bins: Bins = 10,
    output: Output = None,
    fail_under: FailUnder = None,
    fail_over: FailOver = None,
    judge: Judge = "value",
    gates: gate_options.Gates = None,
    gate: gate_options.Gate = "",
    record: gate_options.Record = False,
    registry: options.Registry = None,
    why: gate_options.Why = "",
    recorded_by: RecordedBy = None,
    input_format: options.InputFormat = None,
    delimiter: options.Delimiter = "",
    encoding: options.Encoding = "utf-8",
    quote: options.Quote = '"',
    null_value: options.NullValue = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> int:
    """Hold finished runs against labels that came in later: metrics with intervals, calibration, slices, trends.

    \b
        mlserve evaluate runs/2026-11-23 --labels outcomes.csv --on customer_id
        mlserve evaluate runs/ --labels outcomes/ --by region --fail-under auc=0.7
        mlserve evaluate runs/ --labels new/ --gates g.toml --gate good --record

    Each row gets at most one label and each label belongs to at most one row, which is proved. Labels that are null or
    missing are not known yet: the rows that have one are judged, and counted. --fail-under and --fail-over are limits
    of --gate, too, which needs no file then. Needs scikit-learn and scipy.
    """
    TERMINAL.configure(json=json, quiet=quiet, verbose=verbose)
    import mlserve_cli
    from mlserve_cli import storage
    from mlserve_cli.cli.evaluate_table import evaluated_facts, evaluated_lines
    from mlserve_cli.contract import encode_sealed
    from mlserve_cli.manifest import refuse_inside_run

    if output is not None:
        place = storage.locate(output)
        storage.check_creatable(place, is_file=True)
        refuse_inside_run(place, what="the evaluation")
    found = mlserve_cli.evaluate(
        *runs,
        labels=labels,
        on=id_pairs(on or ()),
        label=label,
        positive=positive,
        task=task,
        score=score,
        threshold=at,
        by=parse.names(by or ()),
        rank_by=rank_by,
        label_time=label_time,
        as_of=as_of,
        labels_keep=labels_keep,
        confidence=confidence,
        bins=bins,
        fail_under=_limits(fail_under or (), "--fail-under"),
        fail_over=_limits(fail_over or (), "--fail-over"),
        judge=judge,
        gate=gate_options.gate_request(gates, gate, record=record, registry=registry, why=why, by=recorded_by),
        dialect=parse.dialect(delimiter, encoding=encoding, quote=quote, null_value=null_value),
        input_format=input_format,
    )
    if output is not None:
        storage.replace(storage.locate(output), encode_sealed(found))
    TERMINAL.show_result(evaluated_lines(found), evaluated_facts(found))
    return 0 if found.passed else 4


def id_pairs(texts: Sequence[str]) -> dict[str, str]:
    """The run's name of each id column, and the labels' name of it."""
    found: dict[str, str] = {}
    for text in parse.names(texts):
        run, _, file = text.partition("=")
        if not run or run in found:
            raise UsageError(f"{shown(text)} names no column, or one twice", "--on", "as in --on customer_id")
        found[run] = file or run
    return found


def _limits(texts: Sequence[str], option: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, text in parse.pairs(texts, option).items():
        try:
            found[name] = parse.number(text)
        except ValueError as error:
            raise UsageError(str(error), option, f"as in {option} auc=0.7") from error
    return found
