"""Which stored results a sweep makes again, and which of its steps have nothing to start from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..makers.frame_sample import FrameSampleMaker
from ..makers.labelled_set import LabelledSetMaker
from ..makers.learned_md import LearnedMDMaker
from ..makers.learned_students import LearnedSetMaker
from ..quantity import Status
from ..stores.results import used_all

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from .chain import PlannedStep

_COLLECTING = (FrameSampleMaker, LabelledSetMaker, LearnedSetMaker, LearnedMDMaker)
"""Whose results, made again, are others under the same identity."""


def outdated_results(
    steps: Mapping[str, PlannedStep], stored: Mapping[str, Mapping[str, Any]]
) -> set[str]:
    """Return stored results that lacked an input, and what was made of such ones.

    A sample of frames, their labels, what is trained on these and runs by what was trained go
    together: what becomes of a sample that is taken again is made again, and so are rounds of
    learning and analyses after a student that came late.

    Parameters
    ----------
    steps
        By identity, parents first.
    stored
        Status and parents of those that have a result.
    """
    lost = without_start(steps, stored, stored)
    found: set[str] = set()
    anew: set[str] = set()
    for identity, step in steps.items():
        follows = not anew.isdisjoint(step.after)
        lacks = identity not in stored or not (
            step.maker.needs_all_inputs
            or used_all(stored[identity], [i for i in step.after if i not in lost])
        )
        if follows or (lacks and isinstance(step.maker, _COLLECTING)):
            anew.add(identity)
        if identity in stored and (follows or lacks):
            found.add(identity)
    return found


def without_start(
    steps: Mapping[str, PlannedStep],
    stored: Mapping[str, Mapping[str, Any]],
    done: Collection[str],
) -> set[str]:
    """Return what cannot run, because a step before it decomposed or diverged.

    Parameters
    ----------
    steps, stored
        As of `outdated_results`.
    done
        Those stored results that count.
    """
    broken = {i for i in done if Status(stored[i].get("status", Status.OK)).broke_down}
    lost: set[str] = set()
    for identity, step in steps.items():
        if identity in done:
            continue
        if step.is_lost_without(broken | lost if step.maker.needs_all_inputs else lost):
            lost.add(identity)
    return lost
