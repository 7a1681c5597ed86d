"""How long after something is done does a person see another molecule: by the pixels of its canvas."""

_UNTIL_OTHER = """async given => {
  const canvas = document.querySelector('.so3-stage canvas');
  const copy = new OffscreenCanvas(96, 64), pen = copy.getContext('2d', {willReadFrequently: true});
  const look = () => {
    pen.clearRect(0, 0, 96, 64);
    pen.drawImage(canvas, 0, 0, 96, 64);
    return pen.getImageData(0, 0, 96, 64).data.reduce((sum, value) => (31 * sum + value) % 1000003, 0);
  };
  const before = look(), began = performance.now();
  (ACT)(given);
  while (look() === before && performance.now() - began < MOST) await new Promise(requestAnimationFrame);
  return performance.now() - began;
}"""


def until_another_picture(act: str, most_ms: int) -> str:
    """A function of JavaScript that does something and tells the milliseconds until the canvas shows something else.

    Args:
        act: A function of JavaScript; it gets what the whole gets.
        most_ms: After which nobody waits any longer.
    """
    return _UNTIL_OTHER.replace("ACT", act).replace("MOST", str(most_ms))
