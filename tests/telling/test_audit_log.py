"""The audit log under everything that happens to logs: two writers, kill -9, rotation, a rewritten past."""

from __future__ import annotations

import gzip
import json
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mlserve_cli import ScoreRequest, audit
from mlserve_cli.errors import CorruptFile, InputMissing, InvalidConfig, LogBroken, UsageError
from mlserve_cli.telling.account import begin
from mlserve_cli.telling.audit_log import note_beginning
from mlserve_cli.telling.entries import decode_line
from tests.cli.desk import Desk, environment
from tests.telling.logs import nights, write_log

ODD_OF_A_YOUNG_LOG = ("gap", "never-ended")


def note(log: Path, runs: int = 1) -> list[str]:
    """Begin so many runs; the digests of the new lines."""
    request = ScoreRequest("churn.onnx", ("rows",), "out")
    return [note_beginning(str(log), begin(request, now_s=time.time())) for _ in range(runs)]


def torn(log: Path) -> list[str]:
    """Where the findings are that tell of an append that was cut off; the chain holds."""
    found = audit(str(log), ignore=ODD_OF_A_YOUNG_LOG).findings
    assert {one.kind for one in found} <= {"torn"}
    return [one.place for one in found]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "audit.log"
    note(path, 4)
    return path


def appenders(log: Path, count: int, *, runs: int) -> list[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.telling.appender", str(log), str(runs)]
    return [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment()) for _ in range(count)]


# What is changed is found


def test_every_changed_byte_is_found(log: Path) -> None:
    """In the last line too, which no other line vouches for."""
    content = log.read_bytes()
    missed = []
    for place in range(0, len(content), 7):
        log.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        try:
            missed += [] if torn(log) else [place]
        except LogBroken:
            continue
    assert missed == []


def test_a_line_that_was_written_anew_with_a_digest_that_fits_is_found_by_the_next(log: Path) -> None:
    import msgspec

    from mlserve_cli.telling.entries import Started, encode_line

    lines = log.read_bytes().splitlines()
    entry = decode_line(lines[1])
    assert isinstance(entry, Started)
    lines[1] = encode_line(msgspec.structs.replace(entry, user="somebody else"))
    log.write_bytes(b"\n".join([*lines, b""]))

    with pytest.raises(LogBroken, match="does not follow from the line before") as broken:
        audit(str(log))

    assert broken.value.where.endswith("audit.log, line 3")


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_line_that_was_taken_out_is_found(place: int, log: Path) -> None:
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join([*lines[:place], *lines[place + 1 :]]))

    if place == 0:  # as if it stood in an older file that is not there any more
        assert audit(str(log)).chains[0].begins_at == 2
    else:
        with pytest.raises(LogBroken, match=f"entries {place + 1} to {place + 1} are missing"):
            audit(str(log))


def test_two_lines_that_changed_places_are_found(log: Path) -> None:
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join([lines[0], lines[2], lines[1], lines[3]]))

    with pytest.raises(LogBroken):
        audit(str(log))


def test_an_end_that_was_cut_away_is_found_by_a_digest_that_was_noted(log: Path) -> None:
    head = audit(str(log)).chains[0].head
    lines = log.read_bytes().splitlines(keepends=True)
    note(log)
    assert audit(str(log), head=head).chains[0].head != head

    log.write_bytes(b"".join(lines[:-1]))

    assert len(audit(str(log)).chains[0].lines) == 3
    with pytest.raises(LogBroken, match="no line has this digest"):
        audit(str(log), head=head)


def test_a_line_of_a_newer_format_is_no_damage(log: Path) -> None:
    log.write_bytes(log.read_bytes().replace(b'"format":1', b'"format":2'))

    with pytest.raises(InvalidConfig, match="upgrade"):
        audit(str(log))


def test_a_line_of_something_else_is_found(log: Path) -> None:
    with log.open("ab") as file:
        file.write(b'{"level": "info"}\n')

    with pytest.raises(LogBroken, match="no entry of an audit log"):
        audit(str(log))
    with pytest.raises(LogBroken, match="cannot be carried on"):
        note(log)


# Appends that were cut off


