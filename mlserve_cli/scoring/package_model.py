"""Makes a package of an ONNX file and rows of its training data: contract, golden rows, provenance, digests.

Nothing is guessed: the contract is what a run over the same rows would bind, and the scores are those of the model
itself, or of the library that trained it where the rows have them, and then the two are compared first.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

from mlserve_cli import tables
from mlserve_cli.contract import (
    Contract,
    Declared,
    DeclaredInput,
    DeclaredOutput,
    ModelFacts,
    Nulls,
    Scalar,
    bind,
    check_threshold,
    rename_outputs,
)
from mlserve_cli.errors import GateFailed, UsageError, nearest, shown
from mlserve_cli.registry import (
    BASELINE_FILE,
    PACKAGE_FORMAT,
    Change,
    GateResult,
    Golden,
    Lineage,
    PackageFile,
    Registry,
    checked_name,
    default_root,
    open_package,
    read_baseline,
    write_package,
)
from mlserve_cli.scoring.golden_rows import GoldenRows, golden_rows
from mlserve_cli.scoring.provenance import provenance_of
from mlserve_cli.session import Predictor, check_supported, open_predictor, read_facts, settle
from mlserve_cli.tables import Dialect, Shard

GOLDEN_ROWS = 64
TOLERANCE = 1e-5
Content = Mapping[str, bytes | Path]


class PackageRequest(msgspec.Struct, frozen=True):
    """What `mlserve model package` is asked for. `classes` are the labels behind a probability output that the graph
    does not name; `expected` maps a written column to the data's column with the score that it should have; `baseline`
    is the profile of the training data, its file or a run that has one."""

    onnx: str
    data: tuple[str, ...]
    name: str
    features: tuple[str, ...] = ()
    rename: Mapping[str, str] = {}
    nulls: Nulls = "error"
    fill: Mapping[str, str] = {}
    threshold: float | None = None
    labels: bool = True
    output_columns: Mapping[str, str] = {}
    classes: tuple[str, ...] = ()
    expected: tuple[str, ...] = ()
    golden_rows: int = GOLDEN_ROWS
    tolerance: float = TOLERANCE
    baseline: str = ""
    provenance: Mapping[str, Scalar] = {}
    metrics: Mapping[str, float] = {}
    license: str = ""
    description: str = ""
    who: str = ""
    dialect: Dialect = tables.Dialect()
    input_format: Literal["parquet", "csv"] | None = None


class Packaged(msgspec.Struct, frozen=True):
    """The package that was made: a folder, or a version of a registry (`change`)."""

    described: PackageFile
    digest: str
    folder: str
    change: Change | None


def package(
    request: PackageRequest,
    *,
    output: str = "",
    registry: str | None = None,
    alias: str = "",
    why: str = "",
    by: str = "",
) -> Packaged:
    """Make the package: at `output`, or as the next version of its name in the registry.

    Raises GateFailed (4) where the model's scores are not the expected ones, OutputExists (73) where something stands.
    """
    checked_name(request.name)
    if output:
        if alias:
            raise UsageError("an alias is a registry's, and --output makes a folder", "", "leave one of them out")
        described, files = package_content(request)
        made = write_package(Path(output), described=described, files=files)
        return Packaged(made.described or described, made.digest, made.path, None)
    described, files = package_content(request)
    shelves = Registry((Path(registry) if registry else default_root()).absolute())
    change = shelves.add_files(described, files, alias=alias, why=why, by=by)
    made = shelves.package(change.name, change.version)
    return Packaged(made.described or described, made.digest, made.path, change)


def package_content(request: PackageRequest) -> tuple[PackageFile, Content]:
    """The package as values: what it says, without the digests, and its files.

    Raises GateFailed (4) where the model's scores are not the expected ones, and what a run over the same rows would.
    """
    source = open_package(request.onnx)
    if source.described is not None:
        raise UsageError("it is a package already", shown(request.onnx, limit=400), "name the .onnx file")
    facts = read_facts(source.model_path)
    shards = _shards(request)
    contract, predictor = _opened(request, facts, source.model_path, shards)
    golden = golden_rows(
        shards,
        contract,
        predictor=predictor,
        wanted=request.golden_rows,
        expected=_expected_columns(request.expected, contract),
        dialect=request.dialect,
    )
    described = PackageFile(
        format=PACKAGE_FORMAT,
        name=request.name,
        description=request.description,
        license=request.license,
        contract=_declared(contract, request),
        golden=Golden(tolerance=request.tolerance),
        baseline=BASELINE_FILE if request.baseline else "",
        lineage=Lineage(operation="package", source=Path(request.onnx).name, source_sha256=f"sha256:{facts.sha256}"),
        gates=_judged(golden, request.tolerance),
        provenance={**provenance_of(request.onnx, shards, who=request.who), **request.provenance},
        metrics=dict(request.metrics),
    )
    files: dict[str, bytes | Path] = {"model.onnx": Path(source.model_path), "golden.parquet": golden.parquet}
    if request.baseline:
        files[BASELINE_FILE] = read_baseline(request.baseline, columns=contract.columns)
    return described, files


def _shards(request: PackageRequest) -> tuple[Shard, ...]:
    found = tables.find_files(request.data, output=None)
    return tuple(
        tables.look_into(file, index=index, dialect=request.dialect, input_format=request.input_format)
        for index, file in enumerate(found.files)
    )


def _opened(
    request: PackageRequest, facts: ModelFacts, path: str, shards: tuple[Shard, ...]
) -> tuple[Contract, Predictor]:
    """The contract as a run would bind it, with each output's true shape, and a session."""
    contract = _bound(request, facts, shards, fill={})
    fill = {column: _filled(column, text, contract) for column, text in request.fill.items()}
    contract = _bound(request, facts, shards, fill=fill)
    check_supported(facts, contract, allowed_external=frozenset())
    predictor = open_predictor(path, sha256=facts.sha256, contract=contract, threads=1, allowed_external=frozenset())
    contract = _with_classes(settle(contract, predictor=predictor), request.classes)
    outputs, _ = rename_outputs(contract.outputs, dict(request.output_columns), has_prediction=False)
    check_threshold(outputs, request.threshold)
    return msgspec.structs.replace(contract, outputs=outputs), predictor


