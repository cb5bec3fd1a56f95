"""How much of a table each of its owners holds, added up by the database."""

from __future__ import annotations

from sqlalchemy import Column, ColumnElement, Connection, FromClause, case, func, or_, select

from qwen_app.fair_share import Held, crowd_of


def counted_with(owner: str, owners: Column[str]) -> ColumnElement[bool]:
    """Which rows count as ``owner``'s where all share."""
    crowd = crowd_of(owner)
    return or_(owners == owner, owners.startswith(crowd)) if crowd else owners == owner


def held_rows(
    connection: Connection, owner: str, owners: Column[str], sizes: Column[int], rows: FromClause | None = None
) -> Held:
    """What ``owner`` holds of ``sizes``; ``rows`` joins the tables of the two columns where they are two."""
    mine, together = (case((whose, sizes), else_=0) for whose in (owners == owner, counted_with(owner, owners)))
    sums = select(*(func.coalesce(func.sum(column), 0) for column in (mine, together, sizes)))
    found = connection.execute(sums.select_from(owners.table if rows is None else rows)).one()
    return Held(*map(int, found))
