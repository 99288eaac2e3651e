"""What a run looks like: live bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ..dashboard.wording import duration_text
from .tracking import Tracker

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from ..makers.progress import Progress
    from ..workflows.plan import Plan
    from ..workflows.run import StepLabel
    from .tracking import RunningStep

_BAR_WIDTH = 28
LINE_INTERVAL_S = 5.0


class RunLog:
    """Base of both: keeps the state and prints a line per event that stays.

    Parameters
    ----------
    out
        Where to print.
    tracker
        State of the run.
    """

    def __init__(self, out: Console, tracker: Tracker | None = None) -> None:
        self._out = out
        self.tracker = tracker or Tracker()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        """Leave the terminal as it was."""

    def planned(self, plan: Plan) -> None:
        """Note what will run."""
        self.tracker.planned(plan)
        self._say(
            f"{len(plan.candidates)} candidates, {plan.n_steps} steps: {plan.n_reused} reused, "
            f"{self.tracker.n_steps} to run"
        )
        for candidate in plan.candidates:
            if candidate.n_reused:
                self._say(
                    f"  reused: {candidate.document.label}, {candidate.n_reused} of "
                    f"{len(candidate.steps)} steps"
                )
        for warning in plan.warnings:
            self._say(Text("note: ", style="yellow") + Text(warning))

    def started(self, label: StepLabel) -> None:
        """Note that a worker took a step."""
        self.tracker.started(label)

    def progressed(self, label: StepLabel, progress: Progress) -> None:
        """Note how far a running step has come."""
        self.tracker.progressed(label, progress)

    def finished(self, label: StepLabel, wall_s: float) -> None:
        """Note a stored result."""
        self.tracker.finished(label)
        self._say(Text("done    ", style="green") + Text(f"{label}, {duration_text(wall_s)}"))

    def failed(self, label: StepLabel, message: str) -> None:
        """Note a step without a result."""
        self.tracker.failed(label)
        self._say(Text("failed  ", style="bold red") + Text(f"{label}: {message}"))

    def skipped(self, label: StepLabel, message: str) -> None:
        """Note a step that has nothing to start from."""
        self.tracker.skipped(label)
        self._say(Text("skipped ", style="yellow") + Text(f"{label}: {message}"))

    def _say(self, line: RenderableType) -> None:
        self._out.print(line, soft_wrap=not self._out.is_terminal)


class PlainLog(RunLog):
    """For files and pipes: a line on all that runs, every few seconds."""

    _last_line = float("-inf")

    def progressed(self, label: StepLabel, progress: Progress) -> None:
        """Note how far a running step has come, and say so now and then."""
        super().progressed(label, progress)
        now = self.tracker.clock()
        if now - self._last_line >= LINE_INTERVAL_S:
            self._last_line = now
            self._say(_summary_line(self.tracker, now))


class LiveLog(RunLog):
    """For terminals: bars for the run, its candidates at work and their running steps."""

    def __init__(self, out: Console, tracker: Tracker | None = None) -> None:
        super().__init__(out, tracker)
        self._live = Live(
            console=out, refresh_per_second=2, transient=True, get_renderable=self._bars
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        """Take the bars away."""
        self._live.stop()

    def _bars(self) -> RenderableType:
        return progress_bars(self.tracker)


def _summary_line(tracker: Tracker, now: float) -> str:
    steps = "; ".join(
        f"{step.label} {step.stage} {step.share:.0%}{_eta_text(step.eta_s(now))}"
        for step in tracker.running.values()
    )
    head = f"[{tracker.share():4.0%}] {tracker.n_done}/{tracker.n_steps} steps"
    return f"{head}{_eta_text(tracker.eta_s())} | {steps}"


def _eta_text(seconds: float | None) -> str:
    return "" if seconds is None else f", {duration_text(seconds)} left"


def progress_bars(tracker: Tracker) -> RenderableType:
    """Return the bars: the whole run, then each candidate at work with its running steps."""
    if not tracker.n_steps:
        return Text("")
    now = tracker.clock()
    grid = Table.grid(padding=(0, 1))
    for ratio in (3, 0, 0, 2):
        grid.add_column(ratio=ratio or None, overflow="ellipsis", no_wrap=True)
    failed = f", {tracker.n_failed} failed" if tracker.n_failed else ""
    detail = f"{tracker.n_done}/{tracker.n_steps} steps{failed}{_eta_text(tracker.eta_s())}"
    grid.add_row(*_row(Text("all", style="bold"), tracker.share(), detail))
    steps: dict[str, list[RunningStep]] = {}
    for step in tracker.running.values():
        steps.setdefault(step.label.candidate_id, []).append(step)
    for candidate_id, running in steps.items():
        settled, total = tracker.candidate_steps(candidate_id)
        name = Text(running[0].label.candidate_label)
        grid.add_row(*_row(name, tracker.share(candidate_id), f"{settled}/{total} steps"))
        for step in running:
            detail = f"{step.stage}{_eta_text(step.eta_s(now))}"
            name = Text(f"  {step.label.step_name}", style="cyan")
            grid.add_row(*_row(name, step.share, detail))
    return Group(Text(""), grid)


def _row(name: Text, share: float, detail: str) -> tuple[RenderableType, ...]:
    bar = ProgressBar(total=1.0, completed=share, width=_BAR_WIDTH)
    return name, bar, Text(f"{share:4.0%}"), Text(detail, style="dim")
