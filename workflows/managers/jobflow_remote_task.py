"""A job of jobflow-remote that runs a step, and again until its walltimes have been enough.

The step's own job travels inside as text: jobflow-remote would look for what it refers to among
its own records, while the store has it. The document goes from the worker straight into the
store that came along; jobflow-remote keeps a line about how it ended.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from jobflow import CURRENT_JOB, Job, JobStore, OnMissing, Response, job
from monty.json import MontyDecoder, MontyEncoder

from ...errors import EngineError
from ...stores.connection import HaloflowStore
from .task import Ending, Orders, run_queued

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jobflow import OutputReference

    from ..steps import PlannedStep

IDENTITY = "haloflow_identity"
SWEEP = "haloflow_sweep"
EARLIER = "haloflow_earlier"
"""In the metadata of a job: why its attempts before this one ended without a result."""


def carrier(
    step: PlannedStep,
    orders: Orders,
    store: JobStore,
    after: Sequence[OutputReference],
    *,
    sweep: str,
    resources: Mapping[str, Any] | None,
    worker: str,
) -> Job:
    """Return the job that runs `step`.

    Parameters
    ----------
    step, orders
        What runs, and what goes with it.
    store
        On a server; goes along.
    after
        Outputs of the carriers that must have ended.
    sweep
        Name of the sweep.
    resources
        In the words of the worker's scheduler; ``None`` for what the worker gives.
    worker
        Name in the project.
    """
    text = json.dumps(step.to_job(), cls=MontyEncoder)
    place = json.dumps(JobStore(store.docs_store), cls=MontyEncoder)
    made: Job = carry(step=text, orders=orders.as_record(), store=place, after=list(after))
    made.name = orders.name
    made.metadata = {IDENTITY: orders.identity, SWEEP: sweep}
    made.update_config({"manager_config": {"worker": worker, "resources": resources}})
    if not step.maker.needs_all_inputs:
        made.config.on_missing_references = OnMissing.NONE
    return made


@job  # type: ignore[untyped-decorator]  # jobflow's decorators have no types
def carry(step: str, orders: dict[str, Any], store: str, after: list[Any]) -> Response[str]:
    """Run the job in `step`; stopped at its limit, let a replacement run it on.

    Parameters
    ----------
    step
        A job as JSON.
    orders
        Record of `Orders`.
    store
        A JobStore as JSON.
    after
        How the jobs before ended.

    Raises
    ------
    EngineError
        The step cannot be read here.
    """
    read = json.loads(step, cls=MontyDecoder)
    if not isinstance(read, Job) or not callable(read.function):
        raise EngineError(
            "this machine cannot read the step that was planned",
            given=str(orders.get("name")),
            remedy="install the version of haloflow that made the plan",
        )
    said: list[str] = []
    with HaloflowStore.of_jobstore(json.loads(store, cls=MontyDecoder)) as opened:
        ending = run_queued(read, Orders.of(orders), opened, said.append)
    if ending is not Ending.INTERRUPTED:
        return Response(output=ending.value)
    again: Job = carry(step=step, orders=orders, store=store, after=after)
    again.name = str(orders["name"])
    own: dict[str, Any] = CURRENT_JOB.job.metadata  # the replacement inherits it
    own[EARLIER] = [*own.get(EARLIER, ()), *said]
    return Response(output=ending.value, replace=again)
