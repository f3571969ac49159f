"""Makes a version of a model file of another library, and lets it stand only where it scores as that library does.

Recognise the file, load it, read rows, choose a precision, convert, mend; then score every row by both and judge.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec

from mlserve_cli import tables
from mlserve_cli.contract import Contract, Input, Nulls, Scalar, TensorSpec
from mlserve_cli.errors import UsageError, shown
from mlserve_cli.optimize.convert import (
    from_catboost,
    from_lightgbm,
    from_pickle,
    from_torch,
    from_xgboost,
)
from mlserve_cli.optimize.convert.form import choose_form
from mlserve_cli.optimize.convert.golden import golden_rows
from mlserve_cli.optimize.convert.mend import mended
from mlserve_cli.optimize.convert.onnx_side import OnnxSide, open_onnx
from mlserve_cli.optimize.convert.parity import Limits, Parity, check_parity
from mlserve_cli.optimize.convert.recognise import recognise
from mlserve_cli.optimize.convert.source import Precision, Source, SourceInput
from mlserve_cli.optimize.gate import demand
from mlserve_cli.optimize.made import GOLDEN_FILE, Place
from mlserve_cli.optimize.parent import declared_as
from mlserve_cli.optimize.rows import Rows, rows_for
from mlserve_cli.registry import (
    BASELINE_FILE,
    PACKAGE_FORMAT,
    Change,
    Golden,
    Lineage,
    PackageFile,
    Registry,
    default_root,
    login_name,
    read_baseline,
    write_package,
)
from mlserve_cli.session import read_model
from mlserve_cli.tables import Dialect

CHECKED_ROWS = 100_000


@dataclass(frozen=True, slots=True)
class ConvertRequest:
    """What `mlserve model convert` is asked for. `library` "" recognises the file by its content.

    `baseline` is the profile of the training data, its file or a run that has one.
    """

    file: str
    data: tuple[str, ...]
    library: str = ""
    features: tuple[str, ...] = ()
    rename: Mapping[str, str] = field(default_factory=dict)
    nulls: Nulls | None = None
    threshold: float | None = None
    labels: bool = True
    output_columns: Mapping[str, str] = field(default_factory=dict)
    precision: Literal["auto", "float32", "float64"] = "auto"
    limits: Limits = field(default_factory=Limits)
    rows: int = CHECKED_ROWS
    baseline: str = ""
    allow_pickle: bool = False
    trusted_types: tuple[str, ...] = ()
    license: str = ""
    description: str = ""
    dialect: Dialect = tables.Dialect()
    input_format: Literal["parquet", "csv"] | None = None


@dataclass(frozen=True, slots=True)
class Converted:
    """The package that was made, `change` where it is a version of a registry, and what one should know of it."""

    described: PackageFile
    digest: str
    folder: str
    change: Change | None
    library: str
    precision: Precision
    notes: tuple[str, ...]


def convert(request: ConvertRequest, place: Place) -> Converted:
    """A version of the model in a file of another library, at `place`.

    Raises GateFailed (4) where it does not score as that library does, Forbidden (77) where loading the file would run
    code and nobody allowed it, ExtraMissing (69) where the library is not installed, InvalidModel (78) where the file
    is no good or its model cannot become ONNX.
    """
    place.check()
    data = read_model(request.file)
    source = _loaded(data, request)
    rows = _rows(source, request)
    form = choose_form(source, rows, request.precision)
    made = mended(source.to_onnx(form.precision, form.rounding))
    side = open_onnx(made, source, _contract(source, request, form.precision), request)
    baseline = read_baseline(request.baseline, columns=side.contract.columns) if request.baseline else b""
    parity = check_parity(source, side, rows, request.limits, form=form)
    demand([parity.gate], where="; ".join([f"converted from {shown(request.file, limit=400)}", *parity.words]))
    return _placed(request, place, source, side, rows, parity, data=data, baseline=baseline, precision=form.precision)


def _loaded(data: bytes, request: ConvertRequest) -> Source:
    """The model in its own library, with the columns that the request names where it names none itself."""
    file, named = request.file, len(request.features)
    format = recognise(data, file=file, library=request.library)
    if format == "pickle":
        source = from_pickle.from_pickle(data, file=file, allowed=request.allow_pickle)
    elif format == "skops":
        source = from_pickle.from_skops(data, file=file, trusted=request.trusted_types)
    elif format.startswith("torch"):
        source = from_torch.from_torch(data, format, file=file, width=named, allow_pickle=request.allow_pickle)
    else:
        load = {
            "lightgbm": from_lightgbm.from_lightgbm,
            "xgboost": from_xgboost.from_xgboost,
            "catboost": from_catboost.from_catboost,
        }[format]
        source = load(data, file=file)
    return _with_columns(source, request.features)


def _with_columns(source: Source, asked: tuple[str, ...]) -> Source:
    """--features in place of the library's names: for the one matrix, or the inputs one after the other."""
    wanted = sum(one.width for one in source.inputs)
    if asked and len(asked) != wanted:
        raise UsageError(f"--features names {len(asked)} columns, the model takes {wanted}")
    unnamed = [one for one in source.inputs if not one.columns]
    if unnamed and not asked:
        raise UsageError(
            f"the model takes {wanted} columns and does not name them",
            "",
            "name them with --features a,b,c, in its order",
        )
    inputs: list[SourceInput] = []
    left = list(asked)
    for one in source.inputs:
        columns, left = (tuple(left[: one.width]), left[one.width :]) if asked else (one.columns, left)
        inputs.append(replace(one, columns=columns))
    return replace(source, inputs=tuple(inputs))


