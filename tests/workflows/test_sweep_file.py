"""The sweep file: shorthands, defaults, and a message for everything that is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from haloflow.errors import SweepError
from haloflow.makers.protocol import MeltQuenchProtocol
from haloflow.workflows.sweep import GridRange, Sweep, load_sweep, parse_sweep

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").rglob("*.yaml"))
MINIMAL = {"name": "tiny", "systems": [{"family": "namocl4"}]}
REMEDY = "mend the fields named; docs/sweep.md lists every field with its default"


def system(**entry):
    return {"systems": [entry]}


def message(data) -> str:
    with pytest.raises(SweepError) as caught:
        parse_sweep(data, "my.yaml")
    return str(caught.value)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_are_valid(path):
    sweep = load_sweep(path)
    assert sweep.systems
    assert parse_sweep(sweep.model_dump(exclude_none=True)) == sweep


def test_a_minimal_file_has_production_defaults():
    sweep = parse_sweep(MINIMAL)
    assert sweep.stages.model_dump() == {
        "relax": "chgnet-r2scan",
        "hull": "chgnet-r2scan",
        "melt_quench": "chgnet-r2scan-d3",
        "md": "chgnet-r2scan-d3",
    }
    assert sweep.seeds == [1, 2, 3]
    assert sweep.size.glass_n_mobile == 24
    assert sweep.screen.energy_above_hull_ev_per_atom == 0.1
    assert sweep.melt_quench == MeltQuenchProtocol()


def test_a_level_is_that_of_every_stage_but_those_named():
    every = parse_sweep(MINIMAL | {"level": "sevennet-0"}).stages
    assert set(every.model_dump().values()) == {"sevennet-0"}
    but_one = parse_sweep(MINIMAL | {"level": "sevennet-0", "stages": {"hull": "chgnet-r2scan"}})
    assert but_one.stages.hull == "chgnet-r2scan"
    assert but_one.stages.relax == but_one.stages.md == "sevennet-0"


@pytest.mark.parametrize(("given", "seeds"), [(1, [1]), (4, [1, 2, 3, 4]), ([7, 5], [7, 5])])
def test_seeds_are_a_number_or_a_list(given, seeds):
    assert parse_sweep(MINIMAL | {"seeds": given}).seeds == seeds


@pytest.mark.parametrize(
    ("start", "stop", "step", "values"),
    [
        (0.25, 1.0, 0.25, [0.25, 0.5, 0.75, 1.0]),
        (0.0, 0.3, 0.1, [0.0, 0.1, 0.2, 0.3]),
        (0.5, 0.5, 0.1, [0.5]),
        (0.0, 1.0, 0.4, [0.0, 0.4, 0.8]),
    ],
)
def test_a_range_holds_both_ends_where_steps_lead_there(start, stop, step, values):
    assert GridRange(start=start, stop=stop, step=step).values() == values


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"temperature": 1}, "temperature: unknown key; allowed here are budget, description, "),
        ({"sizes": {}}, "did you mean 'size'?"),
        (
            {"stages": {"relx": "x"}},
            (
                "stages.relx: unknown key; allowed here are hull, md, "
                "melt_quench, relax; did you mean 'relax'?"
            ),
        ),
        (system(family="namocl4", fromer=["Ta"]), "systems.0.fromer: unknown key; allowed here "),
        (system(family="namocl4", fromer=["Ta"]), "did you mean 'former'?"),
        ({"md": {"qqq": 1}}, "tether, timestep_fs, trajectory_interval; remove it"),
        ({"melt_quench": {"quench_step": 1}}, "did you mean 'quench_steps'?"),
        ({"name": "a b"}, "name: 'a b' is not allowed; string should match pattern"),
        ({"level": 3}, "level: 3 is not allowed; input should be a valid string"),
        ({"systems": []}, "systems: [] is not allowed; list should have at least 1 item"),
        (
            {"systems": {"family": "a"}},
            ("systems: {'family': 'a'} is not allowed; input should be a list"),
        ),
        (
            {"systems": ["namocl4"]},
            ("systems.0: 'namocl4' is not allowed; input should be a mapping"),
        ),
        (
            system(),
            (
                "systems.0: {} is not allowed; give exactly one of family, crystal, "
                "components; this entry gives none"
            ),
        ),
        (system(family="a", crystal="b"), "this entry gives family and crystal"),
        (
            system(family="a", phase="melt"),
            (
                "systems.0.phase: 'melt' is not allowed; input should "
                "be 'crystal' or 'glass' or a list"
            ),
        ),
        (
            system(family="a", phase=["melt"]),
            ("systems.0.phase.0: 'melt' is not allowed; input should be 'crystal' or 'glass'"),
        ),
        (
            system(family="a", x=0.5),
            ("systems.0.x: 0.5 is not allowed; input should be a list or a mapping or 'published'"),
        ),
        (
            system(family="a", x=["b"]),
            ("systems.0.x.0: 'b' is not allowed; input should be a valid number"),
        ),
        (system(family="a", x={"start": 1, "stop": 0, "step": 1}), "stop 0.0 lies below start 1.0"),
        (
            system(family="a", x={"start": 0, "stop": 1, "step": 0}),
            ("systems.0.x.step: 0 is not allowed; input should be greater than 0"),
        ),
        (system(family="a", x={"start": 0, "stop": 1}), "systems.0.x.step: missing; add it"),
        (system(components={"A": 1}, volumes_a3={"A": -1}), "systems.0.volumes_a3.A: -1 is not "),
        ({"seeds": 0}, "seeds: 0 is not allowed; give a number of seeds from 1 on, or a list"),
        ({"seeds": True}, "seeds: True is not allowed; give a number of seeds from 1 on"),
        ({"seeds": "two"}, "seeds: 'two' is not allowed; give a number of seeds from 1 on"),
        ({"seeds": []}, "seeds: [] is not allowed; list should have at least 1 item"),
        ({"seeds": [-1]}, "seeds.0: -1 is not allowed; input should be greater than or equal to 0"),
        ({"seeds": [2, 2]}, "seeds: [2, 2] is not allowed; a seed stands twice"),
        ({"md": [1]}, "md: [1] is not allowed; input should be a mapping"),
        (
            {"md": {"temperatures_k": 600}},
            ("md.temperatures_k: 600 is not allowed; input should be a list"),
        ),
        ({"md": {"temperatures_k": [300, 300.0]}}, "a temperature stands twice"),
        ({"md": {"crystal_temperatures_k": [9, 9]}}, "md.crystal_temperatures_k: [9, 9] is not"),
        ({"md": {"crystal_temperatures_k": []}}, "md.crystal_temperatures_k: [] is not allowed"),
        (
            {"md": {"temperatures_k": [0]}},
            ("md.temperatures_k.0: 0 is not allowed; input should be greater than 0"),
        ),
        ({"md": {"temperatures_k": [9000]}}, "should be less than or equal to 5000"),
        ({"md": {"timestep_fs": 0}}, "md.timestep_fs: 0 is not allowed"),
        (
            {"md": {"production_steps": 1.5}},
            ("md.production_steps: 1.5 is not allowed; input should be a valid integer"),
        ),
        (
            {"melt_quench": {"final_temperature_k": 2000}},
            ("final_temperature_k 2000.0 is not below melt_temperature_k 1500.0"),
        ),
        (
            {"melt_quench": {"quench_ensemble": "nve"}},
            ("melt_quench.quench_ensemble: 'nve' is not allowed; input should be 'nvt' or 'npt'"),
        ),
        ({"size": {"glass_n_atoms": 2}}, "size.glass_n_atoms: 2 is not allowed"),
        ({"budget": {"core_hours": 0}}, "budget.core_hours: 0 is not allowed"),
        ({"screen": {"sigma_300k_ms_cm": -1}}, "screen.sigma_300k_ms_cm: -1 is not allowed"),
        ({"hull": {"include_hypothetical": "perhaps"}}, "hull.include_hypothetical: 'perhaps' is "),
    ],
)
def test_a_wrong_field_is_named_with_its_value_and_what_is_allowed(change, line):
    text = message(MINIMAL | change)
    assert text.startswith("my.yaml: a field cannot be used. Given: \n  - ")
    assert line in text
    assert text.endswith(f"What to do: {REMEDY}.")


@pytest.mark.parametrize("field", ["name", "systems"])
def test_a_missing_field_is_named(field):
    data = {key: value for key, value in MINIMAL.items() if key != field}
    assert f"my.yaml: a field cannot be used. Given: \n  - {field}: missing; add it" in message(
        data
    )


def test_all_wrong_fields_are_named_at_once():
    text = message(MINIMAL | {"seeds": "x", "md": {"seed": -1}, "foo": 1})
    assert text.startswith("my.yaml: 3 fields cannot be used.")
    assert all(f"\n  - {field}: " in text for field in ("seeds", "md.seed", "foo"))


def test_values_that_are_long_are_not_repeated():
    text = message(MINIMAL | {"systems": [{"family": "f" * 100, "crystal": "c"}]})
    assert "fff" not in text
    assert "systems.0: is not allowed; give exactly one of" in text


@pytest.mark.parametrize("content", ["- name: tiny", "", "tiny"])
def test_a_file_must_hold_a_mapping(tmp_path, content):
    path = tmp_path / "my.yaml"
    path.write_text(content)
    with pytest.raises(SweepError) as caught:
        load_sweep(path)
    kind = type(yaml.safe_load(content)).__name__
    assert str(caught.value) == (
        f"my.yaml holds no mapping. Given: {kind}. Allowed: keys {', '.join(Sweep.model_fields)}. "
        "What to do: start from examples/quickstart.yaml."
    )


@pytest.mark.parametrize("content", ["x: [1", "\tname: tiny", "a: b: c"])
def test_what_is_not_yaml_is_refused_with_its_line(tmp_path, content):
    path = tmp_path / "my.yaml"
    path.write_text(content)
    with pytest.raises(SweepError, match=r"my\.yaml is not valid YAML\. Given: .*line 1") as caught:
        load_sweep(path)
    assert "What to do: mend the line named; indent with spaces" in str(caught.value)


def test_files_that_cannot_be_read_are_named(tmp_path):
    bytes_file = tmp_path / "bytes.yaml"
    bytes_file.write_bytes(b"name: \xff\xfe")
    for path, reason in (
        (tmp_path / "none.yaml", "No such file or directory"),
        (tmp_path, "Is a directory"),
        (bytes_file, "not text in UTF-8"),
    ):
        with pytest.raises(SweepError) as caught:
            load_sweep(path)
        assert str(caught.value) == (
            f"the sweep file cannot be read. Given: {path} ({reason}). "
            "What to do: give the path of a YAML file, e.g. examples/quickstart.yaml."
        )
