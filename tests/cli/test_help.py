"""Help is quick, readable at 80 columns, and completes in a shell."""

from __future__ import annotations

import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlserve_cli import __version__
from tests import models
from tests.cli.desk import Desk
from tests.cli.test_walk import COMMANDS as COMMANDS_WE_HAVE

COMMANDS = ["", *sorted(COMMANDS_WE_HAVE)]
HEAVY = ("numpy", "pyarrow", "onnxruntime", "polars", "pandas", "pydantic", "rich", "msgspec", "joblib", "google")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_fits_80_columns_and_loses_no_bracket(command: str, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")

    ended = desk.run(*command.split(), "--help")

    assert ended.code == 0
    assert max(map(len, ended.out.splitlines())) <= 80
    assert ended.out.startswith(f"Usage: mlserve {command}".rstrip())
    assert command != "score" or "[default: " in ended.out


def test_help_of_score_stands_in_panels(desk: Desk) -> None:
    out = desk.run("score", "-h").out
    for panel in ("Model:", "Input:", "Output:", "Columns and values:", "CSV dialect:", "Bad rows:", "Running:"):
        assert f"\n{panel}\n" in out


@pytest.mark.parametrize("arguments", ["--help", "score --help", "verify -h", "--version"])
def test_help_loads_nothing_heavy(arguments: str, desk: Desk) -> None:
    code = (
        "import sys; from mlserve_cli.cli import app, run; code = run(app, sys.argv[1:]); "
        f"print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr); sys.exit(code)"
    )
    ended = desk.shell(f'"$PYTHON" -c "{code}" {arguments}')

    assert (ended.code, ended.err) == (0, "[]\n")


def test_a_small_run_imports_nothing_that_it_does_not_use(desk: Desk) -> None:
    unused = ("polars", "pandas", "pydantic", "rich", "pyarrow.dataset", "numpy.ma", "joblib", "importlib.metadata")
    code = (
        "import sys; from mlserve_cli.cli import app, run; code = run(app, sys.argv[1:]); "
        f"print([name for name in {unused} if name in sys.modules], file=sys.stderr); sys.exit(code)"
    )
    ended = desk.shell(f'"$PYTHON" -c "{code}" score -m linear.onnx -i rows.csv -o out')

    assert (ended.code, ended.err) == (0, "[]\n")


def test_a_run_over_trees_and_parquet_loads_neither_arrow_s_functions_nor_numpy_s_random(desk: Desk) -> None:
    unused = ("pyarrow.compute", "numpy.random", "numpy.ma")
    models.save(models.forest(), desk.folder / "forest.onnx")
    values = np.random.default_rng(1).normal(size=(3, 50_000)).astype(np.float32)
    pq.write_table(pa.table([np.arange(50_000), *values], names=["id", *"abc"]), desk.folder / "rows.parquet")
    code = (
        "import sys; from mlserve_cli.cli import app, run; code = run(app, sys.argv[1:]); "
        f"print([name for name in {unused} if name in sys.modules], file=sys.stderr); sys.exit(code)"
    )
    asked = "-m forest.onnx -i rows.parquet -o out --id-column id --features a,b,c --predictor trees"
    ended = desk.shell(f'"$PYTHON" -c "{code}" score {asked}')

    assert (ended.code, ended.err) == (0, "[]\n")


def test_the_version_is_printed(desk: Desk) -> None:
    assert desk.run("--version").out == f"mlserve {__version__}\n"


def test_mlserve_alone_says_where_help_is(desk: Desk) -> None:
    ended = desk.run()
    assert (ended.code, ended.error["hint"]) == (2, "see mlserve --help")


def test_help_into_a_pager_that_is_left_is_no_error(desk: Desk) -> None:
    ended = desk.shell("mlserve score --help | head -1")
    assert (ended.code, ended.err) == (0, "")


COMPLETIONS = {
    "mlserve sc": "score",
    "mlserve score --batch": "--batch-rows",
    "mlserve score --on-error q": "quarantine",
    "mlserve ver": "verify",
}


@pytest.mark.parametrize("typed", COMPLETIONS)
def test_a_shell_completes_commands_options_and_choices(typed: str, desk: Desk) -> None:
    last = str(len(typed.split()) - 1)
    asked = {"_MLSERVE_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": last}

    ended = desk.process(env=asked)

    assert ended.err == ""
    assert COMPLETIONS[typed] in ended.out.split()


def test_the_completion_script_is_shown_for_bash(desk: Desk) -> None:
    if sys.platform != "linux":
        pytest.skip("asks for the parent shell")
    ended = desk.shell("mlserve --show-completion bash 2>/dev/null || mlserve --show-completion")
    assert "_MLSERVE_COMPLETE" in ended.out
