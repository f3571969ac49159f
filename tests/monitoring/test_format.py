"""The format of an evaluation's file, to the byte, and its JSON Schema as it is shipped.

A change of the format shows here first. Where it is meant: pytest tests/monitoring --update-goldens
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
from msgspec.structs import replace

from mlserve_cli import evaluate
from mlserve_cli.contract import decode_sealed, encode_sealed
from mlserve_cli.monitoring import evaluation as module
from mlserve_cli.monitoring.evaluation import Evaluation, json_schema
from mlserve_cli.registry import Verdict
from tests import models
from tests.manifest.example import DIGEST, MANIFEST
from tests.reporting.example import evaluation
from tests.scoring.runs import model_file, numbers, run, shard

GOLDEN = Path(__file__).with_name("golden") / "evaluation.json"
SCHEMA = Path(module.__file__).with_name("evaluation.schema.json")
AssertGolden = Callable[[Path, bytes], None]
EXAMPLE = evaluation(MANIFEST)
WHOLE = replace(
    EXAMPLE,
    overall=EXAMPLE.runs[0],
    without_labels=("runs/today",),
    steady_p_value=0.21,
    verdict=Verdict(
        *("quality", False, "evaluate", 20_000, {"auc": 0.7134}, {"least_auc": 0.75}),
        reasons=("auc is 0.7134, at least 0.75 is allowed",),
        evidence={"runs/it": DIGEST},
    ),
    recorded="late:4",
)


def test_an_evaluation_is_written_as_it_always_was(assert_golden: AssertGolden) -> None:
    assert_golden(GOLDEN, encode_sealed(WHOLE))


def test_an_evaluation_of_old_is_still_read() -> None:
    assert replace(decode_sealed(GOLDEN.read_bytes(), Evaluation, where=""), digest="") == WHOLE


def test_every_field_of_the_example_is_filled() -> None:
    """Or a change of what is empty would not show."""
    document = json.loads(GOLDEN.read_bytes())
    assert [name for name, value in document.items() if value in (None, "", [], {})] == []


def test_the_shipped_schema_is_the_code_s(assert_golden: AssertGolden) -> None:
    assert_golden(SCHEMA, f"{json.dumps(json_schema(), indent=2)}\n".encode())


def valid(evaluation: bytes) -> None:
    schema = json.loads(SCHEMA.read_bytes())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(json.loads(evaluation))


def test_the_golden_evaluation_is_valid() -> None:
    valid(GOLDEN.read_bytes())


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_the_evaluation_of_a_run_is_valid(folder: Path, kind: str) -> None:
    made = {"binary": models.classifier(3), "multiclass": models.classifier(3, classes=(0, 1, 2))}
    model_file(folder, made.get(kind))
    shard(folder / "in" / "s.parquet", {"id": list(range(40)), **numbers(40)})
    run(folder, features=("a,b,c",), id_column="id")
    labels = shard(folder / "labels.csv", {"id": list(range(30)), "came": [row % 2 for row in range(30)]})

    found = evaluate(str(folder / "out"), labels=[str(labels)], fail_over={"log_loss": 9} if kind == "binary" else {})

    assert found.kind == kind
    valid(encode_sealed(found))


def test_the_schema_refuses_what_the_reader_refuses() -> None:
    document = json.loads(GOLDEN.read_bytes())
    for spoiled in ({**document, "extra": 1}, {**document, "runs": None}, {**document, "format": "1"}):
        with pytest.raises(jsonschema.ValidationError):
            valid(json.dumps(spoiled).encode())


def test_every_part_of_the_schema_says_what_it_is() -> None:
    assert all(one.get("description") for one in json_schema()["$defs"].values())
