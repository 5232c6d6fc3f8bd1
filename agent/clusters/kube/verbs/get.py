"""``kubectl get``: tables that the server makes, or whole objects."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent.clusters.kube.api import JSON, TABLE, ApiError
from agent.clusters.kube.argv import Thing
from agent.clusters.kube.resources import Resource
from agent.clusters.kube.session import Session
from agent.clusters.kube.verbs.printing import age, as_json, as_yaml, cell, columns, labels, moment


@dataclass(frozen=True, slots=True)
class Query:
    """One request of a command: a type, and a name or "" for all that fit."""

    resource: Resource
    name: str = ""


async def get(session: Session) -> None:
    """Print what is asked for."""
    queries = await _queries(session)
    form = session.ask.flags.get("--output", "")
    if form in ("json", "yaml", "name"):
        await _objects(session, queries, form)
    else:
        await _tables(session, queries, wide=form == "wide")


async def _queries(session: Session) -> list[Query]:
    found: list[Query] = []
    for thing in session.ask.things:
        for resource in await _types(session, thing):
            found += [Query(resource, name) for name in thing.names] or [Query(resource)]
    return found


async def _types(session: Session, thing: Thing) -> Sequence[Resource]:
    if thing.type == "all":
        return await session.resources.of_category("all")
    return [await session.resources.named(thing.type)]


def _filters(session: Session) -> dict[str, str]:
    flags = session.ask.flags
    wanted = {"labelSelector": flags.get("--selector"), "fieldSelector": flags.get("--field-selector")}
    return {name: value for name, value in wanted.items() if value}


async def _found(session: Session, query: Query, accept: str) -> list[Any]:
    """Return the answers to a query: one object or table, or a list's pages; what fails is printed."""
    try:
        if query.name:
            return [await session.api.get(query.resource.path(session.namespace, query.name), None, accept)]
        path = query.resource.path(session.scope)
        return [page async for page in session.pages(path, _filters(session), accept)]
    except ApiError as error:
        if error.status != 404 or not session.ask.on("--ignore-not-found"):
            session.fail(error.words)
        return []


async def _objects(session: Session, queries: Sequence[Query], form: str) -> None:
    found: list[Mapping[str, Any]] = []
    for query in queries:
        for answer in await _found(session, query, JSON):
            found += [answer] if query.name else [_typed(query.resource, each) for each in answer["items"]]
    objects = [_shown(each) for each in found]
    if form == "name":
        for each in objects:
            session.print(f"{_type_of(each)}/{each['metadata']['name']}")
        return
    single = len(queries) == 1 and queries[0].name
    if single and not objects:
        return
    whole = objects[0] if single else _list(objects)
    # Of a large cluster this takes seconds, in which others have their turn.
    session.write(await asyncio.to_thread(as_json if form == "json" else as_yaml, whole))


def _list(objects: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    return {"apiVersion": "v1", "items": list(objects), "kind": "List", "metadata": {"resourceVersion": ""}}


def _typed(resource: Resource, item: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a list's item with its type, which the server leaves out."""
    return {"apiVersion": resource.version, "kind": resource.kind, **item}


def _shown(item: Mapping[str, Any]) -> Mapping[str, Any]:
    metadata = {name: value for name, value in item["metadata"].items() if name != "managedFields"}
    return {**item, "metadata": metadata}


def _type_of(item: Mapping[str, Any]) -> str:
    group = item["apiVersion"].rpartition("/")[0]
    return ".".join(filter(None, (item["kind"].lower(), group)))


class _Printed:
    """The table of one type: its first answer's columns, and all rows so far."""

    def __init__(self, session: Session, resource: Resource, wide: bool, prefixed: bool) -> None:
        self.resource = resource
        self._session, self._wide, self._prefixed = session, wide, prefixed
        self._at: list[int] = []
        self._header: list[str] = []
        self._rows: list[list[str]] = []

    def add(self, table: Mapping[str, Any]) -> None:
        """Take a table's rows in; a server that makes none gives whole objects."""
        if "columnDefinitions" not in table:
            table = _plain(table)
        if not self._header:
            known = list(enumerate(table["columnDefinitions"]))
            self._at = [at for at, column in known if self._wide or not column.get("priority")]
            self._header = [table["columnDefinitions"][at]["name"].upper() for at in self._at]
        self._rows += [self._row(row) for row in table.get("rows") or ()]

    def text(self) -> str:
        """Return the table, "" for none."""
        if not self._rows:
            return ""
        ask = self._session.ask
        namespace = ["NAMESPACE"] if self._with_namespace else []
        header = [*namespace, *self._header, *(["LABELS"] if ask.on("--show-labels") else [])]
        return columns(self._rows, None if ask.on("--no-headers") else header)

    @property
    def _with_namespace(self) -> bool:
        return self._session.scope is None and self.resource.namespaced

    def _row(self, row: Mapping[str, Any]) -> list[str]:
        cells = [cell(row["cells"][at]) for at in self._at]
        if self._prefixed:
            cells[0] = f"{self.resource.shown}/{cells[0]}"
        item = row.get("object") or {}
        namespace = [item.get("metadata", {}).get("namespace", "")] if self._with_namespace else []
        shown = [labels(item)] if self._session.ask.on("--show-labels") else []
        return [*namespace, *cells, *shown]


def _plain(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a table of names and ages."""
    items = answer.get("items", [answer])
    rows = [
        {
            "cells": [each["metadata"]["name"], age(moment(each["metadata"].get("creationTimestamp")))],
            "object": each,
        }
        for each in items
    ]
    return {"columnDefinitions": [{"name": "Name"}, {"name": "Age"}], "rows": rows}


async def _tables(session: Session, queries: Sequence[Query], wide: bool) -> None:
    prefixed = len({(query.resource.group, query.resource.kind) for query in queries}) > 1
    printed: list[_Printed] = []
    for query in queries:
        for answer in await _found(session, query, TABLE):
            if not printed or printed[-1].resource != query.resource:
                printed.append(_Printed(session, query.resource, wide, prefixed))
            printed[-1].add(answer)
    texts = [text for each in printed if (text := each.text())]
    session.write(("" if session.ask.on("--no-headers") else "\n").join(texts))
    if texts or session.failed or session.ask.on("--ignore-not-found"):
        return
    if session.scope and all(query.resource.namespaced for query in queries):
        session.warn(f"No resources found in {session.namespace} namespace.")
    else:
        session.warn("No resources found")
