# SPDX-License-Identifier: GPL-3.0-or-later
"""What is measured: scenarios, and the matrix that makes cases of them.

A case is a scenario at a number of phones, of connections to each, a pace and
a window, and is written like that:

        download/16x1/high              echo-64/1x4/free/tiny
"""

import re
from dataclasses import dataclass

# Bytes a second that a phone's bus carries each way, or None: as fast as it
# goes.  High and super speed as real hosts reach them.
PACES = {"free": None, "high": 40_000_000, "super": 400_000_000}

# Of what crosses a wire, this part is payload: a packet has 49152 bytes at most,
# 36 of them headers.
PAYLOAD = 1 - 36 / 49152

# The window that a phone grants.  One that shrinks goes through these, again
# and again, while time is taken.
WINDOWS = {
    "normal": [131072],
    "tiny": [4096],
    "shrinking": [131072, 65536, 16384, 2048],
}


@dataclass(frozen=True)
class Scenario:
    """Groups of connections as muxbench takes them; {c}: so many a phone.

    The first group's figures are the case's own.
    """

    groups: str
    about: str
    least: int = 1      # phones
    stall: int = 0      # that phone, once all are connected
    warm_up: float = 0.3
    bus: str = ""       # always this one


BESIDE = "echo:echo,size=64,phones=1-3 down:down,phones=1-3"

SCENARIOS = {
    "download": Scenario("down:down,conns={c}", "phones send, clients read"),
    "upload": Scenario("up:up,conns={c}", "clients send, phones discard"),
    "both": Scenario("both:both,conns={c}",
                     "clients send, phones echo, each way counted"),
    "echo-1": Scenario("echo:echo,size=1,conns={c}", "1 byte to and fro"),
    "echo-64": Scenario("echo:echo,size=64,conns={c}", "64 bytes to and fro"),
    "echo-1024": Scenario("echo:echo,size=1024,conns={c}",
                          "1 KiB to and fro"),
    "connect": Scenario("connect:connect,conns={c}",
                        "connect, hear the result, close"),
    # What is set once at the start may still fire within the first second.
    "idle": Scenario("", "phones, and nobody who wants anything of them",
                     warm_up=2.5),
    # Not the phones' memory, too.
    "quiet": Scenario("quiet:quiet,conns={c}", "clients that say nothing",
                      warm_up=2.5, bus="usbip"),
    "drain": Scenario("drain:drain,conns={c}",
                      "the wait for new data after a standstill"),
    "drain+load": Scenario("drain:drain,phones=1 up:up,phones=2-4 "
                           "echo:echo,phones=2-4,size=64",
                           "the same, while other phones are busy", least=4),
    "echo+upload": Scenario("echo:echo,size=64,phones=1 "
                            "up:up,phones=1,conns={c}",
                            "64 bytes beside uploads on the same phone"),
    "echo+other": Scenario("echo:echo,size=64,phones=1 both:both,phones=2",
                           "64 bytes on one phone, streams on another",
                           least=2),
    "down+up": Scenario("down:down,phones=1 up:up,phones=1",
                        "a download beside an upload on one phone"),
    "others": Scenario(BESIDE, "three phones, nothing beside", least=4),
    "others+held": Scenario(BESIDE + " hold:hold,phones=1",
                            "and one client that never reads", least=4),
    "others+stalled": Scenario(
        BESIDE + " stuck:up,phones=4,still deaf:down,phones=4,still",
        "and a fourth phone that moves nothing", least=4, stall=4),
}


