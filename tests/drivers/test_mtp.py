"""Services of a module told over a real socket, and what happens when the module does not do as it should."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mtp_floor import DEFINITION, DOCUMENT, FILLER, Floor, Stands, manifest, order
from mtp_floor import floor as one_floor

from isogenic.clock import ManualClock, SystemClock
from isogenic.errors import NotFound, NotValid
from isogenic.plant.documents import load_plant, with_endpoints
from isogenic.plant.mtp.archive import packed
from isogenic.plant.mtp.comparing import type_digest
from isogenic.plant.mtp.states import Command, ServiceState
from isogenic.plant.mtp.writing import write_manifest
from isogenic.sim.pea import Behaviour, Mode, Pea, Source
from isogenic.sim.pea_server import PeaServer
from isogenic.sim.secured import SIMULATED_URI, Secured
from isogenic.sites.drivers.certificates import OpcUaTrust, application_uri, make_identity
from isogenic.sites.drivers.mtp import MtpDriver
from isogenic.sites.drivers.several import SeveralDrivers, drivers_for

S = ServiceState
LIMIT_S = 2.0  # a module that is loaded is not late
SHARED: list[Any] = []


@pytest.fixture(scope="module", autouse=True)
def shared() -> Iterator[None]:
    """One server and one driver for all tests of this file; each test has a controller of its own behind it."""
    with asyncio.Runner() as runner:
        context = one_floor(answer_limit_s=LIMIT_S, confirm_limit_s=0.1)
        SHARED.extend((runner, runner.run(context.__aenter__())))
        yield
        SHARED.clear()
        runner.run(context.__aexit__(None, None, None))


@asynccontextmanager
async def floor(behaviours: Mapping[str, Behaviour] | None = None, *, pea: Pea | None = None) -> AsyncIterator[Floor]:
    """The shared floor with a controller that nobody has told anything yet."""
    site = SHARED[1]
    await site.fresh(pea or Pea(DEFINITION, behaviours))
    yield site


def run(test):
    """Run one test's coroutine; a hanging wire fails it."""

    async def limited():
        async with asyncio.timeout(60):
            return await test()

    return SHARED[0].run(limited())


def test_a_start_takes_control_sets_parameters_chooses_the_procedure_and_is_confirmed():
    async def test():
        async with floor({"Cell_Fill": Stands(S.EXECUTE)}) as site:
            assert (await site.seen("fill_state"), site.pea.values["Cell_Fill.StateOffAct"]) == ((16.0, "good"), True)
            assert await site.told("start", containers=120, fill_weight=1.3, tolerance=2.5) == ""
            values = site.pea.values
            assert [values[f"Cell_Fill.{word}"] for word in ("StateAutAct", "SrcExtAct", "ProcedureCur", "CommandExt")] == [True, True, 2, 0]
            assert (values["Cell_Fill.Number.VOut"], values["Cell_Fill.Band.VOut"]) == (120, 2.5)
            assert math.isclose(values["Cell_Fill.Weight.VOut"], 1.3, rel_tol=1e-6)
            assert await site.seen("fill_state") == (float(S.EXECUTE), "good")

    run(test)


def test_every_command_leads_where_the_table_says_and_telling_it_again_does_nothing():
    async def test():
        async with floor({"Cell_Fill": Stands(S.EXECUTE)}) as site:
            assert await site.told("start", 1, containers=10) == ""
            course = [
                ("pause", S.PAUSED), ("resume", S.EXECUTE), ("hold", S.HELD), ("unhold", S.EXECUTE), ("complete", S.COMPLETED), ("reset", S.IDLE),
                ("start", S.EXECUTE), ("stop", S.STOPPED), ("reset", S.IDLE), ("start", S.EXECUTE), ("restart", S.EXECUTE), ("abort", S.ABORTED),
            ]  # fmt: skip
            for number, (command, state) in enumerate(course, start=2):
                for _ in range(2):
                    assert (command, await site.told(command, number)) == (command, "")
                assert site.pea.run("Cell_Fill").state is state

    run(test)


