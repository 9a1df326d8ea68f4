"""The command line: `whylook --help`. Nothing heavy is imported before a command runs."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError

from whylook import __version__
from whylook.cli.allocator import keep_freed_memory
from whylook.cli.audit import audit
from whylook.cli.compare import compare
from whylook.cli.demo import demo
from whylook.cli.explain import explain
from whylook.cli.lists import methods, models
from whylook.cli.metrics import metrics
from whylook.cli.narrate import narrate
from whylook.cli.serve import serve
from whylook.cli.trust import trust
from whylook.errors import WhylookError

app = App(
    name="whylook",
    help="See where an image classifier looks, and whether the map of it can be believed.\n\n"
    "Exit codes: 0 done, 1 an error that whylook did not expect, 2 wrong usage, 3 a picture cannot be read, "
    "4 a model or its weights are not to be had, 5 the language service gave no answer (the rest is done), "
    "6 finished with some failures, 130 interrupted. "
    "--debug shows the traceback of an error.",
    version=__version__,
    help_format="plaintext",
    suppress_keyboard_interrupt=False,  # `run` says what was done by then
)
for _command in (demo, explain, narrate, trust, compare, audit, serve, models, methods, metrics):
    app.command(_command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code."""
    keep_freed_memory()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a code page without × or ─ is no reason to fail
            stream.reconfigure(errors="replace")
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    sys.exit(run([a for a in given if a != "--debug"], debug=debug))


def run(arguments: Sequence[str], *, debug: bool = False) -> int:
    """Run one command; return its exit code. Errors become one or two sentences on standard error."""
    try:
        code = app(list(arguments), exit_on_error=False, print_error=False, result_action="return_value")
        sys.stdout.flush()
    except CycloptsError as error:
        return _fail(_one_line(str(error)) + " See whylook --help.", 2, error, debug=debug)
    except WhylookError as error:
        return _fail(str(error), error.exit_code, error, debug=debug)
    except KeyboardInterrupt as error:
        return _fail(f"Interrupted. {error}".strip(), 130, error, debug=debug)
    except (
        BrokenPipeError
    ):  # the reader of our output went away, as `head` does: nothing to say, and nobody to say it to
        with contextlib.suppress(OSError):
            sys.stdout.close()
        return 0
    except Exception as error:  # noqa: BLE001 - the last resort: a sentence instead of a traceback
        what = f"{type(error).__name__}: {_one_line(str(error))}"
        sentence = f"An error that whylook did not expect: {what} Please report it with what --debug shows."
        return _fail(sentence, 1, error, debug=debug)
    return code if isinstance(code, int) else 0


def _fail(sentence: str, code: int, error: BaseException, *, debug: bool) -> int:
    if debug:
        import traceback

        traceback.print_exception(error)
    print(f"whylook: {sentence}", file=sys.stderr)  # noqa: T201
    return code


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if line.endswith((".", "!", "?")) else f"{line}."
