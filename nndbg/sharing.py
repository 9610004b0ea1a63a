"""Buffers that lie in the same memory and are not the same: which bytes of one are another's."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from nndbg.capture import Capture, Flat
from nndbg.layermap import LayerMap


class Sharing:
    """Who lies in whose memory; looked up anew when an address moves."""

    def __init__(self, layer_map: LayerMap) -> None:
        self._map = layer_map
        self._addresses: Mapping[str, int] = {}
        self._others: dict[str, list[str]] = {}

    def others(self, name: str, capture: Capture) -> Collection[str]:
        """Return the buffers that share memory with this one, and not by being views of it."""
        self._look(capture)
        return self._others.get(name, ())

    def without(
        self,
        name: str,
        now: Flat,
        before: Flat,
        others: Collection[str],
        kin: Collection[str],
        capture: Capture,
    ) -> Flat:
        """Return what the buffer holds with what lies in memory of `others` as it was `before`.

        They count where they share its memory, and those in `kin` where they share its numbers.
        """
        sharing = [other for other in self.others(name, capture) if other in others]
        sharing += [other for other in self._map.kin[name] if other in kin]
        if not sharing:
            return now
        begin = capture.addresses[name]
        rest, old = now.copy().view(np.uint8), before.view(np.uint8)
        for other in sharing:
            first = max(0, capture.addresses[other] - begin)
            behind = capture.addresses[other] + capture.flat[other].nbytes - begin
            rest[first:behind] = old[first:behind]
        return rest.view(now.dtype)

    def _look(self, capture: Capture) -> None:
        if capture.addresses is self._addresses or capture.addresses == self._addresses:
            return
        self._addresses = capture.addresses
        self._others = {}
        spans = sorted(
            (capture.addresses[name], capture.addresses[name] + flat.nbytes, name)
            for name, flat in capture.flat.items()
            if capture.addresses.get(name)
        )
        open_spans: list[tuple[int, str]] = []
        for begin, end, name in spans:
            open_spans = [span for span in open_spans if span[0] > begin]
            for _, other in open_spans:
                if other not in self._map.kin[name]:
                    self._others.setdefault(name, []).append(other)
                    self._others.setdefault(other, []).append(name)
            open_spans.append((end, name))
