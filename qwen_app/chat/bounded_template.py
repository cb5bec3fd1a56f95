"""Chat templates, rendered within a budget: a template that loops or swells is refused and keeps nobody waiting.

A template comes with the model, and works on what visitors write. It sees what transformers' own renderer shows it
(`transformers.utils.chat_template_utils`), and every loop, call and text that it makes is paid for before it is made.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from datetime import datetime
from functools import wraps
from typing import NoReturn

from jinja2 import TemplateError, nodes, pass_context
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension
from jinja2.meta import find_undeclared_variables
from jinja2.parser import Parser
from jinja2.runtime import Context, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

LIMIT = 100_000_000  # characters, about a second of a processor
LIMIT_A_CHARACTER = 300  # more for each character of what the template is given
STEP = 300  # what a turn of a loop and a call cost, in characters
MACRO = 3000  # what a call of one of the template's own macros costs
ITEM = 50  # what an entry of a list or a dictionary costs that is printed or compared
POWER_LIMIT = 64
# Functions and methods that make as much as a number, or a filling, among their arguments says.
SIZED = {"batch", "center", "expandtabs", "indent", "ljust", "rjust", "round", "slice", "tojson", "truncate", "urlize"}
SIZED |= {"wordwrap", "zfill"}
# Methods that look for their argument in a text.
SEARCHES = {"count", "endswith", "find", "index", "partition", "removeprefix", "removesuffix", "replace", "rfind"}
SEARCHES |= {"rindex", "rpartition", "rsplit", "split", "startswith"}
WIDE_FORMAT = re.compile(r"\d{4}|%[^a-zA-Z%]*\*|\{[^}]*\{")  # a width of thousands, or one that an argument gives


class TemplateTooCostly(TemplateError):
    """The template does more than it may."""

    def __init__(self) -> None:
        super().__init__("it does too much with it, in loops or with copies of text.")


class _Budget:
    """What is left of what one rendering may do, in characters."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._left = limit

    def spend(self, cost: int) -> None:
        self._left -= cost
        if self._left < 0:
            raise TemplateTooCostly

    def weigh(self, value: object) -> None:
        """Pay for all that printing ``value`` makes."""
        if isinstance(value, str):
            self.spend(len(value))
        elif isinstance(value, Mapping):
            for key, item in value.items():
                self.spend(len(str(key)) + ITEM)
                self.weigh(item)
        elif isinstance(value, list | tuple):
            for item in value:
                self.spend(ITEM)
                self.weigh(item)


_BUDGET: ContextVar[_Budget] = ContextVar("budget")


def _budget() -> _Budget:
    return _BUDGET.get(None) or _Budget()  # the compiler works out what is constant, before anything is rendered


class BoundedTemplate:
    """One template. ``render`` raises jinja2's TemplateError, and whatever else the template's own mistakes raise.

    ``variables`` are the names that it reads and does not set, ``sought`` the texts that it looks for in others.
    """

    def __init__(self, source: str) -> None:
        environment = _Environment()
        tree = environment.parse(source)
        self.variables = frozenset(find_undeclared_variables(tree))
        self.sought = frozenset(_sought(tree))
        self._template = environment.from_string(tree)

    def render(self, values: Mapping[str, object]) -> str:
        budget = _Budget(LIMIT + LIMIT_A_CHARACTER * _characters_of(values))
        token = _BUDGET.set(budget)
        try:
            parts = []
            for part in self._template.generate(**values):
                budget.spend(len(part))
                parts.append(part)
            return "".join(parts)
        except (RecursionError, MemoryError) as swollen:
            raise TemplateTooCostly from swollen
        finally:
            _BUDGET.reset(token)


def _characters_of(value: object) -> int:
    """Of all text in a JSON value."""
    if isinstance(value, Mapping):
        return sum(_characters_of(item) for item in value.values())
    if isinstance(value, list | tuple):
        return sum(_characters_of(item) for item in value)
    return len(value) if isinstance(value, str) else 1


class _Environment(ImmutableSandboxedEnvironment):
    """As transformers sets it up, and every operation pays."""

    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self) -> None:
        extensions = ["jinja2.ext.loopcontrols", _Generation]
        super().__init__(trim_blocks=True, lstrip_blocks=True, extensions=extensions, finalize=_measured)
        self.filters["tojson"] = _tojson
        self.filters.update({name: _paid(name, function) for name, function in self.filters.items()})
        self.filters.update(each=_each, measured=_measured)
        self.globals.update(raise_exception=_raise, strftime_now=_now, dict=_Dict(), namespace=_Namespace)
        del self.globals["lipsum"]

    def call_binop(self, context: Context, operator: str, left: object, right: object) -> object:
        _pay_operation(operator, left, right)
        return super().call_binop(context, operator, left, right)

    def call(self, context: Context, called: object, *args: object, **kwargs: object) -> object:
        bound = getattr(called, "__wrapped__", called)  # the sandbox wraps the methods that format
        owner = getattr(bound, "__self__", None)
        if isinstance(called, Macro):
            _budget().spend(MACRO)
        _pay_call(getattr(called, "__name__", ""), [owner, *args, *kwargs.values()])
        result = super().call(context, called, *args, **kwargs)
        if isinstance(result, str):
            _budget().spend(len(result))
        return result

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        for loop in [*tree.find_all(nodes.For)]:
            loop.iter = _filtered(loop.iter, "each")
        for joined in [*tree.find_all(nodes.Concat)]:
            joined.nodes = [_filtered(node, "measured") for node in joined.nodes]
        for compared in [*tree.find_all(nodes.Compare)]:
            compared.expr = _filtered(compared.expr, "measured")
        tree.set_environment(self)
        return tree


