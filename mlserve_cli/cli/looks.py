"""What `inspect` shows of a model, a run, or data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mlserve_cli.cli.summary import columns_text, count_text, rows_text
from mlserve_cli.errors import shown
from mlserve_cli.manifest import Manifest
from mlserve_cli.scoring import InspectedData, InspectedModel

if TYPE_CHECKING:
    from mlserve_cli.cli.terminal import Facts
    from mlserve_cli.contract import TensorSpec
    from mlserve_cli.scoring import Inspected

COLUMNS_SHOWN = 200
SHARDS_SHOWN = 20


def inspected_lines(found: Inspected) -> list[str]:
    """Lines for people."""
    match found:
        case InspectedModel():
            return _model_lines(found)
        case Manifest():
            return _run_lines(found)
        case InspectedData():
            return _data_lines(found)


def inspected_facts(found: Inspected) -> Facts:
    """The whole of it for machines."""
    match found:
        case InspectedModel(model=model, contract=contract, unbound=unbound):
            package = {"name": model.package.name, "version": model.package.version, "digest": model.package.digest}
            facts = {"kind": "model", "package": package, "model": model.facts, "contract": contract}
            content = {**facts, "unbound": unbound}
        case Manifest():
            content = {"kind": "run", "manifest": found}
        case InspectedData(shards=shards, skipped=skipped):
            content = {"kind": "data", "rows": found.rows, "shards": shards, "skipped": skipped}
    built: dict[str, object] = msgspec.to_builtins(content)
    return built


def _model_lines(found: InspectedModel) -> list[str]:
    facts, package = found.model.facts, found.model.package
    opsets = ", ".join(f"{domain} {version}" for domain, version in facts.opsets.items())
    operators = ", ".join(f"{name} {count}" for name, count in sorted(facts.operators.items()))
    lines = [
        f"model {shown(package.name)} {shown(package.version) if package.version else ''}".rstrip(),
        f"  digest    {package.digest}",
        f"  size      {facts.size_bytes:,} bytes, {facts.precision}, {facts.family}",
        f"  opsets    {opsets}",
        f"  operators {operators}",
        f"  producer  {shown(facts.producer) if facts.producer else 'unknown'}",
        *(f"  metadata  {shown(key)} = {shown(value, limit=200)}" for key, value in facts.metadata.items()),
        *(f"  input     {_tensor(spec)}" for spec in facts.inputs),
        *(f"  output    {_tensor(spec)}" for spec in facts.outputs),
    ]
    if package.baseline_path:
        lines.append("  baseline  yes: mlserve profile shows the rows that it was trained on")
    if found.contract is None:
        return [*lines, f"  columns   not known: {found.unbound}"]
    contract = found.contract
    lines += [
        f"  feeds     {shown(part.tensor.name)} <- {columns_text(part.columns, contract.rename)}"
        for part in contract.inputs
    ]
    lines += [
        f"  writes    {', '.join(map(shown, output.columns))} <- {shown(output.tensor.name)} ({output.role})"
        for output in contract.outputs
    ]
    return [*lines, f"  nulls     {contract.nulls} in float features"]


def _run_lines(manifest: Manifest) -> list[str]:
    run, environment = manifest.run, manifest.environment
    return [
        f"run {run.id}: {run.status}",
        f"  when      {run.started_at} to {run.finished_at}",
        f"  model     {shown(manifest.model.name)} {manifest.model.version} {manifest.model.digest}".rstrip(),
        f"  rows      {rows_text(manifest)}",
        *(
            f"  input     {shown(part.name, limit=200)}: {part.rows_in:,} rows, {part.rows_quarantined:,} in quarantine"
            for part in manifest.inputs[:SHARDS_SHOWN]
        ),
        *_more(len(manifest.inputs) - SHARDS_SHOWN),
        f"  plan      {count_text(len(manifest.plan.tasks), 'task')}, batches of {manifest.plan.batch_rows:,} rows",
        f"  made by   mlserve {environment.mlserve}, onnxruntime {environment.onnxruntime}, {environment.cpu}",
        "  proof     mlserve verify says whether its files still are what this says",
    ]


def _data_lines(found: InspectedData) -> list[str]:
    if not found.shards:
        return ["no files"]
    first = found.shards[0]
    lines = [
        f"data: {found.rows:,} rows in {count_text(len(found.shards), 'file')}, read in this order",
        *(
            f"  file      {shown(shard.name, limit=200)}: {shard.rows:,} rows, {shard.format}"
            f"{'' if shard.compression == 'none' else ' ' + shard.compression}, {shard.size_bytes:,} bytes"
            for shard in found.shards[:SHARDS_SHOWN]
        ),
        *_more(len(found.shards) - SHARDS_SHOWN),
        *(f"  column    {shown(column.name)}: {column.type}" for column in first.columns[:COLUMNS_SHOWN]),
        *_more(len(first.columns) - COLUMNS_SHOWN),
    ]
    others = [shard for shard in found.shards if shard.columns != first.columns]
    if others:
        lines.append(
            f"  note      {count_text(len(others), 'file')} with other columns, the first: {shown(others[0].name)}"
        )
    if found.skipped:
        lines.append(f"  note      {count_text(len(found.skipped), 'file')} of other kinds skipped")
    return lines


def _more(number: int) -> list[str]:
    return [f"  … and {number:,} more"] if number > 0 else []


def _tensor(spec: TensorSpec) -> str:
    shape = ", ".join(
        "N" if i == 0 and size is None else "?" if size is None else str(size) for i, size in enumerate(spec.shape)
    )
    return f"{shown(spec.name)}: {spec.dtype} [{shape}]"
