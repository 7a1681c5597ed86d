"""Threads whose words reach the page, in marimo as elsewhere."""

import sys
import threading
import types

from so3lab_widgets.running.threads import new_thread


def test_a_thread_has_a_name_of_ours_and_keeps_nothing_alive():
    done = []
    thread = new_thread(lambda: done.append(1), "test")
    assert (thread.name, thread.daemon, thread.is_alive()) == ("so3lab test", True, False)
    thread.start()
    thread.join()
    assert done == [1]


def test_marimo_hears_threads_of_its_own_kind(monkeypatch):
    class Heard(threading.Thread):
        pass

    monkeypatch.setitem(sys.modules, "marimo", types.SimpleNamespace(Thread=Heard))
    assert type(new_thread(print, "test")) is Heard
    monkeypatch.delitem(sys.modules, "marimo")
    assert type(new_thread(print, "test")) is threading.Thread
