"""Filters, fields and the ranking of summaries."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haloflow.errors import InputError, UnknownNameError
from haloflow.quantity import Quantity, Status
from haloflow.stores.documents import CandidateSummary
from haloflow.stores.embedded import SqliteStore
from haloflow.stores.fields import FIELDS, get_field, rows
from haloflow.stores.filters import parse_filter, parse_filters
from haloflow.stores.query import find_summaries, rank
from haloflow.stores.records import summary_record

LEVELS = ["level_hull", "level_md"]
UNKNOWN = Quantity(status=Status.UNCONVERGED, note="not computed yet")
E_HULL, SIGMA = "energy_above_hull_ev_per_atom", "sigma_300k_ms_cm"


def a_summary(name, e_hull=UNKNOWN, sigma=UNKNOWN, **fields):
    defaults = {
        "candidate_id": name,
        "label": f"label {name}",
        "family": "natmocl4",
        "formula": "NaTaOCl4",
        "chemsys": "Cl-Na-O-Ta",
        "phase": "glass",
        "levels": {"hull": "chgnet"},
        "n_atoms": 42,
        "n_mobile": 6,
        E_HULL: e_hull,
        "reaction_energy_ev_per_atom": UNKNOWN,
        SIGMA: sigma,
        "activation_energy_ev": Quantity(0.3),
    }
    return CandidateSummary(**(defaults | fields))


SUMMARIES = [
    a_summary("a", Quantity(0.02), Quantity(2.0, 0.5, 1.0, 4.0), variables={"x": 0.5}),
    a_summary("b", Quantity(0.08), Quantity(9.0, 3.0, 3.0, 27.0), phase="crystal"),
    a_summary("c", Quantity(0.2), Quantity(50.0, 5.0, 40.0, 60.0), formula="Na2ZrCl6"),
    a_summary("d", Quantity(0.05), sweeps=["first"], melted=True),
    a_summary("e", Quantity(-0.01), Quantity(1.0, None, None, None), sweeps=["first", "second"]),
    a_summary(
        "f",
        diffusivity_cm2_s={"600K": Quantity(1e-6, status=Status.FAILED)},
        sigma=Quantity(None, None, None, 0.3, Status.UNCONVERGED),
        melted=False,
    ),
]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with SqliteStore(tmp_path_factory.mktemp("query"), "summaries", key="candidate_id") as opened:
        opened.update([summary_record(summary) for summary in SUMMARIES])
        yield opened


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("e_hull <= 0.05", "ade"),
        ("e_hull<=0.1 and phase==glass", "ade"),
        ("e_hull <= 0.1 and not (phase = crystal or sigma > 1)", "de"),
        ("E_HULL<0 or sigma_upper < 1".replace("E_HULL", "e_hull"), "ef"),
        ("not sigma_status == ok", "df"),
        ("sigma == none", "df"),
        ("sigma != None and sigma_lower >= 3", "bc"),
        ("id in (a, 'c', \"zz\")", "ac"),
        ("n_atoms in (41, 42.0) AND e_hull IN (0.02, -1e-2)", "ae"),
        ("formula ~ 'Na.*Cl6$'", "c"),
        ("label ~ label", "abcdef"),
        ('label == "label b"', "b"),
        ("sweep == first", "de"),
        ("sweep ~ ^sec", "e"),
        ("melted == true", "d"),
        ("melted != false and phase == glass", "acde"),
        ("var.x >= 0.5", "a"),
        ("d_600K_status == failed", "f"),
        ("d_600k > 1e-7 and chemsys == Cl-Na-O-Ta", "f"),
        ("((id == a))", "a"),
        ("id==a or id==b and id==c", "a"),
    ],
)
def test_filters_find_what_they_say(store, text, found):
    assert "".join(one.candidate_id for one in find_summaries(store, [text])) == found


def test_several_filters_must_all_hold(store):
    found = find_summaries(store, ["e_hull <= 0.1", "phase == glass", "sigma > 0"])
    assert [one.candidate_id for one in found] == ["a", "e"]
    assert parse_filters([]) == {}


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ((), "abcdef"),
        (("e_hull",), "eadbcf"),
        (("-e_hull",), "cbdaef"),
        (("sigma",), "eabcdf"),
        (("-sigma",), "cbaedf"),
        (("phase", "-e_hull"), "bcdaef"),
        (("-phase", "e_hull"), "eadcfb"),
    ],
)
def test_what_is_unknown_sorts_last_both_ways(store, sort, order):
    assert "".join(one.candidate_id for one in find_summaries(store, sort=sort)) == order
    assert (
        "".join(one.candidate_id for one in find_summaries(store, sort=sort, limit=2)) == order[:2]
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the filter needs a field where it ends. Given: . Allowed: e.g. e_hull <= 0.1 and"),
        ("e_hull", "the filter needs a comparison after e_hull where it ends."),
        ("e_hull <=", "the filter needs a value for e_hull where it ends."),
        ("e_hull <= )", "the filter needs a value for e_hull where ')'."),
        ("e_hull 0.1", "the filter has '0.1' after e_hull, which compares nothing."),
        ("(e_hull < 1", "the filter lacks a closing parenthesis. Given: (e_hull < 1."),
        ("e_hull < 1)", "the filter has ')' where it should end."),
        ("e_hull < 1 phase == glass", "the filter has 'phase' where it should end."),
        ("id in a", "the filter needs a list in parentheses after 'in'."),
        ("id in (a b)", "the filter lacks a closing parenthesis."),
        ("label == 'open", 'the filter cannot be read at "\'open".'),
        ("label == a !", "the filter cannot be read at '!'."),
        (
            "e_hull <= low",
            "the field e_hull cannot be compared so. Given: <= low. Allowed: == != < ",
        ),
        ("e_hull == '0.1'", "the field e_hull cannot be compared so. Given: == 0.1."),
        ("e_hull ~ 0.1", "the field e_hull cannot be compared so. Given: ~ 0.1."),
        ("e_hull < none", "the field e_hull cannot be compared so. Given: < none."),
        ("e_hull == true", "the field e_hull cannot be compared so. Given: == true."),
        ("label < b", "the field label cannot be compared so. Given: < b. Allowed: == != ~ in, wi"),
        ("melted == yes", "the field melted cannot be compared so. Given: == yes. Allowed: == and"),
        ("label ~ '('", "not a regular expression for label: missing ), unterminated subpattern"),
    ],
)
def test_filters_that_make_no_sense_are_refused(text, message):
    with pytest.raises(InputError) as caught:
        parse_filter(text)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ehull < 1", "unknown field. Given: ehull. Allowed: "),
        (
            "phase == glas",
            "unknown value of phase. Given: glas. Allowed: crystal, glass. What to do",
        ),
        ("sigma_status == okay", "unknown value of sigma_status. Given: okay. Allowed: crystallis"),
    ],
)
def test_unknown_names_are_refused_with_suggestions(text, message):
    with pytest.raises(UnknownNameError) as caught:
        parse_filter(text)
    assert str(caught.value).startswith(message)
    assert "did you mean" in str(caught.value)


@given(st.text(alphabet="aeh_ul<>=!~()'\"., \t01-ninotrd", max_size=30))
def test_any_text_is_a_filter_or_an_input_error(text):
    try:
        found = parse_filter(text)
    except InputError:  # the other answer
        return
    assert isinstance(found, dict)
    assert found


def test_a_negative_limit_is_refused(store):
    with pytest.raises(InputError) as caught:
        find_summaries(store, limit=-1)
    text = "a limit cannot be negative. Given: -1. Allowed: 0 for all, or more."
    assert str(caught.value) == text


def test_every_field_leads_into_a_summary():
    full = a_summary(
        "full",
        phase_id="p",
        energy_above_crystal_ev_per_atom=Quantity(0.1),
        density_g_cm3=Quantity(2.0),
        reduction_limit_v=Quantity(1.6),
        oxidation_limit_v=Quantity(4.1),
        sigma_collective_300k_ms_cm=Quantity(3.0),
        haven_ratio=Quantity(0.7),
        anisotropy=Quantity(2.0),
        bridging_fraction=Quantity(0.8),
        mean_chain_length=Quantity(3.5),
        t1_ms=Quantity(1.2),
        corner_barrier_chalcogenide_ev=Quantity(0.3),
        corner_barrier_halide_ev=Quantity(0.4),
        ensemble_above_hull_ev_per_atom=Quantity(0.05),
    )
    for name, field in FIELDS.items():
        assert field.name == name == get_field(name).name
        value = field.of(full)
        if field.type == "text" and field.name != "updated":
            assert isinstance(value, str), name
            assert not field.allowed or value in field.allowed
        elif field.type == "number" and value is not None:
            assert isinstance(value, (int, float)), name
        assert field.path.split(".")[0] in CandidateSummary.model_fields
    assert get_field("e_hull").header == "E_hull (eV/atom)"
    assert get_field("phase").header == "phase"


def test_rows_are_plain_mappings():
    found = rows(SUMMARIES[-1:], ["id", "sigma", "sigma_upper", "var.x", "d_600K", "d_700K_lower"])
    expected = {"id": "f", "sigma": None, "sigma_upper": 0.3, "var.x": None, "d_600K": 1e-6}
    assert found == [{**expected, "d_700K_lower": None}]
    assert rows(SUMMARIES[:1])[0]["sigma_status"] == "ok"
    levels = rows([SUMMARIES[0].model_copy(update={"levels": {"md": "a, b"}})], LEVELS)
    assert levels == [{"level_hull": None, "level_md": "a, b"}]


def test_the_ranking_screens_then_takes_the_lower_bound_and_drops_nothing():
    found = rank(reversed(SUMMARIES))
    assert [(one.summary.candidate_id, one.rank) for one in found] == [
        ("b", 1),  # passes, lower bound 3
        ("a", 2),  # passes, lower bound 1
        ("e", 3),  # passes, but without a lower bound
        ("c", 4),  # too far above the hull, whatever its conductivity
        ("d", None),
        ("f", None),
    ]
    strict = rank(SUMMARIES, max_energy_above_hull_ev_per_atom=0.03)
    assert [one.summary.candidate_id for one in strict[:4]] == ["a", "e", "c", "b"]


def test_below_the_line_trust_comes_first():
    bound = Quantity(None, None, 0.1, 0.3, Status.UNCONVERGED)
    tg = Quantity(5.0, 1.0, 3.0, 8.0, Status.EXTRAPOLATED_THROUGH_TG)
    found = rank(
        [
            a_summary("diverged", Quantity(0.0, status=Status.DIVERGED), Quantity(9.0)),
            a_summary("bound", Quantity(0.0), bound),
            a_summary("tg", Quantity(0.0), tg),
            a_summary("empty", Quantity(0.0), Quantity(None)),
            a_summary("nothing"),
        ]
    )
    assert [one.summary.candidate_id for one in found] == [
        *("tg", "bound", "empty", "nothing", "diverged")
    ]
    assert {one.rank for one in found} == {None}
    assert math.isclose(found[1].summary.sigma_300k_ms_cm.upper, 0.3)