def test_a_service_that_is_over_is_not_started_before_it_is_reset():
    async def test():
        async with floor() as site:  # done in no time
            assert await site.told("start", 1) == ""
            assert await site.seen("fill_state") == (float(S.COMPLETED), "good")
            assert await site.told("start", 2) == "it is completed: start is not possible; possible are reset, stop, abort"
            assert await site.told("reset", 3) == ""
            assert await site.told("start", 4) == ""

    run(test)


REFUSED = [
    ({"command": "dance"}, "'dance' is no command; possible are reset, start, stop, hold, unhold, pause, resume, abort, restart, complete"),
    ({"command": "resume"}, "it is idle: resume is not possible; possible are start, stop, abort"),
    ({"command": "start", "speed": 3.0}, "procedure gravimetric has no parameter 'speed'; it has containers, fill_weight, tolerance"),
    ({"command": "start", "fill_weight": math.nan}, "parameter fill_weight is nan: no number"),
    ({"command": "start", "fill_weight": 5000.0}, "fill_weight 1.0 is requested, not 5000"),  # beyond the module's own range
    ({"command": "start", "containers": 1e12}, "1000000000000.0 cannot be written as Int32"),
]


def test_what_a_module_cannot_do_is_refused_and_nothing_starts():
    async def test():
        async with floor() as site:
            assert [await site.told(**told) for told, _ in REFUSED] == [why for _, why in REFUSED]
            assert site.pea.run("Cell_Fill").state is S.IDLE

    run(test)


def test_local_control_is_respected():
    async def test():
        async with floor({"Cell_Fill": Stands(S.EXECUTE)}) as site:
            site.pea.level("Cell_Fill", 0)
            await site.server.follow()
            assert await site.told("start") == "a person operates it at the module (OSLevel 0); it is idle"
            site.pea.level("Cell_Fill", 1)
            await site.server.follow()
            assert await site.told("start") == ""
            site.pea.operate("Cell_Fill", Mode.OPERATOR)  # a person takes over while it runs
            await site.server.follow()
            assert await site.told("hold", 2) == "a person or nobody operates it (not in automatic mode); it is execute"
            assert site.pea.run("Cell_Fill").state is S.EXECUTE

    run(test)


def test_a_module_that_refuses_or_does_not_obey_is_told_so():
    class Stubborn(Pea):
        """Hears nothing of what a test names."""

        deaf: tuple[str, ...] = ()

        def write(self, key, value):
            return True if key.endswith(self.deaf or ("?",)) else super().write(key, value)

    async def test():
        stubborn = Stubborn(DEFINITION, {"Cell_Fill": Stands(S.EXECUTE)})
        async with floor(pea=stubborn) as site:
            found = {}
            for deaf in ("StateAutOp", "SrcExtOp", "Weight.VExt", "ProcedureExt", "CommandExt"):
                stubborn.deaf = (deaf,)
                found[deaf] = await site.told("start", fill_weight=7.0)
            assert found == {
                "StateAutOp": "it does not go to automatic mode: StateAutAct stays off",
                "SrcExtOp": "it does not go to external source: SrcExtAct stays off",
                "Weight.VExt": "fill_weight 1.0 is requested, not 7",
                "ProcedureExt": "procedure gravimetric (2) is not taken: ProcedureReq is 0",
                "CommandExt": "start was told and is not confirmed: it is still idle",
            }
            stubborn.deaf = ()
            assert await site.told("start", fill_weight=7.0) == ""

    run(test)


def test_a_command_that_the_module_does_not_enable_is_not_written():
    async def test():
        async with floor({"Cell_Fill": Stands(S.EXECUTE)}) as site:
            assert await site.told("start") == ""
            site.pea.put("Cell_Fill.CommandEn", int(Command.STOP) | int(Command.ABORT))  # an interlock
            await site.server.follow()
            assert await site.told("hold", 2) == "the module does not enable hold in execute (CommandEn)"

    run(test)


