"""A request as the command line of `mlserve score` that asks for the same."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence

from mlserve_cli.scoring import ScoreRequest
from mlserve_cli.tables import Dialect

# Fields and options that go by other rules: see below. What only the manifest is told of is left out.
VALUES = {
    "trust_policy": "--trust-policy",
    "registry": "--registry",
    "schema_mode": "--schema-mode",
    "nulls": "--nulls",
    "nan_scores": "--nan-scores",
    "id_column": "--id-column",
    "threshold": "--threshold",
    "input_format": "--input-format",
    "output_format": "--output-format",
    "compression": "--compression",
    "on_error": "--on-error",
    "max_errors": "--max-errors",
    "if_exists": "--if-exists",
    "reuse": "--reuse",
    "workers": "--workers",
    "threads_per_worker": "--threads-per-worker",
    "batch_rows": "--batch-rows",
    "memory_limit": "--memory-limit",
    "max_retries": "--max-retries",
    "task_timeout": "--task-timeout",
    "predictor": "--predictor",
    "deduplicate": "--deduplicate",
    "profile": "--profile",
    "drift_profile": "--drift-profile",
    "drift_thresholds": "--drift-thresholds",
    "canary": "--canary",
    "split_key": "--split-key",
    "split_salt": "--split-salt",
    "limit": "--limit",
}
DIALECT = {
    "delimiter": "--delimiter",
    "encoding": "--encoding",
    "quote": "--quote",
    "max_field_bytes": "--max-field-bytes",
}


def score_arguments(request: ScoreRequest) -> tuple[str, ...]:
    """Every field that is not what it is by default, in one word each so that no value passes for an option."""
    arguments = [f"--model={request.model}"] if request.model else []  # a split has none
    arguments += [f"--output={request.output}"]
    arguments += [f"--input={path}" for path in request.inputs]
    arguments += [f"--features={text}" for text in request.features]
    arguments += _names("--passthrough", request.passthrough)
    arguments += _names("--rename", [f"{file}={model}" for model, file in request.rename.items()])
    arguments += _names("--output-columns", _pairs(request.output_columns))
    arguments += [f"--challenger={model}" for model in request.challengers]
    arguments += [f"--split={model}={share}" for model, share in request.split.items()]
    arguments += ["--fail-on-drift"] if request.fail_on_drift else []
    arguments += [] if request.labels else ["--no-labels"]
    arguments += _changed(request, ScoreRequest(model="", inputs=(), output=""), VALUES)
    arguments += _changed(request.dialect, Dialect(), DIALECT)
    arguments += [f"--null-value={text}" for text in request.dialect.null_values if text]
    arguments += [] if request.dialect.header else ["--no-header"]
    return tuple(arguments)


def _changed(value: object, usual: object, options: Mapping[str, str]) -> Iterator[str]:
    for field, option in options.items():
        if getattr(value, field) != getattr(usual, field):
            yield f"{option}={getattr(value, field)}"


def _pairs(pairs: Mapping[str, str]) -> list[str]:
    return [f"{left}={right}" for left, right in pairs.items()]


def _names(option: str, names: Sequence[str]) -> list[str]:
    """Each on its own, quoted where it holds a comma."""
    return [f"{option}={_quoted(name)}" for name in names]


def _quoted(name: str) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow([name])
    return line.getvalue()
