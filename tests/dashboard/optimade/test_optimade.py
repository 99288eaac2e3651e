"""The OPTIMADE endpoint: its own validator, its filters, and that it follows the store."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
import weakref
from contextlib import closing, contextmanager

import httpx
import many_candidates
import pytest
import sample_candidates
import uvicorn
from optimade.validator import ImplementationValidator

from haloflow.dashboard.app import create_app
from haloflow.dashboard.optimade import mirror as mirror_module
from haloflow.dashboard.optimade.app import create_optimade_app
from haloflow.dashboard.optimade.entries import described_fields
from haloflow.dashboard.optimade.mirror import EntryMirror
from haloflow.errors import DocumentError, StoreTimeoutError
from haloflow.stores.connection import open_store
from haloflow.stores.query import find_summaries
from haloflow.stores.records import summary_of
from haloflow.workflows.status import update_summaries

# optimade 1.5 reads the fields of a model on its instances
# and warns clients of properties of other providers, for which the validator asks
pytestmark = pytest.mark.filterwarnings(
    "ignore:Accessing the 'model_fields' attribute", "ignore:Field '_crazyprovider_field'"
)


@contextmanager
def answering(app, listening):
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off", ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()


@contextmanager
def filled_store(folder):
    with open_store(folder) as store:
        sample_candidates.fill(store)
        update_summaries(store)
        yield store


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with (
        filled_store(tmp_path_factory.mktemp("optimade")) as store,
        socket.create_server(("127.0.0.1", 0)) as listening,
    ):
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/optimade"
        app = create_app(store, optimade_url=url)
        with closing(app.state.optimade.state.mirror), answering(app, listening):
            yield store, url


def found(url, text, **more):
    answer = httpx.get(f"{url}/v1/structures", params={"filter": text, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_validator_of_optimade_is_content(served, capsys):
    validator = ImplementationValidator(base_url=served[1], run_optional_tests=False)
    validator.validate_implementation()
    assert validator.valid, capsys.readouterr().out
    assert validator.results.success_count > 30
    assert validator.results.failure_count == validator.results.internal_failure_count == 0


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('_haloflow_phase="glass"', "phase == glass"),
        ("_haloflow_e_hull < 0.05", "e_hull < 0.05 and e_hull != none"),
        ('_haloflow_sigma_status="ok"', "sigma_status == ok"),
        ("_haloflow_sigma IS UNKNOWN", "sigma == none"),
        ('elements HAS ALL "Na","Ta","O" AND nelements=4', "chemsys == Cl-Na-O-Ta"),
        ('_haloflow_label CONTAINS "-0.5Na2S"', 'label ~ "-0[.]5Na2S"'),
        ('_haloflow_label ENDS WITH "glass"', 'label ~ "glass$"'),
        ('_haloflow_label STARTS WITH "TaCl5"', 'label ~ "^TaCl5"'),
    ],
)
def test_filters_find_what_the_store_finds(served, text, where):
    store, url = served
    names = {entry["attributes"]["_haloflow_label"] for entry in found(url, text)["data"]}
    with_structure = {e["attributes"]["_haloflow_label"] for e in found(url, "nsites>0")["data"]}
    expected = {one.label for one in find_summaries(store.summaries, [where])}
    assert names == expected & with_structure
    assert names


def test_text_in_a_filter_is_no_pattern(served):
    assert found(served[1], '_haloflow_label CONTAINS "Na.aOCl4"')["data"] == []
    assert found(served[1], '_haloflow_label CONTAINS "(a+)+$"')["data"] == []


def test_entry_is_the_relaxed_structure_with_our_numbers(served):
    _, url = served
    (entry,) = found(url, 'id="NaTaClO-glass-11aa22bb-seed1"')["data"]
    candidate = next(c for c in sample_candidates.candidates() if c[0].candidate_id in entry["id"])
    relaxed = next(d for d in candidate[1].values() if d.kind == "relax")
    attributes = entry["attributes"]
    assert attributes["nsites"] == len(relaxed.structure)
    assert attributes["species_at_sites"] == [str(s.specie.symbol) for s in relaxed.structure]
    assert attributes["cartesian_site_positions"] == relaxed.structure.cart_coords.tolist()
    assert attributes["_haloflow_sigma_status"] == "ok"


def test_every_field_of_ours_is_described_with_its_unit(served):
    properties = httpx.get(f"{served[1]}/v1/info/structures").json()["data"]["properties"]
    for field in described_fields():
        assert properties[field["name"]]["description"] == field["description"]
        assert properties[field["name"]].get("unit") == field.get("unit")


def test_other_sites_cannot_read_it_and_no_page_asks_other_sites(served):
    url = served[1]
    answer = httpx.get(f"{url}/v1/structures", headers={"Origin": "http://elsewhere.example"})
    assert answer.status_code == 200
    assert "access-control-allow-origin" not in answer.headers
    for path in ("", "/v1", "/v1/extensions/docs", "/v1/extensions/redoc"):
        assert httpx.get(url + path).status_code == 404


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("page_limit=x", 400),
        ("page_offset=-1", 400),
        ("page_offset=99999999999999999999999", 400),
        ("page_number=x", 400),
        ("page_above=a", 400),
        ("page_below=a", 200),
        ("page_cursor=a", 400),
        ("sort=-nothing", 400),
        ("sort=$where", 400),
        ("response_fields=$where", 400),
        ("response_fields=_haloflow_nothing", 200),
        ("response_format=xml", 400),
        ("api_hint=v9", 200),
        ("nothing=1", 400),
        ("filter=elements HAS " + '"' + "N" * 3000 + '"', 200),
        ("filter=((((((((((((((nsites=1))))))))))))))", 200),
        ('filter=label ENDS WITH "((("', 400),
        ('filter=chemical_formula_reduced CONTAINS "((("', 200),
        ("filter=nsites=99999999999999999999999", 400),
        ("filter=_haloflow_e_hull=1e999", 200),
    ],
)
def test_wrong_parameters_are_named_and_nothing_else_is_told(served, query, status):
    answer = httpx.get(f"{served[1]}/v1/structures?{query}")
    assert answer.status_code == status, answer.text[-500:]
    assert "site-packages" not in answer.text
    if status >= 400:
        assert answer.json()["errors"][0]["detail"]


@pytest.mark.parametrize("text", ['$where="1"', "elements HAS", "_haloflow_nothing=1 AND"])
def test_bad_filters_are_refused(served, text):
    answer = httpx.get(f"{served[1]}/v1/structures", params={"filter": text})
    assert answer.status_code == 400
    assert answer.json()["errors"]


def test_page_limit_is_bounded(served):
    answer = httpx.get(f"{served[1]}/v1/structures", params={"page_limit": 100_000})
    assert answer.status_code == 403


def test_entries_follow_the_store(tmp_path):
    candidates = sample_candidates.candidates()
    with open_store(tmp_path) as store:
        sample_candidates.fill(store, candidates[:1])
        update_summaries(store)
        with closing(EntryMirror(store)) as mirror:
            mirror.refresh()
            before = {row["id"] for row in mirror.entries.query()}
            sample_candidates.fill(store, candidates)
            update_summaries(store)
            mirror.refresh()
            after = {row["id"] for row in mirror.entries.query()}
            gone = candidates[0][0].candidate_id
            store.summaries.remove_docs({"candidate_id": gone})
            mirror.refresh()
            left = {row["id"] for row in mirror.entries.query()}
    assert before < after
    assert left == after - before
    assert not any(name.startswith(gone) for name in left)


def test_of_summaries_as_they_were_only_keys_and_dates_are_read(tmp_path, monkeypatch):
    with filled_store(tmp_path) as store, closing(EntryMirror(store)) as mirror:
        mirror.refresh()
        count = mirror.entries.count()
        monkeypatch.setattr(store.summaries, "query", None)
        monkeypatch.setattr(store.candidates, "query", None)
        mirror.refresh()
        assert mirror.entries.count() == count > 1


def test_few_summaries_are_held_at_a_time(tmp_path, monkeypatch):
    alive, most = [], []

    def counted(row):
        made = summary_of(row)
        alive.append(weakref.ref(made))
        most.append(sum(one() is not None for one in alive))
        return made

    monkeypatch.setattr(mirror_module, "_BATCH", 3)
    monkeypatch.setattr(mirror_module, "summary_of", counted)
    template, documents = sample_candidates.searched_crystal()
    relaxed = {name: one for name, one in documents.items() if name.startswith("relax")}
    copies = [template.model_copy(update={"candidate_id": f"c{n:02}"}) for n in range(20)]
    with open_store(tmp_path) as store:
        many_candidates.fill(store, 20)  # of these there are no structures
        sample_candidates.fill(store, [(one, relaxed) for one in copies])
        update_summaries(store)
        with closing(EntryMirror(store)) as mirror:
            mirror.refresh()
            assert mirror.entries.count() == 20 * len(relaxed)
    assert len(alive) == 20
    assert max(most) <= 6


def test_first_answer_waits_for_the_entries_and_trouble_is_told(tmp_path, monkeypatch):
    with filled_store(tmp_path) as store:
        with closing(EntryMirror(store)) as mirror:
            go_on = threading.Event()
            renew = mirror._renew
            monkeypatch.setattr(mirror, "_renew", lambda some: (go_on.wait(20), renew(some)))
            assert mirror.wait(0.05) is False
            go_on.set()
            assert mirror.wait(20) is True
        store.summaries.update({**store.summaries.query_one({}), "n_atoms": "many"})
        with closing(EntryMirror(store)) as broken, pytest.raises(DocumentError, match="not valid"):
            broken.wait(20)


def test_settings_of_another_server_are_not_obeyed(tmp_path):
    """Neither its file at home nor its variables, and no logs but ours."""
    foreign = {"debug": True, "root_path": "/elsewhere", "log_dir": str(tmp_path / "logs")}
    foreign |= {"database_backend": "mongodb", "mongo_uri": "mongodb://127.0.0.1:1"}
    (tmp_path / ".optimade.json").write_text(json.dumps(foreign))
    look = (
        "from haloflow.dashboard.optimade.app import _config; import optimade.server.main_index;"
        "c = _config(None); print(c.debug, c.root_path, c.database_backend.value, c.page_limit_max)"
    )
    environment = {**os.environ, "HOME": str(tmp_path), "OPTIMADE_PAGE_LIMIT_MAX": "7"}
    shown = subprocess.run(
        [sys.executable, "-c", look], env=environment, check=True, capture_output=True, text=True
    )
    assert shown.stdout == "False None mongomock 500\n"
    assert not (tmp_path / "logs").exists()


def test_a_store_that_is_late_is_no_fault_and_leaves_no_half_answer(tmp_path, monkeypatch):
    monkeypatch.setattr(mirror_module, "_BATCH", 3)
    with (
        filled_store(tmp_path / "store") as store,
        socket.create_server(("127.0.0.1", 0)) as listening,
    ):
        app = create_optimade_app(store)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1/structures"
        with closing(app.state.mirror) as mirror, answering(app, listening):
            renew, asked = mirror._renew, []

            def late_once(some):
                asked.append(some)
                if len(asked) == 2:
                    raise StoreTimeoutError("the store took longer than 5 s")
                renew(some)

            monkeypatch.setattr(mirror, "_renew", late_once)
            first = httpx.get(url)
            assert first.status_code == 503
            assert first.headers["Retry-After"] == "5"
            assert first.json()["errors"][0]["detail"].startswith("the store cannot be used now")
            second = httpx.get(url, timeout=30)
            assert second.status_code == 200
            assert second.json()["meta"]["data_returned"] == mirror.entries.count() > 3
