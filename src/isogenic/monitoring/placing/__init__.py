"""Placing: how far a batch is, from its clock, its phases, or its readings; chosen when a model is fitted, and a part of the model."""

from isogenic.monitoring.placing.model import Placed, Placing, Spot, placing_of

__all__ = ["Placed", "Placing", "Spot", "placing_of"]
