"""The options of `score`, each with its help, its place in `--help` and its environment variable."""

from __future__ import annotations

from typing import Annotated, Literal

from mlserve_cli.cli import parse
from mlserve_cli.cli.command import option
from mlserve_cli.cli.settings import read_config

MODEL, DATA, ROWS, CSV = "Model", "Input", "Columns and values", "CSV dialect"
OUTPUT, ERRORS, MACHINE, TALK = "Output", "Bad rows", "Running", "Talking"


Model = Annotated[
    str,
    option(
        "--model",
        "-m",
        panel=MODEL,
        metavar="MODEL",
        help="An .onnx file, a package folder, or NAME, NAME@ALIAS, NAME:VERSION in the registry.",
    ),
]
Registry = Annotated[
    str | None,
    option(
        "--registry",
        panel=MODEL,
        metavar="DIR",
        help="The registry's folder. Default: mlserve/registry in the user's data folder.",
    ),
]
TrustPolicy = Annotated[
    str | None,
    option(
        "--trust-policy",
        panel=MODEL,
        metavar="F.toml",
        help="Which keys may sign which models. Default: mlserve/trust.toml in the user's settings, where it exists.",
    ),
]
Inputs = Annotated[
    list[str],
    option(
        "--input",
        "-i",
        panel=DATA,
        help="A file, a folder, a glob, or - for standard input; may be given several times.",
        metavar="PATH",
    ),
]
Output = Annotated[
    str,
    option(
        "--output",
        "-o",
        panel=OUTPUT,
        help="A folder; one file where it ends in .parquet or .csv; - for CSV on standard output.",
        metavar="OUT",
    ),
]
Features = Annotated[
    list[str] | None,
    option(
        "--features",
        panel=ROWS,
        help="Columns that feed the model, in its order; INPUT=A,B,C once for each of several inputs; or file-order.",
        metavar="A,B,C",
    ),
]
Rename = Annotated[
    list[str] | None,
    option("--rename", panel=ROWS, help="The file calls a feature otherwise.", metavar="FILE_COL=MODEL_COL"),
]
SchemaMode = Annotated[
    Literal["strict", "coerce"],
    option(
        "--schema-mode",
        choices=(
            "strict",
            "coerce",
        ),
        panel=ROWS,
        help="strict: no conversion between kinds; coerce: also parses and narrows, and counts what it changed.",
    ),
]
Nulls = Annotated[
    Literal["error", "nan"] | None,
    option(
        "--nulls",
        choices=(
            "error",
            "nan",
        ),
        panel=ROWS,
        help="A null in a float feature: a bad row, or NaN. Default: the package's word, else error.",
    ),
]
NanScores = Annotated[
    Literal["bad", "allow"],
    option(
        "--nan-scores",
        choices=(
            "bad",
            "allow",
        ),
        panel=ROWS,
        help="A score that is not finite: a bad row, or a score.",
    ),
]
IdColumn = Annotated[
    str | None,
    option(
        "--id-column",
        panel=OUTPUT,
        help="Identifies rows in the output, in place of source_file and source_row.",
        metavar="COL",
    ),
]
Passthrough = Annotated[
    list[str] | None,
    option(
        "--passthrough",
        panel=OUTPUT,
        help="Input columns that go to the output beside the predictions.",
        metavar="COL,…|all|none",
    ),
]
Threshold = Annotated[
    float | None,
    option(
        "--threshold",
        panel=OUTPUT,
        help="Adds the class that a probability of at least X means. Default: the package's.",
        converter=parse.number,
        metavar="X",
    ),
]
Labels = Annotated[bool, option("--labels/--no-labels", panel=OUTPUT, help="Write the model's predicted label too.")]
InputFormat = Annotated[
    Literal["parquet", "csv"] | None,
    option(
        "--input-format",
        choices=(
            "parquet",
            "csv",
        ),
        panel=DATA,
        help="For files whose name does not say it.",
    ),
]
Delimiter = Annotated[
    str,
    option(
        "--delimiter", panel=CSV, help="Between fields; tab for a tab. Default: a comma, a tab in .tsv.", metavar="C"
    ),
]
Encoding = Annotated[str, option("--encoding", panel=CSV, help="Of the text.", metavar="NAME")]
Quote = Annotated[
    str, option("--quote", panel=CSV, help="Around fields; '' where quotes are characters like any other.", metavar="C")
]
NullValue = Annotated[
    list[str] | None,
    option(
        "--null-value",
        panel=CSV,
        help="Another spelling of null beside the empty field, as in NA; may be given several times.",
        metavar="TEXT",
    ),
]
Header = Annotated[
    bool,
    option(
        "--header/--no-header",
        panel=CSV,
        help="Whether the first line names the columns; without, --features gives positions: #1,#2.",
    ),
]
MaxFieldBytes = Annotated[
    int,
    option(
        "--max-field-bytes",
        panel=CSV,
        help="A field longer than this is an error.",
        converter=parse.size_bytes,
        metavar="SIZE",
    ),
]
OutputColumns = Annotated[
    list[str] | None, option("--output-columns", panel=OUTPUT, help="Renames what is written.", metavar="NAME=NEW")
]
OutputFormat = Annotated[
    Literal["parquet", "csv"] | None,
    option(
        "--output-format",
        choices=(
            "parquet",
            "csv",
        ),
        panel=OUTPUT,
        help="Default: what OUT's ending says, else parquet.",
    ),
]
Compression = Annotated[
    Literal["zstd", "snappy", "gzip", "lz4", "none"] | None,
    option(
        "--compression",
        choices=(
            "zstd",
            "snappy",
            "gzip",
            "lz4",
            "none",
        ),
        panel=OUTPUT,
        help="Default: zstd for Parquet, none for CSV.",
    ),
]
OnError = Annotated[
    Literal["fail", "quarantine"],
    option(
        "--on-error",
        choices=(
            "fail",
            "quarantine",
        ),
        panel=ERRORS,
        help="A bad row ends the run, or is set aside with its reason.",
    ),
]
MaxErrors = Annotated[
    str | None,
    option(
        "--max-errors",
        panel=ERRORS,
        help="Set at most this many rows aside, else fail and commit nothing.",
        converter=parse.share_of_rows,
        metavar="N|N%",
    ),
]
IfExists = Annotated[
    Literal["error", "overwrite", "resume"],
    option(
        "--if-exists",
        choices=(
            "error",
            "overwrite",
            "resume",
        ),
        panel=OUTPUT,
        help="What to do where a run stands at OUT.",
    ),
]
Resume = Annotated[
    bool,
    option(
        "--resume",
        panel=OUTPUT,
        help="Short for --if-exists resume: take up what stands, start anew where nothing does.",
    ),
]
Reuse = Annotated[
    str | None,
    option(
        "--reuse",
        panel=OUTPUT,
        help="Take parts over from an earlier run whose shard, model and settings did not change.",
        metavar="RUN",
    ),
]
Deduplicate = Annotated[
    Literal["auto", "on", "off"],
    option(
        "--deduplicate",
        choices=(
            "auto",
            "on",
            "off",
        ),
        panel=MACHINE,
        help="Rows with the same features are scored once: where it pays, always, or never; the plan records it.",
    ),
]
Workers = Annotated[
    int,
    option(
        "--workers",
        panel=MACHINE,
        help="Worker processes; 1 scores in this process.",
        converter=parse.auto_or_count,
        metavar="auto|N",
    ),
]
ThreadsPerWorker = Annotated[
    int,
    option(
        "--threads-per-worker",
        panel=MACHINE,
        help="Batches scored at once in each worker.",
        converter=parse.auto_or_count,
        metavar="auto|N",
    ),
]
BatchRows = Annotated[
    int,
    option(
        "--batch-rows",
        panel=MACHINE,
        help="Rows of one call to the model; part of the plan.",
        converter=parse.auto_or_count,
        metavar="auto|N",
    ),
]
MemoryLimit = Annotated[
    int | None,
    option(
        "--memory-limit",
        panel=MACHINE,
        help="For all processes together, as in 2GiB. Default: the container's limit.",
        converter=parse.size_bytes,
        metavar="SIZE",
    ),
]
MaxRetries = Annotated[
    int,
    option(
        "--max-retries",
        panel=MACHINE,
        help="How often a task whose worker died is tried again.",
        converter=parse.count,
        metavar="N",
    ),
]
TaskTimeout = Annotated[
    float | None,
    option(
        "--task-timeout",
        panel=MACHINE,
        help="A task that runs longer, in seconds, ends the run.",
        converter=parse.seconds,
        metavar="S",
    ),
]
Predictor = Annotated[
    Literal["auto", "onnxruntime", "trees"],
    option(
        "--predictor",
        choices=(
            "auto",
            "onnxruntime",
            "trees",
        ),
        panel=MACHINE,
        help="What runs the model, `trees` the fast kernel for tree ensembles; the plan records it.",
    ),
]
Limit = Annotated[
    int | None,
    option("--limit", panel=DATA, help="The first N rows only.", converter=parse.positive_count, metavar="N"),
]
DryRun = Annotated[
    bool, option("--dry-run", panel=MACHINE, help="Show the plan and estimates of time and memory; write nothing.")
]
Config = Annotated[
    str | None,
    option(
        "--config",
        panel=TALK,
        help="Options from a file: command line over MLSERVE_* variables over file over default.",
        metavar="F.toml",
        callback=read_config,
        is_eager=True,
    ),
]
Json = Annotated[bool, option("--json", panel=TALK, help="Print the result as one line of JSON.")]
Quiet = Annotated[bool, option("--quiet", "-q", panel=TALK, help="No progress, no summary, no warnings.")]
Verbose = Annotated[bool, option("--verbose", "-v", panel=TALK, help="Traces of errors.")]
Progress = Annotated[bool, option("--progress/--no-progress", panel=TALK, help="The progress bar, or its plain lines.")]
