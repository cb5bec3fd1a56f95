"""Pages of a list, as OpenAI's routes take them: so many, in which order, after or before which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Protocol, Self, TypeVar

from fastapi import Query
from pydantic import BaseModel

from qwen_app.errors import RequestError

MOST_ON_A_PAGE = 100


class Listed(Protocol):
    id: str
    created_at: int


T = TypeVar("T", bound=Listed)


@dataclass(frozen=True, slots=True)
class Page:
    """The query of a listing: ``limit`` of those that follow ``after``, or come right before ``before``."""

    limit: Annotated[int, Query(ge=1, le=MOST_ON_A_PAGE)] = 20
    order: Annotated[Literal["asc", "desc"], Query(description="by when they were made")] = "desc"
    after: Annotated[str | None, Query(max_length=200)] = None
    before: Annotated[str | None, Query(max_length=200)] = None

    def of(self, listed: Sequence[T]) -> tuple[list[T], bool]:
        """What of ``listed`` is on it, and whether more follow. Raises RequestError for an id of none of them."""
        ordered = sorted(listed, key=lambda one: one.created_at)
        if self.order == "desc":
            ordered.reverse()
        start = 0 if self.after is None else _place(ordered, "after", self.after) + 1
        if self.before is not None:
            until = ordered[start : _place(ordered, "before", self.before)]
            return until[-self.limit :], len(until) > self.limit
        return ordered[start : start + self.limit], len(ordered) > start + self.limit


class PageBody(BaseModel):
    """``has_more``: others follow ``last_id``, or come before ``first_id`` where those were asked for."""

    object: Literal["list"] = "list"
    data: list[Any]
    first_id: str | None
    last_id: str | None
    has_more: bool

    @classmethod
    def of(cls, listed: Sequence[Listed], page: Page) -> Self:
        """What of ``listed`` is on ``page``."""
        data, has_more = page.of(listed)
        first, last = (data[0].id, data[-1].id) if data else (None, None)
        return cls(data=data, first_id=first, last_id=last, has_more=has_more)


def _place(ordered: Sequence[Listed], param: str, wanted: str) -> int:
    for place, one in enumerate(ordered):
        if one.id == wanted:
            return place
    raise RequestError(f"{param} is the id of nothing in this list.", param=param)
