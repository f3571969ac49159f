"""Plans as values, without a file behind them."""

from __future__ import annotations

from collections.abc import Sequence

from mlserve_cli.contract import Contract, Input, Output, TensorSpec
from mlserve_cli.planning import PLAN_FORMAT, Plan, PlannedModel, PlannedOutput, split
from mlserve_cli.tables import Block, Column, Dialect, Shard

X = Input(TensorSpec("X", "float32", (None, 2)), ("a", "b"))
Y = Output(TensorSpec("Y", "float32", (None, 1)), "value", ("score",))


def shard_of(blocks: Sequence[int], *, index: int = 0, name: str = "", form: str = "parquet") -> Shard:
    """A shard whose blocks hold so many rows each."""
    return Shard(
        index=index,
        path=f"/data/{name or index}",
        name=name or f"s{index}",
        format="csv" if form == "csv" else "parquet",
        compression="none",
        size_bytes=100 * sum(blocks),
        mtime_ns=7,
        digest=f"sha256:{index:064d}",
        rows=sum(blocks),
        columns=(Column("a", "double"), Column("b", "double")),
        hive=(),
        blocks=tuple(Block(rows, place, place + 1) for place, rows in enumerate(blocks)),
    )


def plan_of(*shards: Shard) -> Plan:
    """A plan over these shards with a model that does not matter."""
    model = PlannedModel("m", "1", "/models/m", "model.onnx", "sha256:00", "00", "trees", "float32", (), None)
    return Plan(
        format=PLAN_FORMAT,
        model=model,
        contract=Contract((X,), (Y,)),
        dialect=Dialect(),
        inputs=shards,
        tasks=split(shards, family="trees", batch_rows=4_096),
        batch_rows=4_096,
        predictor="onnxruntime",
        on_error="fail",
        output=PlannedOutput("parquet", "zstd", 65_536, None, (), ""),
    )
