"""haloflow: high-throughput screening of sodium halide and oxyhalide solid electrolytes."""

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .client import Client

__version__ = version("haloflow")

__all__ = ["Client", "__version__"]


def __getattr__(name: str) -> Any:  # noqa: ANN401  (the protocol of modules)
    if name == "Client":
        from .client import Client  # noqa: PLC0415  (imports pymatgen)

        return Client
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
