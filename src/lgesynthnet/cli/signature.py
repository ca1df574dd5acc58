"""From a request to a command: typer reads the options off the request's fields, so that each stands in the code once."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import MISSING
from pathlib import Path
from typing import Annotated, Any

import typer

from lgesynthnet.options import Leaf, build, leaves
from lgesynthnet.terms import Prior, prior_choice


def takes(request: type, name: str = "request") -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of a request; the command gets the request itself, under `name`, in their place.

    Options of the command's own stay; those without a default must come first in its signature.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        options = list(leaves(request))
        known = {leaf.name for leaf in options}

        def run(**values: Any) -> None:
            own = {key: value for key, value in values.items() if key not in known}
            given = {leaf.name: _value(leaf, values[leaf.name]) for leaf in options}
            command(**own, **{name: build(request, given)})

        parameters = [_parameter(leaf) for leaf in options]
        hints = inspect.get_annotations(command, eval_str=True)
        own = [
            parameter.replace(annotation=hints.get(parameter.name, parameter.annotation), kind=inspect.Parameter.KEYWORD_ONLY)
            for parameter in inspect.signature(command).parameters.values()
            if parameter.name != name
        ]
        run.__name__, run.__doc__, run.__module__ = command.__name__, command.__doc__, command.__module__
        run.__signature__ = inspect.Signature([*parameters, *own])  # type: ignore[attr-defined]  # read by inspect.signature
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in (*parameters, *own)}
        return run

    return decorate


def _parameter(leaf: Leaf) -> inspect.Parameter:
    described = leaf.option
    settings: dict[str, Any] = {"help": described.help, "rich_help_panel": described.panel}
    if described.minimum is not None:
        settings["min"] = described.minimum
    if described.maximum is not None:
        settings["max"] = described.maximum
    if described.default_text is not None:
        settings["show_default"] = described.default_text
    positional = leaf.flags[0].isupper()
    make: Any = typer.Argument if positional else typer.Option
    flags = () if positional else leaf.flags
    default = inspect.Parameter.empty if leaf.default is MISSING else leaf.default
    kind = leaf.type
    if _is_prior(leaf):
        kind, settings["metavar"] = str, "NAME|FILE"
    if _is_repeated(leaf):  # typer spells an option that may be given more than once as a list
        kind, default = list[str], []
    return inspect.Parameter(
        leaf.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, make(*flags, **settings)]
    )


def _value(leaf: Leaf, value: Any) -> Any:
    if _is_prior(leaf):
        return None if value is None else prior_choice(value, leaf.flags[0])
    return (tuple(value) or None) if _is_repeated(leaf) else value


def _is_prior(leaf: Leaf) -> bool:
    """Whether the option names a prior: a built-in one, or a file."""
    return bool(leaf.type in (Prior | Path, Prior | Path | None))


def _is_repeated(leaf: Leaf) -> bool:
    """Whether the option may be given more than once: its field is a tuple of strings, or None."""
    return bool(leaf.type == tuple[str, ...] | None)
