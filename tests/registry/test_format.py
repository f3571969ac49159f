"""package.toml as it is written, to the byte, its JSON Schema as it is shipped, and the TOML that both rest on.

A change of the format shows here first. Where it is meant: pytest tests/registry --update-goldens
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mlserve_cli.registry
from mlserve_cli.contract import Declared, DeclaredInput, DeclaredOutput
from mlserve_cli.errors import InvalidModel, OutputError, OutputExists
from mlserve_cli.registry import (
    GateResult,
    Golden,
    Lineage,
    PackageFile,
    json_schema,
    open_package,
    write_package,
)
from mlserve_cli.registry.toml import encode_toml
from tests.models import linear, save

GOLDEN = Path(__file__).with_name("golden") / "package.toml"
SCHEMA = Path(mlserve_cli.registry.__file__).with_name("package.schema.json")
AssertGolden = Callable[[Path, bytes], None]
EVERYTHING = PackageFile(
    format=1,
    name="churn",
    version="1",
    description='who leaves, "soon"',
    license="Apache-2.0",
    model="model.onnx",
    contract=Declared(
        inputs=(
            DeclaredInput("X", tuple(f"column_{number}" for number in range(12))),
            DeclaredInput("city", ("city",)),
        ),
        outputs=(DeclaredOutput("probabilities", ("stays", "leaves"), "probability", ("no", "yes")),),
        nulls="nan",
        threshold=0.5,
        fill={"city": "unknown", "a b": 1, "flag": True},
    ),
    golden=Golden("golden.parquet", 1e-6),
    lineage=Lineage("quantize", "churn:3", f"sha256:{'ab' * 32}", "", "", {"per_channel": True, "bits": 8}),
    gates=(
        GateResult("parity", True, 1000, {"max_difference": 1e-4, "size_ratio": 0.26}, {"max_difference": 0.01}),
        GateResult("quality", True, 1000, {"auc": 0.71}, {"auc": 0.7}),
    ),
    provenance={"who": "ann", "source_commit": "0123abcd", "rows": 1000, "über": "möglich"},
    metrics={"auc": 0.72, "rows": 1000.0},
)


def written(tmp_path: Path) -> Path:
    model = save(linear(), tmp_path / "linear.onnx")
    files: dict[str, bytes | Path] = {"model.onnx": model, "golden.parquet": b"rows", "more/weights.bin": b"\0"}
    return Path(write_package(tmp_path / "churn", described=EVERYTHING, files=files).path)


def test_package_toml_is_written_as_it_always_was(tmp_path: Path, assert_golden: AssertGolden) -> None:
    assert_golden(GOLDEN, (written(tmp_path) / "package.toml").read_bytes())


def test_what_was_written_is_read_again_whole(tmp_path: Path) -> None:
    folder = written(tmp_path)
    described = open_package(str(folder)).described
    assert described is not None
    assert set(described.digests) == {"model.onnx", "golden.parquet", "more/weights.bin"}
    for name in EVERYTHING.__struct_fields__:
        if name != "digests":
            assert getattr(described, name) == getattr(EVERYTHING, name), name


def test_the_same_package_is_the_same_bytes_and_the_same_digest(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    one, other = written(tmp_path / "one"), written(tmp_path / "other")
    assert (one / "package.toml").read_bytes() == (other / "package.toml").read_bytes()
    assert open_package(str(one)).digest == open_package(str(other)).digest


def test_a_package_is_written_over_nothing(tmp_path: Path) -> None:
    folder = written(tmp_path)
    before = (folder / "package.toml").read_bytes()
    with pytest.raises(OutputExists):
        write_package(folder, described=EVERYTHING, files={"model.onnx": b"other", "golden.parquet": b"x"})
    with pytest.raises(OutputError):
        write_package(tmp_path / "no" / "folder", described=EVERYTHING, files={"model.onnx": b""})
    assert (folder / "package.toml").read_bytes() == before


def test_a_package_that_cannot_be_opened_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(InvalidModel, match=r"golden\.parquet has no digest"):
        write_package(tmp_path / "churn", described=EVERYTHING, files={"model.onnx": b"x"})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_figure_that_is_no_number_is_refused_written_and_read(tmp_path: Path, number: float) -> None:
    with pytest.raises(InvalidModel, match="auc"):
        write_package(tmp_path / "churn", described=PackageFile(format=1, name="x", metrics={"auc": number}), files={})
    folder = written(tmp_path)
    text = (folder / "package.toml").read_text()
    (folder / "package.toml").write_text(text.replace("auc = 0.72", f"auc = {number}"))
    with pytest.raises(InvalidModel, match="no number"):
        open_package(str(folder))


def test_the_shipped_schema_is_the_code_s(assert_golden: AssertGolden) -> None:
    assert_golden(SCHEMA, f"{json.dumps(json_schema(), indent=2)}\n".encode())


def test_the_golden_package_and_the_samples_are_valid() -> None:
    schema = json.loads(SCHEMA.read_bytes())
    jsonschema.Draft202012Validator.check_schema(schema)
    samples = (Path(__file__).parents[2] / "sample_data" / "models").glob("*/package.toml")
    for path in (GOLDEN, *samples):
        jsonschema.Draft202012Validator(schema).validate(tomllib.loads(path.read_text("utf-8")))


def test_the_schema_refuses_what_the_reader_refuses() -> None:
    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_bytes()))
    document = tomllib.loads(GOLDEN.read_text("utf-8"))
    for spoiled in ({**document, "extra": 1}, {**document, "name": 3}, {**document, "gates": [{"name": "x"}]}):
        assert list(validator.iter_errors(spoiled)), spoiled


# The writer of TOML: what it writes, Python's own reader reads

KEYS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
PLAIN = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
)
VALUES = st.recursive(
    PLAIN,
    lambda inner: st.one_of(
        st.lists(PLAIN, max_size=30),
        st.dictionaries(KEYS, inner, max_size=4),
        st.lists(st.dictionaries(KEYS, inner, max_size=3), min_size=1, max_size=3),
    ),
    max_leaves=12,
)


@given(document=st.dictionaries(KEYS, VALUES, max_size=5))
def test_what_is_written_as_toml_is_read_as_it_was(document: dict[str, Any]) -> None:
    assert tomllib.loads(encode_toml(document).decode("utf-8")) == document


@pytest.mark.parametrize("value", [None, float("nan"), object(), [None]])
def test_what_toml_does_not_have_is_refused_by_its_key(value: object) -> None:
    with pytest.raises(ValueError, match="the_key"):
        encode_toml({"table": {"the_key": value}})
