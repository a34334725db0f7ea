"""The project that the tests of the report make."""

from tests.report.conftest import made, root

__all__ = ["made", "root"]
