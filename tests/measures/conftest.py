"""Property tests run the same examples each time, and are not timed: the machine may be busy."""

from hypothesis import settings

settings.register_profile("measures", deadline=None, derandomize=True)
settings.load_profile("measures")
