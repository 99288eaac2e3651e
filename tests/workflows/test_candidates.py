"""From a sweep file's systems to candidates, their compositions counted by hand."""

from __future__ import annotations

import pytest
from pymatgen.core import Composition

from haloflow.errors import CompositionError, InputError, SweepError, UnknownNameError
from haloflow.workflows.candidates import expand
from haloflow.workflows.sweep import parse_sweep


def candidates(*systems):
    return expand(parse_sweep({"name": "tiny", "systems": list(systems)}))


def refused(*systems) -> str:
    with pytest.raises(InputError) as caught:
        candidates(*systems)
    return str(caught.value)


PEROXIDE = [(0.8, 1.6), (0.9, 1.8), (1.0, 2.0), (1.1, 2.2), (1.2, 2.4)]
FAMILIES = {
    "namocl4": [
        ("crystal", "NaNbOCl4"),
        ("glass", "NaNbOCl4"),
        ("crystal", "NaTaOCl4"),
        ("glass", "NaTaOCl4"),
    ],
    "na2o-natacl6": [("glass", "Na3TaOCl6"), ("glass", "Na2TaOCl5")],
    "na2o2-mcly": [
        ("glass", f"Na{two_x}O{two_x}{metal}Cl{n_cl}")
        for metal, n_cl in (("Hf", 4), ("Zr", 4), ("Ta", 5))
        for _, two_x in PEROXIDE
    ],
    "tacl5-na2s": [
        ("glass", "Na0.5S0.25TaCl5"),
        ("glass", "NaS0.5TaCl5"),
        ("glass", "Na1.5S0.75TaCl5"),
        ("glass", "Na2STaCl5"),
    ],
    "nayzrcl": [
        ("crystal", "Na2.25Y0.25Zr0.75Cl6"),
        ("glass", "Na2.25Y0.25Zr0.75Cl6"),
        ("glass", "Na0.875Y0.25Zr0.75Cl4.625"),
        ("glass", "Na0.75Y0.25Zr0.75Cl4.5"),
        ("glass", "Na0.625Y0.25Zr0.75Cl4.375"),
        ("glass", "Na0.5Y0.25Zr0.75Cl4.25"),
        ("glass", "Na0.375Y0.25Zr0.75Cl4.125"),
        ("glass", "Na0.25Y0.25Zr0.75Cl4"),
    ],
}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_expands_to_its_published_candidates(family):
    found = candidates({"family": family})
    assert [candidate.phase for candidate in found] == [phase for phase, _ in FAMILIES[family]]
    for candidate, (_, formula) in zip(found, FAMILIES[family], strict=True):
        assert candidate.mixture.composition.almost_equals(Composition(formula))
        assert candidate.family == family
        assert candidate.label.endswith(f" {candidate.phase}")
        assert (candidate.phase_id is None) == (candidate.phase == "glass")


def test_phases_and_formers_narrow_a_family_down():
    found = candidates({"family": "namocl4", "former": ["Ta"], "phase": "glass"})
    assert [c.label for c in found] == ["NaTaOCl4 glass"]
    assert found[0].crystal_ids[0].startswith("NaTaOCl4")
    both = candidates({"family": "namocl4", "former": ["Ta"], "phase": ["glass", "crystal"]})
    assert [c.phase for c in both] == ["glass", "crystal"]
    assert both[1].phase_id in both[0].crystal_ids


def test_x_comes_as_a_list_a_range_or_as_published():
    for x in ([0.5, 1.0], {"start": 0.5, "stop": 1.0, "step": 0.5}):
        found = candidates({"family": "tacl5-na2s", "x": x})
        assert [c.variables for c in found] == [{"x": 0.5}, {"x": 1.0}]
    published = candidates({"family": "tacl5-na2s", "x": "published"})
    assert [c.variables["x"] for c in published] == [0.25, 0.5, 0.75, 1.0]


