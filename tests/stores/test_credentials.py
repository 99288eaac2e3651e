"""URIs with and without what is secret in them."""

from __future__ import annotations

import pytest
from monty.json import MontyDecoder
from pymongo.errors import OperationFailure

from haloflow.errors import StoreError
from haloflow.settings import get_settings
from haloflow.stores import credentials
from haloflow.stores.credentials import has_password, remember, with_password, without_password
from haloflow.stores.mongodb import MongoDBStore, redacted, store_error

PLAIN = (
    "mongodb://host/db",
    "mongodb://one:1,two:2/db?replicaSet=r",
    "mongodb+srv://host/db",
    "mongodb://",
    "/some/folder",
)


@pytest.fixture(autouse=True)
def _own_settings(monkeypatch):
    monkeypatch.setattr(credentials, "_known", {})
    monkeypatch.delenv("HALOFLOW_STORE", raising=False)
    monkeypatch.delenv("HALOFLOW_STORE_FILE", raising=False)
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


@pytest.mark.parametrize("uri", PLAIN)
def test_without_a_user_nothing_is_changed(uri):
    assert without_password(uri) == with_password(uri) == uri
    assert not has_password(uri)


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("mongodb://me:pw@host/db", "mongodb://me@host/db"),
        ("mongodb+srv://me:p%40w@host/db?a=1", "mongodb+srv://me@host/db?a=1"),
        ("mongodb://me:pw@host", "mongodb://me@host"),
        (
            "mongodb://me@host/db?tlsCertificateKeyFilePassword=pw&authMechanism=MONGODB-X509",
            "mongodb://me@host/db?authMechanism=MONGODB-X509",
        ),
        (
            "mongodb://me:pw@host/?a=1&authMechanismProperties=AWS_SESSION_TOKEN:pw",
            "mongodb://me@host/?a=1",
        ),
    ],
)
def test_what_is_secret_is_taken_out_and_put_back(uri, shown):
    assert has_password(uri)
    assert without_password(uri) == shown
    remember(uri)
    assert with_password(shown) == uri
    assert with_password(uri) == uri


def test_another_database_of_the_same_servers_has_the_same_password():
    remember("mongodb://me:pw@one:1,two:2/db?authSource=admin")
    there = with_password("mongodb://me@TWO:2,one:1/other")
    assert there == "mongodb://me:pw@TWO:2,one:1/other?authSource=admin"


def test_a_password_that_nobody_knows_is_told_with_what_to_do():
    remember("mongodb://me:pw@elsewhere/db")
    for uri in ("mongodb://me@host/db", "mongodb://me@host/db?authMechanism=SCRAM-SHA-256"):
        with pytest.raises(StoreError, match="does not know the password") as caught:
            with_password(uri)
        assert "HALOFLOW_STORE_FILE" in str(caught.value)
    by_certificate = "mongodb://me@host/db?authMechanism=MONGODB-X509"
    assert with_password(by_certificate) == by_certificate


def test_the_settings_tell_it(monkeypatch, tmp_path):
    file = tmp_path / "store.uri"
    file.write_text("mongodb://me:of-file@host/db\n")
    file.chmod(0o600)
    monkeypatch.setenv("HALOFLOW_STORE_FILE", str(file))
    assert get_settings().store == "mongodb://me:of-file@host/db"
    assert with_password("mongodb://me@host/db") == "mongodb://me:of-file@host/db"
    get_settings.cache_clear()
    monkeypatch.setenv("HALOFLOW_STORE", "mongodb://you:of-variable@host/db")
    assert get_settings().store == "mongodb://you:of-variable@host/db"
    assert with_password("mongodb://you@host/db") == "mongodb://you:of-variable@host/db"


def test_a_serialized_store_has_none_and_finds_it_again():
    store = MongoDBStore("mongodb://me:pw@host/db", "outputs", "db")
    record = store.as_dict()
    assert "pw" not in str(record)
    again = MontyDecoder().process_decoded(record)
    again.connect()  # the driver looks for its server later
    assert again.uri == store.uri
    again.close()


@pytest.mark.parametrize(
    "option",
    [
        "authMechanismProperties=AWS_SESSION_TOKEN:s3cret",
        "tlsCertificateKeyFilePassword=s3cret",
        "proxyHost=h&proxyPassword=s3cret",
    ],
)
def test_messages_hold_no_secret_option(option):
    shown = redacted(f"mongodb://ada:s3cret@host/db?{option}&retryWrites=true")
    assert "s3cret" not in shown
    assert shown.startswith("mongodb://***@host/db?")
    assert shown.endswith("retryWrites=true")
    said = str(store_error(OperationFailure("no"), f"mongodb://host/db?{option}"))
    assert "s3cret" not in said
    assert "mongodb://host/db" in said
