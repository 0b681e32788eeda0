"""What holds for every test."""

import signal

from hypothesis import settings

# A shell that starts the tests in the background makes them ignore SIGINT, and whatever they start would inherit that:
# programs that are to end at an interrupt would never do so.
signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes says nothing on a machine that does other things as well.
settings.register_profile("resourced", deadline=None)
settings.load_profile("resourced")