def _bound(
    request: PackageRequest, facts: ModelFacts, shards: tuple[Shard, ...], *, fill: dict[str, Scalar]
) -> Contract:
    return bind(
        facts,
        Declared(fill=fill),
        features=request.features,
        rename=dict(request.rename),
        nulls=request.nulls,
        nan_scores="allow",
        labels=request.labels,
        file_columns=tuple(column.name for column in shards[0].columns) if shards else None,
    )


def _filled(column: str, text: str, contract: Contract) -> Scalar:
    """What stands for a null, in the type that the column feeds."""
    if column not in contract.columns:
        raise UsageError(
            f"--fill names {shown(column)}, which the model does not take", "", nearest(column, contract.columns)
        )
    dtype = contract.dtype_of(column)
    if dtype == "string":
        return text
    if dtype == "bool" and text in ("true", "false"):
        return text == "true"
    try:
        return float(text) if "float" in dtype else int(text)
    except ValueError:
        raise UsageError(f"--fill gives {shown(column)} {shown(text)}, the model takes {dtype}") from None


def _with_classes(contract: Contract, classes: tuple[str, ...]) -> Contract:
    """The labels behind the probabilities of a model whose graph does not name them; numbers stay numbers."""
    if not classes:
        return contract
    likely = [one for one in contract.outputs if one.role != "label" and one.tensor.dtype.startswith("float")]
    if len(likely) != 1 or likely[0].classes:
        named = any(one.classes for one in likely)
        what = "the model names its classes itself" if named else f"{len(likely)} of its outputs are scores"
        raise UsageError(f"--classes does not fit: {what}", "", "leave --classes out")
    (output,) = likely
    width = output.tensor.width
    if width != len(classes) and (width, len(classes)) != (1, 2):
        raise UsageError(
            f"--classes names {len(classes)}, the output {shown(output.tensor.name)} has {width} values a row"
        )
    values = tuple(int(one) if one.lstrip("-").isdecimal() else one for one in classes)
    columns = tuple(f"probability_{one}" for one in values) if width == len(classes) else output.columns
    named_output = msgspec.structs.replace(output, role="probability", classes=values, columns=columns)
    return msgspec.structs.replace(
        contract, outputs=tuple(named_output if one is output else one for one in contract.outputs)
    )


def _expected_columns(asked: tuple[str, ...], contract: Contract) -> dict[str, str]:
    """Written column -> the data's column with what it should be: by A=B pairs, or all of them in their order."""
    written = [column for output in contract.outputs for column in output.columns]
    if not asked:
        return {}
    if all("=" in one and one.partition("=")[0] in written for one in asked):
        return {left: right for left, _, right in (one.partition("=") for one in asked)}
    if len(asked) == len(written):
        return dict(zip(written, asked, strict=True))
    raise UsageError(
        f"--expected names {len(asked)} columns, the model writes {len(written)}: {', '.join(map(shown, written))}",
        "",
        f"as in --expected {written[0]}=COLUMN",
    )


def _declared(contract: Contract, request: PackageRequest) -> Declared:
    return Declared(
        inputs=tuple(DeclaredInput(part.tensor.name, part.columns) for part in contract.inputs),
        outputs=tuple(
            DeclaredOutput(one.tensor.name, one.columns, one.role, one.classes if request.classes else ())
            for one in contract.outputs
        ),
        nulls=request.nulls,
        threshold=request.threshold,
        fill=contract.fill,
    )


def _judged(golden: GoldenRows, tolerance: float) -> tuple[GateResult, ...]:
    """The gate of the comparison with the expected scores, where there was one."""
    if not golden.compared_rows:
        return ()
    figures = {"max_difference": golden.max_difference, "mean_difference": golden.mean_difference}
    if not golden.max_difference <= tolerance:
        raise GateFailed(
            f"scores differ from the expected ones by up to {golden.max_difference:.3g} "
            f"(mean {golden.mean_difference:.3g}, {golden.compared_rows:,} rows), more than {tolerance:g}",
            golden.worst,
            "is it the same model, are the columns in its order? --tolerance says how far apart they may be",
        )
    return (GateResult("parity", True, golden.compared_rows, figures, {"max_difference": tolerance}),)
