"""Finished runs with everything in them, written as files whose every digest holds: what pages are made of in tests."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
from msgspec.structs import replace

from mlserve_cli import storage, tables
from mlserve_cli.contract import encode_sealed
from mlserve_cli.manifest import (
    ArmAccount,
    ChallengerAccount,
    InputAccount,
    Manifest,
    OutputFile,
    ProfileAccount,
    Rows,
    ScoreDifference,
    Setting,
    SplitAccount,
    Stages,
    Throughput,
    TimeLine,
    WorkerAccount,
)
from mlserve_cli.monitoring.evaluation import (
    EVALUATION_FORMAT,
    Calibration,
    CalibrationBin,
    Evaluation,
    Figure,
    JoinAccount,
    Limit,
    RunEvaluation,
    SliceEvaluation,
)
from mlserve_cli.profiles import ColumnDrift, Drift, Profile, Profiler
from mlserve_cli.profiles.profiler import Categories, Numbers
from tests.manifest.example import DIGEST, MANIFEST

NASTY = '<script>alert("1")</script>'
ARABIC = "مرحبا"
FAMILY = "👩‍👩‍👧"
BACKWARDS = "\u202eevil"
QUOTES = """ "double" 'single' & <b>"""
QUARANTINE = pa.schema(
    [
        ("source_file", pa.string()),
        ("source_row", pa.int64()),
        ("column", pa.string()),
        ("reason", pa.string()),
        ("value", pa.string()),
        ("faults", pa.int64()),
    ]
)
ROWS = 24_000
MOVED = ("temperature", "carrier", "late")


def write_run(folder: Path, *, day: int = 23, shift: float = 6.0, version: str = "4", plain: bool = False) -> Path:
    """A run's folder; `shift` is how far the temperature has moved. `plain`: nothing but a manifest, all good."""
    folder.mkdir(parents=True)
    manifest = _manifest(day=day, version=version)
    if not plain:
        base = folder.parent / "baseline" / "profile.json"
        if not base.exists():
            base.parent.mkdir(exist_ok=True)
            base.write_bytes(encode_sealed(profile(shift=0.0, seed=1)))
        manifest = _full(manifest, folder, base=base, shift=shift)
    storage.replace(folder / "manifest.json", encode_sealed(manifest))
    return folder


def profile(*, shift: float, seed: int) -> Profile:
    """Two numbers, a category and a score of 4,000 rows."""
    random = np.random.default_rng(seed)
    temperature = random.normal(12 + shift, 6, 4_000)
    wind = random.gamma(2.0, 3.0, 4_000)
    carriers = ["AA", "B6", "DL", "UA", NASTY, ARABIC] if shift else ["AA", "B6", "DL", "UA"]
    carrier = pa.array([carriers[i] for i in random.integers(0, len(carriers), 4_000)])
    late = 1 / (1 + np.exp(-(0.12 * shift - 1.4 + random.normal(0, 1.1, 4_000))))
    profiler = Profiler()
    features: Mapping[str, Numbers | Categories] = {
        "temperature": Numbers(temperature),
        "wind": Numbers(np.where(wind > 20, np.nan, wind)),
        "carrier": Categories(carrier),
    }
    profiler.add(features, {"late": Numbers(late)}, rows=4_000)
    return profiler.result(source="flights of January to June", model=DIGEST)


def _manifest(*, day: int, version: str) -> Manifest:
    run = replace(
        MANIFEST.run,
        id=f"{day:064x}",
        status="complete",
        exit_code=0,
        started_at=f"2026-{1 + day // 28:02d}-{1 + day % 28:02d}T04:00:00.000Z",
        finished_at=f"2026-{1 + day // 28:02d}-{1 + day % 28:02d}T04:00:04.900Z",
        seconds=4.9,
        lost_workers=0,
        command=["mlserve", "score", "-m", "late@champion", "-i", "flights/", "-o", "runs/it"],
    )
    return replace(
        MANIFEST,
        run=run,
        model=replace(MANIFEST.model, version=version, alias="champion", registry="/srv/models"),
        inputs=(InputAccount("month=01/a.parquet", "/in/month=01/a.parquet", ROWS, ROWS, 0),),
        outputs=(),
        rows=Rows(ROWS, ROWS, 0, {}, {}),
        throughput=throughput(),
    )


