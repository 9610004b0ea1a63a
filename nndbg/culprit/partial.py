"""The running value of a lane beside the partial sums of its formula, addition by addition.

What a lane was made of follows from the slice, and what it held was read behind each instruction.
The terms that had gone into it by then have one sum, in any order, and a bound: the first addition
behind which the lane holds something else is where the two part. Nothing here depends on what an
instruction is said to do, only on which elements it took.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from nndbg.culprit.forward import Forward, Result
from nndbg.culprit.lanes import sources
from nndbg.culprit.model import site
from nndbg.culprit.needs import Needs
from nndbg.culprit.slicing import Slice, Trace
from nndbg.culprit.terms import LIVE, STRANGE, UNKNOWN, Partial, Set, Terms
from nndbg.decode import Instruction
from nndbg.report.model import Computed, Turn

# How many additions are told before the one where they part, and how many terms by name.
_BEFORE = 2
_MOST_NAMED = 3
# How many sums may be under way at once: so many accumulators, and what joins them.
_RECENT = 64


@dataclass(frozen=True)
class Parting:
    """What came of following a lane: told by `computed`.

    `index` is the instruction that made something wrong of what was right, None where none did; it
    `is_lost` if that threw away a part of the sum, and `is_stale` if it added to a sum that still
    held another element's. The sum `is_whole` where it was right with all its terms in it.
    """

    computed: Computed
    index: int | None = None
    is_lost: bool = False
    is_stale: bool = False
    is_whole: bool = False


@dataclass(frozen=True)
class _Addition:
    """A sum that went on: the terms that came in, and what it should be behind that."""

    result: Result
    came: Set
    sum: Set
    meant: Partial


class _PartedError(Exception):
    """Running value and partial sum have parted."""

    def __init__(self, parting: Parting) -> None:
        self.parting = parting


def follow_sum(
    trace: Trace, made: Slice, terms: Terms, needed: Needs, element: str
) -> Parting | None:
    """Return how the sum of an element went; None where no part of it can be recognised."""
    return _Sum(trace, made, terms, needed, element).parting()


class _Sum:
    def __init__(
        self, trace: Trace, made: Slice, terms: Terms, needed: Needs, element: str
    ) -> None:
        self._trace = trace
        self._slice = made
        self._terms = terms
        self._element = element
        self._forward = Forward(
            trace, made, lambda at: terms.element(at, needed), is_strict=not terms.is_made
        )
        self._additions: list[_Addition] = []
        # By sum: what gave it the other sign.
        self._turned: dict[Set, Result] = {}
        # By term: what made it last, where terms are made by many instructions.
        self._makers: dict[Set, Result] = {}
        self._last: tuple[Result, Set, Partial] | None = None

    def parting(self) -> Parting | None:
        """Follow the sum to where it parts, or to its end."""
        try:
            for _ in self._forward.results(self._judge):
                pass
        except _PartedError as parted:
            return parted.parting
        return self._end()

    def _judge(self, result: Result) -> Set:
        """Return what a result is made of, as far as the formula goes; raises _PartedError."""
        if "max" in result.instruction.mnemonic and result.value in self._terms.taken:
            return 0  # the largest is taken off all terms alike, and is no part of the sum
        if result.made_of & STRANGE:
            return result.made_of
        if result.made_of & UNKNOWN:
            return result.made_of if self._terms.is_made else self._judge_stale(result)
        terms = self._terms
        sums = [one for one in result.operands if one == terms.complete(one)]
        if result.made_of == terms.complete(result.made_of):
            return self._judge_sum(result, sums)
        if self._terms.is_made:
            return result.made_of
        if not sums:
            # An element alone, or a product that is judged where it is added.
            return self._judge_stale(result)
        return self._judge_addition(result, sums)

    def _judge_sum(self, result: Result, sums: list[Set]) -> Set:
        """All that went in are whole terms of the formula."""
        made_of, terms = result.made_of, self._terms
        twice = _shared(result.operands)
        is_rest = len(sums) == len(result.operands) and "sub" in result.instruction.mnemonic
        if twice and is_rest and not terms.is_made:
            # What is left of a sum once it is taken off itself is no sum: so errors are found.
            return made_of | STRANGE
        is_new = made_of not in result.operands
        if terms.is_made and sum(one != 0 for one in sums) < 2:
            is_new = False  # a term on its way
        if not (is_new or terms.is_plain) or not made_of:
            self._makers[made_of] = result
            return made_of
        meant = terms.partial(made_of)
        came = made_of & ~max(sums, key=self._is_running, default=0)
        if meant.is_met(result.value) or meant.is_met_negative(result.value):
            if not meant.is_met(result.value):
                self._turned[made_of] = self._turning(result) or result
            if is_new and sums:
                self._additions.append(_Addition(result, came, made_of, meant))
            self._last = result, made_of, meant
            return made_of
        if terms.is_made and not any(one.sum in result.operands for one in self._additions):
            # It may be no sum at all: terms go into other things as well.
            return made_of | STRANGE
        raise _PartedError(self._blamed(result, came, meant, twice, is_new))

    def _blamed(
        self, result: Result, came: Set, meant: Partial, twice: Set, is_new: bool
    ) -> Parting:
        """Return what is wrong with an addition of terms that are all the formula's."""
        turning = self._turning(result)
        if turning is not None:
            says = f"{self._place(turning)} makes the sum with the other sign"
            return replace(self._parted(turning, came, meant, says), index=turning.index)
        maker = self._makers.get(came) if self._terms.is_made else None
        if maker is not None and not self._terms.partial(came).is_met(maker.value):
            meant = self._terms.partial(came)
            says = f"{self._named(came)}: {maker.value:.6g} was added, expected {meant.value:.6g}"
            return replace(self._parted(maker, came, meant, says), index=maker.index)
        if twice:
            again = self._terms.complete(twice)
            took = self._product(again or twice)
            says = f"{self._named(again) or 'here'}: the lane takes {took} a second time"
            found = self._parted(result, again, meant, says)
            is_loop = any(one.result.instruction == result.instruction for one in self._additions)
            return found if is_loop else replace(found, index=result.index)
        if is_new:
            what = f"{self._named(came)}: the arithmetic at {self._place(result)}"
            says = f"{what}: what went in is right, and what came out is not"
        else:
            says = f"the arithmetic at {self._place(result)} changes a sum that was right"
        return replace(self._parted(result, came, meant, says), index=result.index)

    def _turning(self, result: Result) -> Result | None:
        """Return what gave an operand the other sign."""
        return next((self._turned[o] for o in result.operands if o in self._turned), None)

    def _place(self, result: Result) -> str:
        return site(self._trace.code, result.instruction).place

    def _is_running(self, made_of: Set) -> tuple[bool, bool, int]:
        """How much a sum looks like the one that goes on, and not like what is added to it."""
        is_known = any(one.sum == made_of for one in self._additions[-_RECENT:])
        return is_known, not self._terms.numbers(made_of), made_of.bit_count()

    def _judge_stale(self, result: Result) -> Set:
        """No operand is a sum of the formula: is one a sum of another element?"""
        terms = self._terms
        running = max(result.operands, key=lambda one: (one & LIVE, one.bit_count()), default=0)
        others = 0
        for one in result.operands:
            others |= one if one != running else 0
        is_one = running.bit_count() == 1 and not running & LIVE
        came = terms.complete(result.made_of if is_one else others)
        if not came:
            return result.made_of
        meant = terms.partial(came)
        foreign = terms.foreign(running)
        is_from_before = running == LIVE and not self._trace.is_late
        # Where terms of this element are in it already, it holds one wrong thing, and no other sum.
        is_another = running.bit_count() > terms.factors and not terms.complete(running)
        if not is_from_before and not (foreign and is_another):
            return self._judge_overwritten(result, came, meant)
        if meant.is_met(result.value) or meant.is_met_negative(result.value):
            return came
        stranger = terms.names(foreign)[0] if foreign else "what was in it before the op"
        says = f"{self._named(came)}: the lane still holds {stranger}, and was not cleared"
        found = self._parted(result, came, meant, says)
        raise _PartedError(replace(found, index=result.index, is_stale=True))

    def _judge_overwritten(self, result: Result, came: Set, meant: Partial) -> Set:
        """Terms came to what is no sum: was there one before, and who put this in its place?"""
        lost = self._lost(result)
        if lost is None or meant.is_met(result.value) or meant.is_met_negative(result.value):
            return result.made_of
        at = site(self._trace.code, self._instruction(lost)).place
        says = f"{self._named(came)}: {at} has thrown the running sum away"
        found = self._parted(result, came, meant, says)
        raise _PartedError(replace(found, index=lost, is_lost=True))

    def _judge_addition(self, result: Result, sums: list[Set]) -> Set:
        """Something is added to a sum that is no term of the formula."""
        terms = self._terms
        before = 0
        for one in sums:
            before |= one
        raw = result.made_of & ~before
        raw &= ~terms.complete(raw)
        count = raw.bit_count()
        # A factor of zero is made of nothing.
        zeros = ["0"] if len(sums) > 1 and 0 in sums and count == terms.factors - 1 else []
        if count < terms.factors and not zeros:
            return result.made_of
        number = self._meant(raw) if count + len(zeros) == terms.factors else None
        came = terms.term(number) if number is not None else 0
        whole = terms.complete(result.made_of) | before | came
        meant = terms.partial(whole)
        if meant.is_met(result.value) or meant.is_met_negative(result.value):
            return whole  # it makes no difference: a factor of zero, say
        if number is None:
            return result.made_of | STRANGE
        got = " * ".join([*terms.names(raw), *zeros])
        expected = " * ".join(terms.names(came & ~raw))
        says = f"{self._named(came)}: the lane got {got}, expected {expected}"
        raise _PartedError(self._parted(result, came, meant, says, got))

    def _meant(self, raw: Set) -> int | None:
        """Return the term that was meant where these elements were taken, None if nobody knows."""
        terms = self._terms
        own = terms.numbers(raw)
        ahead = self._ahead()
        if len(set(own)) == 1:
            return own[0]
        if ahead is not None and (ahead in own or not own):
            return ahead
        return own[0] if own else None

    def _ahead(self) -> int | None:
        """Return the term that comes next if the lane goes on as it went before."""
        taken = [self._terms.numbers(one.came)[:1] for one in self._additions]
        last = [numbers[0] for numbers in taken if numbers][-2:]
        if not last:
            return None
        step = last[1] - last[0] if len(last) > 1 else 1
        following = last[-1] + step
        return following if self._terms.is_term(following) else None

    def _end(self) -> Parting | None:
        """The lane never parted: has it another sign, or has it not taken everything?"""
        terms = self._terms
        if self._last is None or not self._additions:
            return None
        result, made_of, meant = self._last
        whole = terms.partial(terms.whole)
        if not terms.is_plain and whole.is_met(result.value):
            says = f"the sum is right with all its terms in it, at {self._place(result)}"
            computed = Computed(self._element, says, self._told(), self._where(result))
            return Parting(computed, is_whole=True)
        if not terms.is_plain or self._forward.stored != made_of:
            return None
        if not meant.is_met(result.value):
            turned = self._turned[made_of]
            says = f"{self._place(turned)} makes the sum with the other sign"
            return replace(self._parted(turned, 0, meant, says), index=turned.index)
        lacking = terms.whole & ~made_of
        if not lacking or whole.is_met(result.value):
            return None
        left = terms.labels(lacking)
        says = f"every partial sum is right, and {_listed(left)} {_were(left)} never added"
        lost = self._lost(self._additions[0].result)
        if lost is not None:
            at = site(self._trace.code, self._instruction(lost)).place
            says = f"{at} throws a running sum away: {_listed(left)} {_are(left)} lost"
        computed = Computed(self._element, says, self._told(), self._where(result))
        return Parting(computed, lost, is_lost=lost is not None)

    def _lost(self, first: Result) -> int | None:
        """Return what overwrote the register of `first` while it held a sum that nobody stored."""
        adding = {one.result.instruction.address for one in self._additions}
        adding.add(first.instruction.address)
        width = 8 if first.instruction.mnemonic.endswith(("sd", "pd")) else 4
        lane = ((1 << width) - 1) << first.lane * width
        begun = next(
            (
                index
                for index in reversed(self._slice.ordered)
                if index < first.index
                and any(r == first.register and m & lane for r, m in self._slice.asked[index])
            ),
            None,
        )
        if begun is None or _takes(self._instruction(begun), first.register, lane):
            return None
        for index in range(begun - 1, -1, -1):
            instruction = self._trace.instructions[index]
            if instruction is None or instruction.store is not None or instruction.is_return:
                return None
            if first.register in instruction.writes:
                return begun if instruction.address in adding else None
        return None

    def _instruction(self, index: int) -> Instruction:
        instruction = self._trace.instructions[index]
        assert instruction is not None
        return instruction

    def _parted(
        self, result: Result, came: Set, meant: Partial, says: str, got: str | None = None
    ) -> Parting:
        took = got if got is not None else self._product(came)
        last = Turn(self._named(came), took, result.value, meant.value, meant.bound)
        return Parting(Computed(self._element, says, (*self._told(), last), self._where(result)))

    def _told(self) -> tuple[Turn, ...]:
        return tuple(
            Turn(
                self._named(one.came),
                self._product(one.came),
                one.result.value,
                one.meant.value,
                one.meant.bound,
            )
            for one in self._additions[-_BEFORE:]
        )

    def _where(self, result: Result) -> str:
        """Return which lane of which register it is, and the instruction."""
        written = next((n for n in result.instruction.names if n), result.register)
        where = site(self._trace.code, result.instruction)
        return f"lane {result.lane} of {written}, {where.place}: {result.instruction.text}"

    def _named(self, came: Set) -> str:
        return _listed(self._terms.labels(came))

    def _product(self, came: Set) -> str:
        """Return the elements of one term as a product; nothing where there are more."""
        if not came or came.bit_count() > min(self._terms.factors, _MOST_NAMED):
            return ""
        return " * ".join(self._terms.names(came))


def _shared(operands: tuple[Set, ...]) -> Set:
    """Return what more than one operand is made of."""
    seen = shared = 0
    for one in operands:
        shared |= seen & one
        seen |= one
    return shared


def _takes(instruction: Instruction, register: str, lane: int) -> bool:
    """Whether an instruction makes a lane of a register of what it held before."""
    return any(name == register for name, _ in sources(instruction, register, lane).registers)


def _were(names: list[str]) -> str:
    return "was" if len(names) == 1 else "were"


def _are(names: list[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more
