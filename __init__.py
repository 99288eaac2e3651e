"""haloflow: high-throughput screening of sodium halide and oxyhalide solid electrolytes."""

from importlib.metadata import version

__version__ = version("haloflow")

__all__ = ["__version__"]
