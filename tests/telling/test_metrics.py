"""The textfile as node_exporter's collector wants it, and what it carries over from the run before."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import Any

import pytest

from mlserve_cli import Tell
from mlserve_cli.telling.metrics import HELP
from tests.cli.desk import TREE, Desk
from tests.telling.files import metrics, run, series

TWO_BAD = "id,a,b,c\nx1,1,2,\nx2,4,5,\nx3,7,8,9\n"


def score(desk: Desk, out: str, *, file: str = "nightly.prom", **options: Any) -> int:
    return run(desk, Tell(prometheus_file=desk.path(file)), out=out, **options)


def test_a_failed_run_keeps_when_one_last_went_well(desk: Desk) -> None:
    assert score(desk, "one") == 0
    before = metrics(desk)

    assert score(desk, "one") == 73
    after = metrics(desk)

    good = "mlserve_last_success_timestamp_seconds"
    assert after[good] == before[good] == before["mlserve_last_run_timestamp_seconds"]
    assert after["mlserve_last_run_timestamp_seconds"] > before["mlserve_last_run_timestamp_seconds"]
    assert (after["mlserve_last_run_success"], after["mlserve_last_run_exit_code"]) == (0, 73)
    assert 'mlserve_last_run_rows{kind="read"}' not in after  # of the last run, which had none


def test_a_job_that_never_succeeded_has_no_time_of_success(desk: Desk) -> None:
    score(desk, "no/such/folder")

    assert "mlserve_last_success_timestamp_seconds" not in metrics(desk)
    assert metrics(desk)['mlserve_runs_total{result="failed"}'] == 1


def test_counters_go_on_from_run_to_run(desk: Desk) -> None:
    for out in ("one", "two", "one"):
        score(desk, out)
    desk.write("rows.csv", TWO_BAD)
    score(desk, "three", on_error="quarantine")

    found = metrics(desk)
    counted = {key: value for key, value in found.items() if key.startswith("mlserve_runs_total") and value}
    assert counted == {
        'mlserve_runs_total{result="complete"}': 2,
        'mlserve_runs_total{result="failed"}': 1,
        'mlserve_runs_total{result="quarantine"}': 1,
    }
    rows = [found[f'mlserve_rows_total{{kind="{kind}"}}'] for kind in ("read", "scored", "quarantined")]
    assert rows == [9, 7, 2]


@pytest.mark.parametrize(
    "before", [b"", b"no metrics at all {", b"\xff\xfe", b'mlserve_runs_total{result="complete"} x\n']
)
def test_a_file_that_is_not_ours_is_begun_anew(before: bytes, desk: Desk) -> None:
    desk.write("nightly.prom", before)

    assert score(desk, "one") == 0

    assert metrics(desk)['mlserve_runs_total{result="complete"}'] == 1


def test_two_jobs_in_one_folder_share_no_series_and_every_help_text(desk: Desk) -> None:
    score(desk, "one", file="churn.prom")
    score(desk, "two", file="fraud.prom")

    texts = [(desk.folder / name).read_text() for name in ("churn.prom", "fraud.prom")]
    assert not series(texts[0]).keys() & series(texts[1]).keys()
    comments = [[line for line in text.splitlines() if line.startswith("#")] for text in texts]
    assert comments[0] == comments[1]


def test_every_name_and_label_is_one_that_prometheus_takes(desk: Desk) -> None:
    desk.write("rows.csv", TWO_BAD)
    score(desk, "one", on_error="quarantine")

    for metric, labels in series((desk.folder / "nightly.prom").read_text()):
        assert re.fullmatch(r"mlserve_[a-z_]+", metric)
        assert all(re.fullmatch(r"[a-z_]+", label) for label, _ in labels)
        assert ("name", "nightly") in labels


def test_no_label_has_a_value_for_each_run(desk: Desk) -> None:
    score(desk, "one")
    first = series((desk.folder / "nightly.prom").read_text()).keys()
    score(desk, "two")

    assert series((desk.folder / "nightly.prom").read_text()).keys() == first


def test_the_file_is_replaced_in_one_step_and_nothing_that_ends_in_prom_is_beside_it(desk: Desk) -> None:
    score(desk, "one")
    old = os.open(desk.path("nightly.prom"), os.O_RDONLY)
    text = os.pread(old, 1 << 20, 0)

    score(desk, "two")

    assert os.pread(old, 1 << 20, 0) == text  # a reader in the middle of it reads on in the old one
    os.close(old)
    assert [path.name for path in desk.folder.iterdir() if path.name.endswith(".prom")] == ["nightly.prom"]
    assert not list(desk.folder.glob(".*draft"))


def test_a_link_stays_one(desk: Desk) -> None:
    (desk.folder / "collector").mkdir()
    (desk.folder / "nightly.prom").symlink_to(desk.folder / "collector" / "mlserve.prom")

    score(desk, "one")

    assert (desk.folder / "nightly.prom").is_symlink()
    assert metrics(desk, "collector/mlserve.prom")["mlserve_last_run_success"] == 1


def test_the_umask_decides_who_may_read_it(desk: Desk) -> None:
    before = os.umask(0o027)
    try:
        score(desk, "one")
    finally:
        os.umask(before)

    assert stat.S_IMODE(Path(desk.path("nightly.prom")).stat().st_mode) == 0o640


def test_a_name_that_ends_otherwise_is_warned_of(desk: Desk) -> None:
    ended = desk.score("--prometheus-file", desk.path("nightly.txt"))

    assert ended.code == 0
    assert "reads only names that end in .prom" in ended.err


def test_each_way_to_end_is_counted_from_nothing_on_or_rates_would_miss_the_first(desk: Desk) -> None:
    score(desk, "one")

    found = {key: value for key, value in metrics(desk).items() if key.startswith("mlserve_runs_total")}
    ways = ("complete", "quarantine", "gate", "failed", "interrupted")
    assert found == {f'mlserve_runs_total{{result="{way}"}}': float(way == "complete") for way in ways}


def test_the_documentation_names_metrics_that_there_are() -> None:
    page = (TREE / "docs" / "telling.md").read_text()

    named = set(re.findall(r"\bmlserve_(?:last|runs|rows)_[a-z_]+\b", page))
    assert named
    assert named <= set(HELP)


def test_a_name_with_quotes_and_newlines_is_escaped(desk: Desk) -> None:
    score(desk, "one", file='odd "name"\nhere.prom')

    found = series((desk.folder / 'odd "name"\nhere.prom').read_text())
    assert {dict(labels)["name"] for _, labels in found} == {'odd "name"\nhere'}
