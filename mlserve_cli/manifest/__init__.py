"""Records and the manifest: what was done, as JSON values that carry the digest of their own content."""

from mlserve_cli.manifest.records import (
    RECORD_FORMAT,
    Latencies,
    Stages,
    TaskRecord,
    decode_sealed,
    encode_sealed,
    read_record,
)
from mlserve_cli.manifest.values import (
    MANIFEST_FORMAT,
    Environment,
    InputAccount,
    Manifest,
    ModelAccount,
    OutputFile,
    Rows,
    Run,
    Setting,
    Throughput,
    WorkerAccount,
    json_schema,
    read_manifest,
)

__all__ = [
    "MANIFEST_FORMAT",
    "RECORD_FORMAT",
    "Environment",
    "InputAccount",
    "Latencies",
    "Manifest",
    "ModelAccount",
    "OutputFile",
    "Rows",
    "Run",
    "Setting",
    "Stages",
    "TaskRecord",
    "Throughput",
    "WorkerAccount",
    "decode_sealed",
    "encode_sealed",
    "json_schema",
    "read_manifest",
    "read_record",
]
