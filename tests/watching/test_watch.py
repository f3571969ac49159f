"""Passes of a watcher: what is scored, what goes aside, what is left alone, and that a second pass changes nothing."""

from __future__ import annotations

import gzip
import os
import stat
import time
from dataclasses import replace
from pathlib import Path

import pytest

from mlserve_cli import scoring, storage
from mlserve_cli.errors import (
    DataError,
    InputMissing,
    InvalidModel,
    IOFailed,
    MlserveError,
    OutputBusy,
    OutputError,
    TryLater,
    UsageError,
    WorkersDied,
)
from mlserve_cli.scoring import RunResult, ScoreRequest
from mlserve_cli.watching import Delayed, Noted, Rejected, Scored
from mlserve_cli.watching.inbox import look
from mlserve_cli.watching.request import open_places
from mlserve_cli.watching.settling import Settling
from mlserve_cli.watching.taking import Taker
from tests.scoring.runs import contents, numbers, shard
from tests.watching.inboxes import Inbox

ODD_NAMES = (
    "two words.csv",
    "new\nline.csv",
    "-dash.csv",
    "[a]*.csv",
    "back\\slash.csv",
    "ü.csv",
    "\udcff.csv",
    "A.CSV",
)


def test_each_shard_becomes_a_run_under_its_own_name(inbox: Inbox) -> None:
    inbox.put("a.csv", 3)
    inbox.put("b.parquet", 4)
    inbox.put("month=01/c.parquet", 5)

    tally = inbox.watch()

    assert (tally.scored, tally.rows_in, tally.exit_code) == (3, 12, 0)
    runs = inbox.runs()
    rows = {name: run.manifest.rows.rows_out for name, run in runs.items()}
    assert rows == {"a.csv": 3, "b.parquet": 4, "month=01/c.parquet": 5}
    assert inbox.shards() == {"a.csv", "b.parquet", "month=01/c.parquet"}


def test_folders_named_as_hive_does_are_columns(inbox: Inbox) -> None:
    inbox.put("month=01/c.parquet")

    inbox.watch(of_run={"passthrough": ("month",)})

    (run,) = inbox.runs().values()
    assert run.manifest.plan.inputs[0].hive[-1] == ("month", "01")


def test_what_is_scored_is_left_alone(inbox: Inbox) -> None:
    inbox.put("a.csv")
    inbox.watch()
    before = contents(inbox.out)

    tally = inbox.watch()

    assert (tally.scored, tally.already, tally.exit_code) == (0, 1, 0)
    assert contents(inbox.out) == before


def test_two_shards_of_one_stem_do_not_meet(inbox: Inbox) -> None:
    for name in ("a.csv", "a.parquet", "a/a.csv", "a-csv.csv"):
        inbox.put(name)

    assert inbox.watch().scored == 4
    assert set(inbox.runs()) == {"a.csv", "a.parquet", "a/a.csv", "a-csv.csv"}


def test_a_name_is_bytes(inbox: Inbox) -> None:
    for name in ODD_NAMES:
        inbox.put_text(name, "a,b,c\n1,2,3\n")

    assert inbox.watch().scored == len(ODD_NAMES)
    assert set(inbox.runs()) == set(ODD_NAMES)


def test_a_name_that_looks_like_a_pattern_is_that_one_shard(inbox: Inbox) -> None:
    """It goes away before it is read: no other shard is scored in its place."""
    inbox.put("*.csv")
    other = inbox.put("other.csv")

    def score(request: ScoreRequest) -> RunResult:
        if request.inputs[0].endswith("*.csv"):
            os.unlink(request.inputs[0])
        return scoring.score(request)

    tally = inbox.watch(score=score)

    assert (tally.scored, set(inbox.runs())) == (1, {other.name})


@pytest.mark.parametrize("name", [".a.csv", "_a.csv", "a.csv.tmp", "a.csv.part", "_tmp/a.csv", ".stage/a.csv", "a.txt"])
def test_what_a_writer_is_not_done_with_is_passed_over(inbox: Inbox, name: str) -> None:
    inbox.put_text(name, "a,b,c\n1,2,3\n")

    tally = inbox.watch()

    assert (tally.scored, tally.waiting, tally.exit_code) == (0, 0, 0)


