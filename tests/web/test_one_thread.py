"""A node is one thread: nothing that the web framework calls may be run in another."""

from __future__ import annotations

import inspect

from fastapi.routing import APIRoute
from web_setup import app_of, site_node

from isogenic.web.signin import AccountFolder
from isogenic.web.site_api import site_app


def called(dependant):
    """Every function that a route runs: itself and what it depends on."""
    yield dependant.call
    for each in dependant.dependencies:
        yield from called(each)


def plain_functions(app):
    return [
        f"{route.path}: {function.__qualname__}"
        for route in app.routes
        if isinstance(route, APIRoute)
        for function in called(route.dependant)
        if function is not None and not inspect.iscoroutinefunction(function) and not inspect.isasyncgenfunction(function)
    ]


def test_every_route_of_the_control_site_and_all_it_depends_on_runs_on_the_nodes_own_thread(standing):
    assert plain_functions(app_of(standing)) == []


def test_every_route_of_a_site_and_all_it_depends_on_runs_on_the_nodes_own_thread(network, tmp_path):
    assert (
        plain_functions(site_app(site_node(network, next(iter(network.books.values()))), AccountFolder(tmp_path / "accounts"), screens=False)) == []
    )
