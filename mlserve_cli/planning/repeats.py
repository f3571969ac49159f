"""Rows with the same features scored once: over how many rows repeats are looked for, and whether that would pay.

A rule over the model's file and the rows' own repeats, never a measurement: the same work must make the same plan on
every machine and in every attempt, or `--resume` would find the staging of another.
"""

from __future__ import annotations

import msgspec

from mlserve_cli.contract import Contract, ModelFacts

# Where repeats are looked for: more rows have more of them, until the keys leave the cache.
WINDOW_ROWS = 65_536
WINDOW_BYTES = 8 << 20
LEAST_GAIN = 1.2
# A look at the first rows costs some 5 ms: nothing beside this much inference.
LEAST_INFERENCE_S = 0.25
# Nanoseconds on one thread, measured (tests/benchmarks/deduplicate.py): what a row costs beside its inference, what
# its key costs, and what inference costs for each byte of a model's file or each tree. A forest of ONNX Runtime's is
# taken at the cheapest that was seen, 7 times under the dearest: the gain may be larger than this says.
ROW_NS, COLUMN_NS, CSV_BYTE_NS = 40.0, 10.0, 6.0
KEY_NS, KEY_BYTE_NS, TEXT_KEY_NS = 25.0, 0.7, 160.0
NS_PER_BYTE = {"network": 0.004, "linear": 0.004, "other": 0.004, "trees": 0.0006}
KERNEL_TREE_NS = 8.0


class RowCosts(msgspec.Struct, frozen=True):
    """Nanoseconds that one row costs: its inference, its key, and all the rest."""

    inference_ns: float
    key_ns: float
    rest_ns: float

    def gain(self, distinct_share: float) -> float:
        """How many times as fast rows pass where only this share of them (0 to 1) is scored."""
        plain_ns = self.rest_ns + self.inference_ns
        return plain_ns / (self.rest_ns + self.key_ns + distinct_share * self.inference_ns)


def row_costs(facts: ModelFacts, contract: Contract, *, kernel_trees: int = 0, csv_bytes: int = 0) -> RowCosts:
    """What a row of this model costs; `kernel_trees` where the fast kernel runs so many trees.

    `csv_bytes` are those of a row of text, which must be parsed whether it is scored or not.
    """
    inference_ns = kernel_trees * KERNEL_TREE_NS or facts.size_bytes * NS_PER_BYTE[facts.family]
    key_ns, columns = KEY_NS, 0
    for part in contract.inputs:
        values = part.tensor.width or len(part.columns)
        columns += len(part.columns)
        if part.tensor.dtype == "string":
            key_ns += values * TEXT_KEY_NS
        else:
            key_ns += values * KEY_BYTE_NS * _bytes_of(part.tensor.dtype)
    return RowCosts(inference_ns, key_ns, ROW_NS + columns * COLUMN_NS + csv_bytes * CSV_BYTE_NS)


def window_rows_for(*, batch_rows: int, row_bytes: int) -> int:
    """Rows among which repeats are scored once: a whole number of batches, at least one."""
    most = min(WINDOW_ROWS, WINDOW_BYTES // max(row_bytes, 1))
    return max(most // batch_rows, 1) * batch_rows


def _bytes_of(dtype: str) -> int:
    bits = dtype.lstrip("abcdefghijklmnopqrstuvwxyz")
    return int(bits) // 8 if bits else 1  # bool
