"""What was made: its report, its golden rows scored anew, and its package with where it comes from."""

from __future__ import annotations

import io
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
import pyarrow as pa

from mlserve_cli import features, tables
from mlserve_cli.contract import Contract, Declared, Scalar
from mlserve_cli.errors import GateFailed, UsageError, shown
from mlserve_cli.optimize.gate import demand
from mlserve_cli.optimize.parent import Parent
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
    login_name,
    write_package,
)
from mlserve_cli.session import Predictor

EXPECTED = "expected_"
GOLDEN_FILE = "golden.parquet"


@dataclass(frozen=True, slots=True)
class Place:
    """Where the result goes, one of both: a folder, or the next version of a name; and what the history keeps."""

    output: str = ""
    name: str = ""
    registry: str | None = None
    why: str = ""
    by: str = ""

    def check(self) -> None:
        """UsageError (2) where there is not exactly one place."""
        if bool(self.output) == bool(self.name):
            raise UsageError("say where the result goes", "--output, --name", "one of --output DIR and --name NAME")
        if self.name:
            checked_name(self.name)


@dataclass(frozen=True, slots=True)
class Child:
    """A model that was made of another. `steps` say in words what was done to it, `notes` what one should know."""

    operation: Literal["quantize", "prune"]
    data: bytes
    predictor: Predictor
    contract: Contract
    declared: Declared
    parameters: Mapping[str, Scalar]
    gates: tuple[GateResult, ...]
    steps: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    tolerance: float = 0.0


@dataclass(frozen=True, slots=True)
class Made:
    """The package that was made, `change` where it is a version of a registry, and the report."""

    described: PackageFile
    digest: str
    folder: str
    change: Change | None
    parent: str
    parent_bytes: int
    size_bytes: int
    steps: tuple[str, ...]
    notes: tuple[str, ...]


def make(parent: Parent, child: Child, place: Place) -> Made:
    """The child as a package or a version, where every gate said yes.

    Raises GateFailed (4) with all figures where one said no; then nothing is made.
    """
    demand(child.gates, where="; ".join([f"made of {parent.found.spelled}", *child.steps, *child.notes]))
    described, files = _content(parent, child, place)
    return put(parent, described, files, place, size_bytes=len(child.data), steps=child.steps, notes=child.notes)


def put(
    parent: Parent,
    described: PackageFile,
    files: Mapping[str, bytes | Path],
    place: Place,
    *,
    size_bytes: int,
    steps: tuple[str, ...] = (),
    notes: tuple[str, ...] = (),
) -> Made:
    """What was made of `parent`, at its place. `size_bytes` is the model's."""
    if place.output:
        made = write_package(Path(place.output), described=described, files=files)
        change = None
    else:
        shelves = Registry((Path(place.registry) if place.registry else default_root()).absolute())
        change = shelves.add_files(described, files, why=place.why, by=place.by)
        made = shelves.package(change.name, change.version)
    return Made(
        described=made.described or described,
        digest=made.digest,
        folder=made.path,
        change=change,
        parent=parent.found.spelled,
        parent_bytes=len(parent.data),
        size_bytes=size_bytes,
        steps=steps,
        notes=notes,
    )


def _content(parent: Parent, child: Child, place: Place) -> tuple[PackageFile, dict[str, bytes]]:
    before = parent.package.described
    golden = _golden(parent, child)
    described = PackageFile(
        format=PACKAGE_FORMAT,
        name=place.name or (before.name if before else parent.package.name),
        description=before.description if before else "",
        license=before.license if before else "",
        contract=child.declared,
        golden=golden[0] if golden else None,
        baseline=BASELINE_FILE if parent.package.baseline_path else "",
        lineage=Lineage(
            operation=child.operation,
            parent=parent.found.spelled,
            parent_digest=parent.package.digest,
            parameters=dict(child.parameters),
        ),
        gates=child.gates,
        provenance={
            **(before.provenance if before else {}),
            "who": place.by or login_name(),
            "measured_on": processor_name(),
        },
        metrics=_metrics(child.gates),
    )
    files = {"model.onnx": child.data}
    if parent.package.baseline_path:  # of the same training data
        files[BASELINE_FILE] = Path(parent.package.baseline_path).read_bytes()
    return described, files | ({GOLDEN_FILE: golden[1]} if golden else {})


def _metrics(gates: tuple[GateResult, ...]) -> dict[str, float]:
    """The child's own, where it was held against labels; the parent's hold for the parent alone."""
    figures = next((gate.figures for gate in gates if gate.name == "quality"), {})
    return {name: value for name, value in figures.items() if name in ("auc", "log_loss", "accuracy", "rmse")}


def _golden(parent: Parent, child: Child) -> tuple[Golden, bytes] | None:
    """The parent's golden rows with the child's scores; wider tolerance where a score depends on its batch."""
    golden = parent.package.golden
    if golden is None:
        return None
    path = str(Path(parent.package.path) / golden.file)
    table = _scored(tables.read_part(path), child, where=path)
    file = io.BytesIO()
    tables.write_part(file, [table], schema=table.schema, format="parquet")
    return Golden(GOLDEN_FILE, max(golden.tolerance, child.tolerance)), file.getvalue()


def _scored(table: pa.Table, child: Child, *, where: str) -> pa.Table:
    contract = msgspec.structs.replace(child.contract, rename={}, nulls="nan", nan_scores="allow")
    converted = features.convert(table, contract, file=where)
    if converted.bad.any():
        raise GateFailed("a golden row of the parent cannot be fed to its child", shown(where, limit=400))
    outputs = child.predictor.predict(features.batch_tensors(converted, 0, converted.rows))
    written = features.output_table(contract, outputs)
    kept = [name for name in table.column_names if not name.startswith(EXPECTED) and name in contract.columns]
    rows = table.select(kept)
    for output in contract.outputs:
        for name in output.columns:
            rows = rows.append_column(f"{EXPECTED}{name}", written[name])
    return rows


def processor_name() -> str:
    """The machine's processor, since a speed holds for one kind of machine."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())
