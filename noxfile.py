"""Every check of the project: `nox` runs them all, `nox -s tests` one, `nox -l` lists them.

The checks share one environment, .nox/checks, filled once with the versions of constraints.txt and with mlserve
itself, editable. Airflow does not go together with other people's versions and lives in .nox/airflow instead.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nox
from nox.project import dependency_groups, load_toml

ROOT = Path(__file__).parent
CHECKS = ROOT / ".nox" / "checks"
LOWEST = ROOT / ".nox" / "lowest"
AIRFLOW = ROOT / ".nox" / "airflow"
CONVERT = ROOT / ".nox" / "convert"
BENCH = ROOT / ".nox" / "bench"
BENCHMARKS = "tests/benchmarks"
QUICK = "not slow and not faults and not airflow and not convert and not browser"
ALL_CORES = ("--numprocesses=auto", "--maxprocesses=4", "--dist=worksteal")
NOT_COMPILED = "--no-compile"  # most modules of these libraries are never imported; those that are stay compiled
DOCS = ROOT / "docs"

# Where it is set, each of some hundred commands compiles all it imports anew, in three times its processor time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

nox.options.default_venv_backend = "none"
nox.options.error_on_external_run = False


@nox.session
def install(session: nox.Session) -> None:
    """What the checks need, side by side; a check that is run alone installs its own."""
    needed = (convert_installed, checks_installed, airflow_installed, programs_installed)
    with ThreadPoolExecutor(len(needed)) as lanes:
        for installed in [lanes.submit(one, session) for one in needed]:
            installed.result()


@nox.session
def lint(session: nox.Session) -> None:
    """Ruff: rules and formatting. To mend: ruff check --fix . && ruff format ."""
    checks = checks_installed(session)
    session.run(f"{checks}/ruff", "check", ".")
    session.run(f"{checks}/ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Mypy, strict, over the package, its tests and every script."""
    session.run(f"{checks_installed(session)}/mypy")


@nox.session
def layers(session: nox.Session) -> None:
    """import-linter: imports go down only; the layers stand in pyproject.toml."""
    session.run(f"{checks_installed(session)}/lint-imports")


@nox.session
def tests(session: nox.Session) -> None:
    """The quick tests, on up to four cores. Arguments after -- go to pytest: nox -s tests -- -k csv"""
    pytest(session, QUICK, *ALL_CORES)


@nox.session
def slow(session: nox.Session) -> None:
    """Tests that take seconds each: whole benchmarks and trials, registries under two hundred writers, huge files."""
    pytest(session, "slow and not faults", *ALL_CORES)


@nox.session(default=False)
def lowest(session: nox.Session) -> None:
    """The quick tests on the lowest versions that pyproject.toml allows; for when a bound changes."""
    bounds = load_toml("pyproject.toml")["project"]["dependencies"]
    lower = [bound.split(",")[0].replace(">=", "==") for bound in bounds]
    groups = dependency_groups(load_toml("pyproject.toml"), "dev")
    bin_folder = environment(session, LOWEST, "--editable", ".", *lower, *groups, constraints=None)
    pytest(session, QUICK, where=bin_folder)


@nox.session
def faults(session: nox.Session) -> None:
    """Processes killed, disks full, errors injected at each system call of a run (needs strace)."""
    strace_installed(session)
    # On a disk: in memory a commit is over before a test can see it, and send its signal then.
    pytest(session, "faults", *ALL_CORES, TMPDIR=tempfile.gettempdir())


@nox.session
def airflow(session: nox.Session) -> None:
    """Real Airflow runs of the DAG in docs/airflow, in an environment of Airflow's own."""
    home = airflow_installed(session)
    pytest(session, "airflow", "tests/airflow", *ALL_CORES, AIRFLOW_COMMAND=f"{home}/airflow")


@nox.session
def convert(session: nox.Session) -> None:
    """Models of scikit-learn, LightGBM, XGBoost, CatBoost and PyTorch brought in, each held against its library."""
    home = convert_installed(session)
    pytest(session, "convert", "tests/convert", *ALL_CORES, where=home)  # other tests import what is not here


@nox.session
def browser(session: nox.Session) -> None:
    """The report's pages in a real headless Chromium: no network, accessible, any width, dark, light and in print."""
    chromium_installed(session)
    pytest(session, "browser", "tests/reporting", *ALL_CORES)


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Measure everything into docs/; half an hour on a quiet machine. For less: -- --rows 400000 --rounds 2"""
    bench = bench_installed(session)
    given = list(session.posargs)
    if platform.machine() == "x86_64":  # there is no oneDAL for others
        needs = f"{BENCHMARKS}/onedal-requirements.txt"
        onedal = environment(session, ROOT / ".nox" / "onedal", "-r", needs, constraints=None)
        given += ["--onedal", f"{onedal}/python"]
    session.run(f"{bench}/python", "-m", "tests.benchmarks.run", *given)


@nox.session(default=False)
def peers(session: nox.Session) -> None:
    """Dask, DuckDB, Daft, Ray, Spark and MLflow beside mlserve. For less: -- --rows 100000 --rounds 1 --models lr"""
    bench = bench_installed(session)
    if os.geteuid() == 0 and shutil.which("apt-get"):  # without one, the table says so, and the others are measured
        apt_installed(session, "java", package="default-jre-headless", why="Spark runs in a Java")
    needs = f"{BENCHMARKS}/peers/requirements.txt"
    others = environment(session, ROOT / ".nox" / "peers", "-r", needs, constraints=None)
    session.run(f"{bench}/python", "-m", "tests.benchmarks.beside", f"--python={others}/python", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Sphinx without a single warning, and each example in README and docs run."""
    checks = checks_installed(session)
    session.run(f"{checks}/sphinx-build", "-qW", "-b", "html", f"{DOCS}", f"{DOCS}/_build/html")
    session.run(f"{checks}/python", f"{DOCS}/run_examples.py", "README.md", *map(str, sorted(DOCS.glob("*.md"))))