def test_a_start_that_ends_in_an_abort_is_told():
    class Broken(Stands):
        def entered(self, run):
            if run.state is S.STARTING:
                run.command(Command.ABORT)

    async def test():
        async with floor({"Cell_Fill": Broken()}) as site:
            assert await site.told("start") == "start was told and it is aborted"
            assert await site.seen("fill_state") == (float(S.ABORTED), "good")

    run(test)


def test_another_procedure_that_runs_already_is_no_start():
    async def test():
        async with floor({"Cell_Fill": Stands(S.EXECUTE)}, pea=None) as site:
            site.pea.operate("Cell_Fill", Mode.AUTOMATIC, Source.EXTERNAL)
            site.pea.write("Cell_Fill.ProcedureExt", 1)
            site.pea.write("Cell_Fill.CommandExt", int(Command.START))
            await site.server.follow()
            assert await site.told("start") == "it is execute with procedure 1, not 2"

    run(test)


def test_an_impossible_state_is_bad_and_nothing_is_ordered():
    async def test():
        async with floor() as site:
            for word in (0, 3, 12, 1 << 18):
                site.pea.put("Cell_Fill.StateCur", word)
                await site.server.follow()
                assert str(await site.seen("fill_state")) == str((math.nan, "bad"))
                assert await site.told("start") == f"it reports the impossible state {word}"

    run(test)


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(["StateCur", "CommandEn", "ProcedureCur", "ProcedureReq"]),
    st.integers(0, 2**32 - 1) | st.sampled_from(sorted(S)) | st.sampled_from(sorted(Command)),
    st.sampled_from(["start", "stop", "hold", "reset"]),
)
def test_whatever_words_a_module_shows_an_order_ends_with_an_answer(word, value, command):
    async def test():
        async with floor(pea=Pea(DEFINITION, mode=Mode.AUTOMATIC, source=Source.EXTERNAL)) as site:
            site.driver._confirm_s = 0.01
            site.pea.put(f"Cell_Fill.{word}", value)
            await site.server.follow()
            refused = await site.told(command)
            shown, quality = await site.seen("fill_state")
            assert quality == ("bad" if math.isnan(shown) else "good")
            assert (site.pea.run("Cell_Fill").state is S.IDLE) or refused == "" or "was told" in refused or "started with" in refused

    run(test)
    SHARED[1].driver._confirm_s = 0.1


# ---- a module that is gone ----


def test_a_module_that_vanishes_mid_phase_is_unknown_never_stopped_and_is_read_afresh_when_it_is_back():
    async def test():
        async with floor({"Cell_Fill": Stands(S.EXECUTE)}) as site:
            await site.seen("fill_state")
            assert await site.told("start", 1, containers=5) == ""
            await site.server.stop()
            await site.settled("fill_state", (math.nan, "bad"))
            assert await site.told("hold", 2) == f"module {FILLER} is lost: nothing is known of its service"
            site.pea.decide("Cell_Fill", Command.HOLD)  # meanwhile, by itself
            await site.again()
            await site.settled("fill_state", (float(S.HELD), "good"))
            assert await site.told("hold", 2) == ""  # so already
            assert await site.told("unhold", 3) == ""
            assert [(module, up) for module, up, _ in site.driver.changes()] == [(FILLER, False), (FILLER, True)]

    run(test)


def test_a_controller_that_restarts_cold_is_idle_and_is_taken_control_of_again():
    async def test():
        async with floor({"Cell_Fill": Stands(S.EXECUTE)}) as site:
            await site.seen("fill_state")
            assert await site.told("start", 1) == ""
            await site.again(Pea(DEFINITION, {"Cell_Fill": Stands(S.EXECUTE)}))
            await site.settled("fill_state", (float(S.IDLE), "good"))
            assert site.pea.values["Cell_Fill.StateOffAct"] is True
            assert await site.told("start", 2) == ""
            assert site.pea.run("Cell_Fill").state is S.EXECUTE

    run(test)