def test_with_an_input_format_any_ending_will_do_but_that_of_a_file_in_the_making(inbox: Inbox) -> None:
    for name in ("a.dat", "b", "c.dat.part", "d.csv.tmp"):
        inbox.put_text(name, "a,b,c\n1,2,3\n")

    inbox.watch(of_run={"input_format": "csv"})

    assert set(inbox.runs()) == {"a.dat", "b"}


def test_pipes_loops_and_dangling_links_hinder_nobody(inbox: Inbox) -> None:
    os.mkfifo(inbox.path / "pipe.csv")
    (inbox.path / "loop").symlink_to(inbox.path)
    (inbox.path / "gone.csv").symlink_to(inbox.folder / "nowhere.csv")
    elsewhere = shard(inbox.folder / "elsewhere.csv", numbers(2))
    (inbox.path / "link.csv").symlink_to(elsewhere)

    tally = inbox.watch()

    assert set(inbox.runs()) == {"link.csv"}
    assert tally.exit_code == 0
    told = " ".join(event.text for event in inbox.heard if isinstance(event, Noted))
    assert "pipe.csv" in told
    assert "leads back" in told


# Bad shards

BAD = {
    "a column is missing": "a,b,x\n1,2,3\n",
    "no number": "a,b,c\n1,2,three\n",
    "nothing at all": "",
    "an open quote": 'a,b,c\n1,2,"3\n',
}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
def test_a_bad_shard_goes_aside_with_its_reason_and_the_others_are_scored(inbox: Inbox, text: str) -> None:
    inbox.put_text("day=1/bad.csv", text)
    inbox.put("good.csv")

    tally = inbox.watch()

    assert (tally.scored, tally.rejected, tally.exit_code) == (1, 1, 65)
    assert set(inbox.runs()) == inbox.shards() == {"good.csv"}
    assert (inbox.rejected / "day=1" / "bad.csv").read_text() == text
    reason = inbox.reason("day=1/bad.csv")
    assert (reason.shard, reason.exit_code) == ("day=1/bad.csv", 65)
    assert reason.error.what
    assert reason.error.hint


def test_a_shard_with_bad_rows_is_scored_where_such_rows_are_set_aside(inbox: Inbox) -> None:
    inbox.put_text("a.csv", "a,b,c\n1,2,three\n4,5,6\n")

    tally = inbox.watch(of_run={"on_error": "quarantine"})

    assert (tally.scored, tally.rows_out, tally.rows_quarantined, tally.exit_code) == (1, 1, 1, 3)
    assert inbox.watch(of_run={"on_error": "quarantine"}).exit_code == 0


def test_a_bad_shard_that_is_mended_and_put_back_is_scored_and_its_reason_goes(inbox: Inbox) -> None:
    inbox.put_text("a.csv", BAD["no number"])
    inbox.watch()
    (inbox.rejected / "a.csv").write_text("a,b,c\n1,2,3\n")
    (inbox.rejected / "a.csv").rename(inbox.path / "a.csv")

    assert inbox.watch().scored == 1
    assert list(inbox.rejected.iterdir()) == []


def test_a_second_bad_shard_of_one_name_does_not_take_the_first_one_s_place(inbox: Inbox) -> None:
    inbox.put_text("a.csv", BAD["no number"])
    inbox.watch()
    inbox.put_text("a.csv", BAD["a column is missing"])
    inbox.watch()

    assert (inbox.rejected / "a.csv").read_text() == BAD["no number"]
    assert (inbox.rejected / "a.csv.2").read_text() == BAD["a column is missing"]
    assert inbox.reason("a.csv").error.type == "BadRow"
    assert inbox.reason("a.csv.2").error.type == "MissingColumn"


def test_a_bad_shard_that_stays_is_not_tried_again_until_it_changes(inbox: Inbox) -> None:
    inbox.put_text("a.csv", BAD["no number"])

    assert inbox.watch(bad_shards="stay").exit_code == 65
    assert inbox.reason("a.csv", folder=inbox.out / "_rejected").error.type == "BadRow"
    assert inbox.shards() == {"a.csv"}
    again = inbox.watch(bad_shards="stay")
    assert (again.rejected, again.exit_code) == (0, 0)

    inbox.put_text("a.csv", "a,b,c\n1,2,3\n")
    assert inbox.watch(bad_shards="stay").scored == 1


