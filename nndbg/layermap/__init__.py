"""The layer map: TOML in, checked objects out, then placed in an executable."""

from nndbg.layermap.model import Boundary, Buffer, LayerMap, Op, Seek, Size
from nndbg.layermap.parse import parse_map
from nndbg.layermap.place import SECTION, PlacedMap, load_map, place_map

__all__ = [
    "SECTION",
    "Boundary",
    "Buffer",
    "LayerMap",
    "Op",
    "PlacedMap",
    "Seek",
    "Size",
    "load_map",
    "parse_map",
    "place_map",
]
