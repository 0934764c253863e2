"""The page of a simulated facility: to look inside, to inject faults and to take them back."""

from __future__ import annotations

import asyncio
import json
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st
from led_batch import PORTO, lead_batch

from isogenic.errors import Refusal
from isogenic.ids import UnitId
from isogenic.plant.documents import load_plant
from isogenic.plant.model import SitePlant
from isogenic.sim.facility import FAULTS_MAX, Facility
from isogenic.sim.faults import FaultKind, parse_fault, text_of_fault
from isogenic.sim.mrna_line import MrnaLine
from isogenic.sim.pages.facility import View, facility_app, serve_page
from isogenic.sim.service_modules import ServiceModules
from isogenic.sim.world import document

SPARGER = "sparger_fouls:unit=SB-200,start=48.0,hours=24.0,size=0.5"
HERE = "http://127.0.0.1:8000"


GROWN: dict[float, str] = {}  # by hours, as a facility remembers itself


def grown(porto: SitePlant, *, hours: float = 48.0) -> Facility:
    """A facility with a culture of this age: led there once, and from its own memory after that."""
    facility = Facility(porto, seed=3)
    if hours not in GROWN:
        for _ in lead_batch(facility, hours=hours, harvest=False):
            pass
        GROWN[hours] = json.dumps(facility.snapshot())
    facility = Facility(porto, seed=3)
    facility.restore(json.loads(GROWN[hours]))
    return facility


def client_of(facility: Facility) -> TestClient:
    return TestClient(facility_app(View(facility)), base_url=HERE, follow_redirects=False)


@pytest.fixture(scope="module")
def known(porto: SitePlant) -> Facility:
    return grown(porto)


def test_the_page_shows_what_is_true_beside_what_instruments_say(known: Facility) -> None:
    page = client_of(known).get("/")
    assert page.status_code == 200
    assert "illustrative" in page.text and "this machine only" in page.text and "SB-200" in page.text
    (vessel,) = client_of(known).get("/api/facility").json()["vessels"]
    glucose = next(each for each in vessel["signals"] if each["name"] == "glucose")
    assert glucose["true"] == vessel["inside"]["glucose"] == known.vessels[PORTO].inside["glucose"]
    assert glucose["shown"] == known.read(f"{PORTO}.glucose") != glucose["true"]


def test_a_fault_is_injected_acts_is_taken_back_and_both_are_noted(porto: SitePlant) -> None:
    facility = grown(porto)
    client = client_of(facility)
    assert client.post("/api/faults", json={"fault": SPARGER}).status_code == 201
    assert client.post("/api/faults", json={"fault": SPARGER}).status_code == 422
    before = facility.read(f"{PORTO}.oxygen_flow")
    assert facility.at is not None
    facility.advance(facility.at + timedelta(hours=12))
    known = client.get("/api/faults").json()
    assert [(each["fault"], each["acts"]) for each in known["standing"]] == [(SPARGER, True)]
    assert facility.read(f"{PORTO}.oxygen_flow") > 1.8 * before
    assert client.post("/api/faults/take-back", json={"fault": SPARGER}).status_code == 200
    assert client.post("/api/faults/take-back", json={"fault": SPARGER}).status_code == 404
    assert facility.faults == ()
    assert [line["what"] for line in client.get("/api/faults").json()["log"]] == ["taken back", "injected"]


def test_what_was_injected_and_taken_back_survives_a_restart(porto: SitePlant) -> None:
    given = "sensor_drops:unit=SB-200,signal=ph,start=1.0,hours=5.0"
    lasting = Facility(porto, seed=3, faults=[given])
    for _ in lead_batch(lasting, hours=2.0, harvest=False):
        pass
    lasting.inject(parse_fault(SPARGER))
    lasting.take_back(given)
    restarted = Facility(porto, seed=3, faults=[given])
    restarted.restore(json.loads(json.dumps(lasting.snapshot())))
    assert [text_of_fault(fault) for fault in restarted.faults] == [SPARGER]
    assert restarted.log == lasting.log