def test_bad_shards_go_where_one_says(inbox: Inbox) -> None:
    inbox.put_text("a.csv", BAD["no number"])
    aside = inbox.folder / "aside"

    inbox.watch(rejected=str(aside))

    assert sorted(path.name for path in aside.iterdir()) == ["a.csv", "a.csv.reason.json"]
    assert inbox.shards() == set()


def test_an_inbox_that_may_not_be_changed_can_be_watched_where_shards_stay(inbox: Inbox) -> None:
    inbox.put("a.csv")
    before = contents(inbox.path)

    inbox.watch(bad_shards="stay")

    assert contents(inbox.path) == before
    assert not inbox.rejected.exists()


def test_too_many_bad_shards_in_a_row_are_not_the_shards_fault(inbox: Inbox) -> None:
    """A model that wants another column would else empty the inbox."""
    for number in range(6):
        inbox.put_text(f"{number}.csv", BAD["a column is missing"])

    with pytest.raises(DataError, match="4 shards in a row") as caught:
        inbox.watch(most_bad=4)

    assert caught.value.exit_code == 65
    assert len(inbox.shards()) == 2


def test_a_model_that_cannot_be_run_ends_the_watch_and_no_shard_pays(inbox: Inbox) -> None:
    inbox.put("a.csv")
    (inbox.folder / "model.onnx").write_bytes(b"no model")

    with pytest.raises(InvalidModel):
        inbox.watch()

    assert inbox.shards() == {"a.csv"}
    assert not inbox.rejected.exists() or list(inbox.rejected.iterdir()) == []


def test_a_model_that_is_not_there_ends_the_watch(inbox: Inbox) -> None:
    inbox.put("a.csv")
    (inbox.folder / "model.onnx").unlink()

    with pytest.raises(InputMissing):
        inbox.watch()
    assert inbox.shards() == {"a.csv"}


def test_a_refusal_of_one_shard_by_a_model_that_scores_others_is_that_shard_s_fault(inbox: Inbox) -> None:
    """A column of the shard is called as the model's output is, which would be 78 for a run."""
    inbox.put("a.csv")
    inbox.put_text("b.csv", "a,b,c,Y\n1,2,3,4\n")
    os.utime(inbox.path / "a.csv", (1, 1))

    tally = inbox.watch(of_run={"passthrough": ("all",)})

    assert (tally.scored, tally.rejected) == (1, 1)
    assert inbox.reason("b.csv").exit_code == 78


def test_a_bug_that_one_shard_hits_does_not_stop_the_others(inbox: Inbox) -> None:
    inbox.put("a.csv")
    inbox.put("b.csv")

    def score(request: ScoreRequest) -> RunResult:
        if request.inputs[0].endswith("a.csv"):
            raise ZeroDivisionError("a bug")
        return scoring.score(request)

    tally = inbox.watch(score=score)

    assert (tally.scored, tally.delayed, tally.exit_code) == (1, 1, 1)
    assert inbox.shards() == {"a.csv", "b.csv"}


@pytest.mark.parametrize("error", [WorkersDied("a.csv", 0, 3, 3, "killed"), MlserveError("a bug")], ids=["71", "1"])
def test_a_shard_that_kills_its_workers_three_times_goes_aside(inbox: Inbox, error: MlserveError) -> None:
    inbox.put("a.csv")
    tried = []

    def score(request: ScoreRequest) -> RunResult:
        tried.append(request.inputs)
        raise error

    with pytest.raises(DataError, match="1 shards in a row"):
        inbox.watch(score=score, once=False, interval_s=0.001, most_bad=1)

    assert len(tried) == 3
    assert inbox.reason("a.csv").exit_code == error.exit_code


def test_a_shard_that_changed_since_it_was_tried_need_not_wait(inbox: Inbox) -> None:
    """The pause before the next attempt is for the shard as it was."""
    inbox.put("a.csv")

    def score(request: ScoreRequest) -> RunResult:
        raise TryLater("the input changed")

    request = inbox.request(once=False)
    taker = Taker(request, open_places(request), score, inbox.heard.append, Settling(0))
    (shard,) = look(str(inbox.path), any_ending=False, passed=lambda *_: None)
    taker.take(shard)

    now_s = time.monotonic()
    assert not taker.is_due(shard, now_s=now_s)
    assert taker.is_due(shard, now_s=now_s + 60)
    assert taker.is_due(replace(shard, size_bytes=shard.size_bytes + 1), now_s=now_s)


