"""What is used of ``maggma.api``: its resource, its query operators, and how they join.

maggma calls the module deprecated in favour of emmet-api, a server of its own with many more
dependencies. All that depends on it goes through here.
"""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "The maggma.api module has been deprecated")
    warnings.filterwarnings("ignore", "Support for class-based `config` is deprecated")
    from maggma.api.query_operator import QueryOperator
    from maggma.api.resource import ReadOnlyResource, attach_query_ops
    from maggma.api.utils import merge_queries
    from maggma.core import Store

__all__ = ["QueryOperator", "ReadOnlyResource", "Store", "attach_query_ops", "merge_queries"]
