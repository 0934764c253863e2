"""Both APIs keep what their descriptions promise, whatever is thrown at them: schemathesis over each OpenAPI document."""

from __future__ import annotations

import asyncio
from typing import Any

import network_story
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from network_story import LEEDS, Network
from schemathesis.specs.openapi.checks import positive_data_acceptance
from web_setup import app_of, signed_in, site_application, site_node

EXAMPLES = 20  # for each operation: together about 20 s of CPU for both documents
ENDLESS = r"^/api/live/"  # a stream has no end to wait for
QUIET = settings(
    max_examples=EXAMPLES, deadline=None, derandomize=True, phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck)
)


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory, standing: Network) -> Network:
    return network_story.reopen(standing, tmp_path_factory.mktemp("fuzzed") / "network")


def _token(app: Any, person: str) -> dict[str, str]:
    async def token() -> str:
        return str((await signed_in(app, person)).headers["authorization"])

    return {"authorization": asyncio.run(token())}


@pytest.fixture(scope="module")
def control(fuzzed: Network) -> Any:
    app = app_of(fuzzed)
    schema = schemathesis.openapi.from_asgi("/api/openapi.json", app)
    return schema.exclude(path_regex=ENDLESS).exclude(path="/api/sign-out"), _token(app, "QUI")


@pytest.fixture(scope="module")
def site(fuzzed: Network) -> Any:
    node = site_node(fuzzed, fuzzed.books[LEEDS])

    async def hear() -> None:
        while await node.courier.download_once(wait=0):
            pass

    asyncio.run(hear())
    app = site_application(fuzzed, node, screens=False)
    schema = schemathesis.openapi.from_asgi("/api/openapi.json", app)
    return schema.exclude(path="/api/sign-out"), _token(app, "LEA")


def _throw(schema: Any, headers: dict[str, str]) -> int:
    thrown = 0
    for found in schema.get_all_operations():
        operation = found.ok()

        @settings(QUIET)
        @given(case=operation.as_strategy())
        def check(case: Any) -> None:
            nonlocal thrown
            thrown += 1
            # A text may have the described form and still be no recipe, no unit of measurement, no place to go on from.
            case.call_and_validate(headers=headers, excluded_checks=[positive_data_acceptance])

        check()
    return thrown


def test_control_sites_api_keeps_its_description(control: Any) -> None:
    schema, headers = control
    assert _throw(schema, headers) > 100


def test_sites_api_keeps_its_description(site: Any) -> None:
    schema, headers = site
    assert _throw(schema, headers) > 60