def test_a_full_disk_is_no_shard_s_fault(inbox: Inbox) -> None:
    for name in ("a.csv", "b.csv", "c.csv"):
        inbox.put(name)
    tried = []

    def score(request: ScoreRequest) -> RunResult:
        tried.append(request.inputs)
        raise IOFailed("cannot write: No space left on device")

    tally = inbox.watch(score=score)

    assert (tally.delayed, tally.rejected, tally.exit_code) == (2, 0, 74)
    assert len(tried) == 2, "the third would have fared no better"
    assert inbox.watch().scored == 3


# Shards that change


def test_a_shard_that_was_written_again_after_its_run_goes_aside_and_its_run_stays(inbox: Inbox) -> None:
    inbox.put("a.csv", 3)
    inbox.watch()
    before = contents(inbox.out)
    inbox.put("a.csv", 4)

    tally = inbox.watch()

    assert (tally.scored, tally.rejected, tally.exit_code) == (0, 1, 65)
    assert contents(inbox.out) == before
    assert "written again" in inbox.reason("a.csv").error.what


def test_where_shards_stay_it_is_told_once_that_one_was_written_again(inbox: Inbox) -> None:
    inbox.put("a.csv", 3)
    inbox.watch(bad_shards="stay")
    inbox.put("a.csv", 4)

    assert inbox.watch(bad_shards="stay").exit_code == 65
    assert inbox.watch(bad_shards="stay").exit_code == 0
    assert [run.manifest.rows.rows_in for run in inbox.runs().values()] == [3]


def test_or_is_scored_in_place_of_its_run_where_that_is_asked_for(inbox: Inbox) -> None:
    inbox.put("a.csv", 3)
    inbox.watch()
    inbox.put("a.csv", 4)

    assert inbox.watch(changed="rescore").scored == 1
    assert inbox.watch(changed="rescore").already == 1
    assert [run.manifest.rows.rows_in for run in inbox.runs().values()] == [4]


def test_a_csv_that_was_copied_anew_with_the_same_bytes_is_the_same_shard(inbox: Inbox) -> None:
    path = inbox.put("a.csv")
    inbox.watch()
    os.utime(path, ns=(0, 0))

    assert inbox.watch().already == 1


def test_a_parquet_is_too_where_only_what_is_below_a_second_was_lost(inbox: Inbox) -> None:
    path = inbox.put("a.parquet")
    inbox.watch()
    second = path.stat().st_mtime_ns // 10**9 * 10**9
    os.utime(path, ns=(second, second))

    assert inbox.watch().already == 1

    os.utime(path, ns=(second - 10**10, second - 10**10))
    assert inbox.watch().rejected == 1, "a value in its middle may have been corrected, which no footer shows"


def test_a_shard_that_changes_between_the_look_and_the_read_is_scored_as_it_then_is(inbox: Inbox) -> None:
    inbox.put("a.csv", 3)

    def score(request: ScoreRequest) -> RunResult:
        inbox.put("a.csv", 5)
        return scoring.score(request)

    assert inbox.watch(score=score).scored == 1
    assert inbox.watch().already == 1
    assert [run.manifest.rows.rows_in for run in inbox.runs().values()] == [5]


# Moving


def test_scored_shards_move_where_that_is_asked_for(inbox: Inbox) -> None:
    inbox.put("day=1/a.csv")
    done = inbox.folder / "done"

    inbox.watch(move_to=str(done))

    assert inbox.shards() == set()
    assert (done / "day=1" / "a.csv").is_file()
    assert set(inbox.runs()) == {"day=1/a.csv"}


def test_a_shard_whose_watcher_died_before_the_move_is_moved_by_the_next(inbox: Inbox) -> None:
    inbox.put("a.csv")
    inbox.watch()

    tally = inbox.watch(move_to=str(inbox.folder / "done"))

    assert (tally.scored, tally.already) == (0, 1)
    assert inbox.shards() == set()


