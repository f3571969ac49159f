"""OpenLineage events, each of them held to the specification's own schemas."""

from __future__ import annotations

import copy
from typing import Any

import jsonschema
import pytest

from mlserve_cli import Tell
from tests import models
from tests.cli.desk import ROWS, Desk
from tests.telling.files import check_event, events, run

RUN = "3f5a1a1e-6c1f-4d3a-9a43-2f2f0f8f4a10"


def score(desk: Desk, *, out: str = "out", **options: Any) -> list[dict[str, Any]]:
    run(desk, Tell(openlineage_file=desk.path("events.ndjson")), out=out, **options)
    return events(desk)


def outputs(event: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in event["outputs"]}


def inputs(event: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in event["inputs"]}


def test_a_run_is_one_of_a_job_that_is_the_same_every_night(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    score(desk)
    monkeypatch.setenv("OPENLINEAGE_NAMESPACE", "nightly")

    found = score(desk, out="two")

    assert [event["job"]["name"] for event in found] == ["mlserve.score.linear"] * 4
    assert [event["job"]["namespace"] for event in found] == ["default"] * 2 + ["nightly"] * 2
    assert len({event["run"]["runId"] for event in found}) == 2


def test_the_input_is_the_folder_with_all_that_was_read_of_it(desk: Desk) -> None:
    for month in ("01", "02"):
        desk.write(f"rows/month={month}/part.csv", ROWS)

    _, end = score(desk, inputs=(desk.path("rows"),))

    folder = inputs(end)[desk.path("rows")]
    counts = folder["inputFacets"]["inputStatistics"]
    assert (counts["rowCount"], counts["fileCount"], counts["size"]) == (6, 2, 2 * len(ROWS))
    assert [one["name"] for one in folder["facets"]["schema"]["fields"]] == ["id", "a", "b", "c", "month"]
    assert folder["facets"]["dataSource"]["uri"] == f"file://{desk.path('rows')}"


def test_a_glob_is_the_folder_before_it(desk: Desk) -> None:
    desk.write("rows/one.csv", ROWS)

    _, end = score(desk, inputs=(desk.path("rows/*.csv"),))

    assert desk.path("rows") in inputs(end)


def test_the_version_of_an_input_changes_with_its_content_alone(desk: Desk) -> None:
    def version(event: dict[str, Any]) -> str:
        found: str = inputs(event)[desk.path("rows.csv")]["facets"]["version"]["datasetVersion"]
        return found

    same = [version(score(desk, out=out)[-1]) for out in ("one", "two")]
    desk.write("rows.csv", ROWS.replace("9", "8"))
    other = version(score(desk, out="three")[-1])

    assert same[0] == same[1] != other


def test_the_model_is_an_input_by_its_digest(desk: Desk) -> None:
    _, end = score(desk)

    model = inputs(end)[desk.path("linear.onnx")]
    assert model["facets"]["version"]["datasetVersion"] == desk.manifest()["model"]["digest"]


def test_scores_come_from_the_features_and_carried_columns_from_themselves(desk: Desk) -> None:
    _, end = score(desk, id_column="id", passthrough=("a",))

    output = outputs(end)[desk.path("out")]
    assert [one["name"] for one in output["facets"]["schema"]["fields"]] == ["id", "a", "Y"]
    lineage = output["facets"]["columnLineage"]["fields"]
    made = {column: [one["field"] for one in found["inputFields"]] for column, found in lineage.items()}
    assert made == {"id": ["id"], "a": ["a"], "Y": ["a", "b", "c"]}
    kinds = {column: found["inputFields"][0]["transformations"][0]["subtype"] for column, found in lineage.items()}
    assert kinds == {"id": "IDENTITY", "a": "IDENTITY", "Y": "TRANSFORMATION"}


def test_a_column_that_the_file_calls_otherwise_stands_under_the_files_name(desk: Desk) -> None:
    desk.write("rows.csv", ROWS.replace("c\n", "C\n", 1))

    _, end = score(desk, rename={"c": "C"})

    fields = outputs(end)[desk.path("out")]["facets"]["columnLineage"]["fields"]["Y"]["inputFields"]
    assert [one["field"] for one in fields] == ["a", "b", "C"]


def test_a_wide_model_has_no_column_lineage_of_megabytes(desk: Desk) -> None:
    names = [f"f{number}" for number in range(200)]
    desk.save("linear.onnx", models.classifier(200, classes=range(150)))
    desk.write("rows.csv", ",".join(names) + "\n" + ",".join(["1"] * 200) + "\n")

    _, end = score(desk, features=(",".join(names),))

    facets = outputs(end)[desk.path("out")]["facets"]
    assert "columnLineage" not in facets
    assert len(facets["schema"]["fields"]) > 150


def test_one_file_and_its_quarantine_are_two_outputs(desk: Desk) -> None:
    desk.write("rows.csv", "id,a,b,c\nx1,1,2,\nx2,4,5,6\n")

    _, end = score(desk, on_error="quarantine", out="scores.parquet")

    assert sorted(outputs(end)) == [desk.path("scores.parquet"), desk.path("scores.parquet.quarantine.parquet")]


def test_a_challenger_is_an_input_and_its_scores_an_output(desk: Desk) -> None:
    other = desk.save("other.onnx", models.linear(3, names=("a", "b", "c"), dtype=models.DOUBLE))

    _, end = score(desk, challengers=(other,))

    assert other in inputs(end)
    (beside,) = [name for name in outputs(end) if "/challengers/" in name]
    assert outputs(end)[beside]["outputFacets"]["outputStatistics"]["rowCount"] == 3


def test_a_run_that_failed_wrote_nothing(desk: Desk) -> None:
    score(desk)

    end = score(desk)[-1]

    assert end["eventType"] == "FAIL"
    assert "outputFacets" not in outputs(end)[desk.path("out")]
    assert end["run"]["facets"]["mlserve_run"]["exitCode"] == 73


@pytest.mark.parametrize(
    ("given", "parent"),
    [
        (f"airflow/daily.score/{RUN}", ("airflow", "daily.score", RUN)),
        (f"airflow/daily/score/{RUN}", ("airflow", "daily/score", RUN)),
        ("airflow/daily.score/no-uuid", None),
        (RUN, None),
        ("", None),
    ],
)
def test_the_orchestrators_run_is_the_parent_where_it_says_so(
    given: str, parent: tuple[str, str, str] | None, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENLINEAGE_PARENT_ID", given)

    _, end = score(desk)

    found = end["run"]["facets"].get("parent")
    assert (found and (found["job"]["namespace"], found["job"]["name"], found["run"]["runId"])) == parent


def test_the_run_that_the_parent_is_part_of_is_the_root(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENLINEAGE_PARENT_ID", f"airflow/daily.score/{RUN}")
    monkeypatch.setenv("OPENLINEAGE_ROOT_PARENT_ID", f"airflow/daily/{RUN}")

    _, end = score(desk)

    root = end["run"]["facets"]["parent"]["root"]
    assert (root["job"]["name"], root["run"]["runId"]) == ("daily", RUN)


def test_the_schemas_would_find_what_is_wrong(desk: Desk) -> None:
    _, end = score(desk)
    wrong = copy.deepcopy(end)
    wrong["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"] = "three"
    with pytest.raises(jsonschema.ValidationError):
        check_event(wrong)

    wrong = copy.deepcopy(end)
    del wrong["job"]["facets"]["jobType"]["_producer"]
    with pytest.raises(jsonschema.ValidationError):
        check_event(wrong)
