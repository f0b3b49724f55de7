"""The errors a user can mend, told apart from bugs so that the command line can print them without a traceback."""


class UserError(Exception):
    """Something the user can mend; the message says what is wrong, where, and what to do."""


class DataError(UserError):
    """A data file is broken; the message begins with `file:line:` where there is a line."""


class ConfigError(UserError):
    """The configuration cannot work; the message names the key and the fix."""


class JobFailed(Exception):
    """A job of a sweep has failed and has said why, on the screen and in its folder; the others go on."""
