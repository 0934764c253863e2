"""What a running batch will come to: its quality at the end, its trajectories, and when a limit would be reached.

    model = fit_forecast(batches, variables=variables, quality=ends, qualities=qualities, name="MAB-A forecast", product="MAB-A")
    state = begin(model, units=2, product="MAB-A")
    state = follow(state, values, maturity=maturity)      # values[units, variables], maturity[units]
    said = forecast(state)                                # said.quality, said.low, said.high: [units, qualities]
    said.reaches("lactate", above=30.0)

Models are static, as those that judge: fitted off line, frozen, named by a digest.
"""

from isogenic.monitoring.forecasting.fitting import fit_forecast
from isogenic.monitoring.forecasting.following import Course, Following, Forecast, Reach, begin, follow, forecast
from isogenic.monitoring.forecasting.model import Forecaster, Validation

__all__ = ["Course", "Following", "Forecast", "Forecaster", "Reach", "Validation", "begin", "fit_forecast", "follow", "forecast"]
