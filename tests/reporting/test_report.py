"""What a page says, where it goes, and what it refuses: without a browser."""

from __future__ import annotations

import json
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from msgspec.structs import replace

from mlserve_cli.contract import encode_sealed
from mlserve_cli.errors import InputMissing, OutputExists, RunMismatch, UsageError
from mlserve_cli.manifest import Manifest, read_manifest
from mlserve_cli.monitoring.evaluation import Evaluation
from mlserve_cli.profiles import Drift
from mlserve_cli.registry import Verdict
from mlserve_cli.reporting import report
from mlserve_cli.reporting.speed import BLOCKS_DRAWN, lanes_of
from mlserve_cli.reporting.verdict import judge, judge_all
from mlserve_cli.reporting.wording import days, duration, figure, listed, share, size, span, visible
from tests.cli.desk import TREE, Desk
from tests.reporting.example import ARABIC, FAMILY, NASTY, evaluation, throughput, write_run
from tests.scoring.runs import model_file, numbers, run, shard


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """A run with everything in it."""
    return write_run(tmp_path / "night")


def manifest_of(run_folder: Path) -> Manifest:
    return read_manifest(run_folder / "manifest.json")


class Reading(HTMLParser):
    """The elements and texts of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


# Where the page goes


def test_the_page_stands_beside_the_run_which_still_verifies(tmp_path: Path) -> None:
    from mlserve_cli import verify

    model_file(tmp_path)
    shard(tmp_path / "in" / "s.parquet", numbers(9))
    run(tmp_path)

    found = report(str(tmp_path / "out"))

    assert found.path == tmp_path / "out.report.html"
    assert found.size_bytes == found.path.stat().st_size
    assert verify(str(tmp_path / "out")).manifest.rows.rows_out == 9


def test_a_run_that_is_one_file_has_its_page_beside_it(tmp_path: Path) -> None:
    model_file(tmp_path)
    shard(tmp_path / "in" / "s.csv", numbers(3))
    run(tmp_path, output=str(tmp_path / "scores.csv"))

    assert report(str(tmp_path / "scores.csv")).path == tmp_path / "scores.csv.report.html"
    assert report(str(tmp_path / "scores.csv.manifest.json")).path == tmp_path / "scores.csv.report.html"


def test_a_manifest_names_its_run(whole: Path) -> None:
    assert report(str(whole / "manifest.json")).path == whole.with_name("night.report.html")


def test_a_report_inside_the_run_is_refused(whole: Path) -> None:
    with pytest.raises(UsageError, match="verify would find a file"):
        report(str(whole), output=str(whole / "data.html"))


def test_an_earlier_report_is_replaced_and_nothing_else_is(whole: Path, tmp_path: Path) -> None:
    page, rows = tmp_path / "page.html", tmp_path / "rows.csv"
    rows.write_text("id\n1\n")

    report(str(whole), output=str(page))
    report(str(whole), output=str(page))

    with pytest.raises(OutputExists, match="no report of mlserve"):
        report(str(whole), output=str(rows))
    assert rows.read_text() == "id\n1\n"


def test_the_same_run_gives_the_same_bytes(whole: Path, tmp_path: Path) -> None:
    first = report(str(whole), output=str(tmp_path / "first.html")).path
    second = report(str(whole), output=str(tmp_path / "second.html")).path

    assert first.read_bytes() == second.read_bytes()


# What it takes, and what it does not


def test_a_file_that_is_not_what_the_manifest_says_is_refused(whole: Path) -> None:
    (whole / "profile.json").write_bytes(b"{}")

    with pytest.raises(RunMismatch, match="not what the manifest says"):
        report(str(whole))


def test_where_no_run_stands_none_is_reported(tmp_path: Path) -> None:
    with pytest.raises(InputMissing):
        report(str(tmp_path / "nowhere"))
    with pytest.raises(InputMissing):
        report(str(tmp_path))


def test_an_evaluation_of_another_run_is_refused(whole: Path, tmp_path: Path) -> None:
    found = evaluation(manifest_of(whole))
    other = replace(found, runs=tuple(replace(one, run_id="0" * 64) for one in found.runs))
    path = tmp_path / "evaluation.json"
    path.write_bytes(encode_sealed(other))

    with pytest.raises(UsageError, match="other runs"):
        report(str(whole), evaluation=str(path))


def written(folder: Path, name: str, found: Evaluation) -> str:
    """An evaluation as `evaluate --output` writes it."""
    path = folder / name
    path.write_bytes(encode_sealed(found))
    return str(path)


def test_evaluations_of_many_runs_become_a_trend(tmp_path: Path) -> None:
    runs = [manifest_of(write_run(tmp_path / "runs" / str(day), day=day, plain=True)) for day in (1, 2, 3)]
    files = [
        written(tmp_path, f"{one.run.id[-1]}.json", evaluation(one, auc=auc))
        for one, auc in zip(runs[:2], (0.8, 0.6), strict=True)
    ]

    found = report(str(tmp_path / "runs"), evaluation=files)
    page = found.path.read_text()
    text = " ".join("".join(Reading(page).texts).split())

    assert found.verdict.headline == "3 runs; the last one scored 24,000 rows; the quality is below its limit."
    assert found.verdict.findings[-1].what == (
        "The last of 2 runs with labels has AUC 0.6 (0.5917 to 0.6083) on 20,000 rows, all of them 0.6 to 0.8: "
        "AUC at least 0.75 was asked for."
    )
    assert "column late is 1. 2 of 3 runs have labels, 40,000 for 47,926 rows" in text
    assert 'aria-label="AUC: 0.6 to 0.8, last 0.6."' in page
    assert "Quality by run" in text


def test_one_evaluation_of_all_runs_gives_the_same_trend_and_says_whether_chance_does_it(tmp_path: Path) -> None:
    runs = [manifest_of(write_run(tmp_path / "runs" / str(day), day=day, plain=True)) for day in (1, 2)]
    each = [evaluation(one) for one in runs]
    together = replace(each[0], runs=tuple(one for found in each for one in found.runs), steady_p_value=0.00001)

    page = report(str(tmp_path / "runs"), evaluation=[written(tmp_path, "all.json", together)]).path.read_text()

    assert "That AUC differs so much from run to run by chance alone: p &lt;0.0001." in page


def test_of_two_evaluations_of_a_run_the_one_with_more_labels_counts(tmp_path: Path) -> None:
    run = manifest_of(write_run(tmp_path / "runs" / "a", day=1, plain=True))
    late = written(tmp_path, "late.json", evaluation(run, auc=0.9, labelled=20_001))
    early = written(tmp_path, "early.json", evaluation(run, auc=0.5))

    for files in ([late, early], [early, late]):
        for target in ("runs", "runs/a"):
            said = report(str(tmp_path / target), evaluation=files).verdict.findings
            assert any("AUC 0.9 (" in one.what for one in said)


def test_evaluations_that_ask_different_things_are_no_trend(tmp_path: Path) -> None:
    runs = [manifest_of(write_run(tmp_path / "runs" / str(day), day=day, plain=True)) for day in (1, 2)]
    files = [
        written(tmp_path, "a.json", evaluation(runs[0])),
        written(tmp_path, "b.json", replace(evaluation(runs[1]), positive="0")),
    ]

    with pytest.raises(UsageError, match="column late is 1 and column late is 0"):
        report(str(tmp_path / "runs"), evaluation=files)


def test_two_models_have_their_own_questions_and_names(tmp_path: Path) -> None:
    runs = [manifest_of(write_run(tmp_path / "runs" / str(day), day=day, plain=True)) for day in (1, 2)]
    other = replace(runs[1], model=replace(runs[1].model, name="churn"))
    (tmp_path / "runs" / "2" / "manifest.json").write_bytes(encode_sealed(other))
    files = [
        written(tmp_path, "a.json", evaluation(runs[0])),
        written(tmp_path, "b.json", replace(evaluation(runs[1]), label="left", limits=())),
    ]

    said = [one for one in report(str(tmp_path / "runs"), evaluation=files).verdict.findings if "AUC" in one.what]

    assert [(one.mark, one.what.partition(" ")[0], one.section) for one in said] == [
        ("bad", "late:", "model-1"),
        ("note", "churn:", "model-2"),
    ]


def test_evaluations_of_none_of_the_runs_and_files_that_are_not_there_are_refused(tmp_path: Path) -> None:
    write_run(tmp_path / "runs" / "a", day=1, plain=True)
    strange = written(tmp_path, "e.json", evaluation(manifest_of(write_run(tmp_path / "b", day=2, plain=True))))

    with pytest.raises(UsageError, match="of other runs"):
        report(str(tmp_path / "runs"), evaluation=strange)
    for name in ("gone.json", "*.nothing"):
        with pytest.raises(InputMissing, match="no evaluation"):
            report(str(tmp_path / "runs"), evaluation=str(tmp_path / name))


def test_what_a_gate_said_of_the_quality_stands_in_the_verdict(whole: Path, tmp_path: Path) -> None:
    verdict = Verdict("good", False, "evaluate", 20_000, {"auc": 0.71}, {"least_auc": 0.8}, ("auc is 0.71",))
    judged = replace(evaluation(manifest_of(whole)), limits=(), verdict=verdict)

    found = report(str(whole), evaluation=written(tmp_path, "e.json", judged))

    said = [one.what for one in found.verdict.findings if one.mark == "bad"]
    assert any("gate good said no, since auc is 0.71" in one for one in said)
    assert "gate good" in "".join(Reading(found.path.read_text()).texts)


def test_a_baseline_belongs_to_one_run(tmp_path: Path) -> None:
    write_run(tmp_path / "runs" / "a", plain=True)

    with pytest.raises(UsageError, match="belongs to one run"):
        report(str(tmp_path / "runs"), baseline="profile.json")


def test_a_baseline_that_has_gone_leaves_the_figures(whole: Path, tmp_path: Path) -> None:
    (tmp_path / "baseline" / "profile.json").unlink()
    page = report(str(whole)).path.read_text()

    assert "Columns that drifted" in page
    assert 'class="then" d=' not in page


def test_a_baseline_may_be_named(whole: Path, tmp_path: Path) -> None:
    (tmp_path / "baseline" / "profile.json").rename(tmp_path / "elsewhere.json")
    page = report(str(whole), baseline=str(tmp_path / "elsewhere.json")).path.read_text()

    assert 'class="then" d=' in page


def test_a_damaged_manifest_among_many_is_left_out_and_named(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_run(tmp_path / "runs" / name, plain=True)
    (tmp_path / "runs" / "b" / "manifest.json").write_bytes(b"{}")

    found = report(str(tmp_path / "runs"))

    assert found.runs == 1
    assert len(found.skipped) == 1
    assert "Not read" in found.path.read_text()


# What it says


def test_a_run_without_fault_has_a_calm_verdict(tmp_path: Path) -> None:
    manifest = manifest_of(write_run(tmp_path / "run", plain=True))
    clean = Drift(True, "b", "", 5, 5, 0.01, ())

    assert judge(manifest).headline == "All 24,000 rows scored."
    found = judge(replace(manifest, drift=clean))
    assert (found.mark, found.headline) == ("good", "All 24,000 rows scored, and nothing stands out.")


def test_the_verdict_says_all_that_is_wrong(whole: Path) -> None:
    found = judge(manifest_of(whole))

    assert found.mark == "bad"
    assert found.headline == (
        "23,963 rows scored; 37 rows set aside, 2 features and 1 score drifted and challenger late-mlp failed."
    )
    said = " ".join(finding.what for finding in found.findings)
    assert "24,000 read = 23,963 scored + 37 set aside (0.2 %)" in said
    assert "3 of 4 columns drifted from the baseline: temperature, carrier and late" in said
    assert "1 worker died and was replaced" in said


def test_more_than_one_bad_row_in_a_hundred_is_more_than_a_warning(whole: Path) -> None:
    manifest = replace(manifest_of(whole), drift=None, challengers=())
    many = replace(manifest, rows=replace(manifest.rows, rows_out=23_000, rows_quarantined=1_000))

    assert judge(manifest).mark == "attention"
    assert judge(many).mark == "bad"


def test_the_verdict_on_many_runs_counts_and_names_changes(tmp_path: Path) -> None:
    runs = [manifest_of(write_run(tmp_path / str(day), day=day, plain=True)) for day in (1, 2, 3)]
    newer = replace(runs[2], model=replace(runs[2].model, digest="sha256:" + "ef" * 32, version="5"))

    said = " ".join(finding.what for finding in judge_all([*runs[:2], newer]).findings)

    assert "72,000 read, 72,000 scored" in said
    assert "The model changed: to late 5 on 4 Jan 2026" in said


def test_every_value_is_escaped(whole: Path, tmp_path: Path) -> None:
    labels = tmp_path / "evaluation.json"
    labels.write_bytes(encode_sealed(evaluation(manifest_of(whole))))
    page = report(str(whole), evaluation=str(labels)).path.read_text()
    reading = Reading(page)
    text = "".join(reading.texts)

    assert NASTY not in page
    assert "script" not in {tag for tag, _ in reading.elements}
    assert all(value in text for value in (NASTY, ARABIC, FAMILY, r"\u202eevil"))
    assert "\u202e" not in page
    assert not [name for _, attributes in reading.elements for name in attributes if name.startswith("on")]


def test_nothing_is_fetched_from_anywhere(whole: Path) -> None:
    reading = Reading(report(str(whole)).path.read_text())
    links = [value for _, found in reading.elements for name, value in found.items() if name in ("src", "href")]

    assert links
    assert all(link and link.startswith(("#", "data:")) for link in links)


def test_a_run_of_no_rows_has_a_page(tmp_path: Path) -> None:
    model_file(tmp_path)
    shard(tmp_path / "in" / "s.parquet", numbers(3))
    run(tmp_path, limit=0)

    assert report(str(tmp_path / "out")).verdict.headline == "All 0 rows scored."


def test_rows_set_aside_in_a_real_run_are_shown_with_their_values(tmp_path: Path) -> None:
    model_file(tmp_path)
    shard(tmp_path / "in" / "s.csv", {**numbers(4), "b": ["1", NASTY, "3", "x"]})
    run(tmp_path, on_error="quarantine")

    found = report(str(tmp_path / "out"))

    assert found.verdict.headline == "2 rows scored; 2 rows set aside."
    assert NASTY in "".join(Reading(found.path.read_text()).texts)


def test_the_time_line_of_a_real_run_names_its_tasks(tmp_path: Path) -> None:
    model_file(tmp_path)
    for name in ("s.csv", "t.csv"):
        shard(tmp_path / "in" / name, numbers(4))
    manifest = run(tmp_path).manifest

    line = manifest.throughput.time_line
    assert line is not None
    assert sorted(line.task) == [0, 1]
    assert min(line.start_s) >= 0
    assert max(a + b for a, b in zip(line.start_s, line.seconds, strict=True)) <= manifest.run.seconds + 0.01


def test_overlapping_tasks_of_one_process_have_lanes_of_their_own(tmp_path: Path) -> None:
    manifest = manifest_of(write_run(tmp_path / "run", plain=True))
    line = throughput(tasks=6, workers=3).time_line
    assert line is not None
    threads = replace(manifest.throughput, time_line=replace(line, worker=[7] * 6))

    lanes = lanes_of(replace(manifest, throughput=threads))

    assert lanes is not None
    assert [lane.label for lane in lanes.lanes] == ["7 · 1", "7 · 2", "7 · 3"]


def test_thousands_of_tasks_are_drawn_as_few_blocks(tmp_path: Path) -> None:
    manifest = manifest_of(write_run(tmp_path / "run", plain=True))

    lanes = lanes_of(replace(manifest, throughput=throughput(tasks=20_000, workers=16)))

    assert lanes is not None
    assert sum(len(lane.blocks) for lane in lanes.lanes) <= 1.1 * BLOCKS_DRAWN
    assert all(0 <= x <= 100 for lane in lanes.lanes for block in lane.blocks for _, x, _ in block.parts)


# The command


def test_the_command_prints_the_verdict_and_where_the_page_is(desk: Desk) -> None:
    assert desk.score().code == 0

    ended = desk.run("report", desk.path("out"))

    assert ended.code == 0, ended.err
    assert ended.out.startswith("report: All 3 rows scored.")
    assert ended.last["page"] == desk.path("out.report.html")
    assert ended.last["verdict"] == "good"


def test_without_jinja2_the_command_names_the_extra(whole: Path) -> None:
    script = (
        "import sys; sys.modules['jinja2'] = None\n"
        "from mlserve_cli.cli import main; sys.argv = ['mlserve', 'report', sys.argv[1], '--json']; main()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script, str(whole)],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(TREE)},
    )

    assert ended.returncode == 69
    assert json.loads(ended.stdout)["error"]["hint"] == "pip install 'mlserve-cli[report]'"


# Words


def test_figures_are_short_and_say_their_unit() -> None:
    assert [share(part) for part in (0, 0.0001, 0.01, 0.123, 0.99999, 1)] == [
        "0 %", "<0.1 %", "1 %", "12.3 %", ">99.9 %", "100 %",
    ]  # fmt: skip
    assert [duration(s) for s in (0.00254, 0.53, 59.94, 75, 7_500)] == [
        "2.54 ms", "0.53 s", "59.9 s", "1 min 15 s", "2 h 05 min",
    ]  # fmt: skip
    assert [size(b) for b in (17, 2_048, 72.3 * 2**20, 5 * 2**40)] == ["17 B", "2 KiB", "72.3 MiB", "5.0 TiB"]
    assert [figure(x) for x in (None, 0.0, 0.71342, 12_345.6, -0.00002, 1e9)] == [
        "–", "0", "0.7134", "12,346", "−2.00e−05", "1.00e+09",
    ]  # fmt: skip


def test_lists_and_times_are_said_once() -> None:
    assert [listed(list("abcdef")[:n]) for n in (0, 1, 2, 3, 6)] == [
        "",
        "a",
        "a and b",
        "a, b and c",
        "a, b, c and 3 more",
    ]
    assert span("2026-11-23T04:00:00.000Z", "2026-11-23T04:00:05.100Z") == "23 Nov 2026, 04:00:00 to 04:00:05 UTC"
    assert days(["2026-11-23T04:00:00Z", "2026-11-24T04:00:00Z"]) == ["23 Nov", "24 Nov"]
    assert days(["2026-11-23T04:00:00Z", "2027-01-24T04:00:00Z"]) == ["23 Nov 2026", "24 Jan 2027"]
    assert days(["2026-11-23T04:00:00Z", "2026-11-23T05:00:00Z"]) == ["04:00", "05:00"]


ODD_TEXTS = [
    ("a\nb\x00", r"a\nb\x00"),
    ("\u2066x\u2069", r"\u2066x\u2069"),
    (FAMILY, FAMILY),
    ("x" * 400, "x" * 299 + "…"),
]


@pytest.mark.parametrize(("text", "shown"), ODD_TEXTS)
def test_nothing_in_a_value_is_hidden(text: str, shown: str) -> None:
    assert visible(text) == shown
