"""What goes wrong and is no bug."""


class UserError(Exception):
    """Something the user can put right: a parameter, a path, a missing file.

    The message is one or two sentences: what is wrong, where, and what to do about it. The command
    line and the stages print it without a traceback and exit with code 2.
    """
