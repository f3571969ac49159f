"""The JSON Schema that is shipped and published says what the classes say, and real manifests satisfy it."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import jsonschema

from mlserve_cli import ScoreRequest, score
from mlserve_cli.manifest import json_schema

SHIPPED = files("mlserve_cli") / "manifest" / "schema.json"
SAMPLE = Path(__file__).parents[2] / "sample_data"


def test_the_shipped_schema_is_the_one_of_the_classes() -> None:
    wanted = json.dumps(json_schema(), indent=2) + "\n"
    assert SHIPPED.read_text(encoding="utf-8") == wanted, (
        "write it anew: python -c 'import json; from mlserve_cli.manifest import json_schema; "
        "print(json.dumps(json_schema(), indent=2))' > mlserve_cli/manifest/schema.json"
    )


def test_the_manifest_of_a_run_satisfies_the_shipped_schema(tmp_path: Path) -> None:
    model, flights = str(SAMPLE / "models" / "late-gbm"), str(SAMPLE / "flights")
    run = score(ScoreRequest(model=model, inputs=(flights,), output=str(tmp_path / "scores")))
    schema = json.loads(SHIPPED.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(run.manifest_path.read_text(encoding="utf-8")), schema)
