"""A FireWorks task that runs a step, and again until its walltimes have been enough."""

from __future__ import annotations

from threading import Event
from typing import TYPE_CHECKING, Any

from fireworks import Firework, FWAction, Workflow, explicit_serialize
from fireworks.utilities.fw_serializers import recursive_serialize, serialize_fw
from jobflow.managers.fireworks import JobFiretask
from monty.json import jsanitize

from ...makers.walltime import limited_to
from ...stores.connection import HaloflowStore
from .sharing import own_share
from .task import Ending, Orders, look_after_others, run_queued

if TYPE_CHECKING:
    from collections.abc import Mapping

ORDERS = "haloflow"
IDENTITY = "haloflow_identity"
WHY = "haloflow_why"
"""Why a run was interrupted, in the data of its launch."""
SHARE = "haloflow_share"
"""What a process had of an allocation that it shared."""
_stopped = Event()
_OF_THIS_RUN = frozenset(("_tasks", "_fw_env", "_recovery", "_launch_dir"))


def stop(*_: object) -> None:
    """Let this process begin no further step: its job is being ended."""
    _stopped.set()


def is_stopped() -> bool:
    """Tell whether this process is to begin no further step."""
    return _stopped.is_set()


@explicit_serialize
class StepFiretask(JobFiretask):
    """jobflow's task, which also goes on after its time limit and skips what cannot start."""

    _fw_name = "{{haloflow.workflows.managers.fireworks_task.StepFiretask}}"

    @serialize_fw  # type: ignore[untyped-decorator]  # FireWorks has no types
    @recursive_serialize  # type: ignore[untyped-decorator]  # idem
    def to_dict(self) -> dict[str, Any]:
        """Serialize; jobflow's own way makes a string of a Maker's pydantic settings."""
        record = dict(self)
        record["job"] = jsanitize(record["job"].as_dict(), strict=True, enum_values=True)
        return record

    def run_task(self, fw_spec: Mapping[str, Any]) -> FWAction:
        """Run the step; stopped at its limit, let a detour run it from its checkpoint."""
        again = self.to_dict()  # to run a job resolves its references in place
        orders = Orders.of(fw_spec[ORDERS])
        said: list[str] = []
        with (
            HaloflowStore.of_jobstore(self["store"]) as store,
            limited_to(orders.walltime_s),  # the look at others is part of the job's time
        ):
            self._look_after_others(store)
            ending = run_queued(self["job"], orders, store, said.append)
            if ending is not Ending.INTERRUPTED:  # what goes on is told while there is time
                self._look_after_others(store)
        detours = None
        if ending is Ending.INTERRUPTED:
            spec = {key: value for key, value in fw_spec.items() if key not in _OF_THIS_RUN}
            detours = Workflow([Firework([self.from_dict(again)], spec=spec, name=orders.name)])
            if any("SIG" in why for why in said):
                stop()
        stored = {ORDERS: ending.value, WHY: "".join(said), SHARE: own_share()}
        return FWAction(stored_data=stored, detours=detours)

    def _look_after_others(self, store: HaloflowStore) -> None:
        from .fireworks import FireWorksManager  # noqa: PLC0415  (which uses this task)

        if (launchpad := getattr(self, "launchpad", None)) is not None:
            look_after_others(store, lambda: FireWorksManager(launchpad, stays=False))
