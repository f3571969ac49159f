"""The data sets of a run as OpenLineage names them: `file` and an absolute path, with schema, version and counts."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from mlserve_cli.contract import sha256_of
from mlserve_cli.scoring import STREAM
from mlserve_cli.tables import Shard, text_of
from mlserve_cli.telling.account import Beginning, Ending
from mlserve_cli.telling.facets import facet

if TYPE_CHECKING:
    from mlserve_cli.manifest import Manifest, OutputFile
    from mlserve_cli.planning import Plan
    from mlserve_cli.planning.plan import PlannedModel

Json = dict[str, Any]
NAMESPACE = "file"
MOST_LINKS = 20_000  # of output columns to input columns: an event of megabytes is refused by those that take it


def inputs_at(beginning: Beginning) -> list[Json]:
    """The inputs by name alone."""
    return [_named(name) for name in _input_names(beginning)]


def output_at(beginning: Beginning) -> list[Json]:
    """The output by name alone; none where it is a stream."""
    output = beginning.request.output
    return [] if output == STREAM else [_named(_absolute(output))]


def inputs_of(ending: Ending) -> list[Json]:
    """Each input with its columns and what was read of it, and every model that scored it."""
    plan = ending.plan
    if plan is None:
        return inputs_at(ending.beginning)
    models = (plan.model, *(rival.model for rival in plan.rivals))
    return [*(_input(name, shards) for name, shards in _grouped(ending.beginning, plan)), *map(_model, models)]


def outputs_of(ending: Ending) -> list[Json]:
    """The output with its columns, where they come from and what was written; what stands beside it too."""
    found = output_at(ending.beginning)
    manifest = ending.manifest
    if manifest is None or not found:
        return found
    (output,) = found
    output["facets"] |= _columns(ending, manifest.plan)
    output["outputFacets"] = _written([file for file in manifest.outputs if file.kind == "data"])
    beside = [{**_named(name), "outputFacets": _written(files)} for name, files in _beside(ending, manifest).items()]
    return [output, *beside]


def _named(name: str) -> Json:
    uri = PurePath(name).as_uri() if os.path.isabs(name) else f"file:{name}"
    return {
        "namespace": NAMESPACE,
        "name": name,
        "facets": {"dataSource": facet("DatasourceDatasetFacet", name=NAMESPACE, uri=uri)},
    }


def _input(name: str, shards: Sequence[Shard]) -> Json:
    found = _named(name)
    fingerprints = sorted((shard.name, shard.digest) for shard in shards)
    found["facets"] |= {
        "schema": _schema({column.name: column.type for shard in shards[:1] for column in shard.columns}),
        "version": facet("DatasetVersionDatasetFacet", datasetVersion=f"sha256:{sha256_of(fingerprints)}"),
    }
    counts = {
        "rowCount": sum(shard.rows for shard in shards),
        "size": sum(shard.size_bytes for shard in shards),
        "fileCount": len(shards),
    }
    return {**found, "inputFacets": {"inputStatistics": facet("InputStatisticsInputDatasetFacet", **counts)}}


def _model(model: PlannedModel) -> Json:
    found = _named(model.path)
    version = facet("DatasetVersionDatasetFacet", datasetVersion=model.digest)
    found["facets"] |= {"version": version}
    return found


def _columns(ending: Ending, plan: Plan) -> Json:
    """The output's schema, and which input columns each of its columns was made of."""
    from mlserve_cli.scoring.rows import output_schema

    schema = output_schema(plan)
    predictions = {column for output in plan.contract.outputs for column in output.columns}
    if plan.contract.threshold is not None:
        predictions.add(plan.contract.prediction)
    features = list(map(plan.contract.file_column, plan.contract.columns))
    made = {name: features for name in schema.names if name in predictions}
    carried = {name: [name] for name in schema.names if name in plan.output.carried}
    lineage = {
        **_lineage(made, ending, plan, how=("DIRECT", "TRANSFORMATION")),
        **_lineage(carried, ending, plan, how=("DIRECT", "IDENTITY")),
    }
    facets = {"schema": _schema({field.name: str(field.type) for field in schema})}
    links = sum(len(one["inputFields"]) for one in lineage.values())
    if 0 < links <= MOST_LINKS:
        facets["columnLineage"] = facet("ColumnLineageDatasetFacet", fields=lineage)
    return facets


def _lineage(made: dict[str, list[str]], ending: Ending, plan: Plan, *, how: tuple[str, str]) -> Json:
    way = {"type": how[0], "subtype": how[1]}
    names = [name for name, _ in _grouped(ending.beginning, plan)]
    return {
        column: {
            "inputFields": [
                {"namespace": NAMESPACE, "name": name, "field": field, "transformations": [way]}
                for name in names
                for field in fields
            ]
        }
        for column, fields in made.items()
    }


def _schema(columns: dict[str, str]) -> Json:
    fields = [
        {"name": name, "type": kind, "ordinal_position": place}
        for place, (name, kind) in enumerate(columns.items(), start=1)
    ]
    return facet("SchemaDatasetFacet", fields=fields)


def _written(files: Sequence[OutputFile]) -> Json:
    counts = {
        "rowCount": sum(file.rows for file in files),
        "size": sum(file.size_bytes for file in files),
        "fileCount": len(files),
    }
    return {"outputStatistics": facet("OutputStatisticsOutputDatasetFacet", **counts)}


def _beside(ending: Ending, manifest: Manifest) -> dict[str, list[OutputFile]]:
    """What was written beside the data, by its folder; by its own name where the parts were joined into one file."""
    place = ending.result.manifest_path.parent if ending.result is not None else PurePath()
    found: dict[str, list[OutputFile]] = {}
    for file in manifest.outputs:
        if file.kind in ("quarantine", "challenger"):
            name = os.path.normpath(str(place / (os.path.dirname(file.path) or file.path)))
            found.setdefault(text_of(name), []).append(file)
    return found


def _grouped(beginning: Beginning, plan: Plan) -> list[tuple[str, list[Shard]]]:
    """The shards under the input that they were found in: the longest name that holds them. None for a stream."""
    names = sorted(_input_names(beginning), key=len, reverse=True)
    groups: dict[str, list[Shard]] = {name: [] for name in _input_names(beginning)}
    for shard in plan.inputs:
        holding = next((name for name in names if _holds(name, shard.path)), None)
        if holding is not None:
            groups[holding].append(shard)
    return [(name, shards) for name, shards in groups.items() if shards]


def _holds(name: str, path: str) -> bool:
    return path == name or path.startswith(name.rstrip("/") + "/")


def _input_names(beginning: Beginning) -> list[str]:
    """Absolute paths of the inputs; of a glob the folder before its first wildcard."""
    names = [_absolute(_before_wildcard(given)) for given in beginning.request.inputs if given != STREAM]
    return list(dict.fromkeys(names))


def _before_wildcard(given: str) -> str:
    if os.path.lexists(given) or not re.search(r"[*?\[]", given):
        return given
    fixed = re.split(r"[*?\[]", given, maxsplit=1)[0]
    return os.path.dirname(fixed) or "."


def _absolute(path: str) -> str:
    return text_of(os.path.abspath(path))
