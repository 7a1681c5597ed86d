"""What can be set and observed of a viewer, and which values are right: what Python and a page agree on."""

from typing import Any

import traitlets
from ase import Atoms

from so3lab_widgets.packed_script import PackedScript
from so3lab_widgets.viewer.looks import STYLES
from so3lab_widgets.viewer.ngl import ngl_library, ngl_script
from so3lab_widgets.viewer.placing import FOLLOW, IMAGES

SETTABLE = (
    "arrow_names", "arrow_scale", "camera", "caption", "colour", "follow", "forces", "fps", "frame", "images", "labels",
    "link_threshold", "links_of_picked", "loop", "notice", "picked", "playing", "saves", "smoothing",
    "tools",
)  # fmt: skip
"""Traits that people set."""
OF_CONTENT = ("colour", "forces", "frame", "picked", "playing")
"""Traits whose values depend on what is shown."""


class ViewerTraits(traitlets.HasTraits):
    """The traits of :class:`~so3lab_widgets.viewer.viewer.Viewer`, which says what they mean."""

    _atoms: Atoms | None = None
    _library = traitlets.Unicode().tag(sync=True)
    _source = traitlets.Unicode().tag(sync=True)
    _structure = traitlets.Dict().tag(sync=True)
    _legend = traitlets.Dict().tag(sync=True)
    _links_legend = traitlets.Dict().tag(sync=True)
    _overlays = traitlets.List(traitlets.Dict()).tag(sync=True)
    height = traitlets.Int(400, min=50).tag(sync=True)
    representation = traitlets.Enum(tuple(STYLES), "ball+stick").tag(sync=True)
    colour = traitlets.Unicode("element").tag(sync=True)
    colours = traitlets.List(traitlets.Unicode(), ["element"], read_only=True).tag(sync=True)
    labels = traitlets.Bool(False).tag(sync=True)
    follow = traitlets.Enum(FOLLOW, "molecule").tag(sync=True)
    images = traitlets.Enum(IMAGES, "stored").tag(sync=True)
    forces = traitlets.Bool(False).tag(sync=True)
    has_forces = traitlets.Bool(False, read_only=True).tag(sync=True)
    arrow_scale = traitlets.Float(0.5, min=0).tag(sync=True)
    arrow_names = traitlets.List(traitlets.Unicode(), maxlen=2).tag(sync=True)
    link_threshold = traitlets.Float(0.0, min=0, max=1).tag(sync=True)
    links_of_picked = traitlets.Bool(False).tag(sync=True)
    caption = traitlets.Unicode().tag(sync=True)
    notice = traitlets.Unicode().tag(sync=True)
    frame = traitlets.Int(0, min=0).tag(sync=True)
    frames = traitlets.Int(0, read_only=True).tag(sync=True)
    playing = traitlets.Bool(False).tag(sync=True)
    fps = traitlets.Float(20.0, min=1, max=240).tag(sync=True)
    loop = traitlets.Bool(True).tag(sync=True)
    smoothing = traitlets.Int(0, min=0, max=50).tag(sync=True)
    picked = traitlets.List(traitlets.Int(), maxlen=4).tag(sync=True)
    tools = traitlets.Bool(True).tag(sync=True)
    saves = traitlets.Bool(True).tag(sync=True)
    camera = traitlets.List(traitlets.Float()).tag(sync=True)
    painted = traitlets.Int(0)
    """Frames that browsers have painted."""

    @traitlets.default("_library")
    def _library_that_draws(self) -> str:
        return ngl_library()

    @traitlets.default("_source")
    def _source_of_this_kernel(self) -> str:
        return PackedScript.of(ngl_library(), lambda: ngl_script().encode()).model_id

    @traitlets.validate("frame")
    def _valid_frame(self, proposal: Any) -> int:
        if proposal.value and not 0 <= proposal.value < max(self.frames, 1):
            raise traitlets.TraitError(f"frame must be 0 to {self.frames - 1}, got {proposal.value}")
        return proposal.value

    @traitlets.validate("colour")
    def _valid_colour(self, proposal: Any) -> str:
        if proposal.value not in self.colours:
            raise traitlets.TraitError(f"colour must be one of {self.colours}, got {proposal.value!r}")
        return proposal.value

    @traitlets.validate("picked")
    def _valid_picked(self, proposal: Any) -> list[int]:
        atoms = 0 if self._atoms is None else len(self._atoms)
        if len(set(proposal.value)) < len(proposal.value) or any(not 0 <= x < atoms for x in proposal.value):
            raise traitlets.TraitError(f"picked must be different atoms, 0 to {atoms - 1}, got {proposal.value}")
        return proposal.value
