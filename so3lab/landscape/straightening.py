"""A path that went astray, drawn anew: without the images where it turns back, and with the others evenly along it.

Springs alone do not undo a fold: tangents on both of its sides point against each other, and images slide into it. Even
distances are those of the string method (W. E, W. Ren and E. Vanden-Eijnden, J. Chem. Phys. 126, 164103, 2007).
"""

import numpy as np
from jaxtyping import Float

Images = Float[np.ndarray, "images atoms 3"]
Kept = Float[np.ndarray, "kept atoms 3"]


def straightened(positions: Images) -> Images:
    """As many images between the same ends, none of which turns back.

    Args:
        positions: Å, of all images.
    """
    kept = _without_folds(positions)
    return _spread(kept, len(positions))


def _without_folds(positions: Images) -> Kept:
    """Without the image at which the path turns most, as long as it turns by more than a right angle."""
    moves = np.linalg.norm(np.diff(positions, axis=0), axis=(1, 2)) > 0
    kept = np.flatnonzero([True, *moves])  # images on top of each other say nothing of the way
    while len(kept) > 2:
        steps = np.diff(positions[kept], axis=0)
        steps /= np.maximum(np.linalg.norm(steps, axis=(1, 2), keepdims=True), 1e-12)
        cosines = np.einsum("iax,iax->i", steps[1:], steps[:-1])
        sharpest = int(np.argmin(cosines))
        if cosines[sharpest] >= 0:
            break
        kept = np.delete(kept, sharpest + 1)
    return positions[kept]


def _spread(positions: Kept, images: int) -> Images:
    """So many images in equal distances along straight lines from one to the next."""
    lengths = np.linalg.norm(np.diff(positions, axis=0), axis=(1, 2))
    gone = np.concatenate([[0.0], np.cumsum(lengths)])
    places = np.linspace(0.0, gone[-1], images)
    before = np.clip(np.searchsorted(gone, places, side="right") - 1, 0, len(lengths) - 1)
    share = ((places - gone[before]) / np.maximum(lengths[before], 1e-12))[:, None, None]
    return (1.0 - share) * positions[before] + share * positions[before + 1]
