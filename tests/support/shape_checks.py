"""jaxtyping's checks of shapes for the functions that have arrays in their signatures; beartype's alone for the others.

jaxtyping wraps every function, and binds and checks the arguments of each call twice, which took a fifth of a test's
time. Of ten functions eight take and return no arrays, and have no shapes that have to agree.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping
from typing import Any, get_args, get_type_hints

import jaxtyping
from jaxtyping import AbstractArray, _decorator


def only_where_there_are_arrays() -> None:
    """Let the modules that are imported from now on have functions without arrays checked by the type checker alone."""
    with_shapes = jaxtyping.jaxtyped

    def jaxtyped(function: Any = None, *, typechecker: Any) -> Any:
        if function is None:
            return functools.partial(jaxtyped, typechecker=typechecker)
        if inspect.isfunction(function):
            hints = _hints(function)
            if not any(map(_has_array, hints.values())):
                return _checked(function, hints, typechecker)
        return with_shapes(function, typechecker=typechecker)

    jaxtyping.jaxtyped = jaxtyped


def _hints(function: Any) -> dict[str, Any]:
    """Return the types of a function's annotations; as with jaxtyping, one that is not there at run time is `Any`."""
    try:
        return get_type_hints(function, include_extras=True)
    except NameError:  # it is imported for type checkers alone
        names = function.__annotations__.items()
        return {name: _decorator._destring_annotation(one, function.__globals__) for name, one in names}


def _has_array(hint: Any) -> bool:
    """Whether a shape is somewhere in a type."""
    inside = get_args(hint) if not isinstance(hint, list) else hint  # the arguments of a Callable
    return (inspect.isclass(hint) and issubclass(hint, AbstractArray)) or any(map(_has_array, inside))


def _checked(function: Any, hints: Mapping[str, Any], typechecker: Any) -> Any:
    """Return the function with its types checked; it keeps its annotations as they are written.

    `Any` is left out: it needs no check, and older versions of beartype refuse it as what a generator returns.
    """
    written = function.__annotations__
    function.__annotations__ = {name: hint for name, hint in hints.items() if hint is not Any}
    try:
        checked = typechecker(function)
    finally:
        function.__annotations__ = written
    checked.__annotations__ = written
    return checked
