"""A film has the speed it was given, however seldom its player wakes up."""

from types import SimpleNamespace

import pytest
from so3lab_widgets.viewer.player import Player
from waiting import wait_for


class Played:
    """A player over something that has frames, and a clock that goes on with every look at it."""

    def __init__(self, seconds_per_look: float, frames: int = 100, **options):
        self.viewer = SimpleNamespace(frame=0, frames=frames, playing=False, fps=20.0, loop=True)
        vars(self.viewer).update(options)
        self.now, self.seen = 0.0, []
        self._step = seconds_per_look
        self.player = Player(self.viewer, self.clock)

    def clock(self) -> float:
        self.seen.append((self.now, self.viewer.frame))
        self.now += self._step
        return self.now - self._step

    def play(self) -> None:
        self.viewer.playing = True
        self.player.follow(True)

    def stop(self) -> None:
        self.viewer.playing = False
        self.player.close()


@pytest.mark.parametrize("seconds_per_look", [0.05, 0.13, 1.0])
def test_frames_follow_the_clock_and_not_the_number_of_looks(seconds_per_look):
    played = Played(seconds_per_look)
    played.play()
    wait_for(lambda: len(played.seen) > 8, "some looks")
    played.stop()
    for now, frame in played.seen[1:8]:
        passed = now - seconds_per_look  # a look sets the frame of its time, which the next one sees
        assert abs((frame - 20.0 * passed + 50) % 100 - 50) <= 1.0


def test_without_a_loop_it_ends_with_the_last_frame():
    played = Played(0.6, loop=False)
    played.play()
    wait_for(lambda: not played.viewer.playing, "the end")
    assert played.viewer.frame == 99
    played.play()
    wait_for(lambda: played.viewer.frame < 90, "the beginning: whoever plays at the end plays again")
    played.stop()


def test_somebody_who_moves_the_slider_meanwhile_is_followed():
    played = Played(0.0)
    played.play()
    wait_for(lambda: len(played.seen) > 2, "some looks")
    played.viewer.frame = 50
    looks = len(played.seen)
    wait_for(lambda: len(played.seen) > looks + 2, "more looks")
    assert played.viewer.frame == 50, "and time stands still"
    played.stop()


def test_a_single_frame_is_not_played():
    played = Played(0.1, frames=1)
    played.play()
    assert played.seen == []
