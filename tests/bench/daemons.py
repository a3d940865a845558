# SPDX-License-Identifier: GPL-3.0-or-later
"""The daemons that are measured, and the virtual phones that they serve.

Everything is started in a directory of its own, has a deadline, and is ended
by its process id.
"""

import json
import os
import plistlib
import resource
import select
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time

from cases import SCENARIOS

START_SECONDS = 30      # until all phones are listed
ANSWER_SECONDS = 10     # of the phones, to one command
STOP_SECONDS = 5        # from SIGTERM to the end; after that SIGKILL
DESCRIPTORS = 65536     # for thousands of clients, where that is allowed


class Failed(Exception):
    """A run that is none, and why."""


def pause(seconds):
    """Between two looks at something that has no better way to tell."""
    select.select([], [], [], seconds)


def await_true(what, seconds, look):
    """Until look() is true; Failed when the time is over."""
    end = time.monotonic() + seconds
    while not look():
        if time.monotonic() > end:
            raise Failed(f"{what}: not within {seconds:.0f} s")
        pause(0.01)


def raise_descriptors():
    """As many as DESCRIPTORS for this process and what it starts."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    for limit in ((DESCRIPTORS, max(hard, DESCRIPTORS)), (hard, hard)):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, limit)
            break
        except (ValueError, OSError):
            continue
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


class Process:
    """A child with its log, ended in time."""

    def __init__(self, argv, log, **more):
        self.name = os.path.basename(argv[0])
        self.log = log
        with open(log, "ab") as output:
            self.child = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stderr=output,
                start_new_session=True, **{"stdout": output, **more})

    @property
    def pid(self):
        """The process's id, which is also the one of what it has become."""
        return self.child.pid

    def ended(self):
        """True when it is no more."""
        return self.child.poll() is not None

    def tail(self):
        """The last words of the log."""
        with open(self.log, errors="replace") as text:
            lines = text.read().strip().splitlines()
        return lines[-1] if lines else "it has said nothing"

    def stop(self):
        """SIGTERM, and SIGKILL for one that does not care.  True: in time."""
        if self.ended():
            return True
        self.child.send_signal(signal.SIGTERM)
        try:
            self.child.wait(STOP_SECONDS)
            return True
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
            return False


# ---- The client protocol, as little of it as it takes to see the phones ----

def receive(connection, length):
    """Exactly so many bytes."""
    data = b""
    while len(data) < length:
        part = connection.recv(length - len(data))
        if not part:
            raise OSError("closed")
        data += part
    return data


def listed(path):
    """How many phones the daemon lists; 0 while it does not answer."""
    body = plistlib.dumps({"MessageType": "ListDevices",
                           "ProgName": "bench", "kLibUSBMuxVersion": 3,
                           "ClientVersionString": "bench"})
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(START_SECONDS)
            connection.connect(path)
            connection.sendall(struct.pack("<4I", 16 + len(body), 1, 8, 1) +
                               body)
            length = struct.unpack("<I", receive(connection, 16)[:4])[0]
            answer = plistlib.loads(receive(connection, length - 16))
            return len(answer.get("DeviceList", []))
    except (OSError, plistlib.InvalidFileException, struct.error):
        return 0


# ---- Phones ----------------------------------------------------------------

class Phones:
    """Virtual phones that hear commands on a control socket."""

    def __init__(self, directory):
        self.control = os.path.join(directory, "phonectl")
        self.report = os.path.join(directory, "report.json")
        self.shrinker = self.seen = None
        self.over = threading.Event()

    def command(self, *lines):
        """Sends commands; the last answer, Failed when one has an error."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(ANSWER_SECONDS)
            connection.connect(self.control)
            answers = connection.makefile()
            for line in lines:
                connection.sendall(f"{line}\n".encode())
                try:
                    answer = answers.readline()
                except TimeoutError as error:
                    raise Failed(f"the phones do not answer '{line}': the "
                                 "process hangs") from error
                if not answer or "error" in json.loads(answer):
                    raise Failed(f"the phones answer '{line}' with {answer}")
        return json.loads(answer)

    def number(self, place):
        """Commands' number of the phone that muxbench calls so: by UDID."""
        phones = sorted(self.command("list")["phones"],
                        key=lambda phone: phone["udid"])
        return phones[place - 1]["n"]

    def shrink(self, count, windows):
        """Other windows every 20 ms, in a thread of its own, until stopped."""
        def work():
            while True:
                for window in windows:
                    if self.over.wait(0.02):
                        return
                    self.command(*(f"window {n} {window}"
                                   for n in range(1, count + 1)))
        self.shrinker = threading.Thread(target=work, daemon=True)
        self.shrinker.start()

    def stop_shrinking(self):
        """Before the phones end."""
        self.over.set()
        if self.shrinker is not None:
            self.shrinker.join()

    def look(self):
        """Keeps what they have counted until now."""
        self.seen = self.command("counters")

    def violations(self):
        """What the phones have seen that the protocol does not allow.

        By their report, or by the last look when a daemon that had to be
        killed has taken them along.
        """
        try:
            with open(self.report) as text:
                return count_violations(json.load(text))
        except FileNotFoundError:
            return count_violations(self.seen)
        except ValueError as error:
            raise Failed(f"the phones' report: {error}") from error