def _rows(source: Source, request: ConvertRequest) -> Rows:
    """The rows as the library gets them: numbers as doubles, whatever the ONNX model will take."""
    return rows_for(
        request.data,
        _contract(source, request, "float64"),
        limit=request.rows,
        dialect=request.dialect,
        input_format=request.input_format,
    )


def _contract(source: Source, request: ConvertRequest, precision: Precision) -> Contract:
    """The inputs alone; outputs are bound to the ONNX model."""
    inputs = tuple(
        Input(TensorSpec(one.tensor, precision if one.dtype == "float" else one.dtype, (None, *one.shape)), one.columns)
        for one in source.inputs
    )
    nulls = request.nulls or ("nan" if source.takes_missing else "error")
    fills: dict[str, Scalar] = {
        column: one.fill for one in source.inputs if one.fill is not None for column in one.columns
    }
    return Contract(
        inputs=inputs,
        outputs=(),
        nulls=nulls,
        fill=fills if nulls == "nan" else {},
        nan_scores="allow",
        rename=dict(request.rename),
    )


def _placed(
    request: ConvertRequest,
    place: Place,
    source: Source,
    side: OnnxSide,
    rows: Rows,
    parity: Parity,
    *,
    data: bytes,
    baseline: bytes,
    precision: Precision,
) -> Converted:
    """The package at its place."""
    described = PackageFile(
        format=PACKAGE_FORMAT,
        name=place.name or Path(place.output).name,
        description=request.description,
        license=request.license,
        contract=msgspec.structs.replace(declared_as(side.contract), nulls=side.contract.nulls),
        golden=Golden(GOLDEN_FILE, parity.tolerance),
        baseline=BASELINE_FILE if baseline else "",
        lineage=Lineage(
            operation="convert",
            source=Path(request.file).name,
            source_sha256=f"sha256:{hashlib.sha256(data).hexdigest()}",
            parameters={"library": source.library, "precision": precision, "versions": source.versions},
        ),
        gates=(parity.gate,),
        provenance={"who": place.by or login_name(), "when": _written(request.file), "checked_rows": len(rows)},
    )
    files = {"model.onnx": side.data, GOLDEN_FILE: golden_rows(rows, parity.expected, side.contract)}
    if baseline:
        files[BASELINE_FILE] = baseline
    if place.output:
        made, change = write_package(Path(place.output), described=described, files=files), None
    else:
        shelves = Registry((Path(place.registry) if place.registry else default_root()).absolute())
        change = shelves.add_files(described, files, why=place.why, by=place.by)
        made = shelves.package(change.name, change.version)
    notes = tuple(filter(None, (source.note, *parity.words)))
    return Converted(made.described or described, made.digest, made.path, change, source.library, precision, notes)


def _written(file: str) -> str:
    """When the file was written, not now: converted again, the same model is the same package."""
    at = datetime.fromtimestamp(int(Path(file).stat().st_mtime), UTC)
    return at.isoformat().replace("+00:00", "Z")