def throughput(*, tasks: int = 12, workers: int = 2) -> Throughput:
    """Tasks on workers in turns."""
    random = np.random.default_rng(tasks)
    seconds = np.round(random.uniform(0.4, 0.8, tasks) * 6 * workers / tasks, 6)
    starts = np.zeros(workers)
    start, worker = [], []
    for spent in seconds:
        free = int(starts.argmin())
        start.append(round(0.35 + float(starts[free]), 6))
        worker.append(4_711 + free)
        starts[free] += spent * 1.02
    line = TimeLine(
        task=list(range(tasks)),
        worker=worker,
        start_s=start,
        seconds=[float(spent) for spent in seconds],
        read_s=[round(float(spent) * 0.22, 6) for spent in seconds],
        features_s=[round(float(spent) * 0.08, 6) for spent in seconds],
        inference_s=[round(float(spent) * 0.5, 6) for spent in seconds],
        write_s=[round(float(spent) * 0.15, 6) for spent in seconds],
        profile_s=[round(float(spent) * 0.03, 6) for spent in seconds],
    )
    names = ("read_s", "features_s", "inference_s", "write_s", "profile_s")
    stages = Stages(**{name: round(sum(getattr(line, name)), 4) for name in names})
    return replace(
        MANIFEST.throughput,
        rows_per_s=ROWS / 4.9,
        stages=stages,
        stage_rows_per_s={name[:-2]: float(round(ROWS / getattr(stages, name))) for name in names},
        workers=tuple(WorkerAccount(4_711 + i, worker.count(4_711 + i), 0.94, (130 + i) << 20) for i in range(workers)),
        estimated_seconds=5.2,
        batch_p50_s=0.0041,
        batch_p95_s=0.0068,
        batch_p99_s=0.012,
        time_line=line,
    )


def _full(manifest: Manifest, folder: Path, *, base: Path, shift: float) -> Manifest:
    """With rows in quarantine, a profile, drift, challengers and a split."""
    now = replace(profile(shift=shift, seed=int(shift * 10) + 2), source=str(folder))
    recorded = storage.replace(folder / "profile.json", encode_sealed(now))
    aside = _quarantine(folder)
    rows = Rows(ROWS, ROWS - 37, 37, {"not a number": 30, "null": 7}, {"wind": 212})
    long_name = "year=2026/month=11/day=23/hour=04/" + "flights-of-the-eastern-region-" * 2 + "0001.parquet"
    settings = {
        "on-error": Setting("quarantine", "command line"),
        "model": Setting("late@champion", "environment"),
        "passthrough": Setting(["carrier", NASTY], "file"),
        "limit": Setting(None, "default"),
    }
    return replace(
        manifest,
        run=replace(
            manifest.run, status="complete with rows in quarantine", exit_code=3, lost_workers=1, settings=settings
        ),
        inputs=(
            InputAccount("month=01/a.parquet", "/in/month=01/a.parquet", 20_000, 20_000, 0),
            InputAccount(long_name, f"/in/{long_name}", 3_000, 2_963, 37),
            InputAccount(f"{NASTY}.csv", "/in/x.csv", 1_000, 1_000, 0),
        ),
        outputs=(
            OutputFile("data/part-00000-00000.parquet", "data", 0, ROWS - 37, 90_000, "12" * 32),
            OutputFile("quarantine/part-00001-00000.parquet", "quarantine", 1, 37, aside.size_bytes, aside.sha256),
            OutputFile("profile.json", "profile", -1, 0, recorded.size_bytes, recorded.sha256),
        ),
        rows=rows,
        profile=ProfileAccount(path="profile.json", sha256=recorded.sha256, rows=ROWS, sampled_rows=4_000),
        drift=drift(base, shift=shift),
        challengers=(_challenger(manifest, failed=False), _challenger(manifest, failed=True)),
        split=_split(manifest),
    )


def _quarantine(folder: Path) -> storage.FileRecord:
    values = ["n/a", NASTY, ARABIC, FAMILY, BACKWARDS, QUOTES, "1e999", "x" * 500, "\x00\x1b[31m", ""]
    rows = {
        "source_file": ["flights-of-the-eastern-region-0001.parquet"] * 37,
        "source_row": [i * 71 for i in range(37)],
        "column": ["wind"] * 30 + ["temperature"] * 7,
        "reason": ["not a number"] * 30 + ["null"] * 7,
        "value": [values[i % len(values)] for i in range(30)] + [None] * 7,
        "faults": [1] * 37,
    }
    table = pa.table(rows, schema=QUARANTINE)
    path = folder / "quarantine" / "part-00001-00000.parquet"
    path.parent.mkdir()
    return storage.publish(
        path, lambda file: tables.write_part(file, [table], schema=QUARANTINE, format="parquet")
    ).record


def drift(base: Path, *, shift: float) -> Drift:
    """What moved most first; nothing where there is no shift."""
    psi = {
        "temperature": 0.021 * shift**2,
        "carrier": 0.34 if shift else 0.004,
        "late": 0.0055 * shift**2,
        "wind": 0.008,
    }
    columns = [_column(name, psi=value, shift=shift) for name, value in psi.items()]
    passed = not any(column.reasons for column in columns)
    return Drift(
        passed=passed,
        base=str(base),
        base_digest=_digest_of(base),
        base_rows=140_000,
        now_rows=ROWS,
        false_alarm_rate=0.01,
        columns=tuple(sorted(columns, key=lambda column: -column.psi)),
    )


