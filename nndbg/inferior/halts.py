"""The stops that a person asked for, between the boundaries: at instructions, and at changes."""

from __future__ import annotations

from collections.abc import Collection

from nndbg.capture import Capture
from nndbg.errors import GdbError, Paused, UsageError
from nndbg.inferior.process import Inferior, Stop
from nndbg.layermap import LayerMap
from nndbg.places import Place, Places

# Debug registers of an x86-64 processor.
_MOST_WATCHED = 4


class Halts:
    """Which are wanted, and which of them one program has; addresses as linked."""

    def __init__(self) -> None:
        self._addresses: frozenset[int] = frozenset()
        self._elements: frozenset[Place] = frozenset()
        self._breakpoints: dict[int, int] = {}
        self._watchpoints: dict[Place, int] = {}
        self._places: Places | None = None

    def want(self, addresses: Collection[int], elements: Collection[Place]) -> None:
        """Want these, and no others."""
        self._addresses, self._elements = frozenset(addresses), frozenset(elements)

    def forget(self) -> None:
        """Know that the program is another one, which has none of them yet."""
        self._breakpoints.clear()
        self._watchpoints.clear()

    def arm(self, inferior: Inferior, layer_map: LayerMap, capture: Capture) -> None:
        """Give the program what is wanted and take from it what is not.

        Raises Paused where an element cannot be watched: the program stands where it stood.
        """
        if len(self._elements) > _MOST_WATCHED:
            raise Paused(
                f"the processor can watch {_MOST_WATCHED} elements, and {len(self._elements)} are "
                "wanted: take some away. Still where the program was"
            )
        for address in self._breakpoints.keys() - self._addresses:
            inferior.delete(self._breakpoints.pop(address))
        for place in self._watchpoints.keys() - self._elements:
            inferior.delete(self._watchpoints.pop(place))
        for address in sorted(self._addresses - self._breakpoints.keys()):
            self._breakpoints[address] = inferior.break_at(address)
        wanted = self._elements - self._watchpoints.keys()
        if wanted:
            self._places = places = Places(layer_map, capture)
            for place in sorted(wanted, key=str):
                try:
                    at, size = places.address(place), places.width(place.buffer)
                    if not places.start(place.buffer):
                        raise UsageError("its pointer is null.")
                    self._watchpoints[place] = inferior.watch_access(at, size)
                except (UsageError, GdbError) as error:
                    raise Paused(
                        f"{place} cannot be watched: {error} Still where the program was"
                    ) from error

    def disarm(self, inferior: Inferior) -> None:
        """Take all of them from the program, for a run that nothing is to stop."""
        for number in (*self._breakpoints.values(), *self._watchpoints.values()):
            inferior.delete(number)
        self.forget()

    def reason(self, stop: Stop) -> str | None:
        """Return in words why a stop was wanted, None where it was not.

        A watchpoint stops at reads too, which nobody wants.
        """
        if stop.changed is not None:
            place = next((p for p, n in self._watchpoints.items() if n == stop.watchpoint), None)
            if place is None:
                return "a watched element changed before"
            before, after = (self._number(place, text) for text in stop.changed)
            return f"{place} changed from {before} to {after} before"
        if stop.address in self._breakpoints:
            return "at the breakpoint in"
        return None

    def _number(self, place: Place, text: str) -> str:
        """Return an element that GDB printed as an integer, as the number that it is."""
        assert self._places is not None
        width = self._places.width(place.buffer)
        data = (int(text.split(maxsplit=1)[0]) % (1 << 8 * width)).to_bytes(width, "little")
        return f"{self._places.value(place.buffer, data):.9g}"
