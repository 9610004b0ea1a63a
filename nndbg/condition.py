"""A condition on buffers, such as `abs(dW1).max() > 10`: a checked expression, never `eval`."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from nndbg.errors import UsageError
from nndbg.text import printable

Value = Any  # a number, a truth value, or an array of them

_LONGEST = 1000
_DEEPEST = 40

# Of every element.
_FUNCTIONS: Mapping[str, Callable[[Value], Value]] = {
    "abs": np.abs,
    "exp": np.exp,
    "isfinite": np.isfinite,
    "isinf": np.isinf,
    "isnan": np.isnan,
    "log": np.log,
    "sign": np.sign,
    "sqrt": np.sqrt,
}
# Of a whole array, or along an axis of it.
_REDUCTIONS: Mapping[str, Callable[..., Value]] = {
    "all": np.all,
    "any": np.any,
    "argmax": np.argmax,
    "argmin": np.argmin,
    "count": np.count_nonzero,
    "max": np.max,
    "mean": np.mean,
    "min": np.min,
    "std": np.std,
    "sum": np.sum,
}
_BINARY: Mapping[type[ast.operator], Callable[[Value, Value], Value]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.BitAnd: np.logical_and,
    ast.BitOr: np.logical_or,
}
_UNARY: Mapping[type[ast.unaryop], Callable[[Value], Value]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Invert: np.logical_not,
    ast.Not: np.logical_not,
}
_COMPARISONS: Mapping[type[ast.cmpop], Callable[[Value, Value], Value]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_NAMED_NUMBERS: Mapping[str, float] = {"inf": np.inf, "nan": np.nan}


@dataclass(frozen=True)
class Condition:
    """An expression over buffers that is true or false; `buffers` are those that it names."""

    text: str
    buffers: frozenset[str]
    _tree: ast.expr

    def holds(self, array_of: Callable[[str], Value]) -> bool:
        """Whether it is true of the arrays that `array_of` returns by name, NumPy's.

        Integers are compared as float64. Raises UsageError where the arrays do not fit each other,
        or what comes out is no single truth value; KeyError and what else `array_of` raises goes
        through.
        """
        with np.errstate(all="ignore"):
            value = np.asarray(_Evaluation(self.text, array_of).of(self._tree))
        if value.size != 1:
            _refuse(
                self.text,
                self._tree,
                f"this has {value.size} values, and a condition has one: put .any() or .all() "
                "behind it",
            )
        return bool(value.reshape(-1)[0])


def parse_condition(text: str, buffers: Iterable[str]) -> Condition:
    """Return the condition that `text` states over some of `buffers`.

    Numbers, buffers with indices and slices, + - * / < <= > >= == != and or not & | ~, functions of
    every element (abs, isnan ...) and reductions of all (`.max()`, `max(W1)`, with `axis=`). Raises
    UsageError with the column of what is none of these.
    """
    known = frozenset(buffers)
    if not text.strip():
        raise UsageError("an empty condition. Write one like this: isnan(z2).any()")
    if len(text) > _LONGEST:
        raise UsageError(f"a condition of {len(text)} characters; {_LONGEST} are the most.")
    text = text.strip()
    try:
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        what = error.msg if isinstance(error, SyntaxError) else "it cannot be read"
        raise UsageError(
            _pointed(text, getattr(error, "offset", None) or len(text), what)
        ) from error
    named: set[str] = set()
    _check(text, tree, known, named, 0)
    if not named:
        _refuse(text, tree, "this names no buffer, so it never changes")
    return Condition(text, frozenset(named), tree)


def _check(text: str, node: ast.expr, known: frozenset[str], named: set[str], depth: int) -> None:
    """Raise UsageError for everything that the language has not."""
    if depth > _DEEPEST:
        _refuse(text, node, "this is nested too deeply")

    def check(*parts: ast.expr) -> None:
        for part in parts:
            _check(text, part, known, named, depth + 1)

    match node:
        case ast.Constant(value=bool()):
            pass
        case ast.Constant(value=int() | float()):
            pass
        case ast.Name(id=name) if name in known:
            named.add(name)
        case ast.Name(id=name) if name in _NAMED_NUMBERS:
            pass
        case ast.Name(id=name):
            shown = ", ".join(sorted(known))
            _refuse(text, node, f"there is no buffer {name}. There are: {shown}")
        case ast.UnaryOp(op=op, operand=operand) if type(op) in _UNARY:
            check(operand)
        case ast.BinOp(left=left, op=binary, right=right) if type(binary) in _BINARY:
            check(left, right)
        case ast.BoolOp(values=values):
            check(*values)
        case ast.Compare(left=left, ops=ops, comparators=others) if all(
            type(one) in _COMPARISONS for one in ops
        ):
            check(left, *others)
        case ast.Subscript(value=value, slice=index):
            check(value)
            _check_index(text, index)
        case ast.Call(func=ast.Name(id=name), args=[of], keywords=keywords):
            if name not in _FUNCTIONS and name not in _REDUCTIONS:
                _refuse(text, node, f"there is no function {name}. There are: {_all_functions()}")
            _check_axis(text, node, keywords, name in _REDUCTIONS)
            check(of)
        case ast.Call(func=ast.Attribute(value=of, attr=name), args=[], keywords=keywords):
            if name not in _REDUCTIONS:
                _refuse(text, node, f"there is no .{name}(). There are: {', '.join(_REDUCTIONS)}")
            _check_axis(text, node, keywords, True)
            check(of)
        case _:
            _refuse(text, node, "this is not in the language of conditions")


def _check_axis(text: str, node: ast.expr, keywords: list[ast.keyword], allowed: bool) -> None:
    if not keywords:
        return
    if not allowed or len(keywords) > 1 or keywords[0].arg != "axis":
        _refuse(text, node, "only a reduction takes an argument more, and only axis=")
    if _integer(keywords[0].value) is None:
        _refuse(text, keywords[0].value, "an axis is a whole number")


def _check_index(text: str, index: ast.expr) -> None:
    for part in index.elts if isinstance(index, ast.Tuple) else [index]:
        ends = [part.lower, part.upper, part.step] if isinstance(part, ast.Slice) else [part]
        for end in ends:
            if end is not None and _integer(end) is None:
                _refuse(text, end, "an index is a whole number or a slice of them")


def _integer(node: ast.expr) -> int | None:
    match node:
        case ast.Constant(value=bool()):
            return None
        case ast.Constant(value=int(value)):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int(value))):
            return -value
    return None


class _Evaluation:
    """Computes a checked tree; what NumPy objects to is said with its column."""

    def __init__(self, text: str, array_of: Callable[[str], Value]) -> None:
        self._text = text
        self._array_of = array_of

    def of(self, node: ast.expr) -> Value:
        if isinstance(node, ast.Name) and node.id not in _NAMED_NUMBERS:
            # In the program's own type abs(-128) or a sum may overflow.
            return np.asarray(self._array_of(node.id), np.float64)
        try:
            return self._computed(node)
        except (ValueError, IndexError, TypeError, ArithmeticError) as error:
            _refuse(self._text, node, str(error))

    def _computed(self, node: ast.expr) -> Value:
        match node:
            case ast.Constant(value=value):
                return value
            case ast.Name(id=name):
                return _NAMED_NUMBERS[name]
            case ast.UnaryOp(op=op, operand=operand):
                return _UNARY[type(op)](self.of(operand))
            case ast.BinOp(left=left, op=binary, right=right):
                return _BINARY[type(binary)](
                    np.asarray(self.of(left))[()], np.asarray(self.of(right))[()]
                )
            case ast.BoolOp(op=ast.And(), values=values):
                return all(self._truth(value) for value in values)
            case ast.BoolOp(values=values):
                return any(self._truth(value) for value in values)
            case ast.Compare(left=left, ops=ops, comparators=others):
                return self._compared(left, ops, others)
            case ast.Subscript(value=value, slice=index):
                return self.of(value)[_index(index)]
            case ast.Call(func=ast.Name(id=name), args=[of], keywords=keywords):
                function = _FUNCTIONS.get(name) or _REDUCTIONS[name]
                return function(self.of(of), **_axis(keywords))
            case ast.Call(func=ast.Attribute(value=of, attr=name), keywords=keywords):
                return _REDUCTIONS[name](self.of(of), **_axis(keywords))
        raise AssertionError(ast.dump(node))

    def _compared(self, left: ast.expr, ops: list[ast.cmpop], others: list[ast.expr]) -> Value:
        sides = [self.of(node) for node in (left, *others)]
        found = [
            _COMPARISONS[type(op)](first, second)
            for op, first, second in zip(ops, sides, sides[1:], strict=False)
        ]
        return found[0] if len(found) == 1 else np.logical_and.reduce(found)

    def _truth(self, node: ast.expr) -> bool:
        value = np.asarray(self.of(node))
        if value.size != 1:
            _refuse(
                self._text,
                node,
                f"this has {value.size} values: put .any() or .all() behind it, or use & and |",
            )
        return bool(value.reshape(-1)[0])


def _axis(keywords: list[ast.keyword]) -> dict[str, int]:
    return {"axis": _integer(keywords[0].value) or 0} if keywords else {}


def _index(node: ast.expr) -> Any:
    parts = node.elts if isinstance(node, ast.Tuple) else [node]
    found: list[int | slice | None] = []
    for part in parts:
        if isinstance(part, ast.Slice):
            ends = (part.lower, part.upper, part.step)
            found.append(slice(*(None if end is None else _integer(end) for end in ends)))
        else:
            found.append(_integer(part))
    return tuple(found)


def _all_functions() -> str:
    return ", ".join([*_FUNCTIONS, *_REDUCTIONS])


def _refuse(text: str, node: ast.expr, what: str) -> NoReturn:
    before = text.encode()[: node.col_offset].decode()
    raise UsageError(_pointed(text, len(before) + 1, what))


def _pointed(text: str, column: int, what: str) -> str:
    """Return the message, the text and a caret under the column, counted from 1."""
    return f"column {column}: {what}.\n  {printable(text)}\n  {' ' * (column - 1)}^"