def test_an_append_that_was_cut_off_anywhere_is_noted_and_the_chain_goes_on(log: Path) -> None:
    content = log.read_bytes()
    start = content.rindex(b"\n", 0, -1) + 1
    for length in range(start + 1, len(content) - 1, 23):
        log.write_bytes(content[:length])
        assert len(torn(log)) == 1

        note(log, 2)

        assert [place.rpartition("line ")[2] for place in torn(log)] == ["4"]
        assert len(audit(str(log)).chains[0].lines) == 5


def test_an_append_that_lacks_nothing_but_its_end_of_line_is_carried_on(log: Path) -> None:
    log.write_bytes(log.read_bytes()[:-1])

    note(log)

    assert torn(log) == []
    assert len(audit(str(log)).chains[0].lines) == 5


def test_what_is_left_of_several_appends_is_noted_together(log: Path) -> None:
    with log.open("ab") as file:
        file.write(b'{"command":["ml')
    with log.open("ab") as file:
        file.write(b'\n{"comma')

    note(log)

    assert len(torn(log)) == 2


def test_who_changes_what_was_cut_off_is_found(log: Path) -> None:
    with log.open("ab") as file:
        file.write(b'{"command":["mlserve')
    note(log)
    log.write_bytes(log.read_bytes().replace(b'["mlserve\n', b'["mlservo\n'))

    with pytest.raises(LogBroken, match="what stands before it"):
        audit(str(log))


