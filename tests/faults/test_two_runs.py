"""Two runs on one output: the second is sent away at once, and the first does not notice."""

from __future__ import annotations

import shutil
import signal

import pytest

from tests.faults.running import Work, assert_whole, finish, make_work, run, start, wait_until


@pytest.mark.parametrize("options", [(), ("--resume",), ("--if-exists", "overwrite")], ids=" ".join)
def test_the_second_of_two_runs_is_sent_away_at_once(work: Work, options: tuple[str, ...]) -> None:
    first = start(work.score())
    assert wait_until(lambda: work.records > 0, first)
    first.send_signal(signal.SIGSTOP)  # so that it is not over before the second has begun

    code, _, error = run(work.score(*options))

    assert code == 75, error
    assert "another run holds this output" in error
    first.send_signal(signal.SIGCONT)
    code, _, error = finish(first)
    assert code == 0, error
    assert_whole(work)


def test_it_makes_no_difference_that_the_second_has_another_model(work: Work) -> None:
    shutil.copy(work.model, work.folder / "other.onnx")
    first = start(work.score())
    assert wait_until(lambda: work.records > 0, first)
    first.send_signal(signal.SIGSTOP)
    command = [option.replace("model.onnx", "other.onnx") for option in work.score()]

    code, _, error = run(command)

    assert code == 75, error
    first.send_signal(signal.SIGCONT)
    assert finish(first)[0] == 0
    assert_whole(work)


def test_of_many_runs_at_once_one_commits_and_no_other_touches_it(work: Work) -> None:
    runs = [start(work.score(workers=1)) for _ in range(5)]

    codes = sorted(finish(process)[0] for process in runs)

    assert codes.count(0) == 1
    assert set(codes) <= {0, 73, 75}
    assert_whole(work)


def test_runs_on_neighbouring_outputs_do_not_hinder_each_other(tmp_path_factory: pytest.TempPathFactory) -> None:
    works = [make_work(tmp_path_factory.mktemp("neighbour"), shards=2) for _ in range(2)]
    started = [start(work.score(workers=1)) for work in works]
    for work, process in zip(works, started, strict=True):
        assert finish(process)[0] == 0
        assert_whole(work)