def test_what_is_true_is_shown_at_once_after_a_restart(porto: SitePlant) -> None:
    facility = Facility(porto, seed=3)
    for _ in lead_batch(facility, hours=10.0, harvest=False):
        pass
    restarted = grown(porto, hours=10.0)
    assert restarted.vessels[PORTO].truth() == facility.vessels[PORTO].truth()


def test_the_form_injects_from_now_and_a_wrong_one_is_refused_on_the_page(porto: SitePlant) -> None:
    facility = grown(porto, hours=10.0)
    client = client_of(facility)
    form = {"unit": "SB-200", "kind": "feed_pump_stops", "signal": "ph", "size": "1", "start": "", "hours": "6"}
    assert client.post("/inject", data=form, headers={"origin": HERE}).status_code == 303
    (fault,) = facility.faults
    assert (fault.kind, fault.size, fault.hours) == (FaultKind.FEED_PUMP_STOPS, 1.0, 6.0)
    assert fault.start_h == pytest.approx(facility.vessels[PORTO].age_h, abs=1e-3)
    for wrong in ({"size": "7"}, {"unit": "SB-999"}, {"kind": "earthquake"}, {"hours": "-1"}, {"size": "nan"}, {"size": "1,unit=X"}):
        refused = client.post("/inject", data=form | wrong, headers={"origin": HERE})
        assert refused.status_code == 422 and 'role="alert"' in refused.text, wrong
    assert facility.faults == (fault,)


@pytest.mark.parametrize("headers", [{"origin": "http://evil.example"}, {"host": "evil.example"}, {"origin": "null"}])
def test_another_sites_page_changes_nothing(known: Facility, headers: dict[str, str]) -> None:
    client = client_of(known)
    assert client.post("/inject", data={"unit": "SB-200"}, headers=headers).status_code == 403
    assert client.post("/api/faults", json={"fault": SPARGER}, headers=headers).status_code == 403
    assert known.faults == ()


# ---- what is broken on purpose: the page itself ----


@pytest.fixture(scope="module")
def served(known: Facility) -> Iterator[TestClient]:
    """One client for many requests."""
    with client_of(known) as client:
        yield client


@pytest.fixture(scope="module")
def modules() -> ServiceModules:
    return ServiceModules(load_plant(document("basel.plant.yaml"), name="basel"), seed=1)


NEARLY = st.builds(
    lambda kind, unit, rest: f"{kind}:unit={unit}{rest}",
    st.sampled_from([*FaultKind, "rnase", "earthquake", ""]),
    st.sampled_from(["SB-999", "", "MX-1", "../SB-200", "SB-200 "]),
    st.text(max_size=60),
)
ODD = st.one_of(
    st.binary(max_size=200),
    st.builds(lambda text: json.dumps({"fault": text}).encode(), st.one_of(st.text(max_size=100), NEARLY)),
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=9),
        lambda part: st.lists(part, max_size=3) | st.dictionaries(st.text(max_size=6), part, max_size=3),
    ).map(lambda value: json.dumps(value).encode()),
)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(["/api/faults", "/api/faults/take-back"]), ODD)
def test_a_body_that_is_no_fault_is_refused_and_changes_nothing(served: TestClient, known: Facility, where: str, body: bytes) -> None:
    answer = served.post(where, content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (404, 422) and answer.json()["title"]
    assert known.faults == () and known.log == []


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(["/inject", "/take-back"]),
    st.one_of(st.binary(max_size=200), NEARLY.map(lambda text: f"fault={text}&kind=ph&unit=SB-200".encode())),
)
def test_a_form_that_is_no_fault_is_refused_on_the_page_and_changes_nothing(served: TestClient, known: Facility, where: str, body: bytes) -> None:
    answer = served.post(where, content=body, headers={"origin": HERE, "content-type": "application/x-www-form-urlencoded"})
    assert answer.status_code in (404, 422)
    assert known.faults == () and known.log == []


