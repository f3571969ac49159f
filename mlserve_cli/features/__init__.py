"""Columns into tensors and tensors into columns, whole columns at a time, with every value that does not fit named."""

from mlserve_cli.features._batch import Buffers, batch_tensors
from mlserve_cli.features._buffers import as_arrow, list_width, null_mask, one_array, values_of
from mlserve_cli.features._convert import Features, convert
from mlserve_cli.features._output import bad_scores, output_schema, output_table
from mlserve_cli.features._strings import printed
from mlserve_cli.features._types import check_types

__all__ = [
    "Buffers",
    "Features",
    "as_arrow",
    "bad_scores",
    "batch_tensors",
    "check_types",
    "convert",
    "list_width",
    "null_mask",
    "one_array",
    "output_schema",
    "output_table",
    "values_of",
    "printed",
]
