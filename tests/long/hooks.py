"""What schemathesis leaves out of the requests that it makes; imported by it, not by the tests."""

from typing import Any

import schemathesis


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Do not wait a minute for a sample that is far in the future."""
    del context, kwargs
    if case.query:
        case.query.pop("wait", None)
