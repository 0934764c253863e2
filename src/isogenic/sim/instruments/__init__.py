"""What instruments say of a process: noise, drift, lag, fouling and failures, the same live and in studies.

    truth = process.run(n).values                                   # (T, n) each
    shown = measured(truth, instruments=instruments_of("antibody"), seed=7, site="PORTO", batches=names, age_h=age)

    sensors = Sensors(instruments_of("antibody"), seed=7, site="PORTO", batches=names, step_h=1 / 60)
    shown = sensors.step(truth_now, index=minutes, age_h=hours)     # (signals, n)

`instrument` says what one instrument adds, `sensors` does it for many, `failures` breaks them, `tables` lists them by
process, `bioreactor` is what there is to measure, `raman` makes spectra.
"""

from __future__ import annotations

from isogenic.sim.instruments.failures import FAILURES, Failure, SensorFault
from isogenic.sim.instruments.instrument import Instrument
from isogenic.sim.instruments.sensors import Sensors, measured
from isogenic.sim.instruments.single import Sensor
from isogenic.sim.instruments.tables import INSTRUMENTS, STIRRED_BIOREACTOR, instruments_of

__all__ = [
    "FAILURES",
    "INSTRUMENTS",
    "STIRRED_BIOREACTOR",
    "Failure",
    "Instrument",
    "Sensor",
    "SensorFault",
    "Sensors",
    "instruments_of",
    "measured",
]
