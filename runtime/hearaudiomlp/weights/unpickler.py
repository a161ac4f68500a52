"""The pickle inside a torch checkpoint, read as data.

A pickle is a program for a small stack machine, and the real machine imports and calls whatever
the program names. This one knows the few instructions that ``torch.save`` writes for dictionaries
of tensors. A name that the program asks for is looked up in a short table; nothing is imported or
called. The machine refuses what it doesn't know.

The instructions are documented in the standard library's :mod:`pickletools`, which decodes them.
"""

import pickletools
from collections.abc import Callable
from typing import Any, NamedTuple

from hearaudiomlp._text import shorten
from hearaudiomlp.errors import ModelFileError, UnsafeCheckpointError

_MAX_INSTRUCTIONS = 400_000  # the published files take 4,400 and 1,900
_MAX_BITS = 63  # of a size; larger integers are seeds of random generators
_MAX_SIZES = 64  # of a shape: dimensions that torch allows
_MAX_NAME = 1_000  # characters of a dictionary's key or a storage's
_MAX_NUMBERED = 10_000  # items of a dictionary with numbers as keys: an optimizer's, by parameter

BFLOAT16 = "bfloat16"
"""Stands for a dtype that numpy lacks."""

_STORAGES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "BFloat16Storage": BFLOAT16,
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "|i1",
    "ByteStorage": "|u1",
    "BoolStorage": "|b1",
}


class StorageRef(NamedTuple):
    """A block of numbers in a file of its own inside the checkpoint.

    Examples:
        >>> StorageRef("0", "<f4", 100).is_floating
        True
    """

    key: str
    dtype: str
    size: int

    @property
    def is_floating(self) -> bool:
        """Whether its numbers are floating-point ones."""
        return self.dtype == BFLOAT16 or self.dtype[1] == "f"


class TensorRef(NamedTuple):
    """A view of a storage: where a tensor starts in it, and how it strides.

    Examples:
        >>> TensorRef(StorageRef("0", "<f4", 100), 0, (10, 10), (10, 1)).shape
        (10, 10)
    """

    storage: StorageRef
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _StorageType(NamedTuple):
    dtype: str


def _naturals(value: object, what: str) -> tuple[int, ...]:
    if (
        type(value) is not tuple
        or len(value) > _MAX_SIZES  # one tuple can be the shape of thousands of tensors
        or not all(type(n) is int and n >= 0 and n.bit_length() <= _MAX_BITS for n in value)
    ):
        # Not shown: a nested value can be small in the file and endless when printed.
        raise ModelFileError(f"a tensor's {what} is no list of sizes")
    return value


def _ordered_dict(*arguments: object) -> dict[Any, Any]:
    if arguments:
        raise UnsafeCheckpointError("the checkpoint builds a dictionary in an unknown way")
    return {}


def _tensor(*arguments: object) -> TensorRef:
    if len(arguments) < 4 or not isinstance(arguments[0], StorageRef):
        raise ModelFileError("a tensor has no storage")
    (offset,) = _naturals((arguments[1],), "offset")
    shape, strides = _naturals(arguments[2], "shape"), _naturals(arguments[3], "strides")
    if len(shape) != len(strides):
        raise ModelFileError("a tensor's strides don't fit its shape")
    return TensorRef(arguments[0], offset, shape, strides)


def _parameter(*arguments: object) -> object:
    if not arguments or not isinstance(arguments[0], TensorRef):
        raise ModelFileError("a parameter has no tensor")
    return arguments[0]


def _size(*arguments: object) -> tuple[int, ...]:
    return _naturals(arguments[0] if len(arguments) == 1 else None, "size")


_CALLABLE: dict[str, Callable[..., object]] = {
    "collections OrderedDict": _ordered_dict,
    "torch._utils _rebuild_tensor_v2": _tensor,
    "torch._utils _rebuild_parameter": _parameter,
    "torch Size": _size,
}
_TYPES = {f"torch {name}": _StorageType(dtype) for name, dtype in _STORAGES.items()}