def _column(name: str, *, psi: float, shift: float) -> ColumnDrift:
    is_category, moved = name == "carrier", psi >= 0.1
    return ColumnDrift(
        name=name,
        role="score" if name == "late" else "feature",
        kind="category" if is_category else "number",
        psi=psi,
        js=min(psi**0.5 / 2, 1.0),
        ks=None if is_category else min(psi**0.5 / 1.6, 1.0),
        noise=0.006,
        p_value=1e-12 if moved else 0.4,
        base_mean=None if is_category else 12.03,
        now_mean=None if is_category else 12.03 + shift,
        base_null_share=0.0,
        now_null_share=0.0031 if name == "wind" else 0.0,
        out_of_range=0.012 if name == "temperature" and moved else 0.0,
        unseen=0.333 if is_category and moved else 0.0,
        unseen_values=(NASTY, ARABIC) if is_category and moved else (),
        reasons=(f"PSI {psi:.2f} over 0.1",) if moved else (),
    )


def _digest_of(base: Path) -> str:
    import json

    return str(json.loads(base.read_bytes())["digest"])


def _challenger(manifest: Manifest, *, failed: bool) -> ChallengerAccount:
    return ChallengerAccount(
        model=replace(manifest.model, name="late-mlp" if failed else "late", version="1" if failed else "5"),
        status="failed" if failed else "complete",
        error=f"column {NASTY} is missing" if failed else "",
        rows=0 if failed else ROWS - 41,
        rows_failed=0 if failed else 4,
        agreement=None if failed else 0.9817,
        flips=None if failed else 439,
        differences={} if failed else {"late": ScoreDifference(-0.0123, 0.0311, 0.412)},
        rank_correlation={} if failed else {"late": 0.9712},
        inference_s=0.0 if failed else 1.84,
        cost_ratio=None if failed else 0.62,
    )


def _split(manifest: Manifest) -> SplitAccount:
    rows = ROWS - 37
    arms = (
        ArmAccount(model=manifest.model, share=0.9, rows=rows - 2_411),
        ArmAccount(model=replace(manifest.model, version="5"), share=0.1, rows=2_411),
    )
    return SplitAccount(key="tail_number", salt="late 2026-11", column="model", arms=arms)


def evaluation(manifest: Manifest, *, auc: float = 0.7134, labelled: int = 20_000) -> Evaluation:
    """Labels for most of a run's rows, a limit that does not hold, a slice that is worse."""
    figures = {
        "auc": Figure(auc, auc - 0.0083, auc + 0.0083, "DeLong"),
        "log_loss": Figure(0.4211, 0.4160, 0.4262, "normal"),
        "brier": Figure(0.1322, 0.1301, 0.1343, "normal"),
        "precision": Figure(None, reason="no row was predicted late"),
    }
    bins = tuple(
        CalibrationBin(i / 10, (i + 1) / 10, 2_000, i / 10 + 0.05, Figure(came, came - 0.03, came + 0.03, "Wilson"))
        for i, came in enumerate((0.06, 0.14, 0.22, 0.31, 0.40, 0.49, 0.57, 0.66, 0.74, 0.83))
    )
    worse = Figure(0.642, 0.618, 0.666, "DeLong")
    one = RunEvaluation(
        run_id=manifest.run.id,
        path="runs/it",
        started_at=manifest.run.started_at,
        model="late 4",
        model_digest=manifest.model.digest,
        rows_quarantined=manifest.rows.rows_quarantined,
        rows_without_score=0,
        join=JoinAccount(23_963, 20_000, 3_963, 0, 20_500, 0, 0, 0, 0, 500),
        labelled=labelled,
        mean_score=0.214,
        mean_score_unlabelled=0.208,
        mean_label=0.231,
        figures=figures,
        classes=("on time", "late"),
        confusion=((14_200, 1_180), (3_020, 1_600)),
        calibration=Calibration(
            "late", bins, 0.0124, 0.0071, Figure(0.88, 0.84, 0.92, "normal"), Figure(0.05, 0.01, 0.09, "normal")
        ),
        slices=(
            SliceEvaluation(
                "carrier",
                NASTY,
                3_100,
                2_600,
                0.22,
                0.27,
                {"auc": worse},
                Figure(-0.071, -0.095, -0.047, "DeLong"),
                0.0001,
                True,
            ),
            SliceEvaluation(
                "carrier",
                "DL",
                5_100,
                4_600,
                0.21,
                0.22,
                {"auc": figures["auc"]},
                Figure(0.004, -0.01, 0.018, "DeLong"),
                0.9,
                False,
            ),
        ),
    )
    return Evaluation(
        format=EVALUATION_FORMAT,
        passed=False,
        kind="binary",
        label="late",
        positive="1",
        on={"flight": "flight"},
        labels={"labels.parquet": DIGEST},
        as_of="2026-12-01",
        confidence=0.95,
        ranked_by="auc",
        runs=(one,),
        overall=None,
        without_labels=(),
        steady_p_value=None,
        judged="the run",
        limits=(
            Limit("auc", "at least", 0.75, figures["auc"], False),
            Limit("brier", "at most", 0.14, figures["brier"], True),
        ),
    )
