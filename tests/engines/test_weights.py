"""Where weights come from: wheels, files, downloads over a real socket."""

import threading
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from haloflow.engines.potential_loaders import optional_package
from haloflow.engines.weights import (
    CachedDownload,
    LocalFile,
    ModuleSource,
    WheelFile,
    cached_sha256,
    package_version,
)
from haloflow.errors import MissingDependencyError, PotentialError


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@contextmanager
def serving(handler):
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=partial(running.serve_forever, poll_interval=0.01))
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()
        thread.join()


@pytest.fixture
def server(tmp_path):
    (tmp_path / "served").mkdir()
    with serving(partial(Quiet, directory=tmp_path / "served")) as url:
        yield tmp_path / "served", url


def test_download_happens_once(server, tmp_path, monkeypatch):
    folder, url = server
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (folder / "2023-a_model.model").write_bytes(b"weights" * 1000)
    source = CachedDownload(f"{url}/2023-a_model.model")
    assert not source.present()
    path = source.obtain()
    assert path == tmp_path / "cache" / "mace" / "2023a_modelmodel"
    assert path.read_bytes() == b"weights" * 1000
    (folder / "2023-a_model.model").unlink()
    assert source.obtain() == path
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_failed_download_says_where_to_put_the_file(server, tmp_path, monkeypatch):
    _, url = server
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    source = CachedDownload(f"{url}/absent.model")
    with pytest.raises(PotentialError) as caught:
        source.obtain()
    text = str(caught.value)
    assert "the weights are not on this machine and cannot be downloaded" in text
    assert "404" in text
    assert str(tmp_path / "cache" / "mace" / "absentmodel") in text
    assert "give any local file as mace:PATH" in text
    assert list((tmp_path / "cache" / "mace").iterdir()) == []


class Careless(Quiet):
    """Sends half of each file, and its length if the file's name says so."""

    def do_GET(self):
        self.send_response(200)
        if "length" in self.path:
            self.send_header("Content-Length", "2000")
        if "chunked" in self.path:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"7d0\r\n" * ("chunked" in self.path) + b"w" * 1000)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("length", "1000 bytes came, 2000 were announced"),
        ("nothing", "1000 bytes came, an unknown number were announced"),
        ("chunked", "IncompleteRead"),
    ],
)
def test_a_body_that_ends_early_is_refused_and_not_kept(tmp_path, monkeypatch, name, reason):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with serving(Careless) as url:
        source = CachedDownload(f"{url}/{name}.model")
        with pytest.raises(PotentialError, match="cannot be downloaded") as caught:
            source.obtain()
    assert reason in str(caught.value)
    assert not source.present()
    assert list((tmp_path / "cache" / "mace").iterdir()) == []


def test_nobody_answers(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(PotentialError, match="refused"):
        CachedDownload("http://127.0.0.1:9/x.model").obtain()


def test_wheel_file_that_is_gone():
    with pytest.raises(PotentialError, match="does not hold the weights") as caught:
        WheelFile("chgnet", "pretrained/9.9/x.pth.tar", "chgnet").obtain()
    assert "--force-reinstall" in str(caught.value)


def test_wheel_that_is_not_installed():
    source = WheelFile("no_such_module", "x.pth", "sevennet")
    assert not source.present()
    with pytest.raises(MissingDependencyError, match="no_such_module is needed for this potential"):
        source.obtain()


def test_version_of_a_package_that_is_not_installed():
    with pytest.raises(MissingDependencyError, match=r"haloflow\[nep\]"):
        package_version("no-such-package", "nep")


def test_import_that_fails_names_the_extra():
    with (
        pytest.raises(MissingDependencyError, match="the package no_such_module is needed"),
        optional_package("other", "mace"),
    ):
        __import__("no_such_module")


def test_local_file(tmp_path):
    source = LocalFile(tmp_path / "x.model")
    with pytest.raises(PotentialError, match="correct the path"):
        source.obtain()
    source.path.write_bytes(b"x")
    assert source.obtain() == source.path


def test_module_sources_of_every_kind(tmp_path, monkeypatch):
    package = tmp_path / "own_package"
    (package / "inner").mkdir(parents=True)
    for path in ("__init__.py", "inner/__init__.py", "inner/leaf.py", "fast.cpython.so"):
        (package / path).write_text("raise RuntimeError('executed')")
    (tmp_path / "single.py").write_text("raise RuntimeError('executed')")
    monkeypatch.syspath_prepend(tmp_path)
    found = {
        "own_package": package / "__init__.py",
        "own_package.inner": package / "inner" / "__init__.py",
        "own_package.inner.leaf": package / "inner" / "leaf.py",
        "own_package.fast": package / "fast.cpython.so",
        "single": tmp_path / "single.py",
    }
    for module, path in found.items():
        assert ModuleSource(module).obtain() == path
    assert not ModuleSource("own_package.absent").present()


def test_hash_follows_the_content(tmp_path):
    file = tmp_path / "w"
    file.write_bytes(b"one")
    first = cached_sha256(file)
    assert cached_sha256(file) == first
    file.write_bytes(b"three")
    assert cached_sha256(file) != first
