"""Arithmetic for the calculator tool: parsed and walked by us, never evaluated by Python."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable

LIMIT_CHARS = 300
LIMIT_DEPTH = 40
LIMIT_BITS = 4_096  # of any whole number on the way

Number = int | float

OPERATORS: dict[type[ast.operator], Callable[[Number, Number], Number]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
FUNCTIONS: dict[str, Callable[..., Number]] = {
    "abs": abs,
    "round": round,
    "min": min,
    "max": max,
    "floor": math.floor,
    "ceil": math.ceil,
    "sqrt": math.sqrt,
    "exp": math.exp,
    "log": math.log,
    "log10": math.log10,
    "sin": math.sin,
    "cos": math.cos,
    "tan": math.tan,
    "degrees": math.degrees,
    "radians": math.radians,
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
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            return _power(_value(left, depth + 1), _value(right, depth + 1))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATORS:
            return _bounded(OPERATORS[type(op)](_value(left, depth + 1), _value(right, depth + 1)))
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in FUNCTIONS and args:
            return _bounded(FUNCTIONS[name](*(_value(one, depth + 1) for one in args)))
    raise ValueError(f"Only numbers, + - * / // % **, brackets and {', '.join((*FUNCTIONS, *CONSTANTS))} can be used.")


def _power(base: Number, exponent: Number) -> Number:
    whole = isinstance(base, int) and isinstance(exponent, int)
    if whole and int(base).bit_length() * abs(int(exponent)) > LIMIT_BITS:
        raise ValueError("This number would be too large.")
    return _bounded(base**exponent)


def _bounded(number: Number) -> Number:
    if isinstance(number, complex):
        raise ValueError("The result is not a real number.")
    if isinstance(number, int) and number.bit_length() > LIMIT_BITS:
        raise ValueError("This number would be too large.")
    if isinstance(number, float) and not math.isfinite(number):
        raise ValueError("The result is not a finite number.")
    return number