def count_violations(value):
    """Those of all phones in a report."""
    if isinstance(value, dict):
        own = value.get("violations", 0)
        return (own if isinstance(own, int) else 0) + sum(
            map(count_violations, value.values()))
    if isinstance(value, list):
        return sum(map(count_violations, value))
    return 0


def speed(pace):
    """What a phone of such a pace says that its bus has."""
    return "super" if pace and pace > 60_000_000 else "high"


class Farm(Phones):
    """muxphone, a process of its own."""

    def __init__(self, setup, directory, phone):
        super().__init__(directory)
        count, pace, window = phone
        self.way = None
        self.address = own = "unix:" + os.path.join(directory, "phones")
        if setup.delay:
            self.address = "unix:" + os.path.join(directory, "delayed")
        self.process = Process(
            [os.path.join(setup.build, "muxphone"), "--listen", own,
             "--phones", str(count), "--control", self.control,
             "--report", self.report, "--speed", speed(pace)],
            os.path.join(directory, "muxphone.log"), stdout=subprocess.PIPE)
        try:
            self.wait_ready(self.process)
            if setup.delay:
                self.way = Process(
                    [os.path.join(setup.build, "tests/tools/delayproxy"),
                     "-l", self.address, "-c", own, "-d", str(setup.delay)],
                    os.path.join(directory, "delay.log"),
                    stdout=subprocess.PIPE)
                self.wait_ready(self.way)
            lines = [f"window {n} {window}" for n in range(1, count + 1)]
            if pace:
                lines += [f"slow {n} {pace}" for n in range(1, count + 1)]
            self.command(*lines)
        except BaseException:
            self.stop()
            raise

    @staticmethod
    def wait_ready(process):
        """It prints what it has, and then that."""
        out = process.child.stdout
        end = time.monotonic() + START_SECONDS
        said = b""
        while not said.endswith(b"ready\n"):
            if not select.select([out], [], [], end - time.monotonic())[0]:
                raise Failed(f"{process.name} is not ready")
            part = os.read(out.fileno(), 65536)
            if not part:
                raise Failed(f"{process.name}: {process.tail()}")
            said += part

    def launcher(self):
        """The words before a program whose libusb is to see the phones."""
        return ["-h", self.address]

    def stop(self):
        """Writes the report."""
        self.stop_shrinking()
        for process in (self.way, self.process):
            if process is not None:
                process.stop()
                process.child.stdout.close()


class Inside(Phones):
    """Phones that are simulated in the daemon's own process."""

    def __init__(self, directory, phone):
        super().__init__(directory)
        count, pace, window = phone
        self.kind = f"phone={count},window={window},speed={speed(pace)}"
        if pace:
            self.kind += f",pace={pace}"

    def launcher(self):
        """The words before a program whose libusb is to have the phones."""
        return ["--virtual", self.kind, "--virtual-report", self.report,
                "--virtual-control", self.control]

    def stop(self):
        """They have ended with the daemon."""
        self.stop_shrinking()


# ---- Daemons ---------------------------------------------------------------

# usbmuxd 1.1.1 knows one socket, under /run, and one place for records.
IN_ITS_PLACE = 'mount --bind "$1" /run && mount --bind "$2" /var/lib || exit; shift 2; exec "$@"'