@dataclass(frozen=True)
class Case:
    """One point of the matrix."""

    scenario: str
    phones: int
    conns: int = 1
    pace: str = "free"
    window: str = "normal"

    def __str__(self):
        name = f"{self.scenario}/{self.phones}x{self.conns}/{self.pace}"
        return name if self.window == "normal" else f"{name}/{self.window}"

    def groups(self):
        """The values of muxbench's -g."""
        text = SCENARIOS[self.scenario].groups if self.conns else ""
        return text.format(c=self.conns).split()

    def descriptors(self):
        """How many a daemon may need at once, when it needs many."""
        own = self.phones * self.conns + 4 * self.phones
        return own + own // 8 + 100     # muxd keeps some back

    def wire(self):
        """MB/s of payload that its phones' wires carry each way, or None."""
        pace = PACES[self.pace]
        return pace * PAYLOAD * self.phones / 1e6 if pace else None

    def phone(self):
        """How many phones there are, their pace and their window."""
        return (self.phones, PACES[self.pace], WINDOWS[self.window][0])


def parse(name):
    """The case that is written so; ValueError when there is none."""
    match = re.fullmatch(r"([a-z0-9+-]+)/(\d+)x(\d+)/([a-z]+)(?:/([a-z]+))?",
                         name)
    if match is None:
        raise ValueError(f"'{name}' is no case")
    scenario, phones, conns, pace, window = match.groups()
    window = window or "normal"
    for what, known in ((scenario, SCENARIOS), (pace, PACES),
                        (window, WINDOWS)):
        if what not in known:
            raise ValueError(f"'{name}': there is no '{what}'")
    case = Case(scenario, int(phones), int(conns), pace, window)
    if case.phones < SCENARIOS[scenario].least:
        raise ValueError(f"'{name}' needs more phones")
    return case


# Rows of a matrix: scenarios, phones, connections to each, paces, windows.
# The product of a row, without what has too few phones.
BULK = "download upload both"
ECHO = "echo-1 echo-64 echo-1024"

FULL = [
    (BULK, "1 4 16 64", "1 4", "free high super", "normal"),
    (f"{ECHO} connect", "1 4 16 64", "1 4", "free", "normal"),
    (ECHO, "1 4 16 64", "1", "high super", "normal"),
    ("idle", "1 4 16 64", "0", "free", "normal"),
    (BULK, "1 16", "1", "free", "tiny shrinking"),
    ("drain", "1 4 16", "1", "free high super", "normal"),
    ("drain+load", "4", "1", "high super", "normal"),
    ("echo+upload", "1", "1 4", "high super", "normal"),
    ("echo+other", "2", "1", "free high super", "normal"),
    ("down+up", "1", "1", "high super", "normal"),
    ("others others+held others+stalled", "4", "1", "high super", "normal"),
]

QUICK = [
    ("download upload echo-64 connect", "1 64", "1", "free", "normal"),
    ("echo+upload", "1", "4", "high", "normal"),
    ("drain", "1", "1", "super", "normal"),
    ("idle", "64", "0", "free", "normal"),
]

SCALE = [
    ("download upload echo-64", "1 16 64 256", "1 16", "free", "normal"),
    ("connect", "1 16 64 256", "1", "free", "normal"),
    ("idle", "1 16 64 256", "0", "free", "normal"),
    ("quiet", "1 64", "0", "free", "normal"),
    ("quiet", "64", "16 64 128 156", "free", "normal"),
]

USBIP = [
    ("download upload both echo-64", "1 4", "1", "free", "normal"),
]


def product(rows):
    """The cases of a matrix, in its order."""
    cases = []
    for scenarios, phones, conns, paces, windows in rows:
        for scenario in scenarios.split():
            for count in phones.split():
                for each in conns.split():
                    for pace in paces.split():
                        for window in windows.split():
                            case = Case(scenario, int(count), int(each),
                                        pace, window)
                            if case not in cases:
                                cases.append(case)
    return cases


def select(cases, scenarios, phones, conns, paces):
    """Those of the given words only; an empty list allows all.

    A scenario is also chosen by the first part of its name: echo, others.
    """
    def wanted(case):
        return ((not scenarios or any(
                    case.scenario == s or re.match(
                        re.escape(s) + r"[-+]", case.scenario)
                    for s in scenarios)) and
                (not phones or str(case.phones) in phones) and
                (not conns or str(case.conns) in conns) and
                (not paces or case.pace in paces))
    return [case for case in cases if wanted(case)]
