"""A plan's identity, and what a person is told where another plan stands."""

from __future__ import annotations

import msgspec

from mlserve_cli.contract import encode_canonical
from mlserve_cli.planning import Plan, difference
from tests.planning.plans import plan_of, shard_of

PLAN = plan_of(shard_of([10, 20]), shard_of([5], index=1))


def of_model(plan: Plan, **changes: object) -> Plan:
    return msgspec.structs.replace(plan, model=msgspec.structs.replace(plan.model, **changes))


def of_first_input(plan: Plan, **changes: object) -> Plan:
    first, *others = plan.inputs
    return msgspec.structs.replace(plan, inputs=(msgspec.structs.replace(first, **changes), *others))


def test_a_plan_read_back_is_the_same_plan() -> None:
    assert msgspec.json.decode(encode_canonical(PLAN), type=Plan) == PLAN


def test_where_things_lay_is_no_part_of_the_identity() -> None:
    moved = of_first_input(of_model(PLAN, path="/elsewhere", name="champion"), path="/tmp/x")
    assert moved.id == PLAN.id
    assert moved.work_id == PLAN.work_id
    assert difference(PLAN, moved) == ""


def test_what_things_are_is_the_identity() -> None:
    assert of_model(PLAN, digest="sha256:11").id != PLAN.id
    assert of_first_input(PLAN, digest="sha256:11").id != PLAN.id
    assert of_first_input(PLAN, name="s9").id != PLAN.id


def test_the_work_is_the_plan_without_its_inputs() -> None:
    other = plan_of(shard_of([1]))
    assert other.id != PLAN.id
    assert other.work_id == PLAN.work_id
    assert of_model(PLAN, digest="sha256:11").work_id != PLAN.work_id


def test_a_difference_names_the_field_and_both_values() -> None:
    assert difference(PLAN, msgspec.structs.replace(PLAN, batch_rows=8)) == "batch_rows: 4096 there, 8 now"
    assert difference(PLAN, of_first_input(PLAN, mtime_ns=8)) == "inputs[0].mtime_ns: 7 there, 8 now"
    assert difference(PLAN, plan_of(shard_of([10, 20]))) == "inputs: 2 entries there, 1 now"


def test_a_model_that_moved_and_changed_is_said_to_have_changed() -> None:
    other = of_model(PLAN, path="/elsewhere", digest="sha256:11")
    assert difference(PLAN, other) == "model.digest: sha256:00 there, sha256:11 now"
