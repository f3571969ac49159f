"""Logs of a year of nights in which something known is odd: it is found, and nothing else is."""

from __future__ import annotations

from datetime import timedelta
from math import isclose
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from mlserve_cli import audit
from mlserve_cli.telling.odd_failures import at_least
from mlserve_cli.telling.odd_figures import FAR, distance
from tests.telling.logs import Night, end_of, nights, with_changed, write_log

QUIET = 120


def found_in(folder: Path, log: list[Night], *, until_s: float | None = None) -> list[tuple[str, str]]:
    """Kind and date of every finding."""
    found = audit(write_log(folder / "audit.log", log), until_s=until_s or end_of(log))
    return [(one.kind, one.when[:10]) for one in found.findings]


def day(log: list[Night], place: int) -> str:
    return str(log[place].when.date())


@pytest.mark.parametrize("weekend", [1.0, 0.3, 3.0])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_quiet_job_is_not_odd_whatever_its_weekends(weekend: float, seed: int, tmp_path: Path) -> None:
    assert found_in(tmp_path, nights(QUIET, seed=seed, weekend=weekend)) == []


def test_a_short_log_is_not_odd_whatever_is_in_it(tmp_path: Path) -> None:
    log = with_changed(with_changed(nights(8), 5, rows=10), 6, user="eve", host="laptop")

    assert found_in(tmp_path, log) == []


@pytest.mark.parametrize("factor", [0.0, 0.5, 2.0, 100.0])
def test_a_volume_that_was_never_seen_is_found(factor: float, tmp_path: Path) -> None:
    log = nights(QUIET)
    log = with_changed(log, 100, rows=int(log[100].rows * factor))

    assert found_in(tmp_path, log) == [("volume", day(log, 100))]


def test_the_weekends_volume_on_a_weekday_is_found_and_the_other_way_round(tmp_path: Path) -> None:
    log = nights(QUIET, weekend=0.3)
    assert (log[100].when.weekday(), log[103].when.weekday()) == (2, 5)
    log = with_changed(with_changed(log, 100, rows=30_000), 103, rows=100_000)

    assert found_in(tmp_path, log) == [("volume", day(log, 100)), ("volume", day(log, 103))]


def test_a_volume_that_stays_another_is_one_finding(tmp_path: Path) -> None:
    log = nights(QUIET)
    for place in range(100, QUIET):
        log = with_changed(log, place, rows=log[place].rows * 3)

    found = audit(write_log(tmp_path / "audit.log", log), until_s=end_of(log)).findings

    assert [one.kind for one in found] == ["volume"]
    assert found[0].figures["runs"] == QUIET - 100
    assert isclose(float(found[0].figures["value"]) / float(found[0].figures["expected"]), 3, rel_tol=0.2)
    assert found[0].what.endswith("and so did the 19 after it")


def test_rows_set_aside_as_never_before_are_found(tmp_path: Path) -> None:
    log = nights(QUIET)
    log = [Night(one.when, rows=one.rows, aside=place % 7, seconds=one.seconds) for place, one in enumerate(log)]
    log = with_changed(log, 90, aside=2_000)

    assert found_in(tmp_path, log) == [("quarantine", day(log, 90))]


def test_a_run_that_took_far_longer_is_found_and_one_that_was_faster_is_not(tmp_path: Path) -> None:
    log = with_changed(with_changed(nights(QUIET), 80, seconds=400.0), 90, seconds=1.0)

    assert found_in(tmp_path, log) == [("duration", day(log, 80))]


def test_failures_one_after_the_other_are_one_finding(tmp_path: Path) -> None:
    log = nights(QUIET)
    for place in (70, 71, 72, 73):
        log = with_changed(log, place, exit_code=65)

    assert [kind for kind, _ in found_in(tmp_path, log)] == ["failures"]


def test_a_failure_now_and_then_is_not_odd_where_it_is_usual(tmp_path: Path) -> None:
    log = nights(QUIET)
    for place in range(5, QUIET, 12):
        log = with_changed(log, place, exit_code=75)

    assert found_in(tmp_path, log) == []


