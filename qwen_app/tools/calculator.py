"""Arithmetic for the calculator tool: parsed and walked by us, never evaluated by Python.

Every operation stands in a table with what its arguments may be, and they are checked before it is carried out. A
number on the way is a whole one of LIMIT_BITS bits at most or a finite fraction, so that each operation is quick, and
there are no more of them than the expression has characters.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

LIMIT_CHARS = 300
LIMIT_DEPTH = 40
LIMIT_BITS = 4_096  # of any whole number on the way
LIMIT_DIGITS = 1_000  # that may be rounded to, before the point or after it
LIMIT_VALUES = 100  # of min and max

Number = int | float


@dataclass(frozen=True, slots=True)
class Operation:
    """``run`` takes ``least`` to ``most`` numbers, for which ``check`` raises ValueError where they are too much."""

    run: Callable[..., Number]
    least: int = 1
    most: int = 1
    check: Callable[..., None] = lambda *numbers: None

    def __call__(self, *numbers: Number) -> Number:
        if not self.least <= len(numbers) <= self.most:
            raise ValueError("This function takes another number of values.")
        self.check(*numbers)
        return _bounded(self.run(*numbers))


def _check_product(left: Number, right: Number) -> None:
    if _bits(left) + _bits(right) > LIMIT_BITS + 1:
        _too_large()


def _check_power(base: Number, exponent: Number) -> None:
    """A power of whole numbers has about as many bits as the base times the exponent."""
    if isinstance(base, int) and isinstance(exponent, int) and max(1, _bits(base)) * abs(exponent) > LIMIT_BITS:
        _too_large()


def _check_rounding(number: Number, digits: Number = 0) -> None:
    """Rounding a whole number to digits before the point makes a power of ten of them."""
    if not isinstance(digits, int) or abs(digits) > LIMIT_DIGITS:
        raise ValueError(f"Numbers can be rounded to a whole number of digits, {LIMIT_DIGITS:,} at most.")


def _bits(number: Number) -> int:
    return number.bit_length() if isinstance(number, int) else 0


def _too_large() -> NoReturn:
    raise ValueError("This number would be too large.")


OPERATORS: dict[type[ast.operator], Operation] = {
    ast.Add: Operation(operator.add, 2, 2),
    ast.Sub: Operation(operator.sub, 2, 2),
    ast.Mult: Operation(operator.mul, 2, 2, _check_product),
    ast.Div: Operation(operator.truediv, 2, 2),
    ast.FloorDiv: Operation(operator.floordiv, 2, 2),
    ast.Mod: Operation(operator.mod, 2, 2),
    ast.Pow: Operation(operator.pow, 2, 2, _check_power),
}
FUNCTIONS: dict[str, Operation] = {
    "abs": Operation(abs),
    "round": Operation(round, 1, 2, _check_rounding),
    "min": Operation(min, 2, LIMIT_VALUES),
    "max": Operation(max, 2, LIMIT_VALUES),
    "floor": Operation(math.floor),
    "ceil": Operation(math.ceil),
    "sqrt": Operation(math.sqrt),
    "exp": Operation(math.exp),
    "log": Operation(math.log, 1, 2),
    "log10": Operation(math.log10),
    "sin": Operation(math.sin),
    "cos": Operation(math.cos),
    "tan": Operation(math.tan),
    "degrees": Operation(math.degrees),
    "radians": Operation(math.radians),
}
CONSTANTS: dict[str, Number] = {"pi": math.pi, "e": math.e}


def calculate(expression: str) -> Number:
    """The value of ``expression``: numbers, ``+ - * / // % **``, brackets, functions and constants above.

    ``^`` is read as a power, and ``×`` and ``÷`` as written. Raises ValueError with a sentence for anything else.
    """
    if len(expression) > LIMIT_CHARS:
        raise ValueError(f"The expression is longer than {LIMIT_CHARS} characters.")
    text = expression.strip().replace("^", "**").replace("×", "*").replace("÷", "/")
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise ValueError(f"{expression!r} is not an expression.") from error
    try:
        return _value(tree.body, 0)
    except ZeroDivisionError as error:
        raise ValueError("This divides by zero.") from error
    except (OverflowError, TypeError) as error:
        raise ValueError(f"This cannot be calculated: {error}.") from error


def _value(node: ast.expr, depth: int) -> Number:
    if depth > LIMIT_DEPTH:
        raise ValueError(f"The expression is nested deeper than {LIMIT_DEPTH} levels.")
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return _bounded(number)
        case ast.Name(id=name) if name in CONSTANTS:
            return CONSTANTS[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, depth + 1)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _value(operand, depth + 1)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATORS:
            return OPERATORS[type(op)](_value(left, depth + 1), _value(right, depth + 1))
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in FUNCTIONS:
            return FUNCTIONS[name](*(_value(one, depth + 1) for one in args))
    raise ValueError(f"Only numbers, + - * / // % **, brackets and {', '.join((*FUNCTIONS, *CONSTANTS))} can be used.")


def _bounded(number: Number) -> Number:
    if isinstance(number, complex):
        raise ValueError("The result is not a real number.")
    if isinstance(number, int) and number.bit_length() > LIMIT_BITS:
        _too_large()
    if isinstance(number, float) and not math.isfinite(number):
        raise ValueError("The result is not a finite number.")
    return number
