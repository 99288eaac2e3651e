"""Runs of a sweep that learns: which model drove which part, and the names of their rounds."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Protocol

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ROUND: Final = re.compile(r"^round\d+-")
"""Of a run whose domain is learned from; that of the last round has the plain name."""
JOINED: Final = " + "
"""Between the levels of a run that several models drove."""
LEARNED: Final = "learned"
"""Level of MD of a candidate, after that of its first model, whose runs may go on with others."""


class ModelSpan(BaseModel):
    """From where on a model drove a run, until the next one did."""

    model_config = ConfigDict(extra="forbid")

    level: str
    weights_sha256: str
    part: str = Field(description="equilibration or production.")
    from_step: int = Field(description="Of that part.")


class OfSeveralModels(BaseModel):
    """A run that may have changed models on its way, and gone on in other steps."""

    start: str = Field(
        "",
        description="Identity of the step, or hash of the structure, that it began with, also "
        "where it went on from another run; empty where it is not known.",
    )
    models: list[ModelSpan] = Field(
        default_factory=list,
        description="In order, where a run left the domain of the first and went on with a "
        "student that had learned from it; empty where one model drove all of it.",
    )


class LeveledRun(Protocol):
    """A run with its level and its models."""

    @property
    def level(self) -> str:
        """Of all of it."""

    @property
    def models(self) -> list[ModelSpan]:
        """Where there are several."""


def joined_level(models: Iterable[ModelSpan]) -> str:
    """Return the levels of a run as one; without those that none of its frames is of."""
    places = {(one.part, one.from_step): one.level for one in models}
    return JOINED.join(dict.fromkeys(places.values()))


def shared_level(runs: Sequence[LeveledRun]) -> str | None:
    """Return the level of runs that can be looked at together; ``None`` where they cannot.

    Those that began at one level can, whichever went on with a student that had learned.
    """
    if len({run.models[0].level if run.models else run.level for run in runs}) != 1:
        return None
    every = [level for run in runs for level in run.level.split(JOINED)]
    return JOINED.join(dict.fromkeys(every))


def round_name(number: int, name: str) -> str:
    """Return the name of a run that a round learns from."""
    return f"round{number}-{name}"


def without_round(name: str) -> str:
    """Return the name of a step without its round."""
    return ROUND.sub("", name)
