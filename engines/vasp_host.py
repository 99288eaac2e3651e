"""How VASP is started on this machine, from the settings of atomate2 and of haloflow."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

FINISHED: Final = "finished"
"""File in the folder of a run that VASP ended by itself."""


@dataclass(frozen=True)
class VaspHost:
    """How VASP runs on this machine; nothing here changes a result.

    Attributes
    ----------
    command, gamma_command
        Command lines of ``vasp_std`` and ``vasp_gam``, with the launcher of MPI.
    poll_s
        Seconds between looks at whether it has ended; errors are looked for at every sixth.
    hang_s
        Seconds without output after which it counts as hung.
    max_errors
        Errors that custodian mends in one run.
    """

    command: str
    gamma_command: str
    poll_s: float = 5.0
    hang_s: float = 21_600.0
    max_errors: int = 5


class VaspSettings(BaseSettings):
    """Settings of VASP runs, from ``HALOFLOW_VASP_*``; nothing that changes a result.

    The commands are atomate2's: ``ATOMATE2_VASP_CMD`` and ``ATOMATE2_VASP_GAMMA_CMD``, or its
    configuration file.
    """

    model_config = SettingsConfigDict(env_prefix="HALOFLOW_VASP_", extra="ignore", frozen=True)

    poll_s: float = Field(5.0, gt=0, description="Seconds between looks at a running VASP.")
    hang_s: float = Field(
        21_600.0, gt=0, description="Seconds without output after which VASP counts as hung."
    )
    max_errors: int = Field(5, ge=1, description="Errors that custodian mends in one run.")


@lru_cache(maxsize=1)
def vasp_host() -> VaspHost:
    """Return how VASP is started here; the environment is read once."""
    from atomate2.settings import Atomate2Settings  # noqa: PLC0415  (heavy)

    known = Atomate2Settings()

    own = VaspSettings()
    return VaspHost(
        command=str(known.VASP_CMD),
        gamma_command=str(known.VASP_GAMMA_CMD),
        poll_s=own.poll_s,
        hang_s=own.hang_s,
        max_errors=own.max_errors,
    )