def find_stock(build):
    """Debian's usbmuxd, unpacked or installed; None, and not muxd's own."""
    for path in (os.path.join(build, "stock/usr/sbin/usbmuxd"),
                 "/usr/sbin/usbmuxd"):
        try:
            said = subprocess.run([path, "--version"], timeout=10,
                                  capture_output=True, text=True,
                                  check=False)
        except (OSError, subprocess.TimeoutExpired):
            continue
        if said.stdout.startswith("usbmuxd 1"):
            return path
    return None


def can_mount():
    """True where a process can have a /run of its own."""
    return subprocess.run(
        [*own_mounts(), "true"], capture_output=True, check=False,
        timeout=10).returncode == 0


def own_mounts():
    """The words before a program with mounts of its own."""
    return ["unshare", "-m" if os.getuid() == 0 else "-rm"]


class Daemon:
    """One daemon over fresh phones, from start to stop.

    kind: muxd or stock.  bus: virtual (phones in the daemon's process), usbnet
    (muxphone, through the drop-in libusb) or usbip (the same, but muxd takes
    the phones itself).
    """

    def __init__(self, setup, kind, case):
        self.kind, self.case, self.setup = kind, case, setup
        self.bus = setup.bus_of(case)
        self.directory = tempfile.mkdtemp(prefix="muxd-bench.")
        self.socket = os.path.join(self.directory, "run", "usbmuxd")
        for name in ("run", "lib", "records"):
            os.mkdir(os.path.join(self.directory, name))
        self.phones = self.process = None

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        """Until the daemon lists all phones."""
        if self.bus == "virtual":
            self.phones = Inside(self.directory, self.case.phone())
        else:
            self.phones = Farm(self.setup, self.directory, self.case.phone())
        self.process = Process(self.command(), os.path.join(
            self.directory, "daemon.log"))
        await_true(f"{self.case.phones} phones", self.setup.patience,
                   self.ready)

    def ready(self):
        """All phones are listed; Failed when the daemon has ended."""
        if self.process.ended():
            raise Failed(f"it ended at start: {self.process.tail()}")
        return listed(self.socket) == self.case.phones

    def command(self):
        """The whole command line."""
        if self.kind == "stock":
            return [*own_mounts(), "sh", "-c", IN_ITS_PLACE, "sh",
                    os.path.join(self.directory, "run"),
                    os.path.join(self.directory, "lib"),
                    *self.setup.under(self.phones),
                    self.setup.stock, "-f", "-p"]
        words = [self.setup.muxd, "-f", "-S", self.socket, "-P", "NONE",
                 "-C", os.path.join(self.directory, "records"),
                 "--control", "NONE"]
        if self.bus == "usbip":
            return words + ["--no-usb", "--usbip", self.phones.address]
        return self.setup.under(self.phones) + words

    def look(self):
        """What the phones have counted; Failed when it is no more."""
        try:
            self.phones.look()
        except OSError as error:
            try:
                status = self.process.child.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                raise Failed(f"the phones: {error}") from error
            raise Failed(f"it has ended with status {status}: "
                         f"{self.process.tail()}") from error

    def apart(self):
        """How names of threads begin that are none of the daemon's."""
        return "virtual-" if self.bus == "virtual" else None

    def stop(self):
        """Ends all that was started; violations are known then."""
        in_time = self.process is None or self.process.stop()
        if self.phones is not None:
            self.phones.stop()
        self.in_time = in_time

    def remove(self):
        """Its directory, with all logs."""
        shutil.rmtree(self.directory, ignore_errors=True)


class Setup:
    """What is the same for all runs: programs, and the kind of bus."""

    def __init__(self, options):
        self.build = os.path.abspath(options.build)
        self.bus, self.delay = options.bus, options.delay
        self.muxd = options.muxd or os.path.join(self.build, "muxd")
        self.load = os.path.join(self.build, "tests/bench/muxbench")
        self.stock = options.stock or find_stock(self.build)
        if not can_mount():
            self.stock = None
        self.patience = options.patience * int(
            os.environ.get("MUXD_TEST_PATIENCE", "1"))

    def bus_of(self, case):
        """Where that case's phones are."""
        return SCENARIOS[case.scenario].bus or self.bus

    def under(self, phones):
        """The words before a program with usbnet's libusb."""
        return [os.path.join(self.build, "usbnet"), "-q", "-l",
                os.path.join(self.build,
                             "src/usbnet/.libs/libusb-1.0.so.0"),
                *phones.launcher(), "--"]