@settings(max_examples=100, deadline=None)
@given(
    st.fixed_dictionaries(
        {
            "unit": st.sampled_from(["SB-200", "MX-1", "TR-1", "PU-1", "SB-9"]),
            "kind": st.sampled_from([*FaultKind, "lnp_flow_falls", "rnase"]),
            "signal": st.sampled_from(["ph", "glucose", "agitation_sp", "", "oxygen_flow,size=1"]),
            "size": st.sampled_from(["0.5", "1e9", "-0", "nan", "0.5,run=1", "½"]),
            "start": st.sampled_from(["", "3", "-1", "1e9", "3h"]),
            "hours": st.sampled_from(["", "0", "5", "1e-9", "99999"]),
        }
    )
)
def test_any_form_is_a_fault_that_is_taken_back_as_it_is_listed_or_is_refused(
    porto: SitePlant, modules: ServiceModules, form: dict[str, str]
) -> None:
    view = View(Facility(porto, seed=3), modules)
    try:
        text, _ = view.inject(view.text_of_form(form))
    except Refusal:
        assert view.faults()["standing"] == []
        return
    assert [each["fault"] for each in view.faults()["standing"]] == [text]
    assert view.take_back(text) == text and view.faults()["standing"] == []


@pytest.mark.parametrize(
    "path", ["/", "/live", "/api/facility", "/api/faults", "/api/faults/take-back", "/inject", "/take-back", "/nothing", "/static/../x"]
)
def test_a_wrong_method_or_address_is_refused(served: TestClient, known: Facility, path: str) -> None:
    for method in ("PUT", "DELETE", "PATCH"):
        assert served.request(method, path, json={"fault": SPARGER}).status_code in (404, 405)
    wrong = served.get(path) if path in ("/inject", "/take-back", "/api/faults/take-back") else served.post(path, json={})
    assert wrong.status_code in (404, 405, 422)
    assert known.faults == ()


@pytest.mark.parametrize("path", ["/api/faults", "/api/faults/take-back", "/inject", "/take-back"])
def test_a_body_of_megabytes_and_one_nested_without_end_are_refused(served: TestClient, known: Facility, path: str) -> None:
    for body in (b"x" * 5_000_000, b'{"fault":' + b"[" * 60_000, b"a=1&" * 5_000):
        answer = served.post(path, content=body, headers={"origin": HERE, "content-type": "application/json"})
        assert answer.status_code in (413, 422), body[:20]
    assert known.faults == ()


def test_faults_have_a_limit_and_the_page_still_shows_them_all(porto: SitePlant) -> None:
    facility = grown(porto, hours=10.0)
    with client_of(facility) as client:
        texts = [f"lactate_is_high:unit=SB-200,start={at}.0,hours=5.0,size=0.2" for at in range(FAULTS_MAX + 1)]
        answers = [client.post("/api/faults", json={"fault": text}).status_code for text in texts]
        assert answers == [*([201] * FAULTS_MAX), 422]
        page = client.get("/")
        assert page.status_code == 200 and page.text.count('action="/take-back"') == FAULTS_MAX
        assert facility.at is not None
        facility.advance(facility.at + timedelta(hours=1))
        assert [client.post("/api/faults/take-back", json={"fault": text}).status_code for text in texts] == [*([200] * FAULTS_MAX), 404]
    assert facility.faults == () and len(facility.log) == 2 * FAULTS_MAX


def test_of_many_who_inject_and_take_back_the_same_at_once_one_succeeds(porto: SitePlant) -> None:
    facility = grown(porto, hours=10.0)
    with page_of(facility) as url, ThreadPoolExecutor(8) as people:

        def send(where: str) -> int:
            return httpx2.post(f"{url}{where}", json={"fault": SPARGER}).status_code

        assert sorted(people.map(send, ["/api/faults"] * 16)) == [201, *([422] * 15)]
        assert sorted(people.map(send, ["/api/faults/take-back"] * 16)) == [200, *([404] * 15)]
    assert facility.faults == () and len(facility.log) == 2


