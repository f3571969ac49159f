"""`mlserve model quantize` and `prune`: smaller versions of a model, behind gates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mlserve_cli.cli import options, parse
from mlserve_cli.cli.command import option
from mlserve_cli.cli.model.options import By, Name, Package, Registry, Why
from mlserve_cli.cli.terminal import TERMINAL

if TYPE_CHECKING:
    from mlserve_cli.contract import Nulls
    from mlserve_cli.optimize.made import Made, Place
    from mlserve_cli.optimize.quantize import RowsRequest
    from mlserve_cli.optimize.trial import Limits

HOW, JUDGED, GATE = "How", "Rows that decide", "Gate"


Model = Annotated[
    str, typer.Argument(metavar="MODEL", help="A package, an .onnx file, or NAME in the registry.", show_default=False)
]
Data = Annotated[
    list[str] | None,
    option("--data", panel=JUDGED, metavar="PATH", help="Rows like those that are scored; they calibrate, too."),
]
Holdout = Annotated[
    list[str] | None,
    option("--holdout", panel=JUDGED, metavar="PATH", help="Rows to judge by. Default: some of --data, held out."),
]
LabelColumn = Annotated[
    str, option("--labels", panel=JUDGED, metavar="COLUMN", help="The column with the truth: adds the quality gate.")
]
GateRows = Annotated[
    int,
    option(
        "--gate-rows",
        panel=JUDGED,
        metavar="N",
        help="At most so many rows decide, spread over all files.",
        converter=parse.positive_count,
    ),
]
MaxDifference = Annotated[
    float,
    option(
        "--max-difference",
        panel=GATE,
        metavar="X",
        help="Of one row; in probability, or in standard deviations of a score that is none.",
        converter=parse.limit,
    ),
]
MeanDifference = Annotated[
    float, option("--mean-difference", panel=GATE, metavar="X", help="Of all rows.", converter=parse.limit)
]
MaxFlips = Annotated[
    float,
    option(
        "--max-flips",
        panel=GATE,
        metavar="X%",
        help="Share of rows that may be decided otherwise.",
        converter=parse.share,
    ),
]
MaxQualityLoss = Annotated[
    float,
    option(
        "--max-quality-loss",
        panel=GATE,
        metavar="X",
        help="AUC or accuracy that may be lost, or share by which the RMSE may grow.",
        converter=parse.limit,
    ),
]


def quantize(
    model: Model,
    mode: Annotated[
        Literal["dynamic", "static", "fp16", "weight-only"],
        option(
            "--mode",
            panel=HOW,
            choices=("dynamic", "static", "fp16", "weight-only"),
            help="INT8 with ranges found as it runs, INT8 with calibrated ranges, half precision, or packed weights.",
        ),
    ],
    name: Name = None,
    output: Package = None,
    registry: Registry = None,
    data: Data = None,
    holdout: Holdout = None,
    labels: LabelColumn = "",
    gate_rows: GateRows = 50_000,
    calibration_rows: Annotated[
        int,
        option(
            "--calibration-rows",
            panel=JUDGED,
            metavar="N",
            help="Rows of --data that set the ranges of static.",
            converter=parse.positive_count,
        ),
    ] = 2_000,
    per_channel: Annotated[
        bool, option("--per-channel/--per-tensor", panel=HOW, help="A range for each column of weights, or one.")
    ] = True,
    calibration: Annotated[
        Literal["minmax", "entropy", "percentile"],
        option(
            "--calibration",
            panel=HOW,
            choices=("minmax", "entropy", "percentile"),
            help="How static finds its ranges.",
        ),
    ] = "minmax",
    bits: Annotated[str, option("--bits", panel=HOW, choices=("4", "8"), help="Of a weight, for weight-only.")] = "8",
    block_size: Annotated[
        str,
        option("--block-size", panel=HOW, choices=("16", "32", "64", "128", "256"), help="Weights that share a range."),
    ] = "32",
    search_time: Annotated[
        float,
        option(
            "--search-time",
            panel=HOW,
            metavar="S",
            help="How long to look for layers to leave as they are; 0: not at all.",
            converter=parse.limit,
        ),
    ] = 120.0,
    max_difference: MaxDifference = 0.1,
    mean_difference: MeanDifference = 0.005,
    max_flips: MaxFlips = 0.01,
    max_quality_loss: MaxQualityLoss = 0.002,
    allow_slower: Annotated[
        bool, option("--allow-slower", panel=GATE, help="Keep it though it is slower than its parent here.")
    ] = False,
    features: options.Features = None,
    rename: options.Rename = None,
    nulls: options.Nulls = None,
    threshold: options.Threshold = None,
    input_format: options.InputFormat = None,
    delimiter: options.Delimiter = "",
    encoding: options.Encoding = "utf-8",
    quote: options.Quote = '"',
    null_value: options.NullValue = None,
    why: Why = "",
    by: By = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> int:
    """Make a quantised version, which stands only where held-out rows score alike and it is faster here.

    \b
        mlserve model quantize churn --mode static --data day=22/ --name churn
        mlserve model quantize net.onnx --mode fp16 --data rows.csv -o ./fp16

    Layers that do harm are left as they are, the worst first. Exit code 4, with all figures, where a gate says no.
    """
    TERMINAL.configure(json=json, quiet=quiet, verbose=verbose)
    from mlserve_cli import model as life
    from mlserve_cli.optimize.methods import Settings
    from mlserve_cli.optimize.quantize import QuantizeRequest

    request = QuantizeRequest(
        model=model,
        rows=_rows(
            data=data,
            holdout=holdout,
            labels=labels,
            gate_rows=gate_rows,
            calibration_rows=calibration_rows,
            features=features,
            rename=rename,
            nulls=nulls,
            threshold=threshold,
            input_format=input_format,
            dialect=(delimiter, encoding, quote, null_value),
        ),
        settings=Settings(
            mode=mode,
            per_channel=per_channel,
            calibration=calibration,
            bits=int(bits),
            block_size=int(block_size),
        ),
        limits=_limits(max_difference, mean_difference, max_flips, max_quality_loss),
        allow_slower=allow_slower,
        search_s=search_time,
    )
    return _show(life.quantize(request, _place(output, name, registry, why, by)))


def prune(
    model: Model,
    name: Name = None,
    output: Package = None,
    registry: Registry = None,
    data: Data = None,
    holdout: Holdout = None,
    labels: LabelColumn = "",
    gate_rows: GateRows = 50_000,
    sparsity: Annotated[
        float,
        option(
            "--sparsity", panel=HOW, metavar="X%", help="Also set the smallest weights to zero.", converter=parse.share
        ),
    ] = 0.0,
    max_difference: MaxDifference = 0.1,
    mean_difference: MeanDifference = 0.005,
    max_flips: MaxFlips = 0.01,
    max_quality_loss: MaxQualityLoss = 0.002,
    features: options.Features = None,
    rename: options.Rename = None,
    nulls: options.Nulls = None,
    threshold: options.Threshold = None,
    input_format: options.InputFormat = None,
    delimiter: options.Delimiter = "",
    encoding: options.Encoding = "utf-8",
    quote: options.Quote = '"',
    null_value: options.NullValue = None,
    why: Why = "",
    by: By = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> int:
    """Make a version without what its scores do not need: outputs, nodes, features, categories, constants.

    \b
        mlserve model prune churn --data day=22/ --name churn
        mlserve model prune gbm.onnx --data rows.parquet --output ./gbm-pruned

    Every score stays what it was to the bit, or the step is taken back. --sparsity is judged as quantisation is.
    Without --data the package's golden rows decide.
    """
    TERMINAL.configure(json=json, quiet=quiet, verbose=verbose)
    from mlserve_cli import model as life
    from mlserve_cli.optimize.prune import PruneRequest

    request = PruneRequest(
        model=model,
        rows=_rows(
            data=data,
            holdout=holdout,
            labels=labels,
            gate_rows=gate_rows,
            calibration_rows=1,
            features=features,
            rename=rename,
            nulls=nulls,
            threshold=threshold,
            input_format=input_format,
            dialect=(delimiter, encoding, quote, null_value),
        ),
        sparsity=sparsity,
        limits=_limits(max_difference, mean_difference, max_flips, max_quality_loss),
    )
    return _show(life.prune(request, _place(output, name, registry, why, by)))


def _rows(
    *,
    data: list[str] | None,
    holdout: list[str] | None,
    labels: str,
    gate_rows: int,
    calibration_rows: int,
    features: list[str] | None,
    rename: list[str] | None,
    nulls: Nulls | None,
    threshold: float | None,
    input_format: Literal["parquet", "csv"] | None,
    dialect: tuple[str, str, str, list[str] | None],
) -> RowsRequest:
    from mlserve_cli.optimize.quantize import RowsRequest

    delimiter, encoding, quote, null_value = dialect
    return RowsRequest(
        data=tuple(data or ()),
        holdout=tuple(holdout or ()),
        features=tuple(features or ()),
        rename=parse.renames(rename),
        dialect=parse.dialect(delimiter, encoding=encoding, quote=quote, null_value=null_value),
        labels=labels,
        gate_rows=gate_rows,
        calibration_rows=calibration_rows,
        nulls=nulls,
        threshold=threshold,
        input_format=input_format,
    )


def _limits(max_difference: float, mean_difference: float, max_flips: float, max_quality_loss: float) -> Limits:
    from mlserve_cli.optimize.trial import Limits

    return Limits(max_difference, mean_difference, max_flips, max_quality_loss)


def _place(output: str | None, name: str | None, registry: str | None, why: str, by: str | None) -> Place:
    from mlserve_cli.optimize.made import Place

    return Place(output=output or "", name=name or "", registry=registry, why=why, by=by or "")


def _show(made: Made) -> int:
    from mlserve_cli.cli.model.made_looks import made_facts, made_lines

    TERMINAL.show_result(made_lines(made), made_facts(made))
    return 0
