"""One manifest with everything in it, always the same."""

from __future__ import annotations

from mlserve_cli.contract import Contract, Input, Output, TensorSpec
from mlserve_cli.manifest import (
    MANIFEST_FORMAT,
    Deduplication,
    Environment,
    InputAccount,
    Manifest,
    ModelAccount,
    OutputFile,
    Rows,
    Run,
    Setting,
    Stages,
    Throughput,
    TimeLine,
    WorkerAccount,
)
from mlserve_cli.planning import PLAN_FORMAT, Plan, PlannedGolden, PlannedModel, PlannedOutput, Task
from mlserve_cli.tables import Block, Column, Dialect, Shard

X = TensorSpec("X", "float32", (None, 2))
P = TensorSpec("probabilities", "float32", (None, 2))
DIGEST = "sha256:" + "ab" * 32

PLAN = Plan(
    format=PLAN_FORMAT,
    model=PlannedModel(
        name="late",
        version="3",
        path="/models/late",
        file="model.onnx",
        digest=DIGEST,
        sha256="cd" * 32,
        family="trees",
        precision="float32",
        external_files=("weights.bin",),
        golden=PlannedGolden(
            "golden.parquet", "ef" * 32, 1e-5, (Input(X, ("hour", "wind")),), {"late": "expected_late"}
        ),
    ),
    contract=Contract(
        inputs=(Input(X, ("hour", "wind")),),
        outputs=(Output(P, "probability", ("on_time", "late"), ("no", "yes")),),
        nulls="nan",
        threshold=0.25,
        fill={"wind": 0.5},
        rename={"wind": "Wind (mph)"},
    ),
    dialect=Dialect(delimiter="\t", null_values=("NA",)),
    inputs=(
        Shard(
            index=0,
            path="/in/month=01/ä.csv.gz",
            name="month=01/ä.csv.gz",
            format="csv",
            compression="gzip",
            size_bytes=120,
            mtime_ns=1_700_000_000_000_000_000,
            digest=DIGEST,
            rows=3,
            columns=(Column("hour", "text"), Column("Wind (mph)", "text"), Column("month", "text")),
            hive=(("month", "01"),),
            blocks=(Block(3, 0, 120),),
        ),
    ),
    tasks=(Task(0, 0, 0, 0, 3),),
    batch_rows=4_096,
    predictor="onnxruntime",
    on_error="quarantine",
    output=PlannedOutput("parquet", "zstd", 65_536, "month", ("month",), "c2NoZW1h"),
)

MANIFEST = Manifest(
    format=MANIFEST_FORMAT,
    run=Run(
        id=PLAN.id,
        status="complete with rows in quarantine",
        exit_code=3,
        started_at="2026-11-23T04:00:00.000Z",
        finished_at="2026-11-23T04:00:01.500Z",
        seconds=1.5,
        command=["mlserve", "score", "-m", "late"],
        settings={
            "features": Setting(["hour", "wind"], "command line"),
            "limit": Setting(None, "default"),
            "threshold": Setting(0.25, "file"),
            "workers": Setting(2, "environment"),
        },
        resumed_tasks=0,
        reused_tasks=0,
        lost_workers=1,
    ),
    model=ModelAccount(
        name="late",
        version="3",
        digest=DIGEST,
        sha256="cd" * 32,
        size_bytes=1_234,
        precision="float32",
        family="trees",
        opsets={"": 17, "ai.onnx.ml": 3},
        producer="OnnxMLTools 1.16.0",
        inputs=(X,),
        outputs=(P,),
        golden_rows="passed",
        predictor="onnxruntime",
        predictor_reason="the model has no trees",
    ),
    inputs=(InputAccount("month=01/ä.csv.gz", "/in/month=01/ä.csv.gz", 3, 2, 1),),
    outputs=(
        OutputFile("data/part-00000-00000.parquet", "data", 0, 2, 900, "12" * 32),
        OutputFile("quarantine/part-00000-00000.parquet", "quarantine", 0, 1, 800, "34" * 32),
    ),
    rows=Rows(3, 2, 1, {"not a number": 1}, {"wind": 2}),
    deduplication=Deduplication(0, 3, 2, "the rows are few"),
    throughput=Throughput(
        rows_per_s=2.0,
        stages=Stages(0.25, 0.125, 0.5, 0.0625),
        stage_rows_per_s={"read": 12.0},
        batch_p50_s=0.5,
        batch_p95_s=0.5,
        batch_p99_s=0.5,
        workers=(WorkerAccount(4_711, 1, 0.75, 100 << 20),),
        peak_memory_bytes=200 << 20,
        estimated_seconds=None,
        estimated_peak_memory_bytes=190 << 20,
        time_line=TimeLine([0], [4_711], [0.25], [1.0], [0.25], [0.125], [0.5], [0.0625], [0.0]),
    ),
    environment=Environment(
        mlserve="0.1.0",
        python="3.11.7",
        onnxruntime="1.32.0",
        pyarrow="26.0.0",
        numpy="2.4.0",
        cpu="A CPU",
        cpu_flags=["avx2", "fma"],
        platform="Linux 6.1 x86_64",
        threads_per_worker=1,
        provider="cpu",
    ),
    plan=PLAN,
)