def test_a_new_delivery_that_takes_a_shard_s_place_is_not_moved_in_its_stead(inbox: Inbox) -> None:
    path = inbox.put("a.csv", 3)

    def score(request: ScoreRequest) -> RunResult:
        result = scoring.score(request)
        inbox.put("new.csv", 4).replace(path)
        return result

    inbox.watch(score=score, move_to=str(inbox.folder / "done"))

    assert inbox.shards() == {"a.csv"}
    assert list((inbox.folder / "done").iterdir()) == []
    assert inbox.watch(changed="rescore").rows_in == 4


# Markers


@pytest.mark.parametrize("marker", ["a.csv.gz.done", "a.csv.done", "a.done"])
def test_with_a_marker_a_shard_is_complete_when_that_is_there(inbox: Inbox, marker: str) -> None:
    inbox.put("plain.csv")
    inbox.put_text("a.csv.gz", gzip.compress(b"a,b,c\n1,2,3\n"))

    assert inbox.watch(marker=".done").waiting == 2
    inbox.put_text(marker, "")
    tally = inbox.watch(marker=".done")

    assert (tally.scored, tally.waiting) == (1, 1)
    assert set(inbox.runs()) == {"a.csv.gz"}


def test_a_marker_may_be_for_a_whole_folder(inbox: Inbox) -> None:
    inbox.put("day=1/a.csv")
    inbox.put("day=2/a.csv")
    inbox.put_text("day=2/_SUCCESS", "")

    inbox.watch(marker="_SUCCESS")

    assert set(inbox.runs()) == {"day=2/a.csv"}


def test_a_marker_that_is_older_than_its_shard_is_of_an_earlier_one(inbox: Inbox) -> None:
    os.utime(inbox.put_text("a.csv.done", ""), (1, 1))
    inbox.put("a.csv")

    assert inbox.watch(marker=".done").waiting == 1


def test_a_marker_moves_with_its_shard(inbox: Inbox) -> None:
    inbox.put("a.csv")
    inbox.put_text("a.csv.done", "")

    inbox.watch(marker=".done", move_to=str(inbox.folder / "done"))

    assert sorted(path.name for path in (inbox.folder / "done").iterdir()) == ["a.csv", "a.csv.done"]


@pytest.mark.parametrize("marker", ["", ".", "a/b"])
def test_what_is_no_marker_is_refused(inbox: Inbox, marker: str) -> None:
    with pytest.raises(UsageError, match="no marker"):
        inbox.watch(marker=marker)


def test_a_folder_s_marker_stays_for_the_other_shards(inbox: Inbox) -> None:
    inbox.put("a.csv")
    inbox.put_text("READY", "")

    assert inbox.watch(marker="READY", move_to=str(inbox.folder / "done")).scored == 1
    assert (inbox.path / "READY").exists()


# What stands already


def test_a_damaged_run_is_told_and_left_alone(inbox: Inbox) -> None:
    inbox.put("a.csv")
    inbox.put("b.csv")
    inbox.watch()
    manifest = inbox.out / "a.csv" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"rows_in": 3', '"rows_in": 4'))
    inbox.put("c.csv")

    tally = inbox.watch()

    assert (tally.scored, tally.damaged, tally.exit_code) == (1, 1, 65)
    assert inbox.shards() == {"a.csv", "b.csv", "c.csv"}


def test_a_name_that_is_taken_in_the_output_sends_the_shard_aside(inbox: Inbox) -> None:
    (inbox.out / "a.csv" / "notes").mkdir(parents=True)
    inbox.put("a.csv")
    inbox.put("b.csv")

    tally = inbox.watch()

    assert (tally.scored, tally.rejected) == (1, 1)
    assert inbox.reason("a.csv").exit_code == 73


def test_a_staging_of_other_work_is_cleared(inbox: Inbox) -> None:
    """The watcher died at a shard, and the model was promoted before the next one came."""
    inbox.put("a.csv")
    staging = storage.staging_of(inbox.out / "a.csv", "0123456789abcdef")
    staging.root.parent.mkdir()
    staging.prepare(b"another plan")

    assert inbox.watch().scored == 1
    assert os.listdir(inbox.out) == ["a.csv"]


