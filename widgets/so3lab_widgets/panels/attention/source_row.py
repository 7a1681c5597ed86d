"""Which model looks at which structure: two fields and a button."""

from collections.abc import Callable
from typing import Any

import ipywidgets as ipw
from ase import Atoms

from so3lab.pretrained.loading import bundled_models

_STYLE = {"description_width": "auto"}


class SourceRow(ipw.HBox):
    """Fields for a model and a structure, which stand for what was given until somebody types something else.

    Args:
        load: Called with a model and a structure when somebody wants them, None for what stays.

    Attributes:
        model, structure: The fields.
    """

    def __init__(self, load: Callable[[Any, Any], None]):
        self._load = load
        self._given: dict[str, Any] = {"model": None, "structure": None}
        names = sorted(bundled_models())
        self.model = ipw.Combobox(
            description="Model", options=[*names, "so3lr"], placeholder="name or file", style=_STYLE,
            layout=ipw.Layout(width="230px"),
        )  # fmt: skip
        self.structure = ipw.Combobox(
            description="Molecule or run", options=[*names, "smiles:CCO"], placeholder="name, file or smiles:CCO",
            style=_STYLE, layout=ipw.Layout(width="360px"),
        )  # fmt: skip
        self.open_button = ipw.Button(description="Open", icon="folder-open", layout=ipw.Layout(width="90px"))
        self.open_button.on_click(lambda _: self._open())
        super().__init__(
            [self.model, self.structure, self.open_button],
            layout=ipw.Layout(flex_flow="row wrap", align_items="center", grid_gap="0 12px"),
        )

    @property
    def arguments(self) -> str:
        """What was given, as arguments in Python; objects stand by the names of the arguments."""
        return ", ".join(
            repr(given) if isinstance(given, str) else name if given is not None else "None"
            for name, given in self._given.items()
        )

    @property
    def model_name(self) -> str:
        """Of the model, for sentences."""
        return self.model.value if isinstance(self._given["model"], str) else "this model"

    def says(self, model: Any, structure: Any) -> None:
        """Let the fields stand for these from now on; None leaves one as it is."""
        for field, name, given in ((self.model, "model", model), (self.structure, "structure", structure)):
            if given is not None:
                self._given[name] = given
                field.value = _name_of(given)

    def _open(self) -> None:
        wanted = []
        for field, name in ((self.model, "model"), (self.structure, "structure")):
            typed, given = field.value.strip(), self._given[name]
            wanted.append(None if given is not None and typed == _name_of(given) else typed)
        self._load(*wanted)


def _name_of(thing: Any) -> str:
    """What a field shows for what was given."""
    if isinstance(thing, str):
        return thing
    if isinstance(thing, Atoms):
        return thing.get_chemical_formula()
    path = getattr(thing, "path", None)
    return (
        str(path) if path is not None else str(thing) if hasattr(thing, "__fspath__") else f"({type(thing).__name__})"
    )