def test_two_processes_write_one_log_and_no_line_is_lost(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"

    for process in appenders(log, 2, runs=30):
        process.communicate(timeout=60)
        assert process.returncode == 0

    found = audit(str(log))
    assert len(found.chains[0].lines) == 2 * 30 * 2
    assert found.runs == 60
    assert torn(log) == []


@pytest.mark.faults
def test_processes_killed_outright_in_the_middle_of_it_leave_a_log_that_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    moments = random.Random(11)
    for _ in range(6):
        processes = appenders(log, 2, runs=100_000)
        for process in processes:
            assert process.stdout is not None
            process.stdout.readline()
        time.sleep(moments.uniform(0.0, 0.1))
        for process in processes:
            process.kill()
        for process in processes:
            process.communicate()

    note(log)

    chain = audit(str(log)).chains[0]
    assert len(chain.lines) > 50
    assert [line.entry.sequence for line in chain.lines] == list(range(1, len(chain.lines) + 1))


# Rotation


def test_the_chain_goes_on_when_the_log_was_moved_away(log: Path) -> None:
    log.rename(log.with_name("audit.log.1"))
    note(log, 2)
    log.with_name("audit.log.1").rename(log.with_name("audit.log.2"))
    log.rename(log.with_name("audit.log.1"))
    note(log)

    found = audit(str(log))

    assert [line.entry.sequence for line in found.chains[0].lines] == [1, 2, 3, 4, 5, 6, 7]
    assert [file.name for file in found.chains[0].files] == ["audit.log.2", "audit.log.1", "audit.log"]


@pytest.mark.parametrize("name", ["audit.log-20261124", "audit.log.2026-11-24", "audit-20261124.log", "audit.log.1.gz"])
def test_whatever_rotation_calls_the_old_log(name: str, log: Path) -> None:
    old = log.with_name(name)
    content = log.read_bytes()
    old.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    log.write_bytes(b"")  # as logrotate's `create` leaves it

    note(log)

    assert len(audit(str(log)).chains[0].lines) == 5


def test_other_files_of_a_like_name_are_none_of_it(log: Path) -> None:
    for name in ("audit.log.bak", "audit.log~", "my-audit.log.1", "audit.log.1.zst"):
        shutil.copy(log, log.with_name(name))

    assert len(audit(str(log)).chains[0].lines) == 4


def test_older_files_may_be_gone_but_not_one_between(log: Path) -> None:
    for number in (1, 2):
        log.rename(log.with_name(f"audit.log.{3 - number}"))
        note(log, 2)
    log.with_name("audit.log.2").rename(log.with_name("gone"))
    assert audit(str(log)).chains[0].begins_at == 5

    log.with_name("gone").rename(log.with_name("audit.log.2"))
    log.with_name("audit.log.1").unlink()

    with pytest.raises(LogBroken, match="entries 5 to 6 are missing"):
        audit(str(log))


@pytest.mark.slow
def test_a_log_that_is_rotated_while_two_write_loses_nothing(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    processes = appenders(log, 2, runs=150)
    rotations = 0
    while any(process.poll() is None for process in processes) and rotations < 9:
        time.sleep(0.05)
        if log.exists():
            rotations += 1
            log.rename(tmp_path / f"audit.log-{rotations:03d}")
    for process in processes:
        process.communicate(timeout=60)
        assert process.returncode == 0
    note(log)

    found = audit(str(log))

    assert rotations > 2
    assert len(found.chains[0].lines) == 2 * 150 * 2 + 1


def test_an_old_log_that_is_no_gzip_any_more_is_named(log: Path) -> None:
    log.with_name("audit.log.1.gz").write_bytes(gzip.compress(log.read_bytes())[:-9])

    with pytest.raises(CorruptFile) as found:
        audit(str(log))

    assert found.value.where.endswith("audit.log.1.gz")


def test_a_log_and_what_was_rotated_away_from_it_are_read_once(log: Path) -> None:
    log.rename(log.with_name("audit.log.1"))
    note(log)

    assert audit(str(log.with_name("audit.log.1")), str(log)).entries == 5


# The command


def test_the_command_says_what_holds_and_what_is_odd(desk: Desk) -> None:
    log = write_log(desk.folder / "audit.log", nights(30))

    ended = desk.run("audit", log, "--until", "2026-02-20")

    assert ended.code == 0
    assert ended.out.startswith(f"holds: {log}, 60 lines from its beginning\n")
    assert "there is no run to this day for 16.9 days after this one, where one comes every" in ended.out
    assert f"churn to /srv/scores; {log}, line 60" in ended.out
    (finding,) = ended.last["findings"]
    assert (finding["kind"], finding["figures"]["over"]) == ("gap", False)
    assert ended.last["logs"][0]["head"] in ended.out


def test_findings_fail_the_command_where_that_is_asked_for(desk: Desk) -> None:
    log = write_log(desk.folder / "audit.log", nights(30))

    assert desk.run("audit", log, "--until", "2026-02-20", "--fail-on-findings").code == 4
    assert desk.run("audit", log, "--until", "2026-02-20", "--fail-on-findings").last["exit_code"] == 4
    assert desk.run("audit", log, "--until", "2026-02-20", "--fail-on-findings", "--ignore", "gap,hour").code == 0
    assert desk.run("audit", log, "--until", "2026-02-04", "--fail-on-findings").code == 0
    assert desk.run("audit", log, "--since", "2026-02-19", "--until", "2026-02-20", "--fail-on-findings").code == 0


def test_a_broken_log_fails_the_command_and_names_the_line(desk: Desk) -> None:
    log = Path(write_log(desk.folder / "audit.log", nights(5)))
    log.write_bytes(log.read_bytes().replace(b'"rows_in":1', b'"rows_in":2', 1))

    ended = desk.run("audit", str(log))

    assert ended.code == 65
    assert ended.error["where"] == f"{log}, line 2"


def test_names_in_a_log_do_not_move_a_terminals_cursor(desk: Desk) -> None:
    log = nights(30)
    odd = [*log[:-1], type(log[0])(log[-1].when, user="\x1b[2Jeve", rows=log[-1].rows)]

    ended = desk.run("audit", write_log(desk.folder / "audit.log", odd), "--until", "2026-02-04")

    assert "\x1b" not in ended.out
    assert json.loads(ended.out.splitlines()[-1])["findings"][0]["figures"]["user"] == "\x1b[2Jeve"


def test_an_empty_log_holds_and_says_nothing(desk: Desk) -> None:
    ended = desk.run("audit", desk.write("audit.log", ""))

    assert (ended.code, ended.last["runs"]) == (0, 0)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["gone.log"], InputMissing.exit_code),
        (["audit.log", "--ignore", "moon"], UsageError.exit_code),
        (["audit.log", "--since", "yesterday"], UsageError.exit_code),
        ([], UsageError.exit_code),
    ],
)
def test_what_cannot_be_audited_is_refused(
    arguments: list[str], code: int, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.write("audit.log", "")
    monkeypatch.chdir(desk.folder)

    assert desk.run("audit", *arguments).code == code
