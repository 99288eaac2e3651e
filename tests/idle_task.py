"""A task of FireWorks that does nothing and is found without a search through all packages."""

from __future__ import annotations

from fireworks import FiretaskBase, explicit_serialize


@explicit_serialize
class IdleTask(FiretaskBase):
    def run_task(self, _spec):
        return None