def test_a_module_that_answers_late_is_lost_and_nothing_is_believed():
    async def test():
        async with floor({"Cell_Fill": Stands(S.EXECUTE)}) as site:
            await site.seen("fill_state")
            site.server.late_s = 5 * LIMIT_S
            assert await site.told("start", 1) == f"module {FILLER} did not answer; it may have been told"
            site.server.late_s = 0.0
            await site.settled("fill_state", (float(S.IDLE), "good"))
            assert await site.told("start", 1) == ""
            assert site.pea.run("Cell_Fill").state is S.EXECUTE

    run(test)


def test_namespaces_are_found_by_their_address_when_their_order_changes():
    async def test():
        async with floor({"Cell_Fill": Stands(S.EXECUTE)}) as site:
            await site.seen("fill_state")
            site.server.further_namespaces = ("urn:something:before",)
            await site.again()
            await site.settled("fill_state", (float(S.IDLE), "good"))
            assert await site.told("start", 1) == ""

    run(test)


# ---- values ----


def test_values_come_in_canonical_units_with_the_quality_that_the_module_gives_them():
    async def test():
        async with floor() as site:
            site.pea.show("Filled", 42)
            site.pea.show("Net", 1500.0)
            await site.server.follow()
            assert (await site.seen("containers_filled"), await site.seen("fill_weight")) == ((42.0, "good"), (1.5, "good"))
            for word, quality in ((0x80, "good"), (0x60, "uncertain"), (0x00, "bad")):
                site.pea.put("Net.WQC", word)
                await site.server.follow()
                assert (await site.seen("fill_weight"))[1] == quality
            site.pea.put("Net.WQC", 255)
            site.pea.lose("Net.WQC")  # a lost word is no reason to believe
            await site.server.follow()
            assert (await site.seen("fill_weight"))[1] == "bad"
            assert await site.driver.write({"FILL-1.isolator_pressure_sp": 50.0}) == {}
            assert site.pea.asked("Pressure_SP") == 0.5  # 50 Pa are 0.5 mbar

    run(test)


def test_a_value_whose_unit_at_the_module_is_another_one_is_bad():
    async def test():
        async with floor() as site:
            assert (await site.seen("fill_weight"))[1] == "good"
            site.pea.put("Net.VUnit", 1088)  # kg
            await site.server.follow()
            assert (await site.seen("fill_weight"))[1] == "bad"

    run(test)


def test_a_hidden_signal_is_nobodys():
    async def test():
        async with floor() as site:
            frame = await site.driver.read(site.server._clock.now().at)
            assert list(frame.index.tags) == [f"FILL-1.{each}" for each in ("fill_state", "containers_filled", "fill_weight", "isolator_pressure_sp")]
            assert await site.driver.write({"FILL-1.fill_weight~quality": 1.0}) == {
                "FILL-1.fill_weight~quality": "the plant document does not name it"
            }

    run(test)


# ---- what does not fit is refused at the start ----


@pytest.mark.parametrize(
    ("document", "why"),
    [
        (
            DOCUMENT.replace("Gravimetric}", "Weighed}"),
            "procedure fill.gravimetric: Cell_Fill has no such procedure; it has Peristaltic, Gravimetric",
        ),
        (DOCUMENT.replace("node: Filled", "node: Nowhere"), "FILL-1-CELL: signal containers_filled: CELL has no data assembly Nowhere"),
        (
            DOCUMENT.replace(
                "manifest: cell.mtp", "manifest: cell.mtp\n        settings: {firmware: {kind: firmware, node: Version.Text, released: a}}"
            ),
            "FILL-1-CELL: setting firmware: CELL has no data assembly Version",
        ),
        (DOCUMENT.replace("manifest: cell.mtp", f"manifest: cell.mtp\n        module_type: {'0' * 64}"), "another module type than the released one"),
    ],
)
def test_a_manifest_that_lacks_what_is_bound_is_refused(document, why):
    with pytest.raises(NotValid) as refusal:
        MtpDriver(load_plant(document, name="x"), {FILLER: manifest()}, clock=ManualClock())
    assert why in str(refusal.value)


