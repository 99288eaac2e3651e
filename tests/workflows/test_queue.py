"""Order and failure of steps that wait for each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haloflow.makers.step import StepMaker
from haloflow.workflows.cost import Cost
from haloflow.workflows.queue import StepQueue
from haloflow.workflows.steps import PlannedStep


@dataclass
class Strict(StepMaker):
    kind: ClassVar[str] = "strict"
    code_version: ClassVar[int] = 1


@dataclass
class Lenient(Strict):
    needs_all_inputs: ClassVar[bool] = False


@dataclass
class Picky(Lenient):
    essential: ClassVar[tuple[str, ...]] = ("run",)


def step(name, *after, hours=1.0, maker=Strict, **parents):
    return PlannedStep(name, maker(), {}, parents, tuple(after), Cost(hours, 0.0, 1), name)


def drain(queue):
    """Run everything that is ready, in the queue's order."""
    order = []
    while (taken := queue.take()) is not None:
        order.append(taken.identity)
        queue.finished(taken.identity)
    return order


def test_the_longest_way_to_go_comes_first():
    queue = StepQueue(
        [
            step("short", hours=3),
            step("start", hours=1),
            step("long", "start", hours=4),
            step("brief", "start", hours=1),
        ],
        done=(),
    )
    assert drain(queue) == ["start", "long", "short", "brief"]
    assert not queue.open


def test_what_is_apart_is_taken_by_itself_and_nothing_else_is_moved():
    steps = [step("md", hours=5), step("relax", hours=3), step("md2", "relax", hours=1)]
    queue = StepQueue(steps, done=(), apart={"md", "md2"})
    relax, md = queue.take(), queue.take(apart=True)
    assert (relax.identity, md.identity) == ("relax", "md")
    assert queue.take() is None
    assert queue.take(apart=True) is None
    queue.put_back(md)
    queue.finished("relax")
    assert queue.take() is None
    assert [queue.take(apart=True).identity for _ in range(2)] == ["md", "md2"]
    assert not queue.open


def test_a_step_waits_for_all_its_parents():
    queue = StepQueue([step("a"), step("b", hours=0.5), step("hull", "a", "b")], done=())
    assert queue.take().identity == "a"
    queue.finished("a")
    assert queue.take().identity == "b"
    assert queue.take() is None
    assert queue.open
    queue.finished("b")
    assert queue.take().identity == "hull"


def test_parents_that_are_done_are_not_waited_for():
    queue = StepQueue([step("md", "glass"), step("hull", "glass", "salt")], done=["glass", "salt"])
    assert sorted(drain(queue)) == ["hull", "md"]


def test_a_failure_takes_all_that_needs_it():
    queue = StepQueue(
        [
            step("melt"),
            step("relax", "melt"),
            step("salt"),
            step("hull", "relax", "salt"),
            step("other"),
        ],
        done=(),
    )
    assert queue.take().identity == "melt"
    assert queue.failed("melt") == ["melt", "relax", "hull"]
    assert sorted(drain(queue)) == ["other", "salt"]
    assert not queue.open


@pytest.mark.parametrize("order", [("300K", "400K"), ("400K", "300K")])
def test_a_lenient_step_runs_with_what_arrived(order):
    runs = [step("300K"), step("400K")]
    queue = StepQueue([*runs, step("diffusion", "300K", "400K", maker=Lenient)], done=())
    assert {queue.take().identity, queue.take().identity} == {"300K", "400K"}
    assert queue.failed(order[0]) == [order[0]]
    assert queue.take() is None
    queue.finished(order[1])
    assert queue.take().identity == "diffusion"


def test_a_lenient_step_is_lost_when_nothing_arrived():
    steps = [
        step("melt"),
        step("300K", "melt"),
        step("400K", "melt"),
        step("diffusion", "300K", "400K", maker=Lenient),
    ]
    queue = StepQueue(steps, done=())
    queue.take()
    assert sorted(queue.failed("melt")) == ["300K", "400K", "diffusion", "melt"]
    assert not queue.open
    assert queue.take() is None


def test_a_lenient_step_uses_earlier_results():
    queue = StepQueue(
        [step("400K"), step("diffusion", "300K", "400K", maker=Lenient)], done=["300K"]
    )
    queue.take()
    assert queue.failed("400K") == ["400K"]
    assert queue.take().identity == "diffusion"


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_every_step_is_run_once_after_its_parents_or_is_lost_for_a_reason(data):
    count = data.draw(st.integers(1, 12))
    steps = [
        step(str(i), *data.draw(st.sets(st.sampled_from([str(k) for k in range(i)] or ["0"]))
                                if i else st.just(())),
             hours=data.draw(st.floats(0, 5)), maker=data.draw(st.sampled_from([Strict, Lenient])))
        for i in range(count)
    ]  # fmt: skip
    failing = data.draw(st.sets(st.sampled_from([s.identity for s in steps])))
    queue, ran, lost = StepQueue(steps, done=()), [], []
    while (taken := queue.take()) is not None:
        ran.append(taken.identity)
        assert set(taken.after) <= {*ran, *lost}
        if taken.identity in failing:
            lost += queue.failed(taken.identity)
        else:
            queue.finished(taken.identity)
    assert not queue.open
    assert len(ran) == len(set(ran))
    assert len(lost) == len(set(lost))
    assert {*ran, *lost} == {s.identity for s in steps}
    for one in steps:
        gone = set(one.after) & set(lost)
        if one.identity in lost and one.identity not in ran:
            assert gone
        elif one.maker.needs_all_inputs:
            assert not gone


@pytest.mark.parametrize(("failed", "left"), [("run", ["model"]), ("model", ["run", "later"])])
def test_a_step_is_lost_with_what_is_essential_to_it(failed, left):
    steps = [step("run", hours=2), step("model"),
             step("later", "run", "model", maker=Picky, run="run", model="model")]  # fmt: skip
    queue = StepQueue(steps, done=())
    taken = [queue.take().identity for _ in range(2)]
    assert taken == ["run", "model"]
    lost = queue.failed(failed)
    assert lost == [failed] + ["later"] * (failed == "run")
    (other,) = {"run", "model"} - {failed}
    queue.finished(other)
    assert [other, *drain(queue)] == left
    assert not queue.open
