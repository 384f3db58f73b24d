"""Runs the paths of a driver one after another and says how each went.

The programs that use it keep to the README of the folder above.
"""

import os
import sys
import threading
import time
import traceback

HOST = os.environ["TARGET_HOST"]
PORT = int(os.environ["TARGET_PORT"])
USER = os.environ["TARGET_USER"]
PASSWORD = os.environ["TARGET_PASSWORD"]
DATABASE = os.environ["TARGET_DATABASE"]
CA = os.environ["TARGET_CA"]
COPY = os.environ["TARGET_COPY"]  # the names of what this run creates have it in them
SHARED = os.environ.get("TARGET_SHARED") == "1"  # statements have to be seen on several servers

WANTED = os.environ.get("TARGET_PATHS", "").split()  # names of paths; none: all

LIMIT = 180  # seconds for one path

ALL_BYTES = bytes(range(256))
MANY_LETTERS = "Zürich, Ελλάδα, 東京, 🦊 '\"\\"
MIB = bytes((i * 7919 >> 5) & 255 for i in range(1 << 20))


def same(what, got, want):
    if got != want:
        raise AssertionError(f"{what}: got {got!r:.200}, want {want!r:.200}")


def moved(pids):
    """Whether a statement was done by as many servers as it should."""
    return not SHARED or len(set(pids)) > 1


def fails(code, act, *args, **named):
    """Calls act, which the server has to answer with the error of that SQLSTATE."""
    try:
        act(*args, **named)
    except Exception as e:
        wants_state(e, code)
        return
    raise AssertionError(f"no error, want SQLSTATE {code}")


def wants_state(e, code):
    if getattr(e, "sqlstate", None) != code:
        raise AssertionError(f"error {type(e).__name__} {getattr(e, 'sqlstate', None)} {e}, want SQLSTATE {code}") from e


def main(driver, *paths):
    """Runs the functions paths, whose names are those of the paths with _ for -, and ends the program."""
    failed = False
    for path in paths:
        name = path.__name__.replace("_", "-")
        if WANTED and name not in WANTED:
            continue
        watch = threading.Timer(LIMIT, give_up, [name])
        watch.daemon = True
        watch.start()
        try:
            driver(path)
            print("ok", name, flush=True)
        except Exception as e:
            failed = True
            where = traceback.extract_tb(e.__traceback__)
            own = [f"{os.path.basename(f.filename)}:{f.lineno}" for f in where if os.path.dirname(f.filename) == os.path.dirname(__file__)]
            print("FAIL", name, type(e).__name__, " ".join(str(e).split()), "at", " ".join(own[1:]), flush=True)
        finally:
            watch.cancel()
    sys.exit(1 if failed else 0)


def give_up(name):
    """Ends a program whose path hangs, with the places where it does."""
    print("FAIL", name, f"not done after {LIMIT} s", flush=True)
    for frame in sys._current_frames().values():
        traceback.print_stack(frame)
    os._exit(1)


class Busy:
    """Neighbours: threads that each do their work over and over while a path goes on."""

    def __init__(self, count, client):
        self.stop, self.runs, self.error = threading.Event(), 0, None
        self.threads = [threading.Thread(target=self._run, args=[client], daemon=True) for _ in range(count)]

    def _run(self, client):
        try:
            with client() as work:
                while not self.stop.is_set():
                    work()
                    self.runs += 1
        except Exception as e:
            self.error = e

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, kind, error, trace):
        end = time.monotonic() + LIMIT
        while self.runs == 0 and self.error is None and error is None and time.monotonic() < end:
            self.stop.wait(0.01)
        self.stop.set()
        for t in self.threads:
            t.join()
        if error is None and self.error is not None:
            raise AssertionError(f"a neighbour: {self.error}") from self.error
        return False
