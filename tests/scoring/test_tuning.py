"""Tuning: what is measured on the real input, what may win, and the file that it is written to."""

from __future__ import annotations

import tempfile
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import ModelProto

from mlserve_cli import Tuned, tune
from mlserve_cli.errors import BadRow, InputMissing, InvalidConfig, UsageError
from mlserve_cli.scoring.candidates import Candidate
from mlserve_cli.scoring.machine import usable_cores
from mlserve_cli.scoring.settings_file import HEAD, settings_in, write_settings
from mlserve_cli.scoring.tuning import LEAST_GAIN, LEAST_ROUNDS, Measured
from tests import dishonest, models
from tests.scoring.runs import model_file, numbers, request, shard

pytestmark = pytest.mark.slow  # real processes, many of them


def tuned(
    folder: Path,
    model: ModelProto,
    *,
    rows: int = 2_000,
    columns: int = 1,
    distinct: int = 1,
    deduplicate: str = "off",
    **options: Any,
) -> Tuned:
    """Tune the model on so many rows, of which so many are distinct: ones, twos …"""
    model_file(folder, model)
    names = [f"x{place}" for place in range(columns)]
    (folder / "in").mkdir(exist_ok=True)
    values = (np.arange(rows) % distinct + 1).astype(np.float32)
    pq.write_table(pa.table([values] * columns, names=names), folder / "in" / "s.parquet", row_group_size=-(-rows // 4))
    wanted = {"budget_s": 3.0, **options}
    return tune(request(folder, features=(",".join(names),), workers=None, deduplicate=deduplicate), **wanted)


def stages(found: Tuned) -> set[str]:
    return {one.what for one in found.measured}


def costly_call() -> ModelProto:
    """A model each of whose calls costs some milliseconds, whatever its rows: the larger its batch, the better."""
    return dishonest.slow(steps_per_unit=3_000)


# What wins


def test_a_batch_that_is_faster_for_certain_is_chosen_and_written(folder: Path) -> None:
    found = tuned(folder, costly_call(), rows=131_072, budget_s=8.0, write=folder / "mlserve.toml")

    assert found.auto["batch-rows"] == 1_024
    assert found.chosen is not None
    assert found.chosen.batch_rows in (2_048, 4_096)
    assert found.final is not None
    assert found.final.wins
    assert found.final.ratio > 1.2
    assert found.written == folder / "mlserve.toml"
    assert settings_in(found.written) == found.chosen.settings


def test_what_is_slower_is_not_chosen_and_nothing_is_written(folder: Path) -> None:
    found = tuned(folder, costly_call(), rows=1_024, try_batch_rows=(64,), write=folder / "mlserve.toml")

    slower = next(one for one in found.measured if one.candidate.batch_rows == 64)
    assert slower.ratio < 0.5
    assert found.chosen is None or found.chosen.batch_rows is None
    assert (folder / "mlserve.toml").exists() is (found.chosen is not None)


@given(st.floats(0.2, 5), st.floats(0, 2), st.integers(1, 20))
def test_only_what_is_faster_than_the_noise_and_measured_often_enough_wins(
    ratio: float, noise: float, rounds: int
) -> None:
    one = Measured("batch rows", Candidate(batch_rows=7), 1.0, 1.0, ratio, noise, rounds)
    assert one.wins is (rounds >= LEAST_ROUNDS and ratio > LEAST_GAIN and ratio - 1 > noise)


def test_rows_that_repeat_are_scored_once_where_that_is_faster_for_certain(folder: Path) -> None:
    found = tuned(folder, costly_call(), rows=131_072, deduplicate="auto", budget_s=8.0, write=folder / "mlserve.toml")

    assert found.auto["deduplicate"] == "off"  # by the model's size, which says nothing of what it costs
    assert found.chosen is not None
    assert found.chosen.deduplicate == "on"
    assert settings_in(folder / "mlserve.toml")["deduplicate"] == "on"


# What is tried


def test_scoring_repeats_once_is_not_tried_where_few_rows_have_their_like(folder: Path) -> None:
    found = tuned(folder, models.linear(3), columns=3, rows=20_000, distinct=19_900, deduplicate="auto", budget_s=1.0)
    assert "repeats" not in stages(found)
    assert not any("repeats" in note for note in found.notes)


def test_scoring_repeats_once_is_not_tried_where_a_score_moves_with_the_rows_beside_it(folder: Path) -> None:
    found = tuned(folder, moving(), columns=4, deduplicate="auto")
    assert "repeats" not in stages(found)
    assert "repeats: rows repeat, but a row's score depends on the rows beside it" in found.notes


@pytest.mark.parametrize("deduplicate", ["on", "off"])
def test_what_was_said_of_repeats_is_kept(deduplicate: str, folder: Path) -> None:
    found = tuned(folder, models.linear(3), columns=3, deduplicate=deduplicate, budget_s=1.0)
    assert found.auto["deduplicate"] == deduplicate
    assert "repeats" not in stages(found)
    assert all(one.candidate.deduplicate is None for one in found.measured)


def test_both_predictors_are_tried_on_trees(folder: Path) -> None:
    found = tuned(folder, models.forest(3), columns=3)
    assert "predictor" in stages(found)
    assert {one.candidate.predictor for one in found.measured if one.what == "predictor"} == {"trees"}


@pytest.mark.skipif(usable_cores() < 2, reason="one core leaves one way")
def test_workers_and_threads_are_tried_in_every_way_that_differs(folder: Path) -> None:
    found = tuned(folder, costly_call(), rows=240_000, try_batch_rows=(1_024,), budget_s=8.0)
    ways = {(one.candidate.workers, one.candidate.threads_per_worker) for one in found.measured}
    assert ways >= {(1, 1), (1, usable_cores())}
    assert any(workers is not None and workers > 1 for workers, _ in ways)
    assert "batch rows" not in stages(found)  # what was asked for is what auto takes


def test_another_batch_is_not_tried_where_scores_move_with_it(folder: Path) -> None:
    found = tuned(folder, moving(), columns=4)
    assert "batch rows" not in stages(found)
    assert any("scores move by up to" in note and "--try-batch-rows" in note for note in found.notes)

    asked = tuned(folder, moving(), columns=4, try_batch_rows=(256,))
    assert "batch rows" in stages(asked)
    assert any("scores move by up to" in note for note in asked.notes)


def moving() -> ModelProto:
    """Each score is less the number of rows beside it."""
    from onnx import helper

    nodes = [
        helper.make_node("ReduceSum", ["X", "rows"], ["sum"], keepdims=1),
        helper.make_node("Sub", ["X", "sum"], ["Y"]),
    ]
    inputs, outputs = ([models.tensor(name, models.FLOAT, [None, 4])] for name in ("X", "Y"))
    return models.model_of(nodes, inputs, outputs, constants={"rows": np.array([0], np.int64)})


def test_a_model_that_fixes_its_batch_has_no_other_tried(folder: Path) -> None:
    found = tuned(folder, models.linear(3, batch=32), columns=3, rows=640)
    assert "batch rows" not in stages(found)
    assert "batch rows: the model takes 32 rows at a time" in found.notes
    with pytest.raises(UsageError, match="32 rows at a time"):
        tuned(folder, models.linear(3, batch=32), columns=3, rows=640, try_batch_rows=(64,))


# What a run would refuse


def test_a_bad_row_ends_it_as_it_ends_a_run(folder: Path) -> None:
    model_file(folder)
    shard(folder / "in" / "s.parquet", {**numbers(3), "a": [1.0, None, 2.0]})
    with pytest.raises(BadRow, match="null"):
        tune(request(folder), budget_s=1.0)
    assert tune(request(folder, on_error="quarantine"), budget_s=1.0).rows == 3


def test_no_row_is_nothing_to_measure(folder: Path) -> None:
    model_file(folder)
    shard(folder / "in" / "s.csv", numbers(0))
    with pytest.raises(InputMissing, match="no row"):
        tune(request(folder))


def test_a_file_that_cannot_be_changed_is_refused_before_anything_is_measured(folder: Path) -> None:
    (folder / "mlserve.toml").write_text("workers = = 3")
    with pytest.raises(InvalidConfig, match="not a TOML file"):
        tune(request(folder), write=folder / "mlserve.toml")


# The file

CHANGED: dict[str, str | int] = {"batch-rows": 4_096, "predictor": "trees"}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", HEAD + 'batch-rows = 4096\npredictor = "trees"\n'),
        ("# mine\nlimit = 5  # rows\n", '# mine\nlimit = 5  # rows\nbatch-rows = 4096\npredictor = "trees"\n'),
        ("batch_rows = 64 # small\n\nlimit = 5", 'batch-rows = 4096 # small\n\nlimit = 5\npredictor = "trees"\n'),
        ('"batch-rows"="auto"\npredictor=\'auto\'', 'batch-rows = 4096\npredictor = "trees"'),
        ('x = [\n  "a", # batch-rows\n]', 'x = [\n  "a", # batch-rows\n]\nbatch-rows = 4096\npredictor = "trees"\n'),
    ],
)  # fmt: skip
def test_what_else_stands_in_the_file_stays(before: str, after: str, folder: Path) -> None:
    path = folder / "mlserve.toml"
    if before:
        path.write_text(before)
    write_settings(path, CHANGED)
    assert path.read_text() == after


