"""Arrow's functions over columns, loaded when the first is called: `pyarrow.compute` takes 40 ms to make its wrappers.

A run over float columns of Parquet calls none.
"""

from __future__ import annotations

from typing import Any


class _Compute:
    def __getattr__(self, name: str) -> Any:
        import pyarrow.compute

        return getattr(pyarrow.compute, name)


compute = _Compute()
