"""The other models as a worker holds them, and what they have made of the task that is being scored."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import pyarrow as pa

from mlserve_cli import features, storage
from mlserve_cli.manifest import RivalRecord
from mlserve_cli.planning import Plan, Task
from mlserve_cli.scoring.arms import Arm, ArmTally, open_arms, score_split
from mlserve_cli.scoring.batches import Clock, Mapper, ScoredRows
from mlserve_cli.scoring.challenger import Challengers, OpenRival, open_challengers
from mlserve_cli.scoring.golden import check_golden_rows
from mlserve_cli.scoring.predictors import open_planned
from mlserve_cli.session import Predictor
from mlserve_cli.tables import Chunk, Shard


class Others(msgspec.Struct, frozen=True):
    """Challengers that proved themselves or failed, and the arms of a split, the champion among them."""

    plan: Plan
    challengers: tuple[OpenRival, ...]
    arms: tuple[Arm, ...]

    def begin(self, task: Task, *, alone: str) -> OthersOfTask:
        """Ready for a task's rows; `alone` is why challengers take no part, "" where they do."""
        return OthersOfTask(
            self,
            Challengers(self.challengers, self.plan, task, alone=alone),
            ArmTally([0] * len(self.arms)),
        )


class OthersOfTask(msgspec.Struct):
    """What adds up while a task's rows pass."""

    others: Others
    beside: Challengers
    arms: ArmTally

    @property
    def is_split(self) -> bool:
        """Whether rows are split among models."""
        return bool(self.others.arms)

    def score_split(
        self, chunk: Chunk, converted: features.Features, *, shard: Shard, clock: Clock, mapper: Mapper
    ) -> tuple[ScoredRows, int]:
        """See arms.score_split."""
        return score_split(
            chunk,
            converted,
            plan=self.others.plan,
            shard=shard,
            arms=self.others.arms,
            tally=self.arms,
            clock=clock,
            mapper=mapper,
        )

    def score_beside(
        self,
        chunk: Chunk,
        converted: features.Features,
        rows: pa.Table,
        *,
        scored: ScoredRows,
        shard: Shard,
        mapper: Mapper,
    ) -> None:
        """The challengers' turn with a chunk of which the champion writes `rows`."""
        self.beside.score(chunk, converted, kept=scored.kept, written=rows, shard=shard, mapper=mapper)

    def publish(self, staging: storage.Staging, task: Task) -> tuple[RivalRecord, ...]:
        """The challengers' parts, and what the task's record says of them."""
        return self.beside.publish(staging, task)


def open_others(plan: Plan, champion: Predictor, ready: Mapping[str, Predictor]) -> Others:
    """Sessions of every other model of the plan; those in `ready`, by their names in the plan, are open already.

    Raises what is wrong with an arm; of a challenger it becomes a value.
    """
    challengers = open_challengers(plan, [ready.get(rival.name) for rival in plan.challengers])
    if plan.split is None:
        return Others(plan, challengers, ())
    predictors = [champion]
    for rival in plan.split.rivals:
        own = plan.of(rival)
        predictor = ready.get(rival.name) or open_planned(own)
        check_golden_rows(own.model, own.contract, predictor=predictor, batch_rows=own.batch_rows)
        predictors.append(predictor)
    return Others(plan, challengers, open_arms(plan, predictors))
