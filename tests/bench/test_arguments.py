"""A request as a command line: `mlserve score` understands by it what was meant."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
import typer

from mlserve_cli import Dialect, ScoreRequest
from mlserve_cli.benchmark.arguments import score_arguments
from mlserve_cli.cli import app

PLAIN = ScoreRequest(model="m.onnx", inputs=("in",), output="out")
NO_OPTIONS = {"settings", "command", "globs"}  # for the manifest alone; for paths that watch has found
# each field with another value than it has by default, and what the command line makes of it
OTHERS: dict[str, tuple[object, dict[str, object]]] = {
    "model": ("-m.onnx", {"model": "-m.onnx"}),
    "inputs": (("a", "-b"), {"inputs": ["a", "-b"]}),
    "output": ("o ut", {"output": "o ut"}),
    "features": (("X=a,b", "Y=c"), {"features": ["X=a,b", "Y=c"]}),
    "registry": ("/a place", {"registry": "/a place"}),
    "trust_policy": ("/a place", {"trust_policy": "/a place"}),
    "rename": ({"model": "file, too"}, {"rename": ['"file, too=model"']}),
    "schema_mode": ("coerce", {"schema_mode": "coerce"}),
    "nulls": ("nan", {"nulls": "nan"}),
    "nan_scores": ("allow", {"nan_scores": "allow"}),
    "id_column": ("id", {"id_column": "id"}),
    "passthrough": (("a", "b,c"), {"passthrough": ["a", '"b,c"']}),
    "threshold": (0.25, {"threshold": 0.25}),
    "labels": (False, {"labels": False}),
    "input_format": ("csv", {"input_format": "csv"}),
    "output_columns": ({"score": "s"}, {"output_columns": ["score=s"]}),
    "output_format": ("csv", {"output_format": "csv"}),
    "compression": ("gzip", {"compression": "gzip"}),
    "on_error": ("quarantine", {"on_error": "quarantine"}),
    "max_errors": ("5%", {"max_errors": "5%"}),
    "if_exists": ("resume", {"if_exists": "resume"}),
    "workers": (3, {"workers": 3}),
    "threads_per_worker": (2, {"threads_per_worker": 2}),
    "batch_rows": (77, {"batch_rows": 77}),
    "memory_limit": (1 << 30, {"memory_limit": 1 << 30}),
    "max_retries": (5, {"max_retries": 5}),
    "task_timeout": (2.5, {"task_timeout": 2.5}),
    "predictor": ("trees", {"predictor": "trees"}),
    "deduplicate": ("on", {"deduplicate": "on"}),
    "reuse": ("earlier", {"reuse": "earlier"}),
    "profile": ("off", {"profile": "off"}),
    "drift_profile": ("/a place", {"drift_profile": "/a place"}),
    "drift_thresholds": ("/a place", {"drift_thresholds": "/a place"}),
    "fail_on_drift": (True, {"fail_on_drift": True}),
    "challengers": (("a:1", "b,c"), {"challenger": ["a:1", "b,c"]}),
    "canary": (2.5, {"canary": 2.5}),
    "split": ({"a:1": 12.5, "b@c": 87.5}, {"split": ["a:1=12.5", "b@c=87.5"]}),
    "split_key": ("id", {"split_key": "id"}),
    "split_salt": ("s t", {"split_salt": "s t"}),
    "limit": (9, {"limit": 9}),
}
DIALECT = Dialect(delimiter="\t", encoding="latin-1", quote="", null_values=("", "NA"), header=False, max_field_bytes=9)
OTHERS["dialect"] = (
    DIALECT,
    {"delimiter": "\t", "encoding": "latin-1", "quote": "", "null_value": ["NA"], "header": False}
    | {"max_field_bytes": 9},
)


def parsed(request: ScoreRequest) -> dict[str, Any]:
    """What the command would be called with."""
    command: Any = typer.main.get_command(app)
    with command.make_context("mlserve", ["score"]) as root:
        score = command.commands["score"]
        with score.make_context("score", list(score_arguments(request)), parent=root) as context:
            found: dict[str, Any] = context.params
            return found


def test_every_field_of_a_request_has_its_case() -> None:
    assert set(OTHERS) == {field.name for field in fields(ScoreRequest)} - NO_OPTIONS


@pytest.mark.parametrize("field", OTHERS)
def test_a_field_arrives_as_it_was_meant(field: str) -> None:
    value, expected = OTHERS[field]
    change: dict[str, Any] = {field: value}
    request = replace(PLAIN, **change)

    found = parsed(request)

    assert {name: found[name] for name in expected} == expected
    usual = parsed(PLAIN)
    assert {name: found[name] for name in found if name not in expected} == {
        name: usual[name] for name in usual if name not in expected
    }


def test_what_is_not_asked_is_not_said() -> None:
    assert score_arguments(PLAIN) == ("--model=m.onnx", "--output=out", "--input=in")
