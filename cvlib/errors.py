"""The ways in which a run can end badly that a person has to be told about."""


class UserError(Exception):
    """Something the user gave can't be used: one line saying what, where and what to do (exit code 2)."""


class RunFailed(Exception):
    """The run itself went wrong, through no override of the user: one line saying why (exit code 1)."""


class Diverged(RunFailed):
    """The loss became infinite or undefined."""


class Pruned(RunFailed):
    """The run was given up early, for others do better: raised by the `on_epoch` of whoever compares them."""
