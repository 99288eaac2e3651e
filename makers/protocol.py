"""How a glass is made by melting and quenching."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ..units import cooling_rate_k_s


class MeltQuenchProtocol(BaseModel):
    """How a glass is made. Times follow from steps and time step."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    melt_temperature_k: float = Field(1500.0, gt=0, le=6000, description="Of melt and hold.")
    final_temperature_k: float = Field(300.0, gt=0, description="End of the ramp.")
    timestep_fs: float = Field(2.0, gt=0, le=10, description="Time step.")
    melt_steps: int = Field(10_000, ge=1, description="NVT at the melt temperature.")
    hold_steps: int = Field(5_000, ge=0, description="Further NVT; the melt is judged here.")
    quench_steps: int = Field(120_000, ge=1, description="Linear ramp down.")
    quench_ensemble: Literal["nvt", "npt"] = Field(
        "npt", description="nvt keeps the packed density until the ramp's end."
    )
    npt_block_steps: int = Field(5_000, ge=10, description="Length of a density block.")
    npt_max_blocks: int = Field(20, ge=2, description="Blocks at most.")
    density_tolerance: float = Field(
        0.02, gt=0, lt=1, description="Spread of the last three block means over their mean."
    )
    density_scale: float = Field(0.9, gt=0.2, lt=2, description="Packed over component density.")
    pressure_gpa: float = Field(0.0, description="Of the NPT parts.")
    prerelax_steps: int = Field(200, ge=0, description="FIRE steps on the packed box.")
    trajectory_interval: int = Field(50, ge=1, description="Steps between stored frames.")
    checkpoint_interval: int = Field(500, ge=1, description="Steps between checkpoints.")

    @model_validator(mode="after")
    def _cools(self) -> MeltQuenchProtocol:
        if self.final_temperature_k >= self.melt_temperature_k:
            raise ValueError(
                f"final_temperature_k {self.final_temperature_k} is not below "
                f"melt_temperature_k {self.melt_temperature_k}"
            )
        return self

    @model_validator(mode="after")
    def _blocks_hold_frames(self) -> MeltQuenchProtocol:
        if self.npt_block_steps < self.trajectory_interval:
            raise ValueError(
                f"npt_block_steps {self.npt_block_steps} is below "
                f"trajectory_interval {self.trajectory_interval}"
            )
        return self

    @property
    def quench_rate_k_s(self) -> float:
        """Cooling rate of the ramp in K/s."""
        return cooling_rate_k_s(
            self.melt_temperature_k, self.final_temperature_k, self.quench_steps * self.timestep_fs
        )

    @property
    def max_steps(self) -> int:
        """MD and relaxation steps at most."""
        return (
            self.prerelax_steps
            + self.melt_steps
            + self.hold_steps
            + self.quench_steps
            + self.npt_block_steps * self.npt_max_blocks
        )