def test_a_crystal_belongs_to_the_point_of_its_composition_only():
    ends = candidates({"family": "na2o-natacl6", "former": ["NaTaCl6"], "x": [0.0, 0.5]})
    assert [(c.phase, c.phase_id) for c in ends] == [
        ("crystal", "NaTaCl6_P21c"),
        ("glass", None),
        ("glass", None),
    ]
    assert ends[1].crystal_ids == ("NaTaCl6_P21c",)
    assert ends[2].crystal_ids == ()


def test_a_crystal_that_was_asked_for_is_never_left_out():
    entry = {"family": "na2o-natacl6", "former": ["NaTaCl6"], "x": [0.0, 0.5, 1.0]}
    for phase in ("crystal", ["glass", "crystal"]):
        assert refused({"crystal": "NaCl_B1"}, entry | {"phase": phase}) == (
            "systems.1: family na2o-natacl6 has no crystal model at every point. "
            f"Given: phase {phase} at M = NaTaCl6, x = 0.5; M = NaTaCl6, x = 1. "
            "Allowed: crystal where the library holds a model of this composition. "
            "What to do: leave phase out to take what there is at each point, or take these "
            "points out of the entry."
        )
    (found,) = candidates(entry | {"phase": "crystal", "x": [0.0]})
    assert found.phase_id == "NaTaCl6_P21c"


def test_a_crystal_of_the_library_stands_for_itself():
    (salt,) = candidates({"crystal": "NaCl_B1"})
    assert (salt.label, salt.family, salt.phase) == ("NaCl crystal (NaCl_B1)", "crystal", "crystal")
    assert salt.mixture.composition == Composition("NaCl")
    assert salt.phase_note == "unverified: starting structure typed from memory"
    (searched,) = candidates({"crystal": "NaTaCl6_P21c"})
    assert "searched" in searched.phase_note


def test_own_components_make_a_pseudo_binary_and_a_ternary():
    binary = candidates({"components": {"NaCl": "1 - x", "NbCl5": "x"}, "x": [0.25, 0.5]})
    assert [c.mixture.composition for c in binary] == [
        Composition("Na0.75Nb0.25Cl2"),
        Composition("Na0.5Nb0.5Cl3"),
    ]
    (ternary,) = candidates({"components": {"NaCl": 1, "Na2S": 0.5, "HfCl4": 1}})
    assert ternary.mixture.composition == Composition("Na2S0.5HfCl5")
    assert ternary.family == "custom"
    assert [c.phase for c in (*binary, ternary)] == ["glass"] * 3


def test_unknown_components_need_states_and_volumes():
    entry = {"components": {"NaCl": 1, "MoCl5": 1}}
    assert "the oxidation states of MoCl5 are not known" in refused(entry)
    states = {"MoCl5": {"Mo": 5, "Cl": -1}}
    (found,) = candidates(entry | {"oxidation_states": states, "volumes_a3": {"MoCl5": 160.0}})
    assert found.mixture.composition == Composition("NaMoCl6")
    assert found.mixture.element_oxidation_states()["Mo"] == [5]


def test_equal_candidates_stand_once_in_the_order_of_the_file():
    found = candidates(
        {"family": "tacl5-na2s", "x": [1.0, 0.5]},
        {"components": {"Na2S": 1, "TaCl5": 2}},
        {"family": "tacl5-na2s", "x": [0.5]},
    )
    assert [c.label for c in found] == ["Na2S-TaCl5 glass", "0.5Na2S-TaCl5 glass"]


def test_published_values_come_along():
    glass, other = candidates({"family": "tacl5-na2s", "x": [0.5, 0.75]})
    assert glass.glass_transition_k == 466
    assert other.glass_transition_k is None
    assert any(row.quantity == "sigma_300k_ms_cm" and row.value == 2.9 for row in glass.literature)


X_REMEDY = "write x: [0.5, 1.0] or x: {start: 0.5, stop: 1.0, step: 0.25}."