@pytest.mark.parametrize(
    "text",
    [
        'note = """\nbatch-rows = 64\n"""\n',
        "[score]\nworkers = 2\n",
        "batch-rows = [\n 64 ]\n",
    ],
)
def test_a_file_in_which_a_change_might_do_harm_is_left_as_it_is(text: str, folder: Path) -> None:
    path = folder / "mlserve.toml"
    path.write_text(text)
    with pytest.raises(InvalidConfig, match="without a risk") as refused:
        write_settings(path, CHANGED)
    assert "batch-rows = 4096" in refused.value.hint
    assert path.read_text() == text


KEYS = st.sampled_from(["limit", "workers", "batch-rows", "batch_rows", "features", "on-error"])
VALUES = st.one_of(st.integers(-9, 99).map(str), st.sampled_from(['"a # b"', "'x'", '["a", "b"]', "true"]))
LINES = st.lists(st.tuples(KEYS, VALUES, st.sampled_from(["", "  # why", "\n# on its own"])), max_size=5)


@given(lines=LINES, batch_rows=st.integers(1, 99))
def test_nothing_but_the_settings_changes_in_any_file(lines: list[tuple[str, str, str]], batch_rows: int) -> None:
    unique = {key.replace("_", "-"): (key, value, end) for key, value, end in lines}
    text = "".join(f"{key} = {value}{end}\n" for key, value, end in unique.values())
    before = {key.replace("_", "-"): value for key, value in tomllib.loads(text).items()}
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "mlserve.toml"
        path.write_text(text)
        write_settings(path, {"batch-rows": batch_rows})
        assert settings_in(path) == {**before, "batch-rows": batch_rows}
        assert all(end.strip() in path.read_text() for _, _, end in unique.values())


def test_a_link_to_the_file_stays_a_link(folder: Path) -> None:
    (folder / "shared.toml").write_text("limit = 5\n")
    (folder / "mlserve.toml").symlink_to("shared.toml")
    write_settings(folder / "mlserve.toml", {"workers": 2})
    assert (folder / "mlserve.toml").is_symlink()
    assert (folder / "shared.toml").read_text() == "limit = 5\nworkers = 2\n"
