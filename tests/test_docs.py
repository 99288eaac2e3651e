"""Every code block of README and docs: executed, or marked on the page and checked to be valid."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys

import pytest
import yaml
from page_blocks import NOT_RUN, PAGES, ROOT, all_blocks, blocks_of
from pymatgen.core import Composition
from sample_candidates import candidates, fill
from typer.main import get_command
from typer.testing import CliRunner

from haloflow.cli.main import app
from haloflow.makers.protocol import MeltQuenchProtocol
from haloflow.quantity import Status
from haloflow.settings import get_settings
from haloflow.stores.connection import open_store
from haloflow.systems.families import Family
from haloflow.systems.phases import Phase
from haloflow.workflows.plan import plan_sweep
from haloflow.workflows.sweep import Sweep, load_sweep, parse_sweep

DOCS = ROOT / "docs"
LANGUAGES = {"python", "bash", "yaml", "text", "{toctree}"}
PYTHON_PAGES = [page for page in PAGES if any(b.language == "python" for b in blocks_of(page))]


def ids(blocks):
    return {"argvalues": blocks, "ids": [block.id for block in blocks]}


def name_of(document):
    return Composition(document.formula).reduced_formula, document.phase


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """A folder as a reader has it after a run of the quickstart: the example and a store."""
    folder = tmp_path_factory.mktemp("reader")
    shutil.copytree(ROOT / "examples", folder / "examples")
    plan = plan_sweep(load_sweep(folder / "examples" / "quickstart.yaml"))
    planned = {name_of(c.document): c.document for c in plan.candidates}
    pairs = []
    for sample, documents in candidates():
        steps = planned[name_of(sample)].steps
        own = {
            n: d.model_copy(update={"identity": steps[n], "files": []})
            for n, d in documents.items()
        }
        pairs.append((planned[name_of(sample)], own))
    with open_store(folder / "haloflow-store") as store:
        fill(store, pairs)
    return folder


@pytest.fixture
def reader(prepared, tmp_path, monkeypatch):
    """A copy of that folder as the current one, and settings as they are by default."""
    folder = tmp_path / "reader"
    shutil.copytree(prepared, folder)
    for name in type(get_settings()).model_fields:
        monkeypatch.delenv(f"HALOFLOW_{name.upper()}", raising=False)
    get_settings.cache_clear()
    monkeypatch.chdir(folder)
    yield folder
    get_settings.cache_clear()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_says_what_it_is(page):
    assert {block.language for block in blocks_of(page)} <= LANGUAGES
    markers = [line for line in page.read_text().splitlines() if NOT_RUN.fullmatch(line)]
    assert markers == [block.not_run for block in blocks_of(page) if block.not_run]


@pytest.mark.parametrize("page", PYTHON_PAGES, ids=lambda page: page.name)
def test_python_blocks_run_in_order(page, reader):
    namespace = {"__name__": "page"}
    for block in blocks_of(page):
        if block.language != "python":
            continue
        text = "\n" * block.line + block.text  # tracebacks name the line of the page
        if block.not_run:
            tree = ast.parse(text)
            imports = [n for n in tree.body if isinstance(n, ast.Import | ast.ImportFrom)]
            assert imports
            text = ast.Module(imports, [])
        exec(compile(text, str(page), "exec"), namespace)  # noqa: S102  (that is the test)


@pytest.mark.parametrize("block", **ids([b for b in all_blocks("bash") if not b.not_run]))
def test_shell_blocks_run(block, reader):
    for words in block.commands():
        assert words[0] == "haloflow", f"{block.id} must be marked as not run"
        result = CliRunner().invoke(app, words[1:])
        assert result.exit_code == 0, f"{block.id}: {' '.join(words)}\n{result.output}"
        assert result.output.strip()


@pytest.mark.parametrize("block", **ids([b for b in all_blocks("bash") if b.not_run]))
def test_commands_that_are_not_run_exist(block):
    for words in block.commands():
        match words:
            case ["haloflow", name, *rest]:
                command = get_command(app).commands[name]
                command.make_context(name, rest).close()
            case ["make", target]:
                assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
            case ["pip", "install", "-c", "constraints.txt", wanted]:
                package, _, extras = wanted.rstrip("]").partition("[")
                text = (ROOT / "pyproject.toml").read_text()
                known = text.partition("[project.optional-dependencies]")[2]
                assert package == "haloflow"
                assert all(f"\n{extra} = [" in known for extra in extras.split(","))
            case ["export", assignment]:
                name = assignment.partition("=")[0].removeprefix("HALOFLOW_").lower()
                assert name in type(get_settings()).model_fields
            case _:
                assert words == ["source", ".venv/bin/activate"]


@pytest.mark.parametrize("block", **ids(all_blocks("yaml")))
def test_yaml_blocks_are_what_they_show(block):
    data = yaml.safe_load(block.text)
    if isinstance(data, list):
        model = Phase if "sites" in data[0] else Family
        for row in data:
            model.model_validate(row)
        return
    whole = {"name": "fragment", "systems": [{"family": "namocl4", "former": ["Ta"]}]}
    sweep = parse_sweep(whole | data, block.id)
    if not block.not_run:
        assert plan_sweep(sweep).candidates


def test_the_extended_sweep_of_the_tour_reuses_what_the_quickstart_did():
    fragment = next(b for b in all_blocks("yaml") if b.page.name == "README.md")
    quickstart = yaml.safe_load((ROOT / "examples" / "quickstart.yaml").read_text())
    before = plan_sweep(parse_sweep(quickstart))
    after = plan_sweep(parse_sweep(quickstart | yaml.safe_load(fragment.text)))
    assert before.steps.keys() < after.steps.keys()
    kept = {c.document.candidate_id for c in before.candidates}
    assert kept < {c.document.candidate_id for c in after.candidates}


def test_the_extended_sweep_of_the_tour_realises_the_compositions_it_names():
    fragment = next(b for b in all_blocks("yaml") if b.page.name == "README.md")
    quickstart = yaml.safe_load((ROOT / "examples" / "quickstart.yaml").read_text())
    plan = plan_sweep(parse_sweep(quickstart | yaml.safe_load(fragment.text)))
    assert not [note for c in plan.candidates for note in c.notes if "asked one" in note]


def test_the_packing_density_of_the_docs_is_that_of_the_protocol():
    scale = MeltQuenchProtocol().density_scale
    assert f"at {scale:g} of the density" in (DOCS / "glasses.md").read_text()


def sections(model, path=""):
    """Yield (path, field name, field) of a model and of all models inside it."""
    for name, field in model.model_fields.items():
        yield path, name, field
        for inner in models_in(field.annotation):
            yield from sections(inner, f"{path}.{name}" if path else name)


def models_in(annotation):
    if hasattr(annotation, "model_fields"):
        return [annotation]
    return [m for inner in getattr(annotation, "__args__", ()) for m in models_in(inner)]


def test_the_sweep_reference_holds_every_field_with_its_meaning():
    page = (DOCS / "sweep.md").read_text().partition("## Every field")[2]
    by_section = dict(re.findall(r"### `?([\w.\[\]]+)`?\n(.*?)(?=\n### |\Z)", page, re.DOTALL))
    by_section = {name.replace("[]", ""): text for name, text in by_section.items()}
    found = list(sections(Sweep))
    assert len(found) > 50
    for path, name, field in found:
        assert field.description, f"{path}.{name} has no description"
        assert f"| `{name}` |" in by_section[path or "Top"], f"{path}.{name}"


def test_generated_parts_are_up_to_date():
    done = subprocess.run(
        [sys.executable, "docs/generate.py", "--check"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout}{done.stderr}run python docs/generate.py"


def test_every_status_is_explained():
    page = (DOCS / "concepts.md").read_text()
    assert re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)[-len(Status) :] == [*Status]


def test_links_of_the_readme_lead_somewhere():
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md"):
        links = re.findall(r"\]\((?!https?://)([^)#]+)", page.read_text())
        assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_readme_shows_the_real_output_of_the_quickstart():
    text = (ROOT / "README.md").read_text()
    shown = text.partition("<!-- run-output:begin -->")[2].partition("<!-- run-output:end -->")[0]
    for document in plan_sweep(load_sweep(ROOT / "examples" / "quickstart.yaml")).candidates:
        assert document.document.label.partition(" (")[0] in " ".join(shown.split())


def test_the_pages_build_without_a_warning(tmp_path):
    arguments = ["-W", "--keep-going", "-q", "-b", "html", DOCS, tmp_path / "html"]
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-d", tmp_path / "doctrees", *arguments],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for page in DOCS.glob("*.md"):
        assert (tmp_path / "html" / f"{page.stem}.html").exists()
