"""Looks at a model, a run or data without running anything: what it is, and what would be fed to what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from mlserve_cli import tables
from mlserve_cli.contract import Contract, bind
from mlserve_cli.errors import InputMissing, InvalidModel, shown
from mlserve_cli.manifest import Manifest, is_manifest, read_manifest
from mlserve_cli.registry import is_path
from mlserve_cli.scoring.resolve import ResolvedModel, resolve
from mlserve_cli.tables import Dialect, Shard


class InspectedModel(msgspec.Struct, frozen=True):
    """A model, and its contract where its columns have names (`unbound` says why not, where they have none)."""

    model: ResolvedModel
    contract: Contract | None
    unbound: str


class InspectedData(msgspec.Struct, frozen=True):
    """The shards of a file, folder or glob, in the order in which a run would read them."""

    shards: tuple[Shard, ...]
    skipped: tuple[str, ...]

    @property
    def rows(self) -> int:
        """Rows of all shards."""
        return sum(shard.rows for shard in self.shards)


Inspected = InspectedModel | InspectedData | Manifest


def inspect(
    target: str,
    *,
    features: Sequence[str] = (),
    rename: Mapping[str, str] | None = None,
    dialect: Dialect = tables.Dialect(),
    input_format: Literal["parquet", "csv"] | None = None,
    registry: str | None = None,
    trust_policy: str | None = None,
) -> Inspected:
    """What stands at TARGET: a model (file, package, or a name in the registry), a finished run, or data.

    Raises InputMissing (66) where nothing stands, and what the thing deserves where it cannot be read.
    """
    path = Path(target)
    is_glob = any(character in target for character in "*?[")
    if not (is_glob or is_path(target)):
        return _model(target, features, rename or {}, registry=registry, trust_policy=trust_policy)
    if not path.exists() and not is_glob:
        raise InputMissing(f"{shown(target, limit=400)} does not exist", "", "name a model, a run or data")
    if is_manifest(path):
        return read_manifest(path)
    if (path / "manifest.json").is_file():
        return read_manifest(path / "manifest.json")
    if path.suffix == ".onnx" or (path / "package.toml").is_file():
        return _model(target, features, rename or {}, registry=registry, trust_policy=trust_policy)
    found = tables.find_files((target,), output=None)
    shards = tuple(
        tables.look_into(file, index=index, dialect=dialect, input_format=input_format)
        for index, file in enumerate(found.files)
    )
    return InspectedData(shards, found.skipped)


def _model(
    target: str,
    features: Sequence[str],
    rename: Mapping[str, str],
    *,
    registry: str | None,
    trust_policy: str | None,
) -> InspectedModel:
    model = resolve(target, registry=registry, trust_policy=trust_policy)
    try:
        contract = bind(
            model.facts,
            model.package.declared,
            features=tuple(features),
            rename=dict(rename),
            nulls=None,
            nan_scores="bad",
            schema_mode="strict",
            threshold=None,
            labels=True,
            output_columns={},
            file_columns=None,
        )
    except InvalidModel as error:
        return InspectedModel(model, None, f"{error.what}; {error.hint}")
    return InspectedModel(model, contract, "")
