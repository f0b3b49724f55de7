"""Errors that a user can fix, kept apart from bugs so that the command line prints them without a traceback."""


class UserError(Exception):
    """An error that the user can fix; the message says what is wrong, where, and what to do."""


class DataError(UserError):
    """A data file is broken; the message begins with `file:line:` if there is a line."""


class ConfigError(UserError):
    """The configuration cannot work; the message names the key and the fix."""


class RankLost(UserError):
    """Another rank of the run has ended, such as one killed for lack of memory: the run was interrupted, not failed."""

    def __init__(self) -> None:
        super().__init__(
            "another rank of this run has ended; what it said is above, and one that was killed (for want of memory?)"
            " says nothing; hardneg resume RUN, or a sweep's command again, goes on from the last checkpoint"
        )


class JobFailed(Exception):
    """A job of a sweep has failed, with its reason on the screen and in its folder; the other jobs continue."""


class Paused(Exception):
    """A run of a race has reached a point where it waits for the others; it continues later from its checkpoint."""


class Pruned(Exception):
    """A trial of a search was ended early because others were better; `value` is its best dev metric."""

    def __init__(self, value: float | None) -> None:
        super().__init__("pruned")
        self.value = value
