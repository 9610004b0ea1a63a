"""The layer map: TOML in, checked objects out, then placed in an executable."""

from nndbg.layermap.boundary import Boundary
from nndbg.layermap.model import (
    WHOLE,
    Buffer,
    Condition,
    LayerMap,
    Op,
    Phase,
    Seek,
    Size,
)
from nndbg.layermap.parse import MAIN_PHASE, parse_map
from nndbg.layermap.place import SECTION, Place, PlacedMap, load_map, place_map

__all__ = [
    "MAIN_PHASE",
    "SECTION",
    "WHOLE",
    "Boundary",
    "Buffer",
    "Condition",
    "LayerMap",
    "Op",
    "Phase",
    "Place",
    "PlacedMap",
    "Seek",
    "Size",
    "load_map",
    "parse_map",
    "place_map",
]
