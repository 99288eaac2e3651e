"""How a run looks while it runs: shares, times left, bars and lines."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from haloflow.cli.observers import LINE_INTERVAL_S, LiveLog, PlainLog, progress_bars
from haloflow.cli.tracking import Tracker
from haloflow.makers.progress import Progress
from haloflow.workflows.plan import plan_sweep
from haloflow.workflows.run import step_labels
from haloflow.workflows.sweep import parse_sweep


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture(scope="module")
def plan():
    systems = [{"crystal": "NaTaCl6_P21c"}, {"crystal": "NaCl_B1"}]
    md = {"temperatures_k": [600, 800], "production_steps": 1000}
    return plan_sweep(parse_sweep({"name": "small", "systems": systems, "md": md}))


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def tracker(clock):
    return Tracker(clock)


def labels_of(plan):
    labels = step_labels(plan)
    return {(label.candidate_label, label.step_name): label for label in labels.values()}


def printed(log_class, tracker, *, terminal=False):
    out = io.StringIO()
    console = Console(file=out, width=110, force_terminal=terminal, markup=False, highlight=False)
    return log_class(console, tracker), out


def test_shares_are_weighted_with_cost_and_reach_one(plan, tracker):
    tracker.planned(plan)
    labels = step_labels(plan)
    seen = [tracker.share()]
    for label in labels.values():
        tracker.started(label)
        tracker.progressed(label, Progress("md", 1, 2, 0.0))
        seen.append(tracker.share())
        tracker.finished(label)
        seen.append(tracker.share())
    assert seen[0] == 0.0
    assert seen == sorted(seen)
    assert seen[-1] == pytest.approx(1.0)
    assert tracker.n_done == tracker.n_steps == len(labels)
    costs = {identity: step.cost.core_hours for identity, step in plan.to_run.items()}
    first = next(iter(labels))
    assert seen[2] == pytest.approx(costs[first] / sum(costs.values()))


def test_a_steps_time_left_follows_its_speed(plan, tracker, clock):
    tracker.planned(plan)
    label = next(iter(step_labels(plan).values()))
    tracker.started(label)
    step = tracker.running[label.identity]
    assert step.eta_s(clock.now) is None
    tracker.progressed(label, Progress("melt", 100, 1000, 0.0))
    assert step.eta_s(clock.now) is None
    clock.now += 10
    tracker.progressed(label, Progress("quench", 300, 1000, 0.0))
    assert step.eta_s(clock.now) == pytest.approx(35.0)
    assert step.stage == "quench"


def test_the_runs_time_left_follows_the_share(plan, tracker, clock):
    tracker.planned(plan)
    costly = max(plan.to_run.values(), key=lambda step: step.cost.core_hours)
    label = step_labels(plan)[costly.identity]
    clock.now += 30
    tracker.started(label)
    tracker.progressed(label, Progress("md", 1, 1000, 0.0))
    assert tracker.eta_s() is None
    tracker.finished(label)
    share = tracker.share()
    assert tracker.eta_s() == pytest.approx(30 * (1 - share) / share)


def test_a_failed_step_counts_as_settled(plan, tracker):
    tracker.planned(plan)
    label = next(iter(step_labels(plan).values()))
    tracker.started(label)
    tracker.failed(label)
    assert tracker.n_failed == 1
    assert tracker.running == {}
    assert tracker.candidate_steps(label.candidate_id)[0] == 1


def test_candidates_have_shares_of_their_own(plan, tracker):
    tracker.planned(plan)
    for label in step_labels(plan).values():
        if label.candidate_id == plan.candidates[0].document.candidate_id:
            tracker.finished(label)
    first, second = (candidate.document.candidate_id for candidate in plan.candidates)
    assert tracker.share(first) == pytest.approx(1.0)
    assert tracker.share(second) == 0.0


def test_plain_lines_come_every_few_seconds(plan, tracker, clock):
    log, out = printed(PlainLog, tracker)
    with log:
        log.planned(plan)
        label = next(iter(step_labels(plan).values()))
        log.started(label)
        for _ in range(4):
            log.progressed(label, Progress("relax", 40, 100, 0.0))
            clock.now += LINE_INTERVAL_S / 2
        log.finished(label, 12.0)
    lines = out.getvalue().splitlines()
    assert lines[0] == f"2 candidates, {plan.n_steps} steps: 0 reused, {plan.n_steps} to run"
    assert any(line.startswith("note: ") for line in lines)
    ticks = [line for line in lines if line.startswith("[")]
    assert len(ticks) == 2
    assert "relax 40%" in " ".join(ticks)
    assert lines[-1] == f"done    {label}, 12 s"
    assert "\x1b" not in out.getvalue()


def test_failures_are_said_at_once(plan, tracker):
    log, out = printed(PlainLog, tracker)
    log.planned(plan)
    label = next(iter(step_labels(plan).values()))
    log.failed(label, "no potential")
    assert f"failed  {label}: no potential" in out.getvalue()


def test_bars_show_the_run_its_candidates_and_their_steps(plan, tracker, clock):
    tracker.planned(plan)
    label = labels_of(plan)["NaTaCl6 crystal (NaTaCl6_P21c)", "md-600K"]
    tracker.started(label)
    tracker.progressed(label, Progress("equilibration", 10, 100, 0.0))
    clock.now += 5
    tracker.progressed(label, Progress("production", 20, 100, 0.0))
    out = io.StringIO()
    Console(file=out, width=110).print(progress_bars(tracker))
    lines = [line for line in out.getvalue().splitlines() if line.strip()]
    assert [line.split()[0] for line in lines] == ["all", "NaTaCl6", "md-600K"]
    assert f"0/{plan.n_steps} steps" in lines[0]
    assert "20% production, 40 s left" in " ".join(lines[2].split())


def test_before_the_plan_there_are_no_bars(tracker):
    out = io.StringIO()
    Console(file=out, width=110).print(progress_bars(tracker))
    assert out.getvalue().strip() == ""


def test_a_terminal_gets_bars_that_go_away(plan, tracker):
    log, out = printed(LiveLog, tracker, terminal=True)
    with log:
        log.planned(plan)
        label = next(iter(step_labels(plan).values()))
        log.started(label)
        log.progressed(label, Progress("relax", 40, 100, 0.0))
        log.finished(label, 3.0)
    text = out.getvalue()
    assert "━" in text
    assert f"{label}, 3.0 s" in text
    assert text.rstrip().endswith("\x1b[2K") or "\x1b[?25h" in text
