"""The errors that a user can mend, kept apart from bugs so that the command line prints them without a traceback."""


class UserError(Exception):
    """Something the user can mend; the message says what is wrong, where, and what to do."""


class DataError(UserError):
    """A data file is broken; the message begins with `file:line:` where there is a line."""


class ConfigError(UserError):
    """The configuration cannot work; the message names the key and the fix."""


class RankLost(UserError):
    """Another rank of the run has ended, as by a kill for lack of memory: the run was interrupted, and did not fail."""

    def __init__(self) -> None:
        super().__init__(
            "another rank of this run has ended; what it said is above, and one that was killed (for want of memory?)"
            " says nothing; hardneg resume RUN, or a sweep's command again, goes on from the last checkpoint"
        )


class JobFailed(Exception):
    """A job of a sweep has failed and has said why, on the screen and in its folder; the others go on."""


class Paused(Exception):
    """A run of a race has come to a point where it waits for the others; it goes on later from its checkpoint."""


class Pruned(Exception):
    """A trial of a search was ended early, since others were better; `value` is the best dev metric that it had."""

    def __init__(self, value: float | None) -> None:
        super().__init__("pruned")
        self.value = value