def test_a_user_a_machine_and_a_model_never_seen_are_found(tmp_path: Path) -> None:
    log = nights(QUIET)
    log = with_changed(log, 60, user="eve")
    log = with_changed(log, 70, host="laptop")
    log = with_changed(log, 80, digest="sha256:bb")
    log = with_changed(log, 81, digest="sha256:bb")
    for place in range(90, QUIET):
        log = with_changed(log, place, version="2", digest="sha256:cc")

    assert found_in(tmp_path, log) == [
        ("new-user", day(log, 60)),
        ("new-host", day(log, 70)),
        ("changed-model", day(log, 80)),
        ("changed-model", day(log, 82)),
        ("new-version", day(log, 90)),
    ]


def test_a_challenger_never_seen_is_found_too(tmp_path: Path) -> None:
    log = with_changed(nights(QUIET), 100, challenger="sha256:dd")

    assert found_in(tmp_path, log) == [("new-model", day(log, 100))]


def test_a_rollback_to_a_version_that_ran_before_is_not_odd(tmp_path: Path) -> None:
    log = nights(QUIET)
    for place in range(10):
        log = with_changed(log, place, version="2", digest="sha256:cc")
    for place in range(100, QUIET):
        log = with_changed(log, place, version="2", digest="sha256:cc")

    assert found_in(tmp_path, log) == []


def test_another_models_runs_are_another_job_with_a_measure_of_its_own(tmp_path: Path) -> None:
    log = nights(QUIET)
    small = [Night(one.when + timedelta(minutes=30), rows=50, name="fraud", version="7") for one in log]
    both = sorted([*log, *small], key=lambda one: one.when)

    assert found_in(tmp_path, both) == []


def test_a_night_without_a_run_is_found(tmp_path: Path) -> None:
    log = nights(QUIET)
    missing = day(log, 60)
    del log[60]

    assert found_in(tmp_path, log) == [("gap", missing)]


def test_a_job_that_has_stopped_is_found(tmp_path: Path) -> None:
    log = nights(QUIET)

    found = found_in(tmp_path, log, until_s=end_of(log) + 3 * 86_400)

    assert [kind for kind, _ in found] == ["gap"]


def test_a_job_that_rests_at_weekends_is_missed_on_weekdays_alone(tmp_path: Path) -> None:
    log = [one for one in nights(QUIET) if one.when.weekday() < 5]
    wednesday = next(place for place in range(50, len(log)) if log[place].when.weekday() == 2)
    missing = day(log, wednesday)
    del log[wednesday]

    assert found_in(tmp_path, log) == [("gap", missing)]