def test_what_an_earlier_watcher_was_at_when_it_ended_comes_last(inbox: Inbox) -> None:
    """If it was the shard that ended it, the others are scored all the same, and it can only end its own workers."""
    workers = {}

    def score(request: ScoreRequest) -> RunResult:
        workers[Path(request.inputs[0]).name] = request.workers
        return scoring.score(request)

    for number, name in enumerate(("a.csv", "b.csv", "c.csv")):
        os.utime(inbox.put(name), (number, number))
    staging = storage.staging_of(inbox.out / "a.csv", "0123456789abcdef")
    staging.root.parent.mkdir()
    staging.prepare(b"the plan of a shard that kills")

    inbox.watch(score=score)

    assert workers == {"b.csv": 1, "c.csv": 1, "a.csv": 2}
    assert [event.shard.name for event in inbox.heard if isinstance(event, Scored)] == ["b.csv", "c.csv", "a.csv"]


def test_the_oldest_shard_is_scored_first(inbox: Inbox) -> None:
    for number, name in enumerate(("c.csv", "a.csv", "b.csv")):
        os.utime(inbox.put(name), (number, number))

    inbox.watch()

    assert [event.shard.name for event in inbox.heard if isinstance(event, Scored)] == ["c.csv", "a.csv", "b.csv"]


def test_an_output_that_is_lost_ends_the_watch_before_anything_is_scored_twice(inbox: Inbox) -> None:
    """As a mount is: the empty folder below it says that nothing was ever scored."""
    for number in range(3):
        os.utime(inbox.put(f"{number}.csv"), (number, number))

    def score(request: ScoreRequest) -> RunResult:
        result = scoring.score(request)
        inbox.out.rename(inbox.folder / "lost")
        inbox.out.mkdir()
        return result

    with pytest.raises(OutputError, match="not the folder any more"):
        inbox.watch(score=score)
    assert os.listdir(inbox.out) == []


# What is refused before anything is done


def test_a_second_watcher_on_one_output_is_sent_away(inbox: Inbox) -> None:
    inbox.put("a.csv")

    def score(request: ScoreRequest) -> RunResult:
        with pytest.raises(OutputBusy, match="another watcher"):
            inbox.watch()
        return scoring.score(request)

    assert inbox.watch(score=score).scored == 1


@pytest.mark.parametrize("output", ["out.parquet", "-", "in", "in/out", "."])
def test_an_output_that_cannot_be_is_refused(inbox: Inbox, output: str) -> None:
    path = output if output == "-" else str(inbox.folder / output)

    with pytest.raises(UsageError):
        inbox.watch(of_run={"output": path})
    assert os.listdir(inbox.path) == []


def test_a_hidden_folder_of_the_inbox_may_be_the_output(inbox: Inbox) -> None:
    inbox.put("a.csv")

    inbox.watch(of_run={"output": str(inbox.path / "_scores")})

    assert (inbox.path / "_scores" / "a.csv" / "manifest.json").is_file()


def test_an_inbox_that_is_not_there_is_66(inbox: Inbox) -> None:
    with pytest.raises(InputMissing):
        inbox.watch(inbox=str(inbox.folder / "nowhere"))


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="needs a second file system")
def test_a_folder_on_another_file_system_cannot_be_moved_to(inbox: Inbox, tmp_path: Path) -> None:
    if os.stat(tmp_path).st_dev == os.stat(inbox.path).st_dev:
        pytest.skip("one file system")
    with pytest.raises(UsageError, match="another file system"):
        inbox.watch(move_to=str(tmp_path / "done"))


def test_the_files_of_a_run_get_the_rights_that_the_umask_leaves(inbox: Inbox) -> None:
    inbox.put_text("bad.csv", BAD["no number"])
    inbox.watch()

    mode = stat.S_IMODE((inbox.rejected / "bad.csv.reason.json").stat().st_mode)
    mask = os.umask(0)
    os.umask(mask)
    assert mode == 0o666 & ~mask


def test_what_is_told_is_what_happened(inbox: Inbox) -> None:
    inbox.put("a.csv")
    inbox.put_text("b.csv", BAD["no number"])

    inbox.watch()

    kinds = {type(event) for event in inbox.heard}
    assert kinds == {Scored, Rejected}
    assert not any(isinstance(event, Delayed) for event in inbox.heard)