@nox.session
def readme(session: nox.Session) -> None:
    """The first command of README's set-up, twice, in a fresh clone of HEAD; then mlserve verify."""
    command = first_command_of(ROOT / "README.md")
    outside = {"PATH": os.environ["PATH"], "VIRTUAL_ENV": None}  # nox's own environment must not help
    with tempfile.TemporaryDirectory(prefix="mlserve-readme-") as folder:
        session.run("git", "clone", "--quiet", f"{ROOT}", folder)
        with session.chdir(folder):
            session.run("bash", "-euc", command, env=outside)
            session.run("bash", "-euc", command, env=outside)
            session.run(".venv/bin/mlserve", "verify", "scores")


def pytest(session: nox.Session, marked: str, *options: str, where: Path | None = None, **env: str) -> None:
    bin_folder = where or checks_installed(session)
    path = f"{bin_folder}{os.pathsep}{os.environ['PATH']}"
    session.run(
        f"{bin_folder}/python", "-m", "pytest", "-m", marked, *options, *session.posargs, env={"PATH": path, **env}
    )


def bench_installed(session: nox.Session) -> Path:
    """With the libraries that train the benchmark's models."""
    return environment(session, BENCH, "--editable", ".[bench]", "-r", "sample_data/requirements.txt", constraints=None)


def checks_installed(session: nox.Session) -> Path:
    groups = dependency_groups(load_toml("pyproject.toml"), "dev", "docs")
    extras = ".[bench,evaluate,lightgbm,prometheus,quantize,report,sign,validate]"
    return environment(session, CHECKS, NOT_COMPILED, "--editable", extras, *groups, constraints="constraints.txt")


def airflow_installed(session: nox.Session) -> Path:
    """Airflow alone: it does not go together with other people's versions."""
    needs = ("apache-airflow", "apache-airflow-providers-standard")
    return environment(session, AIRFLOW, NOT_COMPILED, *needs, constraints="constraints-airflow.txt")


def convert_installed(session: nox.Session) -> Path:
    """The libraries that models come from."""
    needs = ("--editable", ".", "-r", "tests/convert/requirements.txt")
    return environment(session, CONVERT, NOT_COMPILED, *needs, constraints=None)


def programs_installed(session: nox.Session) -> None:
    """One after the other: apt-get runs once at a time."""
    strace_installed(session)
    chromium_installed(session)


def strace_installed(session: nox.Session) -> None:
    apt_installed(session, "strace", why="the faults are injected with strace")


def chromium_installed(session: nox.Session) -> None:
    apt_installed(session, "chromium", why="the report is looked at in a browser")


def environment(session: nox.Session, folder: Path, *requirements: str, constraints: str | None) -> Path:
    """The bin folder of an environment with these requirements, made anew only when they changed."""
    constrained = ("--constraint", constraints) if constraints else ()
    wanted = hashlib.sha256(repr(requirements).encode())
    listed = [given for given in requirements if given.endswith(".txt")]
    for file in ("pyproject.toml", *constrained[1:], *listed):
        wanted.update((ROOT / file).read_bytes())
    stamp = folder / "installed"
    if not stamp.exists() or stamp.read_text() != wanted.hexdigest():
        shutil.rmtree(folder, ignore_errors=True)
        session.run(sys.executable, "-m", "venv", f"{folder}")
        session.run(f"{folder}/bin/pip", "install", "--quiet", *constrained, *requirements)
        stamp.write_text(wanted.hexdigest())
    return folder / "bin"


def apt_installed(session: nox.Session, program: str, *, why: str, package: str = "") -> None:
    """A program that Debian's package brings, of the same name where no other is given."""
    package = package or program
    if shutil.which(program):
        return
    if os.geteuid() != 0:
        session.error(f"{why}: install it with `sudo apt-get install {package}`")
    session.run("apt-get", "update", "-qq")
    session.run("apt-get", "install", "-qq", "--yes", "--no-install-recommends", package)


def first_command_of(readme: Path) -> str:
    """The first fenced `sh` block under `## Set up`."""
    section = readme.read_text(encoding="utf-8").split("\n## Set up\n")[1].split("\n## ")[0]
    return section.split("```sh\n")[1].split("\n```")[0]
