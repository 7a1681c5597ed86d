"""What is drawn of attention: what a network says of a structure, or in what two such answers differ."""

from functools import cached_property

import numpy as np
import pandas as pd
from ase import Atoms

from so3lab.attention import (
    Channel,
    Inside,
    attention_difference,
    attention_matrix,
    fragments,
    nearest_distances,
    table_of,
)
from so3lab_widgets.panels.attention_source import MOST_LINKS, links_of, words_for
from so3lab_widgets.viewer.links import Links


class Shown:
    """One look at a structure in one channel; with another look, how that one differs from it.

    Args:
        atoms: The structure.
        inside: What the network says of it.
        channel: Which attention.
        other: What is compared with it, of the same atoms.
        compared: What is less what, such as ``"ala3 − ala2"``.

    Raises:
        ValueError: If the other look is at other atoms, or its network has no such channel.
    """

    def __init__(self, atoms: Atoms, inside: Inside, channel: Channel, other: Inside | None = None, compared: str = ""):
        if other is not None and not np.array_equal(other.numbers, inside.numbers):
            raise ValueError(
                f"what is compared must be of the same atoms as {atoms.get_chemical_formula()}, got "
                f"{Atoms(other.numbers).get_chemical_formula()}"
            )
        self.atoms, self.inside, self.channel, self.other = atoms, inside, channel, other
        self.compared = compared if other is not None else ""
        self.matrix = attention_matrix(inside, channel)
        """Rows listen."""
        if other is not None:
            self.matrix = attention_matrix(other, channel) - self.matrix

    @property
    def words(self) -> str:
        """What the numbers are."""
        change = "change of attention" if self.other is not None else "attention"
        return f"{change}, {self.channel.words}"

    @cached_property
    def names(self) -> list[str]:
        """Of the atoms."""
        return [f"{symbol}{number}" for number, symbol in enumerate(self.atoms.get_chemical_symbols())]

    @cached_property
    def groups(self) -> np.ndarray:
        """Number of the heavy atom with its hydrogens that each atom belongs to."""
        return fragments(self.atoms)

    @cached_property
    def links(self) -> Links:
        """The strongest pairs."""
        if self.other is None:
            return links_of(self.inside, self.channel)
        both = np.triu(self.matrix + self.matrix.T, 1)
        pairs = np.argwhere(np.triu(np.isfinite(self.distances), 1))
        weights = both[pairs[:, 0], pairs[:, 1]]
        strongest = np.argsort(-np.abs(weights), kind="stable")[:MOST_LINKS]
        definition = words_for(self.channel)[1]
        return Links(
            pairs[strongest], weights[strongest], self.words, "; ".join(filter(None, (self.compared, definition)))
        )

    @cached_property
    def distances(self) -> np.ndarray:
        """Å between atoms that are within the cutoff in either, else infinity."""
        own = nearest_distances(self.inside)
        return own if self.other is None else np.minimum(own, nearest_distances(self.other))

    def table(self) -> pd.DataFrame:
        """Everything in all channels, as tidy as it gets."""
        if self.other is None:
            return table_of(self.inside)
        return attention_difference(table_of(self.inside), table_of(self.other))
