"""What is worked on: fields for model, molecule and charge, which stand for objects as well."""

import math
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import ipywidgets as ipw
from ase import Atoms

import so3lab
from so3lab.engine.energy_model import EnergyModel
from so3lab.potential.potential import Potential
from so3lab.pretrained.loading import bundled_models
from so3lab.structures.reading import SMILES_PREFIX, understand
from so3lab.structures.understood import Understood
from so3lab_widgets.confinement import permitted
from so3lab_widgets.panels.message_line import MessageLine
from so3lab_widgets.running.kernel import prepare_kernel

_LIKE_SMILES = re.compile(r"[A-Za-z0-9@+\-\[\]()=#$%/\\]+")
"""Letters of a SMILES; names of files have a point."""


class SystemForm(ipw.HBox):
    """Fields that say which molecule is meant, and by which model.

    Args:
        model: A bundled name, a file, ``"so3lr"``, or a potential, which the field then only names.
        structure: A bundled name, a file, ``smiles:`` and a SMILES, or ``Atoms``, which the field then only names.
        charge: Total charge in e; None for what the molecule says.
        load: Gives the potential of a name or a file.
        more: Fields that stand behind these.

    Attributes:
        notes: What was decided when the molecule was read last, a sentence each.
        about: What it was read as, with its charge and spin, and the notes; empty where there is nothing to say.
        told: The line below the fields that says so.
    """

    def __init__(
        self,
        model: str | Potential | EnergyModel,
        structure: str | Atoms,
        charge: float | None = None,
        load: Callable[[str], Potential] = so3lab.load,
        more: tuple[ipw.Widget, ...] = (),
    ):
        self._model, self._structure, self._load = model, structure, load
        self.notes: tuple[str, ...] = ()
        self.about = ""
        names = sorted(bundled_models())
        self.model = field(ipw.Combobox, "Model", 230, 60, value=_name_of(model), options=[*names, "so3lr"],
                           placeholder="name or file", tooltip="a bundled name, a model file, or so3lr")  # fmt: skip
        self.structure = field(ipw.Combobox, "Molecule", 260, 68, value=_name_of(structure),
                               options=[*names, "smiles:CCO"], placeholder="name, file or smiles:CCO",
                               tooltip="a bundled name, a file, or a SMILES")  # fmt: skip
        self.charge = field(ipw.Text, "Charge (e)", 160, 78, value="" if charge is None else f"{charge:g}",
                            placeholder="as given", tooltip="empty for what the molecule says")  # fmt: skip
        self.told = MessageLine()
        self.told.layout.width, self.told.layout.display = "100%", "none"
        for widget in (self.structure, self.charge):
            widget.observe(lambda _change: self.tell(""), "value")
        super().__init__(
            [self.model, self.structure, self.charge, *more, self.told],
            layout=ipw.Layout(flex_flow="row wrap", align_items="center"),
        )

    def tell(self, sentence: str | None = None) -> None:
        """Say below the fields as what the molecule was read (``about``), or something else, until a field changes."""
        words = self.about if sentence is None else sentence
        self.told.layout.display = "" if words else "none"
        self.told.say(words)

    @property
    def values(self) -> tuple[Any, ...]:
        """What stands in the fields: model, molecule, charge."""
        return self.model.value, self.structure.value, self.charge.value

    def take(self, model: Any = None, structure: Atoms | None = None) -> None:
        """Let the fields stand for another potential or structure from now on."""
        for place, name, given in ((self.model, "_model", model), (self.structure, "_structure", structure)):
            if given is not None:
                setattr(self, name, given)
                place.value = _name_of(given)

    def arguments(self) -> str:
        """What was given, as arguments in Python; of objects, which have no such form, the name of the argument."""
        model = repr(self._model) if isinstance(self._model, str) else "model"
        structure = repr(self._structure) if isinstance(self._structure, str) else "structure"
        charge = f", charge={self._charge():g}" if self.charge.value.strip() else ""
        return f"{model}, {structure}{charge}"

    def load(self) -> tuple[Any, Atoms]:
        """Model and structure, as the fields say or as they were given.

        Structures that come with an energy model of any origin, such as clusters in reduced units, are taken as they
        are; all others are looked at.

        Raises:
            ValueError: If a field says nothing that can be read.
            OSError: If a file cannot be read.
        """
        prepare_kernel()
        self.notes, self.about = (), ""
        model, structure = self.model.value.strip(), self.structure.value.strip()
        given_model = not isinstance(self._model, str) and model == _name_of(self._model)
        given_structure = isinstance(self._structure, Atoms) and structure == _name_of(self._structure)
        for words, given, text, example in (
            ("model", given_model, model, "a bundled name (ethanol), a file, or so3lr"),
            ("molecule", given_structure, structure, "a bundled name (ethanol), a file, or smiles:CCO"),
        ):
            if not (given or text):
                raise ValueError(f"the {words} must be {example}; the field is empty")
        if given_structure and given_model and not isinstance(self._model, Potential):
            assert isinstance(self._structure, Atoms)
            return self._model, self._structure.copy()
        charge = self._charge()
        found = understand(self._structure, charge=charge) if given_structure else _understood(structure, charge)
        self.notes = found.notes
        stated = found.charge.value or found.unpaired.value
        self.about = "; ".join([found.summary(), *found.notes]) if stated or found.notes else ""
        return self._model if given_model else self._load(model), found.atoms

    def _charge(self) -> float | None:
        """What stands in its field; None where nothing does."""
        return number_in(self.charge, "the charge must be a number of elementary charges such as -1")


def _understood(typed: str, charge: float | None) -> Understood:
    """What was typed: a name, a file, or else a SMILES, with ``smiles:`` before it or not."""
    try:
        return understand(permitted(typed), charge=charge)
    except FileNotFoundError as error:
        if not _LIKE_SMILES.fullmatch(typed):
            raise
        try:
            found = understand(SMILES_PREFIX + typed, charge=charge)
        except ValueError:
            raise error from None
        return replace(found, notes=(*found.notes, f"{typed} was read as a SMILES"))


def field(kind: Any, words: str, width: int, words_width: int, **options: Any) -> Any:
    """A field with its name on the left; widths in pixels."""
    return kind(
        description=words,
        layout=ipw.Layout(width=f"{width}px"),
        style={"description_width": f"{words_width}px"},
        **options,
    )


def number_in(text: ipw.Text, rule: str) -> float | None:
    """The number in a field; None where nothing stands there.

    Raises:
        ValueError: If it is none, or not finite; the rule says what it must be.
    """
    typed = text.value.strip()
    try:
        found = float(typed) if typed else None
    except ValueError:
        raise ValueError(f"{rule}, got {typed!r}") from None
    if found is not None and not math.isfinite(found):
        raise ValueError(f"{rule}, got {typed!r}")
    return found


def _name_of(thing: Any) -> str:
    """What a field shows for an object that was given."""
    if isinstance(thing, str):
        return thing
    return thing.get_chemical_formula() if isinstance(thing, Atoms) else f"({type(thing).__name__})"
