"""What exactly ran, on what, and how to prove it: the part that an auditor reads."""

from __future__ import annotations

import shlex

from mlserve_cli.contract import Scalar
from mlserve_cli.manifest import Manifest, Setting
from mlserve_cli.reporting.blocks import Column, Fact, Table, number, table
from mlserve_cli.reporting.wording import count, model_name, size, span, visible

FILES_SHOWN = 40


def facts_of(manifest: Manifest) -> tuple[Fact, ...]:
    """Model, plan, command and machine, with their digests."""
    model, run, here, plan = manifest.model, manifest.run, manifest.environment, manifest.plan
    alias = f"named by its alias {model.alias} at that time" if model.alias else ""
    kind = f"{model.precision}, {model.family}, {size(model.size_bytes)}"
    trees = "machine code for its trees" if model.predictor == "trees" else "ONNX Runtime"
    why = f"{trees}: {visible(model.predictor_reason)}" if model.predictor_reason else trees
    return (
        Fact("Model", _lines(model_name(model.name, model.version), visible(alias), kind)),
        Fact("Model digest", (model.digest,), "code"),
        Fact("Registry", (visible(model.registry),), "code") if model.registry else Fact("Registry", ("none",)),
        Fact("Signature", _signature(manifest)),
        Fact("Golden rows", (_golden(manifest),)),
        Fact("Scored by", (why,)),
        Fact("Run", (run.id,), "code"),
        Fact("When", (f"{span(run.started_at, run.finished_at)}",)),
        Fact("Command", (visible(shlex.join(run.command)) if run.command else "called from Python",), "code"),
        Fact("Plan", (f"{count(len(plan.tasks), 'task')}, batches of {count(plan.batch_rows, 'row')}",)),
        Fact(
            "Software",
            (f"mlserve {here.mlserve}, ONNX Runtime {here.onnxruntime}, pyarrow {here.pyarrow}", _python(manifest)),
        ),
        Fact("Machine", (visible(here.cpu), visible(here.platform))),
    )


def settings_of(manifest: Manifest) -> Table | None:
    """The options that somebody set, and where; defaults are in the manifest."""
    chosen = {name: one for name, one in manifest.run.settings.items() if one.source != "default"}
    if not chosen:
        return None
    rows = [[f"--{visible(name)}", _value(one), one.source] for name, one in sorted(chosen.items())]
    return table("Options that were set", [Column("option", "code"), Column("value"), Column("from")], rows)


def files_of(manifest: Manifest) -> Table:
    """Every file of the run with its digest."""
    rows = [
        [visible(file.path), file.kind, count(file.rows), size(file.size_bytes), file.sha256]
        for file in manifest.outputs
    ]
    columns = [Column("file"), Column("kind"), number("rows"), number("size"), Column("sha256", "code")]
    return table("Files of the run", columns, rows, most=FILES_SHOWN)


def _signature(manifest: Manifest) -> tuple[str, ...]:
    found = manifest.model.signature
    if found is None:
        return ("not asked for: no trust policy was in force",)
    if not found.signed:
        return ("none, which the trust policy allows", f"policy sha256 {found.policy_sha256}")
    return (f"by {visible(found.signer)}", f"key {found.key_id}", f"policy sha256 {found.policy_sha256}")


def _golden(manifest: Manifest) -> str:
    return "scored as in training, by each worker" if manifest.model.golden_rows == "passed" else "none in the model"


def _python(manifest: Manifest) -> str:
    return f"Python {manifest.environment.python}, numpy {manifest.environment.numpy}"


def _value(setting: Setting) -> str:
    value: Scalar | list[str] | None = setting.value
    if isinstance(value, bool):
        return "yes" if value else "no"
    return visible(", ".join(value) if isinstance(value, list) else str(value))


def _lines(*texts: str) -> tuple[str, ...]:
    return tuple(filter(None, texts))
