"""Scenarios: which simulated process runs where, how batches differ, and what goes wrong, as a document that people write.

read_scenario(text)      a scenario, or every complaint with its line
example(name)            the text of one that is shipped
EXAMPLES                 their names
"""

from __future__ import annotations

from isogenic.sim.scenarios.examples import example, examples
from isogenic.sim.scenarios.model import Product, Scenario, ScenarioFault, Site
from isogenic.sim.scenarios.reading import KIND, read_scenario
from isogenic.sim.scenarios.schema import schema_text

__all__ = ["KIND", "Product", "Scenario", "ScenarioFault", "Site", "example", "examples", "read_scenario", "schema_text"]
