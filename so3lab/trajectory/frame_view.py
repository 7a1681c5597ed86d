"""Frames of one origin as a sequence: chosen by slices that share what is open, until it is closed."""

from collections.abc import Sequence
from typing import Any, Generic, Self, TypeVar, overload

from ase import Atoms

Origin = TypeVar("Origin")


class FrameView(Sequence[Atoms], Generic[Origin]):
    """Some frames of an origin; a slice is one as well, on the same origin.

    Args:
        origin: What frames are read from.
        count: How many it has.
        name: Of the origin, for what is said when it is closed.
    """

    def __init__(self, origin: Origin, count: int, name: str):
        self._open: Origin | None = origin
        self._frames = range(count)
        self._origin_name = name

    @property
    def frames(self) -> range:
        """Which frames of the origin these are; of a slice, those that it chose."""
        return self._frames

    def __len__(self) -> int:
        return len(self._frames)

    @overload
    def __getitem__(self, index: int) -> Atoms: ...
    @overload
    def __getitem__(self, index: slice) -> Self: ...
    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            view = object.__new__(type(self))
            view.__dict__.update(self.__dict__, _frames=self._frames[index])
            return view
        return self._read(self._frames[index])

    def close(self) -> None:
        """Let go of the origin; a file closes when slices and other readers have let go too."""
        self._open = None

    @property
    def _origin(self) -> Origin:
        """What frames are read from.

        Raises:
            ValueError: If it was closed.
        """
        if self._open is None:
            raise ValueError(f"{self._origin_name} is closed; open it again")
        return self._open

    def _read(self, frame: int) -> Atoms:
        """A frame by its number in the origin."""
        raise NotImplementedError
