"""The group of commands; each command's module is imported only when that command runs, so `--help` is quick."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any, Final

import click

__all__ = ["COMMANDS", "cli", "main"]

COMMANDS: Final = {
    "demo": "Assess bundled claims with the packaged model, and write a report.",
    "assess": "Assess a file of claims, or one sentence: valid or suspicious, why, and what it is worth.",
    "explain": "One claim in full: every reason, what was expected, similar past claims.",
    "train": "Train on your own history of claims, or quickly on generated ones.",
    "evaluate": "How good a model is, with intervals, next to other methods in the same run.",
    "generate": "Make claims with known anomalies.",
    "deidentify": "Remove or replace what identifies people (HIPAA Safe Harbor).",
    "models": "Real pretrained weights: which there are, and fetching them.",
    "doctor": "Check this installation.",
}
EXIT_ERROR, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 130
_EPILOG = """\b
First steps:
  claimsformer demo
  claimsformer assess claims.csv
  claimsformer assess --text "Diabetes patient, Metformin 500mg, $150"
"""


class LazyGroup(click.Group):
    """Knows its commands by name and one line of help, and imports one when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the order in which people meet them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"claimsformer.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """As click does, with the nearest name for one that is mistyped."""
        import difflib

        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f"Did you mean: claimsformer {near[0]}" if near else "Try: claimsformer --help"
            raise click.UsageError(f"there is no command {args[0]!r}.\n{hint}", ctx)
        return super().resolve_command(ctx, args)


@click.command(cls=LazyGroup, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="claimsformer", prog_name="claimsformer")
def cli() -> None:
    """Health-insurance claims in, decisions with reasons out.

    Nothing is ever denied: a claim is approved, or sent to a person for review.
    """


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; exit code 0 for success, 1 for an error, 2 for wrong usage, 130 when interrupted."""
    from claimsformer.errors import ClaimsformerError

    arguments = sys.argv[1:] if arguments is None else arguments
    command = next((a for a in arguments if a in COMMANDS), "")
    help_text = f"Try: claimsformer {command} --help" if command else "Try: claimsformer --help"
    try:
        code = cli.main(arguments, prog_name="claimsformer", standalone_mode=False)
    except click.exceptions.Exit as stop:
        code = stop.exit_code
    except click.UsageError as error:
        _fail(error.format_message(), "" if "\n" in error.format_message() else help_text)
        code = EXIT_USAGE
    except (click.Abort, KeyboardInterrupt):
        _fail(
            "interrupted",
            "Run the same command again: assess with --out and train with --checkpoints go on where they were.",
        )
        code = EXIT_INTERRUPTED
    except ClaimsformerError as error:
        # Hints speak to users of the Python API too; here the last line is always a command.
        hint = error.hint or ""
        _fail(error.message, hint if "claimsformer " in hint else f"{hint}\n{help_text}".strip())
        code = EXIT_ERROR
    except BrokenPipeError:  # the reader of our output went away, `| head` for one
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except (click.ClickException, OSError) as problem:  # a full disk is one of the latter
        words = problem.format_message() if isinstance(problem, click.ClickException) else _file_words(problem)
        _fail(words, help_text)
        code = EXIT_ERROR
    except Exception as error:
        if not type(error).__module__.startswith("polars"):
            raise
        # Its words may hold a claim's values; a full disk is the reason that can be told from them.
        full = "No space left" in str(error)
        _fail(
            f"a table could not be {'written: no space left' if full else f'read or written: {type(error).__name__}'}",
            help_text,
        )
        code = EXIT_ERROR
    sys.exit(code if isinstance(code, int) else 0)


def _file_words(problem: OSError) -> str:
    name = os.path.basename(str(problem.filename)) if problem.filename else "writing"
    folder = os.path.dirname(str(problem.filename or ""))
    if folder and not os.path.isdir(folder):
        return f"the folder {folder!r} for {name!r} does not exist"
    return f"{name}: {problem.strerror or type(problem).__name__}"


def _fail(message: str, hint: str) -> None:
    click.echo(f"Error: {message}" + (f"\n{hint}" if hint else ""), err=True)
