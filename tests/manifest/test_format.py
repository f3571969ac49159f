"""The manifest's format, to the byte, and its JSON Schema as it is shipped.

A change of the format shows here first. Where it is meant: pytest tests/manifest --update-goldens
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import mlserve_cli.manifest
from mlserve_cli.contract import decode_sealed, encode_sealed
from mlserve_cli.manifest import Manifest as Written
from mlserve_cli.manifest import json_schema
from tests.manifest.example import MANIFEST
from tests.scoring.runs import model_file, numbers, run, shard

GOLDEN = Path(__file__).with_name("golden") / "manifest.json"
SCHEMA = Path(mlserve_cli.manifest.__file__).with_name("schema.json")
AssertGolden = Callable[[Path, bytes], None]


def test_a_manifest_is_written_as_it_always_was(assert_golden: AssertGolden) -> None:
    assert_golden(GOLDEN, encode_sealed(MANIFEST))


def test_a_manifest_of_old_is_still_read() -> None:
    assert decode_sealed(GOLDEN.read_bytes(), Written, where="").plan == MANIFEST.plan


def test_the_shipped_schema_is_the_code_s(assert_golden: AssertGolden) -> None:
    assert_golden(SCHEMA, f"{json.dumps(json_schema(), indent=2)}\n".encode())


def valid(manifest: bytes) -> None:
    schema = json.loads(SCHEMA.read_bytes())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(json.loads(manifest))


def test_the_golden_manifest_is_valid() -> None:
    valid(GOLDEN.read_bytes())


@pytest.mark.parametrize("options", [{}, {"output_format": "csv", "threshold": 0.5}, {"limit": 0}])
def test_the_manifest_of_a_run_is_valid(tmp_path: Path, options: dict[str, Any]) -> None:
    model_file(tmp_path)
    shard(tmp_path / "in" / "k=1" / "s.parquet", {**numbers(5), "a": [None, 1.0, 1.0, 1.0, 1.0]})
    shard(tmp_path / "in" / "k=2" / "s.csv", numbers(3))
    result = run(tmp_path, on_error="quarantine", passthrough=("k",), **options)
    valid(result.manifest_path.read_bytes())


def test_the_schema_refuses_what_the_reader_refuses() -> None:
    document = json.loads(GOLDEN.read_bytes())
    for spoiled in ({**document, "extra": 1}, {**document, "rows": None}, {**document, "format": "1"}):
        with pytest.raises(jsonschema.ValidationError):
            valid(json.dumps(spoiled).encode())


def test_every_part_of_the_schema_says_what_it_is() -> None:
    assert all(one.get("description") for one in json_schema()["$defs"].values())