def test_an_emptied_vessel_shows_its_harvest_and_no_readings_of_nothing(porto: SitePlant) -> None:
    facility = Facility(porto, seed=3)
    view = View(facility)
    for _ in lead_batch(facility, hours=6.0):
        view.look()
    (vessel,) = view.vessels()
    assert vessel["empty"] and vessel["age_h"] is None and vessel["path"]
    page = TestClient(facility_app(view), base_url=HERE).get("/").text
    assert "at harvest of run 1" in page and "of the empty vessel" in page and "of now" not in page
    assert page.count("hangs in air") == 6 and "e-2" not in page and "-0.0 %" not in page


def test_the_trajectory_ends_in_the_present_and_shows_where_a_fault_acted(porto: SitePlant) -> None:
    facility = grown(porto, hours=10.0)
    view = View(facility)
    view.look()
    assert facility.at is not None
    view.inject("feed_pump_fouls:unit=SB-200,start=9.0,hours=48.0,size=0.5")
    facility.advance(facility.at + timedelta(minutes=10))
    (vessel,) = view.vessels()
    here = facility.vessels[PORTO]
    assert vessel["path"][-1]["age_h"] == here.age_h and vessel["path"][-1]["viable"] == vessel["inside"]["viable"]
    assert vessel["acted"] == [{"kind": "feed_pump_fouls", "from_h": 9.0, "until_h": here.age_h}]


def test_a_fault_says_whether_it_acts_waits_or_is_over(porto: SitePlant) -> None:
    facility = grown(porto, hours=10.0)
    view = View(facility)
    for start, hours, run in ((0.0, 5.0, 1), (5.0, 50.0, 1), (100.0, 5.0, 1), (5.0, 5.0, 2)):
        facility.inject(parse_fault(f"lactate_is_high:unit=SB-200,start={start},hours={hours},size=0.2,run={run}"))
    age = facility.vessels[PORTO].age_h
    assert [each["now"] for each in view.faults()["standing"]] == ["over", "acts now", f"waits {100.0 - age:.1f} h", "waits for run 2"]


def test_what_is_injected_into_an_empty_vessel_says_that_it_waits(porto: SitePlant) -> None:
    facility = Facility(porto, seed=3)
    answer = client_of(facility).post("/api/faults", json={"fault": SPARGER})
    assert answer.status_code == 201 and "nothing grows in SB-200" in answer.json()["note"]
    assert "waits: nothing grows" in client_of(facility).get("/").text


def test_a_fault_given_at_the_start_is_in_the_log(porto: SitePlant) -> None:
    facility = Facility(porto, seed=3, faults=[SPARGER])
    assert View(facility).faults()["log"] == [{"at": "", "what": "given at the start", "fault": SPARGER}]


def test_every_fault_offered_begins_with_a_size_that_it_can_have(porto: SitePlant) -> None:
    plants = [load_plant(document(f"{name}.plant.yaml"), name=name) for name in ("basel", "utrecht")]
    for plant in plants:
        view = View(Facility(porto, seed=3), ServiceModules(plant, seed=1))
        for each in view.faults()["kinds"]:
            assert not each["sized"] or (each["unit"] and each["low"] <= each["begin"] <= each["high"] and each["begin"] != 0.0), each
            for unit in each["units"]:
                view.take_back(view.inject(view.text_of_form({"unit": unit, "kind": each["name"], "size": str(each["begin"])}))[0])


