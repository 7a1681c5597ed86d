"""The picture for a page without a kernel is taken when nothing moves any more, and fits a notebook."""

import threading
from concurrent.futures import Future
from io import BytesIO

import pytest
from PIL import Image
from so3lab_widgets.viewer import static_preview
from so3lab_widgets.viewer.static_preview import StaticPreview, side_by_side
from waiting import wait_for


def png(width: int, height: int, colour: str) -> bytes:
    written = BytesIO()
    Image.new("RGB", (width, height), colour).save(written, "PNG")
    return written.getvalue()


@pytest.mark.parametrize("sizes", [[(800, 400)], [(800, 400), (300, 600)], [(2000, 100)], [(1200, 1000)] * 4])
def test_pictures_stand_in_a_row_in_their_shapes(sizes):
    colours = ["red", "lime", "blue", "black"][: len(sizes)]
    sheet = Image.open(BytesIO(side_by_side([png(*size, colour) for size, colour in zip(sizes, colours, strict=True)])))
    assert sheet.width <= 962
    assert sheet.height <= 360
    assert sheet.width / sheet.height == pytest.approx(sum(width / height for width, height in sizes), rel=0.02)
    left = 0.0
    for (width, height), colour in zip(sizes, colours, strict=True):
        shown = width / height * sheet.height
        assert sheet.getpixel((int(left + 0.5 * shown), sheet.height // 2)) == Image.new(
            "RGB", (1, 1), colour
        ).getpixel((0, 0))
        left += shown


class Part:
    """A widget whose page sends a picture."""

    def __init__(self) -> None:
        self.asked = 0

    def take_picture(self) -> "Future[bytes]":
        self.asked += 1
        answer: Future[bytes] = Future()
        answer.set_result(png(40, 30, "red"))
        return answer


@pytest.fixture
def updated(monkeypatch):
    seen = []
    monkeypatch.setattr(static_preview.DisplayHandle, "update", lambda self, output, **options: seen.append(output))
    return seen


def test_many_changes_make_few_pictures(monkeypatch, updated):
    monkeypatch.setattr(static_preview, "QUIET_S", 0.2)
    part = Part()
    preview = StaticPreview("a panel", lambda: [part, part])
    for _ in range(50):
        preview.schedule()
    wait_for(lambda: updated, "a picture")
    wait_for(lambda: not any(one.name == "so3lab preview" for one in threading.enumerate()), "rest")
    assert part.asked == 2 * len(updated) < 20, "one of each part, when nothing has moved for a while"
    assert updated[0]["text/plain"] == "'a panel'"
    assert "so3-still" in updated[0]["text/html"]
    preview.close()


def test_what_never_rests_has_a_picture_ever_more_seldom(monkeypatch, updated):
    monkeypatch.setattr(static_preview, "QUIET_S", 60.0)
    monkeypatch.setattr(static_preview, "LONGEST_S", 0.05)
    preview, pauses = StaticPreview("a panel", lambda: [Part()]), []
    for number in range(1, 4):
        before = preview._taken_at
        preview.schedule()
        wait_for(lambda number=number: len(updated) == number, "a picture")
        wait_for(lambda: not preview._waiting, "its end")
        pauses.append(preview._taken_at - before)
    assert pauses[1] >= 0.1
    assert pauses[2] >= 0.2
    preview.close()


def test_a_part_of_something_larger_is_in_the_picture_of_that(monkeypatch, updated):
    monkeypatch.setattr(static_preview, "QUIET_S", 0.05)
    part, whole = Part(), Part()
    inner, outer = StaticPreview("a tab", lambda: [part]), StaticPreview("all tabs", lambda: [whole])
    inner.pass_on_to(outer)
    inner.schedule()
    wait_for(lambda: updated, "a picture")
    wait_for(lambda: not any(one.name == "so3lab preview" for one in threading.enumerate()), "rest")
    assert [one["text/plain"] for one in updated] == ["'all tabs'"]
    assert (part.asked, whole.asked) == (0, 1)
    inner.close()
    outer.close()


def test_what_is_closed_while_it_waits_takes_none(updated):
    part = Part()
    preview = StaticPreview("a panel", lambda: [part])
    preview.schedule()
    preview.close()
    wait_for(lambda: not any(one.name == "so3lab preview" for one in threading.enumerate()), "no thread")
    preview.schedule()
    assert not any(one.name == "so3lab preview" for one in threading.enumerate())
    assert (part.asked, updated) == (0, [])
