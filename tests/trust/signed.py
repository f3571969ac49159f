"""A registry with two signed versions of `churn`, a key, and a policy that trusts it: small, and made for each test."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from onnx import numpy_helper

from mlserve_cli import registry, signing, trust
from mlserve_cli.contract import Declared, DeclaredInput, DeclaredOutput
from tests import models

NAMES = ("a", "b", "c")
ROW = (1.0, 2.0, 3.0)


def make_package(folder: Path, *, name: str = "churn", version: str = "", bias: float = 0.0) -> Path:
    """A linear model with its contract and a golden row; another bias is another model."""
    model = models.linear(3)
    shifted = models.weights(1) + np.float32(bias)
    model.graph.initializer[1].CopyFrom(numpy_helper.from_array(shifted, "B"))
    score = float((np.array([ROW], np.float32) @ models.weights(3, 1) + shifted)[0, 0])
    golden = pa.table({**{name: [value] for name, value in zip(NAMES, ROW, strict=True)}, "expected_score": [score]})
    folder.parent.mkdir(parents=True, exist_ok=True)
    rows = folder.with_suffix(".golden")
    pq.write_table(golden, rows)
    described = registry.PackageFile(
        format=registry.PACKAGE_FORMAT,
        name=name,
        version=version,
        contract=Declared(inputs=(DeclaredInput("X", NAMES),), outputs=(DeclaredOutput("Y", ("score",)),)),
        golden=registry.Golden(),
    )
    files = {"model.onnx": model.SerializeToString(), "golden.parquet": rows.read_bytes()}
    rows.unlink()
    registry.write_package(folder, described=described, files=files)
    return folder


@dataclass(frozen=True, slots=True)
class Shop:
    """Everything under one folder: `registry`, `release.key` and `.pub`, `trust.toml`."""

    folder: Path

    @property
    def root(self) -> Path:
        return self.folder / "registry"

    @property
    def churn(self) -> Path:
        return self.root / "churn"

    @property
    def policy(self) -> str:
        return str(self.folder / "trust.toml")

    @property
    def key(self) -> str:
        return str(self.folder / "release.key")

    def version(self, number: int) -> Path:
        return self.churn / "versions" / str(number)

    def signature(self, number: int) -> Path:
        return next((self.churn / "signatures").glob(f"{number}.*.sig"))

    def sign(self, model: str, *, key: str = "release") -> signing.Signed:
        return signing.sign(model, key=str(self.folder / f"{key}.key"), registry=str(self.root))

    def new_key(self, name: str, *patterns: str) -> str:
        """A key pair, trusted for some names; its id."""
        pair = signing.keygen(str(self.folder / name))
        if patterns:
            signing.trust_add(str(pair.public), models=patterns, trust_policy=self.policy)
        return pair.key_id

    def admit(self, model: str = "churn@champion") -> trust.SignatureCheck:
        """What `score` does with MODEL before it reads it."""
        policy = trust.read_policy(self.policy)
        assert policy is not None
        return trust.check(registry.subject_of(registry.find(model, registry=self.root).package), policy)

    def copy(self, to: Path) -> Shop:
        shutil.copytree(self.folder, to)
        return replace(self, folder=to)


def open_shop(folder: Path) -> Shop:
    """Two versions, `champion` at the second, both signed by `release`, which may sign `churn`."""
    shop = Shop(folder)
    folder.mkdir(parents=True, exist_ok=True)
    shelves = registry.Registry(shop.root)
    for number in (1, 2):
        package = make_package(folder / f"package-{number}", bias=float(number))
        shelves.add(str(package), name="churn", alias="champion" if number == 2 else "", why="a test", by="tests")
    shop.new_key("release", "churn*")
    for number in (1, 2):
        shop.sign(f"churn:{number}")
    return shop
