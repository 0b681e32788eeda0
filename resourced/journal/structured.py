"""The one place that imports structlog.

structlog imports rich wherever it is installed, for tracebacks that a daemon never draws: 4.6 MB of memory. rich is
therefore hidden for the moment of the import, unless the program uses it already.
"""

import sys

if "rich" in sys.modules:
    import structlog
else:
    sys.modules["rich"] = None  # type: ignore[assignment]  # None makes `import rich` an ImportError
    try:
        import structlog
    finally:
        del sys.modules["rich"]

__all__ = ["structlog"]
