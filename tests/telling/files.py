"""What the files say that tell of a run, read by others' code: Prometheus' parser, OpenLineage's schemas, json."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urldefrag

import jsonschema
from prometheus_client.parser import text_string_to_metric_families
from referencing import Registry, Resource

from mlserve_cli import ScoreRequest, Tell
from mlserve_cli import told as run_told
from mlserve_cli.errors import MlserveError
from tests.cli.desk import Desk, Ended

SCHEMAS = Path(__file__).parent / "openlineage"
TELLING = {
    "--prometheus-file": "nightly.prom",
    "--openlineage-file": "events.ndjson",
    "--log-file": "runs.log",
    "--audit-log": "audit.log",
}
Series = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def told(desk: Desk, *arguments: str, out: str = "out") -> Ended:
    """A run that tells everyone."""
    return desk.score(*telling(desk), *arguments, out=out)


def telling(desk: Desk) -> list[str]:
    """The options that tell everyone."""
    return [word for option, name in TELLING.items() for word in (option, desk.path(name))]


def run(desk: Desk, tell: Tell, *, out: str = "out", **options: Any) -> int:
    """A run of the basics, as Python has it; its exit code."""
    wanted = {"inputs": (desk.path("rows.csv"),), "workers": 1, **options}
    try:
        return run_told(
            ScoreRequest(model=desk.path("linear.onnx"), output=desk.path(out), **wanted), tell=tell
        ).exit_code
    except MlserveError as error:
        return error.exit_code


def lines(desk: Desk, name: str) -> list[dict[str, Any]]:
    """Every line of a file of JSON."""
    return [json.loads(line) for line in (desk.folder / name).read_text().splitlines()]


def events(desk: Desk) -> list[dict[str, Any]]:
    """The OpenLineage events, each held to the schemas of the specification."""
    found = lines(desk, "events.ndjson")
    for event in found:
        check_event(event)
    return found


def metrics(desk: Desk, name: str = "nightly.prom") -> dict[str, float]:
    """Every series as `metric{label="value",…}`, the label `name` left out."""
    found = {}
    for (metric, labels), value in series((desk.folder / name).read_text()).items():
        text = ",".join(f'{label}="{value}"' for label, value in labels if label != "name")
        found[f"{metric}{{{text}}}" if text else metric] = value
    return found


def series(text: str) -> Series:
    """Every series of a textfile, none of them twice and none with a time of its own."""
    found: Series = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in found
            assert sample.timestamp is None  # node_exporter refuses a file that has one
            found[key] = sample.value
    return found


def check_event(event: dict[str, Any]) -> None:
    """Raises jsonschema.ValidationError where the event, or any facet in it, is not what its schema says."""
    _check(event, event["schemaURL"])
    for facet in _facets(event):
        _check(facet, facet["_schemaURL"])


def _check(value: object, schema: str) -> None:
    _validator(schema).validate(value)


@lru_cache
def _validator(schema: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(
        {"$ref": schema}, registry=_registry(), format_checker=jsonschema.FormatChecker()
    )


def _facets(value: object) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if "_schemaURL" in value:
            yield value
        for one in value.values():
            yield from _facets(one)
    elif isinstance(value, list):
        for one in value:
            yield from _facets(one)


@lru_cache
def _registry() -> Registry[Any]:
    found = (json.loads(path.read_text()) for path in SCHEMAS.glob("*.json"))
    return Registry().with_resources((urldefrag(one["$id"]).url, Resource.from_contents(one)) for one in found)
