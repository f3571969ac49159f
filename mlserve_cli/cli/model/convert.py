"""`mlserve model convert`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mlserve_cli.cli import options, parse
from mlserve_cli.cli.command import option
from mlserve_cli.cli.model.options import WORDS, Baseline, By, Name, Package, Registry, Why
from mlserve_cli.cli.terminal import TERMINAL
from mlserve_cli.errors import shown

if TYPE_CHECKING:
    from mlserve_cli.cli.terminal import Facts
    from mlserve_cli.optimize.convert import Converted

SOURCE, GATE = "The model file", "The gate"
LIBRARIES = ("sklearn", "lightgbm", "xgboost", "catboost", "torch")


def convert(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="scikit-learn (skops, joblib), LightGBM (text), XGBoost (json, ubj), CatBoost (cbm), PyTorch (pt2).",
            show_default=False,
        ),
    ],
    data: Annotated[
        list[str],
        option("--data", panel=GATE, metavar="PATH", help="Rows to compare both on: as --input, with its columns."),
    ],
    name: Name = None,
    output: Package = None,
    registry: Registry = None,
    library: Annotated[
        str | None,
        option("--from", panel=SOURCE, choices=LIBRARIES, help="Which library wrote it. Default: by its content."),
    ] = None,
    allow_pickle: Annotated[
        bool,
        option("--allow-pickle", panel=SOURCE, help="Load a pickle or joblib file, which runs whatever code is in it."),
    ] = False,
    trust_type: Annotated[
        list[str] | None,
        option(
            "--trust-type",
            panel=SOURCE,
            metavar="TYPE",
            help="A type in a skops file that skops does not know; may be given several times.",
        ),
    ] = None,
    features: options.Features = None,
    rename: options.Rename = None,
    nulls: options.Nulls = None,
    threshold: options.Threshold = None,
    labels: options.Labels = True,
    output_columns: options.OutputColumns = None,
    precision: Annotated[
        Literal["auto", "float32", "float64"],
        option(
            "--precision",
            panel=SOURCE,
            choices=("auto", "float32", "float64"),
            help="What the model takes: doubles only where they matter, or as you say.",
        ),
    ] = "auto",
    rows: Annotated[
        int,
        option(
            "--rows",
            panel=GATE,
            metavar="N",
            help="Compare at most so many rows, evenly over the data.",
            converter=parse.positive_count,
        ),
    ] = 100_000,
    max_difference: Annotated[
        float,
        option(
            "--max-difference",
            panel=GATE,
            metavar="X",
            help="How far a probability may be from the library's; of other scores, as a share of the largest.",
            converter=parse.limit,
        ),
    ] = 1e-5,
    max_flips: Annotated[
        float,
        option(
            "--max-flips",
            panel=GATE,
            metavar="SHARE",
            help="Which share of the rows may be decided otherwise.",
            converter=parse.share,
        ),
    ] = 0.0,
    baseline: Baseline = "",
    license: Annotated[
        str, option("--license", panel=WORDS, metavar="TEXT", help="Its licence, as an SPDX expression.")
    ] = "",
    description: Annotated[str, option("--description", panel=WORDS, metavar="TEXT", help="What it is.")] = "",
    why: Why = "",
    by: By = None,
    input_format: options.InputFormat = None,
    delimiter: options.Delimiter = "",
    encoding: options.Encoding = "utf-8",
    quote: options.Quote = '"',
    null_value: options.NullValue = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> int:
    """Convert a model of another library to a version that scores as that library does, or to nothing at all.

    \b
        mlserve model convert gbm.txt --data train/ --name churn
        mlserve model convert pipe.skops --data train/ -o ./churn --threshold 0.3

    Every row is scored by both. Where they differ by more than the gate allows, nothing is made (exit code 4).
    """
    TERMINAL.configure(json=json, quiet=quiet, verbose=verbose)
    from mlserve_cli import model as life
    from mlserve_cli.optimize.convert import ConvertRequest, Limits
    from mlserve_cli.optimize.made import Place

    request = ConvertRequest(
        file=file,
        data=tuple(data),
        library=library or "",
        features=parse.names(features or ()),
        rename=parse.renames(rename),
        nulls=nulls,
        threshold=threshold,
        labels=labels,
        output_columns=parse.pairs(output_columns or (), "--output-columns"),
        precision=precision,
        limits=Limits(max_difference=max_difference, max_flips=max_flips),
        rows=rows,
        baseline=baseline,
        allow_pickle=allow_pickle,
        trusted_types=tuple(trust_type or ()),
        license=license,
        description=description,
        dialect=parse.dialect(delimiter, encoding=encoding, quote=quote, null_value=null_value),
        input_format=input_format,
    )
    place = Place(output=output or "", name=name or "", registry=registry, why=why, by=by or "")
    made = life.convert(request, place)
    TERMINAL.show_result(converted_lines(made), converted_facts(made))
    return 0


def converted_lines(made: Converted) -> list[str]:
    """Where it is, how near it comes to its library, and what one should know."""
    gate, change = made.described.gates[0], made.change
    where = f"{change.name}:{change.version}" if change else shown(made.folder, limit=400)
    done = "is there already as" if change and change.already else "is now"
    figures = {name: f"{value:.3g}" for name, value in gate.figures.items() if name.endswith("_difference")}
    flips = gate.figures.get("label_flips")
    return [
        f"the {made.library} model {done} {where}",
        f"  compared    {gate.rows:,} rows, " + ", ".join(f"{key.replace('_', ' ')} {x}" for key, x in figures.items()),
        *([] if flips is None else [f"  flips       {flips:,.0f} rows are decided otherwise"]),
        f"  takes       {made.precision}",
        *(f"  note        {shown(note, limit=400)}" for note in made.notes),
    ]


def converted_facts(made: Converted) -> Facts:
    """The same for machines."""
    import msgspec

    change = made.change
    return {
        "status": "complete",
        "exit_code": 0,
        "name": made.described.name,
        "version": change.version if change else None,
        "already": change.already if change else False,
        "digest": made.digest,
        "path": made.folder,
        "library": made.library,
        "precision": made.precision,
        "gates": msgspec.to_builtins(made.described.gates),
        "notes": list(made.notes),
    }
