"""The process that trains a NEP: ``python -m haloflow.engines.nep_process JOB.json``.

torchnep (GPL-3) is imported here and nowhere else; what drives it speaks to this process
through files. The process ends when its parent does.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import Any, Final

_LOOK_S: Final = 1.0


def main(job_file: str) -> None:
    """Train as the job says, or go on with it from its newest checkpoint."""
    job: dict[str, Any] = json.loads(Path(job_file).read_text())
    end_with_parent(job["parent_pid"])
    import torch  # noqa: PLC0415  (heavy)

    torch.set_num_threads(job["threads"])
    folder = Path(job["directory"])
    write_whole_checkpoints(torch)
    warnings.simplefilter("ignore")  # torchnep warns of what it may do on other machines
    from torchnep import train_nep  # noqa: PLC0415  (heavy)

    resumed = (folder / "checkpoint.pt").exists()
    train_nep(
        str(folder / "nep.in"),
        job["train_file"],
        output_dir=str(folder),
        device=job["device"],
        valid_file=job["validation_file"],
        checkpoint_interval=job["checkpoint_epochs"],
        prediction_interval=0,
        run_seed=job["seed"],
        finetune_from=None if resumed else job["start_from"],
        restart=True,
        neighbor_mode="auto",
    )


def write_whole_checkpoints(torch: Any) -> None:  # noqa: ANN401  (untyped package)
    """Let ``torch.save`` replace files in one step: torchnep writes over its only checkpoint."""
    save = torch.save

    def save_whole(state: object, path: str, *arguments: object) -> None:
        partial = f"{path}.tmp"
        with Path(partial).open("wb") as file:
            save(state, file, *arguments)
            file.flush()
            os.fsync(file.fileno())
        Path(partial).replace(path)

    torch.save = save_whole


def end_with_parent(parent_pid: int) -> None:
    """End this process when the one that started it is gone."""

    def watch() -> None:
        while os.getppid() == parent_pid:
            time.sleep(_LOOK_S)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    main(sys.argv[1])
