"""What the command line says when something stands in its way: one paragraph, and the exit status it ends with."""

from __future__ import annotations

import click

from simkit.errors import SimkitError

BAD_USE, READER_GONE, INTERRUPTED = 2, 141, 130
"""The latter two as a shell counts signals (128 + SIGPIPE, 128 + SIGINT): neither is an answer, so neither is a status from 0 to 3."""


class Interrupted(SimkitError):
    """Somebody pressed Ctrl-C; `what` says how to carry on where something was begun."""

    exit_status = INTERRUPTED


class ReaderGone(SimkitError):
    """Whoever read standard output has closed it (``| head``): nothing more to say, and not an answer either."""

    exit_status = READER_GONE


def paragraph(error: BaseException) -> tuple[str, int] | None:
    """The text for stderr (empty where silence is right) and the exit status; None for what is a fault of simkit's own."""
    if isinstance(error.__cause__, KeyboardInterrupt) and not isinstance(error, SimkitError):
        return paragraph(error.__cause__)
    match error:
        case ReaderGone() | BrokenPipeError():
            return "", READER_GONE
        case SimkitError():
            return f"simkit: {error}", error.exit_status
        case click.ClickException():
            return _of_click(error), error.exit_code
        case click.Abort() | KeyboardInterrupt():
            return "simkit: interrupted", INTERRUPTED
        case OSError():
            where = error.filename or "standard output"
            return f"simkit: {where}: {error.strerror or error}; check the path, its permissions and the room on its disk", BAD_USE
        case RecursionError():
            return "simkit: the input is nested deeper than simkit reads; flatten it", BAD_USE
    return None


def _of_click(error: click.ClickException) -> str:
    """Bad use as a paragraph: which command, what is wrong with it, and where its help is. A bare `simkit` is answered with the help itself."""
    text = error.format_message()
    if not isinstance(error, click.UsageError) or error.ctx is None or text.startswith("Usage:"):
        return text
    command = error.ctx.command_path
    sentence = text if text.endswith("?") else text.rstrip(".)") + ")" * text.endswith((").", ")"))
    return f"{command}: {sentence[:1].lower()}{sentence[1:]}; `{command} --help` says more"
