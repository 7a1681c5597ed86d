"""How molecules are drawn: the styles that there are, as NGL knows them, for every page and every widget."""

import json
from typing import Any, Literal, NamedTuple

Style = Literal["ball+stick", "licorice", "spacefill", "line"]


class Look(NamedTuple):
    """What a style is."""

    parameters: dict[str, Any]
    """Of NGL's representation of the same name."""
    reach: float = 0.6
    """Å that is drawn around the centre of an atom, about: what a view leaves room for."""
    halo: float = 0.29
    """Radius of the ball that marks a picked atom, in van der Waals radii."""


STYLES: dict[Style, Look] = {
    "ball+stick": Look({"aspectRatio": 1.7, "radiusSize": 0.17, "multipleBond": "off"}),
    "licorice": Look({"radiusSize": 0.17, "multipleBond": "off"}),
    "spacefill": Look({"radiusScale": 0.75}, reach=1.5, halo=0.87),
    "line": Look({"linewidth": 3}),
}
STAGE = {"sampleLevel": 0, "clipDist": 0.1, "fogNear": 60}
"""NGL cuts off what is nearer than 10 Å by default, which is most of a small molecule."""


def looks_script() -> str:
    """JavaScript that defines ``STYLES`` and ``STAGE`` for the page."""
    styles = {name: look._asdict() for name, look in STYLES.items()}
    return f"const STYLES = {json.dumps(styles)};\nconst STAGE = {json.dumps(STAGE)};\n"