class _Machine:
    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []  # where groups of operands begin on the stack
        self.memo: dict[int, Any] = {}

    def since_mark(self) -> list[Any]:
        at = self.marks.pop()
        values = self.stack[at:]
        del self.stack[at:]
        return values

    def pop(self, count: int) -> list[Any]:
        if len(self.stack) - (self.marks[-1] if self.marks else 0) < count:
            raise IndexError("the stack is empty")
        values = self.stack[-count:]
        del self.stack[-count:]
        return values

    def top(self, kind: type) -> Any:
        if not self.stack or type(self.stack[-1]) is not kind:
            raise TypeError("an operand of another kind was expected")
        return self.stack[-1]

    def lookup(self, name: str) -> object:
        found = _CALLABLE.get(name) or _TYPES.get(name)
        if found is None:
            dotted = shorten(name.replace(" ", ".", 1))
            raise UnsafeCheckpointError(
                f"the checkpoint's pickle asks for '{dotted}', which no checkpoint of tensors "
                "needs; it was refused and nothing in it was run"
            )
        return found

    def lookup_operands(self) -> object:
        module, name = self.pop(2)
        if not isinstance(module, str) or not isinstance(name, str):
            raise TypeError("a name that is no text")  # not shown: it may be endless when printed
        return self.lookup(f"{module} {name}")

    def reduce(self) -> object:
        function, arguments = self.pop(2)
        if not callable(function) or type(arguments) is not tuple:
            raise UnsafeCheckpointError("the checkpoint's pickle calls something unknown")
        return function(*arguments)

    def storage(self) -> StorageRef:
        match self.pop(1)[0]:
            case ("storage", _StorageType(dtype), str(key), str(_), size) if len(key) < _MAX_NAME:
                return StorageRef(key, dtype, *_naturals((size,), "storage"))
        raise UnsafeCheckpointError("the checkpoint's pickle refers to something that is no tensor")

    def set_items(self, items: list[Any]) -> None:
        target = self.top(dict)
        if len(items) % 2:
            raise ValueError("a key without a value")
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not isinstance(key, str | int | None):
                raise TypeError("a key of an unknown kind")
            if isinstance(key, str):
                if len(key) > _MAX_NAME:
                    raise ValueError(f"a key of {len(key):,} characters")
            # Texts are hashed with a secret. Numbers can be chosen so that all hashes are one.
            elif len(target) >= _MAX_NUMBERED or (key or 0).bit_length() > _MAX_BITS:
                raise ValueError("a number as a key that is too large, or one of too many")
            target[key] = value

    def append(self, values: list[Any]) -> None:
        self.top(list).extend(values)

    def remember(self, index: int) -> None:
        self.memo[index] = self.stack[-1]

    def build(self) -> None:
        # torch attaches {"_metadata": ...} to a state dict: format versions of its modules.
        self.pop(1)
        self.top(dict)


_Step = Callable[[_Machine, Any], None]


def _push(make: Callable[[_Machine, Any], object]) -> _Step:
    return lambda machine, argument: machine.stack.append(make(machine, argument))


def _under_their_names(*steps: tuple[str, _Step]) -> dict[str, _Step]:
    return {name: step for names, step in steps for name in names.split()}


_STEPS = _under_their_names(
    ("PROTO FRAME", lambda _, __: None),
    ("MARK", lambda m, _: m.marks.append(len(m.stack))),
    ("EMPTY_DICT", _push(lambda _, __: {})),
    ("EMPTY_LIST", _push(lambda _, __: [])),
    ("EMPTY_TUPLE", _push(lambda _, __: ())),
    ("NONE", _push(lambda _, __: None)),
    ("NEWTRUE", _push(lambda _, __: True)),
    ("NEWFALSE", _push(lambda _, __: False)),
    (
        "BINUNICODE SHORT_BINUNICODE BINFLOAT BININT BININT1 BININT2 LONG1",
        lambda m, argument: m.stack.append(argument),
    ),
    ("BINPUT LONG_BINPUT", _Machine.remember),
    ("MEMOIZE", lambda m, _: m.remember(len(m.memo))),
    ("BINGET LONG_BINGET", _push(lambda m, index: m.memo[index])),
    ("TUPLE", _push(lambda m, _: tuple(m.since_mark()))),
    ("TUPLE1", _push(lambda m, _: tuple(m.pop(1)))),
    ("TUPLE2", _push(lambda m, _: tuple(m.pop(2)))),
    ("TUPLE3", _push(lambda m, _: tuple(m.pop(3)))),
    ("APPEND", lambda m, _: m.append(m.pop(1))),
    ("APPENDS", lambda m, _: m.append(m.since_mark())),
    ("SETITEM", lambda m, _: m.set_items(m.pop(2))),
    ("SETITEMS", lambda m, _: m.set_items(m.since_mark())),
    ("GLOBAL", _push(lambda m, name: m.lookup(name))),
    ("STACK_GLOBAL", _push(lambda m, _: m.lookup_operands())),
    ("REDUCE", _push(lambda m, _: m.reduce())),
    ("BUILD", lambda m, _: m.build()),
    ("BINPERSID", _push(lambda m, _: m.storage())),
)
"""What the machine does at each instruction that it knows."""


def read_pickle(data: bytes) -> object:
    """Return what the pickle ``data`` describes, with a :class:`TensorRef` for each tensor.

    Raises:
        UnsafeCheckpointError: it asks for anything off the allow-list.
        ModelFileError: it is damaged.

    Examples:
        >>> import pickle
        >>> read_pickle(pickle.dumps({"epoch": 3, "loss": 0.5}, protocol=2))
        {'epoch': 3, 'loss': 0.5}
        >>> read_pickle(pickle.dumps(print, protocol=2))  # doctest: +ELLIPSIS
        Traceback (most recent call last):
            ...
        hearaudiomlp.errors.UnsafeCheckpointError: the checkpoint's pickle asks for ...
    """
    machine = _Machine()
    try:
        for count, (instruction, argument, _) in enumerate(pickletools.genops(data)):
            if instruction.name == "STOP":
                (result,) = machine.pop(1)
                return result
            if count >= _MAX_INSTRUCTIONS:
                raise ValueError("more instructions than any checkpoint has")
            step = _STEPS.get(instruction.name)
            if step is None:
                raise UnsafeCheckpointError(
                    f"the checkpoint's pickle uses the instruction {instruction.name}, which no "
                    "checkpoint of tensors needs; it was refused and nothing in it was run"
                )
            step(machine, argument)
    except (ValueError, TypeError, LookupError, RecursionError) as problem:
        if isinstance(problem, ModelFileError):
            raise
        raise ModelFileError(f"its pickle is damaged ({shorten(problem, 200)})") from None
    raise ModelFileError("its pickle is damaged (it has no end)")
