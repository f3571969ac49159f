"""Columns into tensors and tensors into columns, whole columns at a time, with every value that does not fit named."""

from mlserve_cli.features._batch import Buffers, batch_tensors
from mlserve_cli.features._convert import Features, convert
from mlserve_cli.features._output import bad_scores, output_schema, output_table
from mlserve_cli.features._types import check_types

__all__ = [
    "Buffers",
    "Features",
    "bad_scores",
    "batch_tensors",
    "check_types",
    "convert",
    "output_schema",
    "output_table",
]
