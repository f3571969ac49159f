"""A year of flights: its season is seen, and a random half of it beside the other half raises no alarm."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from mlserve_cli.profiles import Drift, Limits, Thresholds, drift
from tests.profiles.draws import Values, profile_of
from tests.profiles.season import WEATHER, columns_of, flights, profiled

USUAL, ANY = Thresholds(), Thresholds(usual=Limits(psi=0, js=0, ks=0, nulls=0, out_of_range=0, unseen=0))
REPETITIONS = 1_000
# Alarms that chance may raise: of so many repetitions at a rate of 1 %, more than these in one case of 10,000
MOST_ALARMS = 23


def halves(random: np.random.Generator, columns: dict[str, Values], *, rows: int) -> tuple[Drift, Drift]:
    """Two draws of `rows` rows each without a row in common, compared by the usual limits and by none."""
    picked: NDArray[np.int64] = random.permutation(len(columns["hour"]))[: 2 * rows]
    sides = [{name: picked_of(values, places) for name, values in columns.items()} for places in np.split(picked, 2)]
    base, now = (profile_of(side) for side in sides)
    return drift(base, now, thresholds=USUAL), drift(base, now, thresholds=ANY)


def picked_of(values: Values, places: NDArray[np.int64]) -> Values:
    picked: Values = values[places] if isinstance(values, np.ndarray) else pa.array(values).take(pa.array(places))
    return picked


@pytest.mark.parametrize("month", range(7, 13))
def test_each_month_of_the_second_half_of_the_year_has_drifted_from_the_first(month: int) -> None:
    found = drift(profiled(*range(1, 7)), profiled(month))
    assert not found.passed
    reported = {column.name for column in found.columns if column.reasons}
    assert {"temp", "dewp"} <= reported <= set(WEATHER)
    assert found.columns[0].name == "temp"


def test_the_schedule_of_flights_has_not() -> None:
    found = drift(profiled(*range(1, 7)), profiled(*range(7, 13)))
    quiet = {column.name: column.psi for column in found.columns if not column.reasons}
    assert {"hour", "minute", "distance", "carrier", "origin", "dest"} <= set(quiet)
    assert max(quiet[name] for name in ("hour", "distance", "carrier", "origin")) < 0.1


def test_random_halves_raise_no_alarm_though_the_index_of_few_rows_is_large() -> None:
    random, columns = np.random.default_rng(2013), columns_of(flights())
    found = [halves(random, columns, rows=100) for _ in range(30)]
    naive = sum(any(column.psi > 0.2 for column in usual.columns) for usual, _ in found)
    assert naive > 25  # by the limit alone nearly every comparison would raise one
    assert sum(not usual.passed for usual, _ in found) <= 3
    assert sum(not strict.passed for _, strict in found) <= 3


@pytest.mark.slow
@pytest.mark.parametrize("rows", [100, 5_250])
def test_a_thousand_random_halves_raise_false_alarms_at_most_at_the_stated_rate(rows: int) -> None:
    random, columns = np.random.default_rng(rows), columns_of(flights())
    found = [halves(random, columns, rows=rows) for _ in range(REPETITIONS)]
    usual = sum(not one.passed for one, _ in found)
    strict = sum(not one.passed for _, one in found)
    naive = sum(any(column.psi > 0.2 for column in one.columns) for one, _ in found)
    print(f"{rows:,} rows beside {rows:,}: PSI is over 0.2 in {naive} of {REPETITIONS:,},", end=" ")
    print(f"{usual} alarms by the usual limits, {strict} by none")
    assert usual <= strict <= MOST_ALARMS


@pytest.mark.slow
def test_what_a_thousand_draws_must_not_raise_a_real_month_raises_every_time() -> None:
    """Half of July's flights, drawn a thousand times, beside half of January to June's."""
    random = np.random.default_rng(7)
    base, now = columns_of(flights(*range(1, 7))), columns_of(flights(7))
    missed = 0
    for _ in range(REPETITIONS // 10):
        sides = []
        for columns in (base, now):
            rows = len(columns["hour"])
            places = random.choice(rows, rows // 2, replace=False)
            sides.append(profile_of({name: picked_of(values, places) for name, values in columns.items()}))
        missed += drift(*sides, thresholds=USUAL).passed
    assert missed == 0
