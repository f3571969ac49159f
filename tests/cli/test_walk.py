"""The live command table, walked: nothing in it is undocumented, without effect or out of reach of this test."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
import typer

from mlserve_cli.cli import app
from mlserve_cli.registry import Registry
from tests import dishonest, models
from tests.cli.desk import ROWS, TREE, Desk, Ended

ROOT = typer.main.get_command(app)


def commands_in(group: Any, *, before: str = "") -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands_in(command, before=f"{before}{name} ")
        else:
            yield f"{before}{name}", command


COMMANDS: dict[str, Any] = dict(commands_in(ROOT))
TOP = {command for command in COMMANDS if " " not in command}
LATER = {"--engine", "--provider"}
NEEDED = {"--model", "--input", "--output"}


def options_of(command: str) -> dict[str, Any]:
    parameters = [one for one in COMMANDS[command].params if one.param_type_name == "option"]
    return {max(parameter.opts, key=len): parameter for parameter in parameters}


# What the contract names, and what there is

CONTRACT = (
    "--model --registry --trust-policy --input --output --features --rename --schema-mode --nulls --nan-scores "
    "--id-column --passthrough --threshold --labels --delimiter --encoding --quote --null-value --header "
    "--max-field-bytes --input-format "
    "--output-columns --output-format --compression --on-error --max-errors --if-exists --resume --workers "
    "--batch-rows --memory-limit --max-retries --task-timeout --threads-per-worker --predictor --deduplicate --reuse "
    "--challenger --canary --split --split-key --split-salt "
    "--profile --drift-profile --drift-thresholds --fail-on-drift "
    "--limit --dry-run --prometheus-file --openlineage-file --log-file --audit-log --config --json --quiet --verbose "
    "--progress"
)


def test_score_has_every_option_of_the_contract_and_no_other() -> None:
    assert set(options_of("score")) == set(CONTRACT.split())
    assert not LATER & set(options_of("score"))


def test_the_commands_are_the_functions_of_the_package() -> None:
    import mlserve_cli

    assert {"score", "verify", "replay", "inspect"} <= TOP
    assert set(mlserve_cli.__all__) >= TOP


def test_the_commands_of_a_models_life_are_functions_of_mlserve_cli_model() -> None:
    from mlserve_cli import model

    ours = {command.removeprefix("model ").replace(" ", "_") for command in COMMANDS if command.startswith("model ")}
    assert ours <= set(model.__all__)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help_an_example_and_its_place_in_the_list(command: str) -> None:
    assert COMMANDS[command].short_help
    assert re.search(rf"^ +mlserve {command} \S", COMMANDS[command].help, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_option_and_argument_has_help(command: str) -> None:
    silent = [parameter.name for parameter in COMMANDS[command].params if not parameter.help]
    assert silent == []


# Where one word has two meanings of its own: labels are what a run writes, and what later turned out to be true.
MEANS_ANOTHER = {
    ("compare", "--challenger"),
    ("compare", "--labels"),
    ("drift", "--model"),
    ("evaluate", "--labels"),
    ("evaluate", "--output"),
    ("profile", "--model"),
    ("profile", "--output"),
    ("report", "--output"),
    ("watch", "--output"),
}


@pytest.mark.parametrize("command", sorted(TOP))
def test_an_option_means_the_same_in_each_command(command: str) -> None:
    for name, parameter in options_of(command).items():
        if name in options_of("score") and (command, name) not in MEANS_ANOTHER:
            assert parameter.help == options_of("score")[name].help, name


def test_each_command_and_option_has_its_entry_in_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(TREE / "docs"))
    import generate

    page = "\n".join(generate.reference())

    for command in COMMANDS:
        assert f"## mlserve {command}\n" in page
        for option in options_of(command):
            assert f"`{option}`" in page


# Where options come from

ALL_AT_ONCE: dict[str, tuple[str, object]] = {  # as a variable has it, as TOML has it
    "--model": ("linear.onnx", "linear.onnx"),
    "--input": ("rows.csv\nmore.csv", ["rows.csv", "more.csv"]),
    "--output": ("out", "out"),
    "--registry": ("shelves", "shelves"),
    "--trust-policy": ("trust.toml", "trust.toml"),
    "--features": ("a,b,c", "a,b,c"),
    "--rename": ("C=c", ["C=c"]),
    "--schema-mode": ("coerce", "coerce"),
    "--nulls": ("nan", "nan"),
    "--nan-scores": ("allow", "allow"),
    "--id-column": ("id", "id"),
    "--passthrough": ("a,b", ["a", "b"]),
    "--threshold": ("0.5", 0.5),
    "--labels": ("no", False),
    "--input-format": ("csv", "csv"),
    "--delimiter": (";", ";"),
    "--encoding": ("latin-1", "latin-1"),
    "--quote": ("'", "'"),
    "--null-value": ("NA\nNULL", ["NA", "NULL"]),
    "--header": ("1", True),
    "--max-field-bytes": ("1KiB", 1024),
    "--output-columns": ("probability_1=score", "probability_1=score"),
    "--output-format": ("csv", "csv"),
    "--compression": ("gzip", "gzip"),
    "--on-error": ("quarantine", "quarantine"),
    "--max-errors": ("50%", 1),
    "--if-exists": ("resume", "resume"),
    "--resume": ("true", True),
    "--reuse": ("earlier", "earlier"),
    "--workers": ("1", 1),
    "--threads-per-worker": ("2", 2),
    "--batch-rows": ("64", 64),
    "--memory-limit": ("1GiB", "1GiB"),
    "--max-retries": ("1", 1),
    "--task-timeout": ("20.5", 20.5),
    "--predictor": ("onnxruntime", "onnxruntime"),
    "--deduplicate": ("on", "on"),
    "--limit": ("1", 1),
    "--profile": ("whole", "whole"),
    "--drift-profile": ("earlier", "earlier"),
    "--drift-thresholds": ("drift.toml", "drift.toml"),
    "--fail-on-drift": ("1", True),
    "--prometheus-file": ("run.prom", "run.prom"),
    "--openlineage-file": ("events.ndjson", "events.ndjson"),
    "--log-file": ("runs.log", "runs.log"),
    "--audit-log": ("audit.log", "audit.log"),
    "--json": ("yes", True),
    "--quiet": ("on", True),
    "--verbose": ("off", False),
    "--progress": ("0", False),
}
SEVERAL_MODELS = {"--challenger", "--canary", "--split", "--split-key", "--split-salt"}
NOT_WITH_THE_REST = SEVERAL_MODELS | {"--dry-run", "--config"}  # nothing is recorded; where the file stands


@pytest.fixture
def rich_desk(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """Work for which every option can be given at once, in the current folder, and an earlier run of other work."""
    monkeypatch.chdir(desk.folder)
    assert desk.score("--profile", "on", out="earlier").code == 0
    desk.write("drift.toml", "format = 1")
    desk.write("rows.csv", "id;a;b;C\nx1;1;'2';NULL\n")
    desk.write("more.csv", "id;a;b;C\nxö2;4;5;NA\n".encode("latin-1"))
    desk.write("trust.toml", 'format = 1\nunsigned = "allow"')
    desk.save("linear.onnx", models.classifier(3))
    return desk


def test_every_option_is_accepted_from_its_environment_variable(
    rich_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    for option, (text, _) in ALL_AT_ONCE.items():
        monkeypatch.setenv("MLSERVE_" + option[2:].replace("-", "_").upper(), text)

    ended = rich_desk.run("score")

    assert ended.code == 0, ended.err
    settings = rich_desk.manifest()["run"]["settings"]
    assert {f"--{key}" for key, one in settings.items() if one["source"] == "environment"} == set(ALL_AT_ONCE)
    assert settings["null-value"]["value"] == ["NA", "NULL"]
    assert set(ALL_AT_ONCE) | NOT_WITH_THE_REST == set(options_of("score"))


def test_every_option_is_accepted_from_the_file(rich_desk: Desk) -> None:
    lines = [f"{option[2:]} = {json.dumps(value)}" for option, (_, value) in ALL_AT_ONCE.items()]
    rich_desk.write("options.toml", "\n".join(lines))

    ended = rich_desk.run("score", "--config", "options.toml")

    assert ended.code == 0, ended.err
    settings = rich_desk.manifest()["run"]["settings"]
    assert {f"--{key}" for key, one in settings.items() if one["source"] == "file"} == set(ALL_AT_ONCE)
    assert settings["input"]["value"] == ["rows.csv", "more.csv"]


ONE_OF_TWO = (
    "--challenger other.onnx --canary 50% --split-key id --split-salt first",
    "--split linear.onnx=50,other.onnx=50",
)


@pytest.mark.parametrize("words", ONE_OF_TWO)
@pytest.mark.parametrize("source", ["environment", "file"])
def test_the_options_of_several_models_are_accepted_from_there_too(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, words: str, source: str
) -> None:
    monkeypatch.chdir(desk.folder)
    desk.save("other.onnx", models.linear(3, names=("a", "b", "c")))
    given = dict(zip(words.split()[::2], words.split()[1::2], strict=True))
    model = [] if "--split" in given else ["-m", "linear.onnx"]
    if source == "file":
        desk.write("options.toml", "\n".join(f"{option[2:]} = {json.dumps(text)}" for option, text in given.items()))
    else:
        for option, text in given.items():
            monkeypatch.setenv("MLSERVE_" + option[2:].replace("-", "_").upper(), text)

    ended = desk.run(
        "score",
        *model,
        "-i",
        "rows.csv",
        "-o",
        "out",
        "--id-column",
        "id",
        *(["--config", "options.toml"][: 2 * (source == "file")]),
    )

    assert ended.code == 0, ended.err
    settings = desk.manifest()["run"]["settings"]
    assert {f"--{key}" for key, one in settings.items() if one["source"] == source} == set(given)
    assert desk.manifest()["split"]["arms"][1]["share"] == 0.5


# No option is without effect


@dataclass(frozen=True, slots=True)
class Case:
    """What to run without and with an option, after `score -m linear.onnx -i rows.csv -o out`."""

    given: tuple[str, ...]
    rows: str | bytes | None = None
    model: Any = None
    before: Callable[[Desk], object] | None = None
    both: tuple[str, ...] = ()


def _profiled(desk: Desk) -> None:
    """An earlier run of other rows, with its profile, and thresholds that allow anything."""
    desk.write("other.csv", "a,b,c\n" + "".join(f"{row},{row + 100},{row}\n" for row in range(50)))
    rows = ("-i", "other.csv", "-o", "earlier", "--profile", "on")
    assert desk.run("score", "-m", "linear.onnx", *rows).code == 0
    desk.write("drift.toml", "format = 1\n[default]\npsi = inf\nout_of_range = inf")


MANY_ROWS = "a,b,c\n" + "".join(f"{row},{row},{row}\n" for row in range(50))
ONE_BAD_ROW = "id,a,b,c\nx1,1,2,\nx2,4,5,6\n"
WRONG_NAME = "id,a,b,C\nx1,1,2,3\n"
CHALLENGED = ("--challenger", "other.onnx", "--id-column", "id", "--canary", "50")


def other(desk: Desk) -> str:
    return desk.save("other.onnx", models.linear(3, names=("a", "b", "c")))


CASES: dict[str, Case] = {
    "--model": Case(("--model", "other.onnx"), before=lambda desk: desk.save("other.onnx", models.mlp(3))),
    "--input": Case(("--input", "other.csv"), before=lambda desk: desk.write("other.csv", WRONG_NAME.lower())),
    "--output": Case(("--output", "other.csv")),
    "--registry": Case(
        ("--registry", "shelves"),
        both=("-m", "churn:1"),
        before=lambda desk: Registry(desk.folder / "shelves").add(desk.path("linear.onnx"), name="churn"),
    ),
    "--trust-policy": Case(
        ("--trust-policy", "trust.toml"), before=lambda desk: desk.write("trust.toml", "format = 1")
    ),
    "--features": Case(("--features", "c,b,a")),
    "--rename": Case(("--rename", "C=c"), rows=WRONG_NAME),
    "--schema-mode": Case(("--schema-mode", "coerce"), rows="a,b,c\n 1,2,3\n"),
    "--nulls": Case(("--nulls", "nan", "--nan-scores", "allow"), rows=ONE_BAD_ROW),
    "--nan-scores": Case(("--nan-scores", "allow"), rows="X\n-1\n", model=dishonest.logarithm()),
    "--id-column": Case(("--id-column", "id")),
    "--passthrough": Case(("--passthrough", "all")),
    "--threshold": Case(("--threshold", "0.99"), model=models.classifier(3), both=("--features", "a,b,c")),
    "--labels": Case(("--no-labels",), model=models.classifier(3), both=("--features", "a,b,c")),
    "--input-format": Case(
        ("--input-format", "csv"), both=("-i", "rows.text"), before=lambda desk: desk.write("rows.text", ROWS)
    ),
    "--delimiter": Case(("--delimiter", ";"), rows="a;b;c\n1;2;3\n"),
    "--encoding": Case(("--encoding", "latin-1"), rows="a,b,c,d\n1,2,3,é\n".encode("latin-1")),
    "--quote": Case(("--quote", "'"), rows="a,b,c\n1,2,'3'\n"),
    "--null-value": Case(
        ("--null-value", "NA"), rows="a,b,c\n1,2,NA\n", both=("--nulls", "nan", "--nan-scores", "allow")
    ),
    "--header": Case(("--no-header",), rows="1,2,3\n4,5,6\n", both=("--features", "#1,#2,#3")),
    "--max-field-bytes": Case(("--max-field-bytes", "8"), rows="a,b,c,d\n1,2,3,123456789\n"),
    "--output-columns": Case(("--output-columns", "Y=score")),
    "--output-format": Case(("--output-format", "csv")),
    "--compression": Case(("--compression", "none")),
    "--on-error": Case(("--on-error", "quarantine"), rows=ONE_BAD_ROW),
    "--max-errors": Case(("--max-errors", "50%"), rows=ONE_BAD_ROW, both=("--on-error", "quarantine")),
    "--if-exists": Case(("--if-exists", "overwrite"), before=lambda desk: desk.score()),
    "--resume": Case(("--resume",), before=lambda desk: desk.score()),
    "--reuse": Case(("--reuse", "earlier"), before=lambda desk: desk.score(out="earlier")),
    "--workers": Case(("--workers", "2"), both=("-i", "more.csv"), before=lambda desk: desk.write("more.csv", ROWS)),
    "--threads-per-worker": Case(("--threads-per-worker", "3"), both=("--workers", "1")),
    "--batch-rows": Case(("--batch-rows", "2")),
    "--memory-limit": Case(("--memory-limit", "1MiB")),
    "--task-timeout": Case(
        ("--task-timeout", "0.2"), rows="X\n3\n", model=dishonest.slow(steps_per_unit=100_000), both=("--features", "X")
    ),
    "--predictor": Case(("--predictor", "onnxruntime"), model=models.forest(3), both=("--features", "a,b,c")),
    "--deduplicate": Case(("--deduplicate", "on")),
    "--profile": Case(("--profile", "on")),
    "--drift-profile": Case(("--drift-profile", "earlier"), rows=MANY_ROWS, before=_profiled),
    "--drift-thresholds": Case(
        ("--drift-thresholds", "drift.toml"), rows=MANY_ROWS, before=_profiled, both=("--drift-profile", "earlier")
    ),
    "--fail-on-drift": Case(
        ("--fail-on-drift",), rows=MANY_ROWS, before=_profiled, both=("--drift-profile", "earlier")
    ),
    "--challenger": Case(("--challenger", "other.onnx"), before=other),
    "--canary": Case(("--canary", "50"), both=CHALLENGED[:4], before=other),
    "--split-key": Case(("--split-key", "b"), both=CHALLENGED, before=other),
    "--split-salt": Case(("--split-salt", "second"), both=CHALLENGED, before=other),
    "--limit": Case(("--limit", "1")),
    "--dry-run": Case(("--dry-run",)),
    "--prometheus-file": Case(("--prometheus-file", "run.prom")),
    "--openlineage-file": Case(("--openlineage-file", "events.ndjson")),
    "--log-file": Case(("--log-file", "runs.log")),
    "--audit-log": Case(("--audit-log", "audit.log")),
    "--config": Case(("--config", "options.toml"), before=lambda desk: desk.write("options.toml", "limit = 2")),
    "--json": Case(("--json",)),
    "--quiet": Case(("--quiet",)),
    "--verbose": Case(("--verbose",), rows=ONE_BAD_ROW),
}
ELSEWHERE = {
    "--split": "it takes the place of --model: above, and tests/scoring/test_rivals.py",
    "--max-retries": "tests/errors/test_reached.py kills workers",
    "--progress": "test_terminal.py watches it at a terminal",
    "--predictor": "tests/trees/test_scoring.py scores with both",
}


def test_each_option_has_its_case() -> None:
    assert set(CASES) | set(ELSEWHERE) == set(options_of("score"))


@pytest.mark.parametrize("option", CASES)
def test_no_option_is_without_effect(option: str, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    case = CASES[option]
    monkeypatch.chdir(desk.folder)

    given = _outcome(replace(desk, folder=desk.folder / "given"), case, *case.given)
    without = _outcome(replace(desk, folder=desk.folder / "without"), case)

    assert given != without, given["err"]


def test_what_has_no_effect_would_be_seen(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(desk.folder)

    given = _outcome(replace(desk, folder=desk.folder / "given"), Case(()), "--max-retries", "7")

    assert given == _outcome(replace(desk, folder=desk.folder / "without"), Case(()))


def _outcome(desk: Desk, case: Case, *arguments: str) -> dict[str, object]:
    """All that a run comes to, but for times and what was asked."""
    desk.folder.mkdir()
    os.chdir(desk.folder)
    desk.write("rows.csv", ROWS if case.rows is None else case.rows)
    desk.save("linear.onnx", case.model or models.linear(3, names=("a", "b", "c")))
    if case.before is not None:
        case.before(desk)
    ended = desk.run("score", "-m", "linear.onnx", "-i", "rows.csv", "-o", "out", *case.both, *arguments)
    files = sorted(str(path.relative_to(desk.folder)) for path in desk.folder.rglob("*"))
    return {"files": files, **_printed(ended), **_account(desk)}


def _printed(ended: Ended) -> dict[str, object]:
    """What was printed, without its figures and folders."""
    figures = re.compile(r"[0-9a-f]{64}|[\d.,]+")
    printed = {"out": ended.out, "err": ended.err}
    return {"code": ended.code} | {to: figures.sub("0", text.replace(os.getcwd(), "")) for to, text in printed.items()}


def _account(desk: Desk) -> dict[str, object]:
    if not (desk.folder / "out" / "manifest.json").exists():
        return {}
    manifest = desk.manifest()
    return {
        "rows": desk.table().to_pydict(),
        "plan": {name: value for name, value in manifest["plan"].items() if name not in ("inputs", "model")},
        "model": manifest["model"]["digest"],
        "inputs": [(one["name"], one["rows"]) for one in manifest["plan"]["inputs"]],
        "workers": len(manifest["throughput"]["workers"]),
        "threads": manifest["environment"]["threads_per_worker"],
    }
