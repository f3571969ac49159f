"""Every error and every exit code is what some real command ends with; a class that nothing raises would stand out."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlserve_cli import storage
from tests import dishonest
from tests.cli.desk import MLSERVE, Desk, Ended, environment
from tests.errors.test_tree import EVERY


def on_rows(desk: Desk, rows: str, *arguments: str) -> Ended:
    desk.write("rows.csv", rows)
    return desk.score(*arguments)


def on_table(desk: Desk, columns: dict[str, list[object]], *arguments: str) -> Ended:
    pq.write_table(pa.table(columns), desk.folder / "rows.parquet")
    rows = ("-i", desk.path("rows.parquet"), "-o", desk.path("out"))
    return desk.run("score", "-m", desk.path("linear.onnx"), *rows, *arguments)


def a_bug(desk: Desk) -> Ended:
    """An installation with a piece missing."""
    return python(
        desk, "import mlserve_cli.scoring; del mlserve_cli.scoring.score", *desk.basics, "-o", desk.path("out")
    )


def no_worker_to_start(desk: Desk) -> Ended:
    desk.write("more.csv", "a,b,c\n1,2,3\n")
    rows = ("-i", desk.path("more.csv"), "-o", desk.path("out"), "--workers", "2")
    return python(desk, "import sys; sys.executable = '/nowhere'", *desk.basics, *rows)


def python(desk: Desk, first: str, *arguments: str) -> Ended:
    done = subprocess.run(
        [sys.executable, "-c", f"{first}; from mlserve_cli.cli import main; main()", *arguments],
        capture_output=True,
        text=True,
        env=environment(),
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def a_number_that_is_text(desk: Desk) -> Ended:
    return on_table(desk, {"a": ["1"], "b": [1.0], "c": [1.0]})


def a_text_that_csv_cannot_hold(desk: Desk) -> Ended:
    columns: dict[str, list[object]] = {"a": [1.0], "b": [1.0], "c": [1.0], "text": ["a\x00b"]}
    return on_table(desk, columns, "--passthrough", "text", "--output-format", "csv")


def a_link_loop(desk: Desk) -> Ended:
    (desk.folder / "rows").mkdir()
    (desk.folder / "rows" / "loop").symlink_to(desk.folder / "rows")
    return desk.run("score", "-m", desk.path("linear.onnx"), "-i", desk.path("rows"), "-o", desk.path("out"))


def a_flipped_bit(desk: Desk) -> Ended:
    desk.score()
    part = next((desk.folder / "out" / "data").iterdir())
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 1
    part.write_bytes(content)
    return desk.run("verify", desk.path("out"))


def an_output_that_stands(desk: Desk) -> Ended:
    desk.score()
    return desk.score()


def a_staging_that_stands(desk: Desk) -> Ended:
    desk.score()
    plan_id = desk.manifest()["run"]["id"]
    (desk.folder / "out").rename(desk.folder / "elsewhere")
    (desk.folder / f".out.mlserve-{plan_id[:16]}").mkdir()
    return desk.score()


def another_run_on_it(desk: Desk) -> Ended:
    with storage.hold(desk.folder / "out"):
        return desk.score()


def an_input_that_changes(desk: Desk) -> Ended:
    process = slow_run(desk, "--workers", "1")
    wait_for(desk.folder, ".out.mlserve-*/records/*")
    (desk.folder / "rows" / "two.csv").write_text("x\n0.3\n")
    return finish(process)


def workers_killed(desk: Desk, *, retries: int = 0) -> Ended:
    """Each worker is killed as soon as it writes: its draft is named for it."""
    process = slow_run(desk, "--workers", "2", "--max-retries", str(retries))
    killed = {process.pid}  # which has written the plan
    while process.poll() is None:
        for draft in desk.folder.glob(".out.mlserve-*/**/*.draft"):
            pid = int(draft.name.split(".")[-2].partition("-")[0])
            if pid not in killed:
                killed.add(pid)
                with suppress(ProcessLookupError):  # the driver has given up and ended it, and its draft not yet
                    os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)
    return finish(process)


def a_task_that_takes_too_long(desk: Desk) -> Ended:
    return finish(slow_run(desk, "--workers", "1", "--task-timeout", "0.2"))


def slow_run(desk: Desk, *arguments: str) -> subprocess.Popen[str]:
    """Two files of a second each."""
    desk.save("slow.onnx", dishonest.slow(steps_per_unit=20_000))
    for name in ("one.csv", "two.csv"):
        desk.write(f"rows/{name}", "x\n" + "0.2\n" * 70)
    rows = ("-m", desk.path("slow.onnx"), "-i", desk.path("rows"), "-o", desk.path("out"))
    command = [*MLSERVE, "score", *rows, "--features", "x", "--batch-rows", "1", *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment())


def finish(process: subprocess.Popen[str]) -> Ended:
    out, err = process.communicate(timeout=30)
    return Ended(process.returncode, out, err)


def wait_for(folder: Path, pattern: str) -> None:
    until = time.monotonic() + 20
    while not list(folder.glob(pattern)):
        assert time.monotonic() < until
        time.sleep(0.01)


def a_model_that_may_not_be_read(desk: Desk) -> Ended:
    """Root reads everything, but for a root that has given that away."""
    os.chmod(desk.path("linear.onnx"), 0)
    humbly = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    command = [*humbly, *MLSERVE, *desk.basics, "-o", desk.path("out")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), check=False)
    return Ended(done.returncode, done.stdout, done.stderr)


def scores_that_are_not_the_expected_ones(desk: Desk) -> Ended:
    desk.write("train.csv", "a,b,c,theirs\n1,2,3,1e9\n")
    words = ("--data", desk.path("train.csv"), "--expected", "theirs", "--name", "churn", "--output", desk.path("out"))
    return desk.run("model", "package", "--onnx", desk.path("linear.onnx"), *words)


def a_registry_put_back_by_hand(desk: Desk) -> Ended:
    registry = desk.path("registry")
    desk.run("model", "add", desk.path("linear.onnx"), "--name", "churn", "--alias", "champion", "--registry", registry)
    desk.write("registry/churn/aliases/champion.json", "{}")
    return desk.run("model", "show", "churn", "--registry", registry)


def an_audit_log_that_was_changed(desk: Desk) -> Ended:
    desk.score("--audit-log", desk.path("audit.log"))
    log = desk.folder / "audit.log"
    log.write_bytes(log.read_bytes().replace(b'"rows_in":3', b'"rows_in":4'))
    (desk.folder / "out").rename(desk.folder / "elsewhere")
    return desk.run("audit", str(log))


def an_unsigned_model_under_a_policy(desk: Desk) -> Ended:
    return desk.score("--trust-policy", desk.write("trust.toml", "format = 1"))


def keys_without_their_library(desk: Desk) -> Ended:
    missing = "import sys; sys.modules['cryptography'] = None"
    return python(desk, missing, "model", "keygen", desk.path("release"))


REACHED: dict[str, Callable[[Desk], Ended]] = {
    "MlserveError": a_bug,
    "UsageError": lambda desk: desk.score("--resume", "--if-exists", "overwrite"),
    "GateFailed": scores_that_are_not_the_expected_ones,
    "DataError": a_text_that_csv_cannot_hold,
    "CorruptFile": lambda desk: on_rows(desk, 'a,b,c\n1,2,"3\n'),
    "MissingColumn": lambda desk: on_rows(desk, "a,b,C\n1,2,3\n"),
    "DuplicateColumn": lambda desk: on_rows(desk, "a,b,c,c\n1,2,3,4\n"),
    "TypeMismatch": a_number_that_is_text,
    "BadRow": lambda desk: on_rows(desk, "a,b,c\n1,2,NA\n"),
    "TooManyBadRows": lambda desk: on_rows(desk, "a,b,c\n1,2,\n", "--on-error", "quarantine", "--max-errors", "0"),
    "UnsafeInput": a_link_loop,
    "RunMismatch": a_flipped_bit,
    "LogBroken": an_audit_log_that_was_changed,
    "InputMissing": lambda desk: desk.score("-i", desk.path("gone-*.csv")),
    "UnknownModel": lambda desk: desk.run("model", "show", "churn", "--registry", desk.path("none")),
    "Unavailable": no_worker_to_start,
    "AuditUnavailable": lambda desk: desk.score("--audit-log", desk.path("no/such/audit.log")),
    "ExtraMissing": keys_without_their_library,
    "WorkersDied": workers_killed,
    "TaskTimeout": a_task_that_takes_too_long,
    "OutputError": lambda desk: desk.score(out="no/such/folder"),
    "OutputExists": an_output_that_stands,
    "StagingExists": a_staging_that_stands,
    "IOFailed": lambda desk: desk.shell("mlserve score -m linear.onnx -i rows.csv -o - --json > /dev/full"),
    "OutputBusy": another_run_on_it,
    "InputChanged": an_input_that_changes,
    "Forbidden": a_model_that_may_not_be_read,
    "Untrusted": an_unsigned_model_under_a_policy,
    "InvalidModel": lambda desk: desk.run("score", "-m", desk.write("no.onnx", "no"), *desk.basics[3:], "-o", "out"),
    "MemoryTooSmall": lambda desk: desk.score("--memory-limit", "1MiB"),
    "InvalidRegistry": a_registry_put_back_by_hand,
    "InvalidConfig": lambda desk: desk.score("--config", desk.write("options.toml", "modle = 1")),
}
SIGNALS = {129, 130, 143}  # of HUP, INT, TERM: tests/cli/test_output.py sends them
KINDS_ALONE = {"TryLater"}  # a name for its kinds: what may be gone next time
CODES = {0, 1, 2, 3, 4, 65, 66, 69, 71, 73, 74, 75, 77, 78, *SIGNALS}


@pytest.mark.parametrize("name", REACHED)
def test_an_error_is_what_a_command_ends_with(name: str, desk: Desk) -> None:
    before = os.path.exists(desk.path("out"))

    ended = REACHED[name](desk)

    lines = (ended.out or ended.err).splitlines()
    facts = Ended(ended.code, lines[-1], "")
    assert facts.error["type"] == name, facts.error
    assert ended.code == facts.last["exit_code"] == EVERY[name].exit_code
    assert facts.error["what"]
    assert facts.error["hint"]
    assert ended.err.startswith(("error: ", "warning: ", "scoring: "))
    assert name in ("OutputExists", "RunMismatch") or os.path.exists(desk.path("out")) == before


def test_every_error_and_every_code_is_reached() -> None:
    assert set(REACHED) | KINDS_ALONE == set(EVERY)
    assert {EVERY[name].exit_code for name in REACHED} | {0, 3} | SIGNALS == CODES


def test_a_complete_run_ends_with_0_and_one_with_rows_set_aside_with_3(desk: Desk) -> None:
    assert desk.score().code == 0
    desk.write("rows.csv", "a,b,c\n1,2,\n4,5,6\n")
    assert desk.score("--on-error", "quarantine", out="aside").code == 3
    assert desk.score("--on-error", "quarantine", "--max-errors", "1", out="allowed").code == 0


def test_a_task_is_tried_again_as_often_as_it_may(desk: Desk) -> None:
    assert workers_killed(desk, retries=1).error["what"].startswith("the worker died 2 times")
