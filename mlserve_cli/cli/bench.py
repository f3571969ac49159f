"""`mlserve bench`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from mlserve_cli.cli import options, parse
from mlserve_cli.cli.command import option
from mlserve_cli.cli.terminal import TERMINAL, is_interactive

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlserve_cli.benchmark import Step

MEASURE = "Measuring"

Models = Annotated[
    list[str],
    option(
        "--model",
        "-m",
        panel=options.MODEL,
        metavar="MODEL",
        help="An .onnx file, a package folder, or NAME, NAME@ALIAS, NAME:VERSION in the registry.",
    ),
]
Rounds = Annotated[
    int,
    option(
        "--rounds",
        panel=MEASURE,
        help="How often each is run after a first round that does not count.",
        converter=parse.positive_count,
        metavar="N",
    ),
]
Against = Annotated[
    list[str] | None,
    option(
        "--against",
        panel=MEASURE,
        help="Beside mlserve: script, which needs polars; limits, what the machine can do; or none. Default: both.",
        metavar="script,limits|none",
    ),
]
Results = Annotated[
    str | None, option("--results", panel=MEASURE, help="Write all figures, as JSON.", metavar="FILE.json")
]
Picture = Annotated[
    str | None, option("--picture", panel=MEASURE, help="Draw the seconds of each as bars.", metavar="FILE.svg")
]


def bench(
    models: Models,
    inputs: options.Inputs,
    registry: options.Registry = None,
    trust_policy: options.TrustPolicy = None,
    rounds: Rounds = 5,
    against: Against = None,
    results: Results = None,
    picture: Picture = None,
    features: options.Features = None,
    rename: options.Rename = None,
    schema_mode: options.SchemaMode = "strict",
    nulls: options.Nulls = None,
    nan_scores: options.NanScores = "bad",
    id_column: options.IdColumn = None,
    passthrough: options.Passthrough = None,
    labels: options.Labels = True,
    input_format: options.InputFormat = None,
    delimiter: options.Delimiter = "",
    encoding: options.Encoding = "utf-8",
    quote: options.Quote = '"',
    null_value: options.NullValue = None,
    header: options.Header = True,
    max_field_bytes: options.MaxFieldBytes = "16MiB",  # type: ignore[assignment]  # the default is converted too
    workers: options.Workers = "auto",  # type: ignore[assignment]  # the default is converted too
    threads_per_worker: options.ThreadsPerWorker = "auto",  # type: ignore[assignment]  # the default is converted too
    batch_rows: options.BatchRows = "auto",  # type: ignore[assignment]  # the default is converted too
    memory_limit: options.MemoryLimit = None,
    predictor: options.Predictor = "auto",
    deduplicate: options.Deduplicate = "auto",
    limit: options.Limit = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    progress: options.Progress = True,
) -> int:
    """Measure mlserve on your own model and data, beside a plain script and beside the limit of this machine.

    \b
        mlserve bench -m champion.onnx -i day=2026-11-23/
        mlserve bench -m champion.onnx -m small.onnx -i rows/ --rounds 9

    Each runs as a process of its own, in turns; medians are compared. Of --model there may be several. Nothing is
    left behind but what --results and --picture name.
    """
    TERMINAL.configure(json=json, quiet=quiet, verbose=verbose, progress=progress)
    from mlserve_cli import benchmark, storage
    from mlserve_cli.cli.bench_table import bench_facts, bench_lines
    from mlserve_cli.scoring import ScoreRequest

    requests = [
        ScoreRequest(
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
            workers=workers or None,
            threads_per_worker=threads_per_worker or None,
            batch_rows=batch_rows or None,
            memory_limit=memory_limit,
            predictor=predictor,
            deduplicate=deduplicate,
            limit=limit,
        )
        for model in models
    ]
    for path in filter(None, (results, picture)):
        storage.check_creatable(storage.locate(path), is_file=True)
    with _watching() as observer:
        found = benchmark.bench(*requests, rounds=rounds, against=_against(against), observer=observer)
    facts = bench_facts(found)
    if results is not None:
        storage.replace(Path(results), benchmark.encoded(found))
    if picture is not None:
        storage.replace(Path(picture), benchmark.draw(found).encode())
    TERMINAL.show_result(bench_lines(found), facts)
    return 0


def _against(asked: list[str] | None) -> tuple[str, ...]:
    from mlserve_cli.benchmark import AGAINST

    names = parse.names(asked or ())
    return () if names == ("none",) else names or AGAINST


@contextmanager
def _watching() -> Iterator[Callable[[Step], None]]:
    """What is being measured: one line that changes where a person watches, a plain line for each round elsewhere."""
    if TERMINAL.quiet or not TERMINAL.progress:
        yield lambda _step: None
    elif not is_interactive():
        yield _note
    else:
        from rich.console import Console

        with Console(stderr=True).status("") as status:
            yield lambda step: status.update(_text(step))


def _note(step: Step) -> None:
    if step.contender == "mlserve":
        TERMINAL.note(_text(step).partition(": ")[0])


def _text(step: Step) -> str:
    number = "the round that does not count" if step.round == 0 else f"round {step.round} of {step.rounds}"
    return f"measuring {step.model}, {number}: {step.contender}"
