"""Facets of OpenLineage, each with the version of its own schema that it is written to."""

from __future__ import annotations

from typing import Any

from mlserve_cli._version import __version__

SPEC = "https://openlineage.io/spec"
EVENT_SCHEMA = f"{SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent"
PRODUCER = f"urn:mlserve-cli:{__version__}"
VERSIONS = {  # tests/telling/openlineage holds these very schemas
    "ColumnLineageDatasetFacet": "1-2-0",
    "DatasetVersionDatasetFacet": "1-0-1",
    "DatasourceDatasetFacet": "1-0-1",
    "ErrorMessageRunFacet": "1-0-1",
    "InputStatisticsInputDatasetFacet": "1-0-0",
    "JobTypeJobFacet": "2-0-4",
    "OutputStatisticsOutputDatasetFacet": "1-0-2",
    "ParentRunFacet": "1-2-0",
    "ProcessingEngineRunFacet": "1-1-1",
    "SchemaDatasetFacet": "1-2-0",
}


def facet(kind: str, **fields: Any) -> dict[str, Any]:
    """A facet of the standard; `RunFacet` for one of our own, which has no schema but that of all run facets."""
    if kind in VERSIONS:
        schema = f"{SPEC}/facets/{VERSIONS[kind]}/{kind}.json#/$defs/{kind}"
    else:
        schema = f"{SPEC}/2-0-2/OpenLineage.json#/$defs/{kind}"
    return {"_producer": PRODUCER, "_schemaURL": schema, **fields}
