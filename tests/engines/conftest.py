"""The runs of ``md_cases.py``, which is also the script of the processes that are killed."""

import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("md_cases.py")


@pytest.fixture(scope="session")
def md_cases():
    spec = importlib.util.spec_from_file_location("md_cases", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
