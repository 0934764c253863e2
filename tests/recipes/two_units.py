"""A recipe for two units, with branches, alternatives and a loop: what charts, schemas and records are tried on."""

from __future__ import annotations

TWO_UNITS = """# Cells are grown in a reactor, and filled on a line.
isogenic: general-recipe/1
recipe: GROW-FILL
version: 2
product: MAB-A
title: Grow and fill
units:
  reactor:
    class: stirred_bioreactor
    needs: {temperature: {low: 36 degC, high: 38 degC}}
  second:
    class: stirred_bioreactor
    needs: {agitation: {low: "@stirring", high: "@stirring"}}
formula:
  temperature: {title: Temperature, value: 37 degC, low: 36 degC, high: 38 degC, critical: true}
  stirring: {title: Stirring, value: 80 rpm, low: 60 rpm, high: 100 rpm, adjustable: true}
  wash_time: {title: Washing, value: 2 h, low: 1 h, high: 4 h}
procedure:
  - unit_procedure: growing
    on: reactor
    operations:
      - operation: prepare
        phases:
          - {phase: warm, title: Warm, setpoints: {temperature_sp: "@temperature"}, until: temperature > 36 degC, timeout: {after: 4 h, then: hold}}
          - parallel:
              - - {phase: settle_ph, title: Settle pH, setpoints: {ph_sp: 7 pH}, until: ph > 6.9 pH, timeout: {after: 4 h, then: hold}}
                - {phase: settle_gas, title: Settle gas, setpoints: {dissolved_oxygen_sp: 40 %}, until: elapsed > 1 h}
              - - phase: look
                  title: Look at the vessel
                  ask: [{prompt: clear, answer: confirm, text: The medium is clear, witness: true}]
                  until: answered
                  timeout: {after: 4 h, then: alarm}
          - choose:
              - when: glucose < 5 mM
                do: [{phase: feed, title: Feed once, setpoints: {feed_flow_sp: 10 mL/h}, until: elapsed > 2 h}]
              - otherwise: [{phase: wait, title: Wait, until: elapsed > 1 h}]
          - repeat:
              do: [{phase: wash, title: Wash, setpoints: {agitation_sp: "@stirring"}, until: elapsed >= @wash_time}]
              until: viability > 90 %
              at_most: 3
              then: hold
  - unit_procedure: resting
    on: second
    operations:
      - operation: rest
        phases:
          - {phase: stir, title: Stir, setpoints: {agitation_sp: "@stirring"}, until: elapsed > 3 h}
"""
