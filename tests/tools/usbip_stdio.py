# SPDX-License-Identifier: GPL-3.0-or-later
"""usbip_stdio.py HOW BUSID PROGRAM...: imports BUSID from the program's
standard input and output, then stops reading.

HOW is "closed", its output is closed while its input stays open; or "unread",
its output is full and its input ends.  Says "ended" when the program does.
"""
import fcntl
import os
import struct
import subprocess
import sys
import termios
import time

PATIENCE = 20 * int(os.environ.get("MUXD_TEST_PATIENCE", "1"))
F_SETPIPE_SZ = 1031
PIPE = 4096
REQUESTS = 2000  # each is answered with 66 bytes


def read_all(fd, count):
    data = b""
    while len(data) < count:
        piece = os.read(fd, count - len(data))
        if not piece:
            sys.exit("the program has ended early")
        data += piece
    return data


def import_device(inp, out, busid):
    """The device's number in URBs."""
    os.write(inp, struct.pack(">HHI32s", 0x0111, 0x8003, 0, busid.encode()))
    if read_all(out, 8)[4:] != bytes(4):
        sys.exit("refused")
    bus, address = struct.unpack_from(">II", read_all(out, 312), 288)
    return bus << 16 | address


def fill_output(inp, out, device):
    """Asks for the device descriptor until nothing more goes into the pipe."""
    fcntl.fcntl(out, F_SETPIPE_SZ, PIPE)
    for i in range(REQUESTS):
        os.write(inp, struct.pack(">IIIIIIiiiI", 1, 1 + i, device, 1, 0, 0, 18,
                                  0, -1, 0) + b"\x80\6\0\1\0\0\x12\0")
    until = time.monotonic() + PATIENCE
    before = -1
    while time.monotonic() < until:
        lies, = struct.unpack("i", fcntl.ioctl(out, termios.FIONREAD, bytes(4)))
        if lies > 0 and lies == before:
            return
        before = lies
        time.sleep(0.3)
    sys.exit("its output does not fill")


def main(how, busid, *program):
    child = subprocess.Popen(program, stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, bufsize=0)
    inp, out = child.stdin.fileno(), child.stdout.fileno()
    device = import_device(inp, out, busid)
    if how == "closed":
        child.stdout.close()
    else:
        fill_output(inp, out, device)
        child.stdin.close()
    try:
        child.wait(PATIENCE)
        print("ended")
    except subprocess.TimeoutExpired:
        child.kill()
        print("still there")


main(*sys.argv[1:])