@pytest.mark.parametrize(
    ("entry", "error", "start", "end"),
    [
        (
            {"family": "namocl5"},
            UnknownNameError,
            "unknown family. Given: namocl5. Allowed: na2o-natacl6, na2o2-mcly, namocl4, ",
            "did you mean namocl4 or na2o2-mcly or nayzrcl?",
        ),
        (
            {"crystal": "NaCl"},
            UnknownNameError,
            "unknown phase. Given: NaCl. Allowed: Cl2O_I41amd, ",
            "did you mean NaCl_B1 or NaTaOCl4_Cm or NaTaCl6_R-3?",
        ),
        (
            {"family": "namocl4", "former": ["V"]},
            CompositionError,
            "family namocl4 needs a network former of its list. Given: V. Allowed: Nb, Ta.",
            "give former.",
        ),
        (
            {"family": "namocl4", "x": [1]},
            SweepError,
            "family namocl4, which has no variable, takes no x. Given: {'family': 'namocl4', ",
            "remove x.",
        ),
        (
            {"family": "namocl4", "volumes_a3": {"NaCl": 40}},
            SweepError,
            "a family takes no volumes_a3. Given: ",
            "remove volumes_a3.",
        ),
        (
            {"family": "tacl5-na2s", "x": [9]},
            CompositionError,
            "x is out of the range of family tacl5-na2s. Given: 9.0. Allowed: 0.05 to 2.5.",
            "published: 0.25, 0.5, 0.75, 1.0.",
        ),
        (
            {"family": "tacl5-na2s", "x": []},
            SweepError,
            ".x gives no values. Given: nothing. Allowed: 0.05 to 2.5.",
            X_REMEDY,
        ),
        (
            {"components": {"NaCl": 1, "TaCl5": "x"}, "x": "published"},
            SweepError,
            ".x gives no values. Given: published. Allowed: 0 to 1e+06.",
            X_REMEDY,
        ),
        (
            {"family": "tacl5-na2s", "phase": "crystal"},
            SweepError,
            (
                " makes no candidate. Given: {'family': 'tacl5-na2s', 'phase': 'crystal'}. "
                "Allowed: a phase that the family has at these values."
            ),
            "look at `haloflow systems`; change phase, former or x.",
        ),
        (
            {"crystal": "NaCl_B1", "x": [1], "former": ["Ta"]},
            SweepError,
            "a crystal takes no x or former. Given: {'crystal': 'NaCl_B1', ",
            "remove x and former.",
        ),
        (
            {"components": {"NaCl": 1}, "former": ["Ta"]},
            SweepError,
            "an entry of components takes no former. Given: ",
            "remove former.",
        ),
        (
            {"components": {"NaCl": 1, "TaCl5": "x"}},
            SweepError,
            "amounts depend on x, which has no values. Given: {'NaCl': 1.0, 'TaCl5': 'x'}.",
            "add x: [0.5, 1.0].",
        ),
        (
            {"components": {"NaCl": 1, "TaCl5": 1}, "x": [1]},
            SweepError,
            "x has values, and no amount depends on it. Given: {'NaCl': 1.0, 'TaCl5': 1.0}.",
            "remove x, or use it in an amount.",
        ),
        (
            {"components": {"NaCl": 1}, "volumes_a3": {"TaCl5": 150}},
            SweepError,
            " describes what is no component of it. Given: TaCl5. Allowed: NaCl.",
            "write the formulas as under components.",
        ),
        (
            {"components": {"NaCl": 1, "TaCl5": "x + y"}, "x": [1]},
            CompositionError,
            (
                "the amount of TaCl5 cannot be read. Given: 'x + y'. Allowed: numbers, + - * /, "
                "parentheses and the variable x."
            ),
            "write it like 2.25 - x.",
        ),
        (
            {"components": {"NaCl": -1}},
            CompositionError,
            "the amount of NaCl is not possible. Given: -1.0.",
            "check the amounts and the range of the sweep variable.",
        ),
    ],
)
def test_an_entry_that_cannot_be_used_is_named(entry, error, start, end):
    good = {"crystal": "NaCl_B1"}
    with pytest.raises(error) as caught:
        candidates(good, entry)
    text = str(caught.value)
    assert text.startswith("systems.1")
    assert text.removeprefix("systems.1").removeprefix(": ").startswith(start)
    assert text.endswith(end)
