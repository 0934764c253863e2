"""A map without tiles: western and middle Europe as a grid of dots.

The outlines are drawn by hand, good to about a third of a degree: enough to see where a
site lies, and no use for anything else. The projection is equirectangular at 50° north.
"""

from __future__ import annotations

import math
from functools import cache

__all__ = ["HEIGHT", "WIDTH", "dots", "on_map", "within"]

WEST, EAST, SOUTH, NORTH = -12.0, 20.0, 36.2, 59.6
STEP = 0.42  # degrees of latitude between two rows of dots
SCALE = 26.0  # picture units to a degree of latitude
STRETCH = math.cos(math.radians(49.0))
WIDTH, HEIGHT = (EAST - WEST) * STRETCH * SCALE, (NORTH - SOUTH) * SCALE

# longitude, latitude; each outline closes on itself
_BRITAIN = """-5.7 50.1 -5.1 50.0 -4.2 50.3 -3.5 50.3 -3.0 50.7 -2.0 50.6 -1.2 50.7 0.2 50.8 1.4 51.2 0.7 51.5 1.1 51.9 1.7 52.6 1.3 52.9 0.4 52.9
0.2 53.1 0.1 53.6 -0.2 54.1 -1.2 54.7 -1.6 55.5 -2.1 55.9 -3.2 56.0 -2.6 56.3 -2.1 57.0 -1.9 57.6 -3.3 57.7 -4.1 57.6 -3.9 57.9 -3.1 58.6 -5.0 58.6
-5.3 58.1 -5.8 57.5 -5.6 56.8 -6.1 56.6 -5.5 56.0 -5.6 55.4 -4.8 55.6 -5.0 54.8 -4.0 54.8 -3.5 54.9 -3.4 54.4
-2.9 54.1 -3.0 53.5 -3.1 53.3 -4.4 53.3
-4.6 52.9 -4.1 52.6 -4.2 52.2 -5.2 51.8 -4.9 51.6 -4.2 51.6 -3.2 51.4 -2.7 51.6 -3.1 51.2 -4.2 51.2 -4.6 50.8 -5.1 50.4"""
_IRELAND = """-6.2 53.4 -6.0 52.9 -6.4 52.2 -8.0 51.8 -9.6 51.5 -10.3 51.9 -9.5 52.4 -9.7 52.7 -9.0 53.2 -10.1 53.5 -9.9 54.2 -8.6 54.3 -8.6 54.7
-8.3 55.1 -7.3 55.3 -6.1 55.2 -5.5 54.6 -5.9 54.1"""
_MAIN = """20.0 54.4 18.6 54.7 18.3 54.8 16.9 54.6 14.3 53.9 13.4 54.6 12.4 54.3 11.0 54.0 10.9 54.4 10.0 54.5 9.9 55.2
10.7 56.2 10.3 56.9 10.6 57.7 9.6 57.2
8.2 56.8 8.1 55.6 8.6 55.0 8.8 54.2 8.5 53.6 7.1 53.6 6.7 53.4 5.2 53.3 4.7 52.8 4.2 52.0 3.5 51.5 2.5 51.1 1.6 50.9 1.5 50.2 0.2 49.7 -1.1 49.4
-1.3 49.7 -1.9 49.7 -1.5 48.7 -3.0 48.8 -4.7 48.5 -4.6 48.0 -2.8 47.5 -2.0 47.1 -1.2 46.2 -1.2 44.6 -1.5 43.5 -3.8 43.5 -5.8 43.6 -7.9 43.8
-9.2 43.2 -8.8 42.0 -8.7 41.0 -9.0 39.4 -9.4 38.8 -8.8 38.4 -8.9 37.0 -7.4 37.2 -6.4 36.8 -5.6 36.1 -4.5 36.7 -2.2 36.8 -1.6 37.4 -0.7 37.7
-0.1 38.7 -0.3 39.5 0.8 40.7 2.1 41.3 3.2 41.9 3.1 43.0 4.0 43.5 5.4 43.2 6.6 43.2 7.5 43.8 8.8 44.4 10.2 43.9 10.6 42.9 11.8 42.1 13.0 41.2
14.2 40.8 15.3 40.0 15.8 39.5 16.2 38.8 15.7 38.0 16.5 38.3 17.1 39.0 16.6 39.7 17.0 40.5 18.3 39.9 18.5 40.2 17.9 40.7 16.0 41.4 16.1 41.9
15.1 41.9 13.9 42.8 13.5 43.6 12.4 44.2 12.3 45.2 13.1 45.7 13.6 45.5 13.7 44.9 14.3 45.2 14.9 44.8 15.3 44.2 16.4 43.5 17.6 42.9 18.5 42.4
19.4 41.8 19.5 40.5 20.0 39.7"""
_SICILY = "12.5 37.9 13.4 38.2 15.5 38.2 15.2 37.3 15.1 36.7 14.2 37.0 13.0 37.5"
_SARDINIA = "8.3 39.1 8.4 40.5 9.2 41.2 9.7 40.6 9.6 39.3 9.0 39.0"
_CORSICA = "8.6 42.3 9.4 42.9 9.5 42.1 9.2 41.4 8.7 41.8"
_ZEALAND = "11.1 55.6 12.1 56.0 12.6 55.6 12.1 55.0 11.2 55.2"
_FUNEN = "9.8 55.4 10.5 55.5 10.8 55.2 10.4 55.0 9.9 55.1"
_NORTH = """20.0 59.6 18.9 59.6 17.9 58.8 16.7 58.5 16.4 57.0 16.1 56.4 15.0 56.1 14.2 55.5 12.9 55.5 12.7 56.3 11.9
57.5 11.3 58.6 11.1 59.1 10.6 59.3
9.8 58.9 8.2 58.1 6.7 58.1 5.6 58.8 5.2 59.6"""
_GOTLAND = "18.2 57.1 18.8 57.9 19.2 57.9 18.5 57.2"
_MALLORCA = "2.4 39.6 3.2 39.9 3.4 39.6 3.0 39.3"