def _sought(tree: nodes.Template) -> Iterator[str]:
    named = _named_texts(tree)
    for call in tree.find_all(nodes.Call):
        if isinstance(call.node, nodes.Getattr) and call.node.attr in SEARCHES:
            yield from _texts(call.args, named)
    for compared in tree.find_all(nodes.Compare):
        if any(operand.op in ("in", "notin") for operand in compared.ops):
            yield from _texts([compared.expr], named)
    for applied in tree.find_all(nodes.Filter):
        if applied.name == "replace":
            yield from _texts(applied.args[:1], named)


def _named_texts(tree: nodes.Template) -> dict[str, set[str]]:
    """The texts that variables of the template are set to."""
    named: dict[str, set[str]] = {}
    for assigned in tree.find_all(nodes.Assign):
        if isinstance(assigned.target, nodes.Name):
            named.setdefault(assigned.target.name, set()).update(_texts([assigned.node], {}))
    return named


def _texts(values: Iterable[nodes.Node], named: Mapping[str, Iterable[str]]) -> Iterator[str]:
    """Those of ``values`` that are written out as text, there or where a name is given to it."""
    for value in values:
        written = value.node if isinstance(value, nodes.Filter) and value.name == "measured" else value
        if isinstance(written, nodes.Const) and isinstance(written.value, str) and written.value:
            yield written.value
        elif isinstance(written, nodes.Name):
            yield from named.get(written.name, ())


def _filtered(node: nodes.Node, name: str) -> nodes.Filter:
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)


@pass_context
def _each(context: Context, values: Iterable[object]) -> Iterator[object]:
    """What a loop goes over; every turn is paid for."""
    for value in values:
        _budget().spend(STEP)
        yield value


@pass_context
def _measured(context: Context, value: object) -> object:
    """``value``, which is printed, joined or compared, once that is paid for."""
    _budget().weigh(value)
    return value


def _paid(name: str, function: Callable[..., object]) -> Callable[..., object]:
    """The filter ``function``, paid for. It keeps what jinja2 has noted on it."""
    skipped = 1 if hasattr(function, "jinja_pass_arg") else 0

    @wraps(function)
    def paid(*args: object, **kwargs: object) -> object:
        _pay_call(name, [*args[skipped:], *kwargs.values()])
        result = function(*args, **kwargs)
        if isinstance(result, str):
            _budget().spend(len(result))
        return result

    return paid


def _pay_call(name: str, values: Sequence[object]) -> None:
    """Of the function ``name``, for the value it works on and its arguments."""
    budget = _budget()
    budget.spend(STEP)
    for value in values:
        budget.weigh(value)
    first, rest = (values[0], values[1:]) if values else (None, ())
    length = len(first) if isinstance(first, str | list | tuple) else 1
    if name in SIZED:
        budget.spend((length + 1) * max((_extent(value) for value in rest), default=0))
    elif name == "replace" and isinstance(first, str) and len(rest) >= 2:
        budget.spend((first.count(str(rest[0])) + 1) * len(str(rest[1])))
    elif name == "join":
        separator, joined = (first, rest) if isinstance(first, str) else ("".join(map(str, rest[:1])), [first])
        budget.spend(sum(len(one) for one in joined if isinstance(one, list | tuple | dict)) * len(separator))
    elif name in ("format", "format_map") and isinstance(first, str) and WIDE_FORMAT.search(first):
        raise TemplateTooCostly


def _extent(value: object) -> int:
    return len(value) if isinstance(value, str) else abs(value) if isinstance(value, int) else 0


def _pay_operation(operator: str, left: object, right: object) -> None:
    budget = _budget()
    if isinstance(left, int) and isinstance(right, int):
        if operator == "**" and abs(right) > POWER_LIMIT:
            raise TemplateTooCostly
        bits = left.bit_length() * (right if operator == "**" and right > 0 else 1)
        budget.spend(bits * right.bit_length() // 8 if operator == "*" else bits + right.bit_length())
    elif operator == "*":
        texts, counts = (left, right) if isinstance(right, int) else (right, left)
        if isinstance(texts, str | list | tuple) and isinstance(counts, int):
            budget.spend(len(texts) * max(0, counts))
    elif operator == "%" and isinstance(left, str):
        if WIDE_FORMAT.search(left):
            raise TemplateTooCostly
        budget.weigh([left, right])
    elif operator == "+":
        budget.spend(sum(len(side) for side in (left, right) if isinstance(side, str | list | tuple)))


def _tojson(
    value: object,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """JSON as models are trained on: jinja2's own would escape HTML's characters."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _raise(message: str) -> NoReturn:
    raise TemplateError(message)


def _now(pattern: str) -> str:
    return datetime.now().strftime(pattern)


class _Dict:
    """``dict`` without what hangs on the type."""

    def __call__(self, *args: Iterable[tuple[str, object]], **kwargs: object) -> dict[str, object]:
        return dict(*args, **kwargs)


class _Namespace(Namespace):
    """Takes no names that lead into Python."""

    def __setitem__(self, name: str, value: object) -> None:
        if name.startswith("_"):
            raise SecurityError(f"A chat template cannot set {name!r} of a namespace.")
        super().__setitem__(name, value)


class _Generation(Extension):
    """``{% generation %}`` marks what the model wrote, for its training; here its contents alone matter."""

    tags = frozenset({"generation"})  # type: ignore[assignment] # jinja2 says set, and only looks into it

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)
