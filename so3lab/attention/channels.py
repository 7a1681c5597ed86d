"""Which of a network's attentions is meant: a layer, and a head of features or a degree of Euclidean variables."""

from typing import Literal, NamedTuple

from so3lab.network.settings import ModelSettings

Kind = Literal["features", "euclidean"]
KINDS: tuple[Kind, ...] = ("features", "euclidean")


class Channel(NamedTuple):
    """A part of a network's attention; what is None is summed over.

    A head or a degree of one layer has signed weights. Where several are summed, signs would cancel that mean different
    things, so that their sizes are summed.
    """

    layer: int | None = None
    """From 1."""
    kind: Kind | None = None
    number: int | None = None
    """A head, from 1, for features; a degree l for Euclidean variables."""

    @property
    def signed(self) -> bool:
        """Whether weights have a sign: those of one head or degree of one layer."""
        return None not in self

    @property
    def words(self) -> str:
        """Which one it is, for people."""
        layer = "all layers" if self.layer is None else f"layer {self.layer}"
        if self.kind is None:
            return f"{layer}, heads and degrees"
        noun = "head" if self.kind == "features" else "degree"
        return f"{layer}, all {noun}s" if self.number is None else f"{layer}, {noun} {self.number}"

    @property
    def definition(self) -> str:
        """What its numbers are."""
        return "attention weight α, no unit" if self.signed else "sum of sizes |α| of attention weights, no unit"

    def members(self, settings: ModelSettings) -> list["Channel"]:
        """The heads and degrees of single layers that it sums over; itself where it is one.

        Raises:
            ValueError: If a network with these settings has none such.
        """
        found = [one for one in channels(settings) if self._holds(one)]
        if not found or (self.kind is None and self.number is not None):
            raise ValueError(
                f"channel must be one of a network with {settings.num_layers} layers, {settings.num_heads} heads and "
                f"degrees {', '.join(map(str, settings.degrees))}, got {tuple(self)}"
            )
        return found

    def _holds(self, one: "Channel") -> bool:
        return all(mine is None or mine == theirs for mine, theirs in zip(self, one, strict=True))


def channels(settings: ModelSettings) -> list[Channel]:
    """All heads and degrees of a network, layer by layer."""
    heads: list[tuple[Kind, int]] = [("features", number + 1) for number in range(settings.num_heads)]
    heads += [("euclidean", degree) for degree in settings.degrees]
    return [Channel(layer + 1, kind, number) for layer in range(settings.num_layers) for kind, number in heads]