def _outline(text: str) -> tuple[tuple[float, float], ...]:
    numbers = [float(each) for each in text.split()]
    return tuple(zip(numbers[::2], numbers[1::2], strict=True))


_LAND = tuple(map(_outline, (_BRITAIN, _IRELAND, _MAIN, _SICILY, _SARDINIA, _CORSICA, _ZEALAND, _FUNEN, _NORTH, _GOTLAND, _MALLORCA)))


def on_map(latitude: float, longitude: float) -> tuple[float, float]:
    """Where a place lies in the picture, from its upper left corner."""
    return (longitude - WEST) * STRETCH * SCALE, (NORTH - latitude) * SCALE


def within(latitude: float, longitude: float) -> bool:
    """Whether the picture reaches that far."""
    return WEST <= longitude <= EAST and SOUTH <= latitude <= NORTH


@cache
def dots() -> tuple[tuple[float, float], ...]:
    """The middle of every dot of land."""
    found = []
    rows, columns = int((NORTH - SOUTH) / STEP), int((EAST - WEST) * STRETCH / STEP)
    for row in range(rows):
        latitude = NORTH - (row + 0.5) * STEP
        for column in range(columns):
            longitude = WEST + (column + (0.75 if row % 2 else 0.25)) * STEP / STRETCH
            if any(_inside(longitude, latitude, outline) for outline in _LAND):
                found.append(on_map(latitude, longitude))
    return tuple(found)


def _inside(x: float, y: float, outline: tuple[tuple[float, float], ...]) -> bool:
    inside = False
    for (x1, y1), (x2, y2) in zip(outline, outline[1:] + outline[:1], strict=True):
        if (y1 > y) != (y2 > y) and x < (x2 - x1) * (y - y1) / (y2 - y1) + x1:
            inside = not inside
    return inside