@pytest.mark.parametrize("size", ["1e308", "-1", "nan", "inf", "one", "", "0x1", "1e999"])
def test_no_odd_size_is_taken(porto: SitePlant, size: str) -> None:
    modules = ServiceModules(load_plant(document("basel.plant.yaml"), name="basel"), seed=1)
    client = TestClient(facility_app(View(Facility(porto, seed=3), modules)), base_url=HERE)
    for fault in (f"sparger_fouls:unit=SB-200,size={size}", f"lnp_flow_falls:unit=MX-1,size={size}"):
        assert client.post("/api/faults", json={"fault": fault}).status_code == 422, fault
    assert client.put("/api/faults", json={}).status_code == 405
    huge = client.post("/api/faults", json={"fault": "lnp_flow_falls:unit=MX-1,size=0.4" + " " * 100_000})
    assert huge.status_code == 422 and len(huge.content) < 1000
    assert modules.faults == ()


# ---- modules that are driven by services ----


def test_a_module_is_broken_from_the_page_and_mended_there(porto: SitePlant) -> None:
    modules = ServiceModules(load_plant(document("basel.plant.yaml"), name="basel"), seed=1, faults=["rnase:unit=TR-1,size=0.5"])
    client = TestClient(facility_app(View(Facility(porto, seed=3), modules)), base_url=HERE)
    text = "lnp_flow_falls:unit=MX-1,size=0.4"
    assert client.post("/api/faults", json={"fault": text}).json() == {"fault": text}
    assert client.post("/api/faults", json={"fault": text}).status_code == 422
    line = modules.rigs[UnitId("MX-1")].device
    assert isinstance(line, MrnaLine) and (line.fault("lnp_flow_falls"), line.fault("rnase")) == (0.4, 0.5)
    again = ServiceModules(load_plant(document("basel.plant.yaml"), name="basel"), seed=1)
    again.restore(json.loads(json.dumps(modules.snapshot())))
    assert again.faults == modules.faults and again.log == modules.log
    assert [each["unit"] for each in client.get("/api/facility").json()["service_units"]] == ["TR-1", "PU-1", "MX-1"]
    assert client.post("/api/faults/take-back", json={"fault": text}).status_code == 200
    assert line.fault("lnp_flow_falls") == 0.0
    assert client.post("/api/faults", json={"fault": "lnp_flow_falls:unit=SB-200,size=0.4"}).status_code == 422


# ---- in a browser ----


@contextmanager
def page_of(facility: Facility) -> Iterator[str]:
    """The page on a real port, served by a thread of its own."""
    ready, stop, found = threading.Event(), threading.Event(), []

    async def serve() -> None:
        async with serve_page(View(facility)) as url:
            found.append(url)
            ready.set()
            while not stop.is_set():
                await asyncio.sleep(0.02)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(20)
    try:
        yield found[0]
    finally:
        stop.set()
        thread.join()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    path = shutil.which("chromium")
    if not path:
        pytest.skip("NO CHROMIUM ON THIS MACHINE: the facility's page was NOT tried in a browser (apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as player:
        browser = player.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


def test_a_person_injects_a_fouled_sparger_and_a_lost_sensor_in_a_browser(porto: SitePlant, chromium: Any) -> None:
    facility = grown(porto)
    with page_of(facility) as url:
        assert httpx2.get(f"{url}/api/facility").status_code == 200
        page = chromium.new_page()
        page.goto(url)
        before = facility.read(f"{PORTO}.oxygen_flow")
        page.select_option("select[name=kind]", "sparger_fouls")
        page.click("form[action='/inject'] button")
        page.wait_for_selector("form[action='/take-back'] button")
        assert facility.at is not None
        facility.advance(facility.at + timedelta(hours=12))
        assert facility.read(f"{PORTO}.oxygen_flow") > 1.8 * before
        page.select_option("select[name=kind]", "sensor_drops")
        page.select_option("select[name=signal]", "glucose")
        page.click("form[action='/inject'] button")
        page.wait_for_selector(".list >> text=sensor drops")
        facility.advance(facility.at + timedelta(hours=1))
        page.reload()
        page.wait_for_selector("tr:has-text('lucose') >> text=lost")
        page.click("form[action='/take-back'] button >> nth=-1")
        page.wait_for_load_state()
        assert [str(fault.kind) for fault in facility.faults] == ["sparger_fouls"]
        page.close()