def test_the_manifests_of_a_site_lie_in_its_folder_and_one_that_is_missing_or_a_trick_is_refused_by_name(tmp_path):
    plant = with_endpoints(load_plant(DOCUMENT, name="x"), {FILLER: "opc.tcp://127.0.0.1:1"})

    def made() -> SeveralDrivers:
        return drivers_for(plant, clock=ManualClock(), answer_limit_s=1.0, folder=tmp_path)

    with pytest.raises(NotFound, match=rf"cannot read the manifest of {FILLER}: .*cell\.mtp: No such file"):
        made()
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "cell.mtp").write_bytes(b"<!DOCTYPE x><CAEXFile/>")
    with pytest.raises(NotValid, match=r"cell\.mtp: it declares a document type"):
        made()
    (tmp_path / "modules" / "cell.mtp").write_bytes(packed(write_manifest(manifest())))
    assert made().index.tags[0] == "FILL-1.fill_state"


def test_the_released_type_is_taken():
    text = DOCUMENT.replace(
        "manifest: cell.mtp", f"manifest: cell.mtp\n        module_type: {type_digest(manifest())}\n        endpoint: opc.tcp://127.0.0.1:1"
    )
    assert MtpDriver(load_plant(text, name="x"), {FILLER: manifest()}, clock=ManualClock()).index.tags[0] == "FILL-1.fill_state"


def test_an_order_for_nobody_is_refused():
    async def test():
        async with floor() as site:
            assert await site.driver.order({"FILL-1.label": order("start")["FILL-1.fill"]}) == {
                "FILL-1.label": "no module of the plant document has this service"
            }

    run(test)


# ---- secured ----


def test_services_are_driven_over_a_secured_connection_and_never_over_one_that_is_not_trusted(tmp_path):
    now = SystemClock().now().at
    site, module = tmp_path / "site" / "opcua", tmp_path / "module"
    make_identity(site, uri=application_uri("aster", "LEEDS"), hosts=("localhost",), now=now, days=30)
    fingerprint = make_identity(module, uri=SIMULATED_URI, hosts=("localhost",), now=now, days=30)
    secured = Secured((module / "own.der").read_bytes(), (module / "own.key").read_bytes(), {(site / "own.der").read_bytes()})

    async def told(endpoint: str, shown: str) -> str:
        text = DOCUMENT.replace("manifest: cell.mtp", f'manifest: cell.mtp\n        security: {{policy: Aes256Sha256RsaPss, fingerprint: "{shown}"}}')
        known = with_endpoints(load_plant(text, name="x"), {FILLER: endpoint})
        async with MtpDriver(known, {FILLER: manifest()}, clock=ManualClock(), answer_limit_s=5.0, trust=OpcUaTrust(site)) as driver:
            return dict(await driver.order(order("start"))).get("FILL-1.fill", "")

    async def test():
        server = PeaServer(Pea(DEFINITION, {"Cell_Fill": Stands(S.EXECUTE)}), ManualClock(), secured)
        await server.start()
        try:
            rogue = await told(server.endpoint, "sha256:" + "0" * 64)
            assert (rogue, server.pea.run("Cell_Fill").state) == (f"module {FILLER} is lost: nothing is known of its service", S.IDLE)
            assert await told(server.endpoint, fingerprint) == ""
            assert server.pea.run("Cell_Fill").state is S.EXECUTE
        finally:
            await server.stop()

    run(test)