def test_runs_by_hand_have_no_schedule_to_miss(tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    when = nights(1)[0].when
    log = []
    for _ in range(60):
        when += timedelta(hours=float(random.exponential(40)))
        log.append(Night(when))

    assert [one for one in found_in(tmp_path, log) if one[0] == "gap"] == []


def test_a_second_attempt_minutes_later_is_no_run_of_its_own(tmp_path: Path) -> None:
    log = nights(QUIET)
    for place in (30, 60, 90):
        log.append(Night(log[place].when + timedelta(minutes=5), rows=log[place].rows))
    log.sort(key=lambda one: one.when)

    assert found_in(tmp_path, log) == []


def test_a_run_at_an_hour_at_which_none_ever_came_is_found(tmp_path: Path) -> None:
    log = nights(QUIET)
    log.append(Night(log[90].when + timedelta(hours=11), output="/srv/scores/by-hand"))
    log.sort(key=lambda one: one.when)

    found = audit(write_log(tmp_path / "audit.log", log), until_s=end_of(log)).findings

    assert [one.kind for one in found] == ["hour"]
    assert "began at 14:1" in found[0].what


def test_summer_time_is_not_odd(tmp_path: Path) -> None:
    log = [
        Night(one.when - timedelta(hours=1) if place > 60 else one.when, rows=one.rows)
        for place, one in enumerate(nights(QUIET))
    ]

    assert found_in(tmp_path, log) == []


def test_midnight_does_not_part_a_jobs_hours(tmp_path: Path) -> None:
    log = [Night(one.when - timedelta(hours=3, minutes=15), rows=one.rows) for one in nights(QUIET)]

    assert found_in(tmp_path, log) == []


def test_a_clock_that_was_set_back_is_found(tmp_path: Path) -> None:
    log = nights(QUIET)
    log = with_changed(log, 70, when=log[70].when - timedelta(days=2))

    assert ("clock", str(log[70].when.date())) in found_in(tmp_path, log)


def test_a_run_that_never_ended_is_found_and_one_that_may_be_running_is_not(tmp_path: Path) -> None:
    log = with_changed(with_changed(nights(QUIET), 70, ends=False), QUIET - 1, ends=False)

    assert found_in(tmp_path, log) == [("never-ended", day(log, 70))]


def test_only_what_is_asked_for_is_reported(tmp_path: Path) -> None:
    log = with_changed(with_changed(nights(QUIET), 60, user="eve"), 100, rows=10)
    path = write_log(tmp_path / "audit.log", log)

    since = audit(path, since_s=log[90].when.timestamp(), until_s=end_of(log))
    without = audit(path, ignore=("volume",), until_s=end_of(log))
    before = audit(path, until_s=log[80].when.timestamp() + 60)

    assert [one.kind for one in since.findings] == ["volume"]
    assert [one.kind for one in without.findings] == ["new-user"]
    assert [one.kind for one in before.findings] == ["new-user"]
    assert (since.runs, before.runs) == (QUIET - 90, 81)


def test_logs_of_two_machines_are_looked_at_together(tmp_path: Path) -> None:
    one, two = nights(QUIET), nights(QUIET, seed=2)
    two = [Night(night.when + timedelta(hours=1), name="fraud", host="node2") for night in two]
    two = with_changed(two, 60, user="eve")
    paths = [write_log(tmp_path / f"node{number}.log", log) for number, log in ((1, one), (2, two))]

    found = audit(*paths, until_s=end_of(two))

    assert (len(found.chains), found.runs) == (2, 2 * QUIET)
    assert [finding.kind for finding in found.findings] == ["new-user"]
    assert found.findings[0].place.startswith(paths[1])


# How seldom, and how surely

WEEKENDS = (0.0, -0.7, -1.5)  # of the logarithm of a volume


def shares(noise: float, *, first: int, halved: bool) -> float:
    """In how many of some thousand nights the volume is called odd."""
    random = np.random.default_rng(7)
    odd = total = 0
    for repetition in range(120):
        weekdays = np.arange(first + 15) % 7
        volumes = 11 + np.where(weekdays >= 5, WEEKENDS[repetition % 3], 0) + random.normal(0, noise, first + 15)
        for place in range(first, first + 15):
            changed = volumes.copy()
            changed[place] -= np.log(2) if halved else 0.0
            odd += abs(distance(changed, weekdays, place, least_spread=0.05)[0]) > FAR
            total += 1
    return odd / total


@pytest.mark.slow
@pytest.mark.parametrize("noise", [0.01, 0.1, 0.2])
@pytest.mark.parametrize("first", [8, 20, 40, 60])
def test_a_quiet_nights_volume_is_called_odd_less_than_once_in_a_hundred(noise: float, first: int) -> None:
    assert shares(noise, first=first, halved=False) < 0.01


@pytest.mark.slow
def test_half_the_volume_is_found_in_nineteen_of_twenty_nights_after_six_weeks() -> None:
    assert shares(0.1, first=45, halved=True) > 0.95


@pytest.mark.parametrize(("count", "of", "rate"), [(0, 10, 0.1), (3, 10, 0.05), (10, 10, 0.5), (1, 1, 0.02)])
def test_the_chance_of_so_many_failures_is_scipys(count: int, of: int, rate: float) -> None:
    assert isclose(at_least(count, of=of, rate=rate), stats.binom.sf(count - 1, of, rate))
