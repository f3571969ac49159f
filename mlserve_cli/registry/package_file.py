"""`package.toml`, key by key: what a package says of its model. Every key that a package may have stands here.

The package's digest is over what is written, without comments and layout. A key that is not written counts for nothing
in it, so that a later version of this format may have more keys and an old package keeps its digest.
"""

from __future__ import annotations

from typing import Any, Literal

from mlserve_cli.contract import Declared, Scalar, Value, schema_of

PACKAGE_FORMAT = 1
PACKAGE_FILE = "package.toml"
Operation = Literal["package", "convert", "quantize", "prune", "baseline"]


class Golden(Value, frozen=True, omit_defaults=True):
    """Rows with the scores that training saw, and how far a worker's scores may be from them (absolute)."""

    file: str = "golden.parquet"
    tolerance: float = 1e-5


class Lineage(Value, frozen=True, omit_defaults=True):
    """What the model was made of, and how.

    `parent` is the version that it was made from, as it was named ("churn:3", or a path), and `parent_digest` that
    package's digest; `source` the file that it was converted from, by its name. `parameters` are the operation's own.
    """

    operation: Operation
    parent: str = ""
    parent_digest: str = ""
    source: str = ""
    source_sha256: str = ""
    parameters: dict[str, Scalar] = {}


class GateResult(Value, frozen=True, omit_defaults=True):
    """A gate that the model came through: on how many rows, what was measured, what would have stopped it."""

    name: str
    passed: bool
    rows: int = 0
    figures: dict[str, float] = {}
    limits: dict[str, float] = {}


class PackageFile(Value, frozen=True, omit_defaults=True):
    """The whole file. `baseline` names the profile of the training data among the package's files.

    `digests` has each other file of the package, `sha256:` and 64 hexadecimal digits.
    """

    format: int
    name: str
    version: str = ""
    description: str = ""
    license: str = ""
    model: str = "model.onnx"
    contract: Declared | None = None
    golden: Golden | None = None
    baseline: str = ""
    lineage: Lineage | None = None
    gates: tuple[GateResult, ...] = ()
    provenance: dict[str, Scalar] = {}
    metrics: dict[str, float] = {}
    digests: dict[str, str] = {}


def json_schema() -> dict[str, Any]:
    """The JSON Schema of package.toml (draft 2020-12), as shipped with mlserve and published in the documentation."""
    return schema_of(PackageFile, title="mlserve package.toml")
