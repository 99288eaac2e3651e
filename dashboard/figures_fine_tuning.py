"""A fine-tuned potential against its labels, and how it got there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .theme import (
    BLUE,
    GREY,
    ORANGE,
    VERMILLION,
    Figure,
    Trace,
    axis,
    fade,
    layout,
    log_axis,
    padded_range,
    text,
)

if TYPE_CHECKING:
    from ..stores.fine_tuning import FineTuning

_COLOURS: Final = {"train": GREY, "validation": BLUE, "test": VERMILLION}
_QUANTITIES: Final = (
    ("energy_ev_per_atom", "energy (eV/atom)"),
    ("force_ev_a", "force (eV/Å)"),
    ("stress_gpa", "stress (GPa)"),
)
_GAP: Final = 0.09


def model_parity_figure(tuning: FineTuning) -> Figure | None:
    """Draw values of the model over its labels: energies, forces, stresses side by side."""
    if not tuning.parity:
        return None
    width = (1 - _GAP * (len(_QUANTITIES) - 1)) / len(_QUANTITIES)
    traces: list[Trace] = []
    axes: dict[str, Any] = {}
    for number, (name, title) in enumerate(_QUANTITIES, start=1):
        suffix = "" if number == 1 else str(number)
        points = {split: getattr(one, name) for split, one in tuning.parity.items()}
        ends = padded_range(
            [value for pairs in points.values() for pair in pairs for value in pair]
        )
        start = (number - 1) * (width + _GAP)
        domain = [start, start + width]
        axes[f"xaxis{suffix}"] = axis(
            f"label: {title}", range=ends, domain=domain, anchor=f"y{suffix}"
        )
        axes[f"yaxis{suffix}"] = axis("model", range=ends, anchor=f"x{suffix}")
        where = {"xaxis": f"x{suffix}", "yaxis": f"y{suffix}"}
        traces.append(
            {"type": "scatter", "mode": "lines", "x": ends, "y": ends, "hoverinfo": "skip",
             "showlegend": False, "line": {"color": fade(GREY, 0.6), "width": 1}, **where}
        )  # fmt: skip
        traces += [
            {"type": "scatter", "mode": "markers", "name": split, "legendgroup": split,
             "showlegend": number == 1, "x": [x for x, _ in pairs], "y": [y for _, y in pairs],
             "marker": {"size": 5, "color": fade(_COLOURS[split], 0.6)}, **where}
            for split, pairs in points.items()
        ]  # fmt: skip
    base = layout(axes.pop("xaxis"), axes.pop("yaxis"), height=380)
    return {"data": traces, "layout": base | axes}


def training_figure(tuning: FineTuning) -> Figure:
    """Draw the loss over the epochs, with the epoch that was taken."""
    rows = [row for row in tuning.history if row.train_loss is not None]
    best = next(row for row in tuning.history if row.epoch == tuning.best_epoch)
    lines = (
        ("training", ORANGE, [row.epoch for row in rows], [row.train_loss for row in rows]),
        ("validation", BLUE, [row.epoch for row in tuning.history],
         [row.validation_loss for row in tuning.history]),
    )  # fmt: skip
    traces: list[Trace] = [
        {"type": "scatter", "mode": "lines", "name": name, "x": x, "y": y,
         "line": {"color": colour}}
        for name, colour, x, y in lines
    ]  # fmt: skip
    traces.append(
        {"type": "scatter", "mode": "markers", "name": "taken", "x": [best.epoch],
         "y": [best.validation_loss], "marker": {"size": 10, "color": BLUE}}
    )  # fmt: skip
    return {"data": traces, "layout": layout(axis("epoch"), log_axis("loss"), height=320)}


def fine_tuning_caption(level: str, tuning: FineTuning, teacher: str) -> str:
    """Say what the figure of parity shows."""
    began = tuning.parent_level or "random weights"
    return text(
        f"{level}, which began with {began}, against labels of {teacher}; of many points some, "
        "at random. All of them lie in the file of its step."
    )
