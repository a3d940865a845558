#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Has virtual devices say things to their host, byte for byte, and judges what
it says to them.

    scm_check.py CONTROL CASE DEVICE [ARGUMENT...]

CONTROL is muxphone's control socket, DEVICE a number there.  The cases are the
functions below whose names begin with case_; each ends with an AssertionError
when something is not as scm(7) has it.
"""
import errno
import json
import os
import socket
import struct
import sys
import threading
import time

PATIENCE = 20 * float(os.environ.get("MUXD_TEST_PATIENCE", "1"))


class Device:
    """One device's raw sockets."""

    def __init__(self, control, n):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(control)
        self.lines = self.sock.makefile("rw")
        self.n = n
        self.heard = []

    def command(self, *words):
        self.lines.write(" ".join(str(w) for w in words) + "\n")
        self.lines.flush()
        answer = json.loads(self.lines.readline())
        assert "error" not in answer, (words, answer)
        return answer

    def say(self, *words):
        return self.command("scm", self.n, *words)

    def await_that(self, what, wanted):
        """The first message that is as wanted; it is not heard again."""
        end = time.monotonic() + PATIENCE
        while True:
            self.heard += self.say("take")["messages"]
            for i, m in enumerate(self.heard):
                if wanted(m):
                    return self.heard.pop(i)
            assert time.monotonic() < end, (what, self.heard)

    def answer(self, said):
        return self.await_that(
            said, lambda m: m["opcode"] in ("ACK", "REPLY") and
            m["message"] == said["message"])

    def code(self, *words):
        """The code that answers what is said."""
        return self.answer(self.say(*words))["code"]

    def opened(self, *how):
        said = self.say("open", *how)
        assert self.answer(said)["code"] == 0, said
        return said["socket"]

    def connected(self, port, *how, address="127.0.0.1"):
        s = self.opened(*how)
        code = self.code("connect", s, address, port)
        assert code == 0, code
        return s

    def data(self, s, count):
        """So many bytes of the host's WRITEs."""
        got = b""
        while len(got) < count:
            m = self.await_that(
                (s, count, got), lambda m: m["opcode"] == "WRITE" and
                m["socket"] == s)
            got += bytes.fromhex(m["data"])
        return got


def is_code(device, code, wanted):
    """Dialect 12 has few codes: those that it has not are 'host error'."""
    told = {errno.EINVAL, errno.ECONNREFUSED, errno.EPROTONOSUPPORT,
            errno.ENETUNREACH, errno.ETIMEDOUT, errno.ENOTCONN}
    return code == -wanted or -code not in told


class Echo:
    """Sends back what comes, datagrams turned round."""

    def __init__(self, kind=socket.SOCK_STREAM, family=socket.AF_INET):
        self.sock = socket.socket(family, kind)
        self.sock.bind(("127.0.0.1" if family == socket.AF_INET else "::1", 0))
        self.port = self.sock.getsockname()[1]
        self.stream = kind == socket.SOCK_STREAM
        if self.stream:
            self.sock.listen(200)
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while self.stream:
            threading.Thread(target=self.serve, daemon=True,
                             args=(self.sock.accept()[0],)).start()
        while True:
            data, peer = self.sock.recvfrom(70000)
            self.sock.sendto(data[::-1], peer)

    @staticmethod
    def serve(sock):
        with sock:
            while data := sock.recv(65536):
                sock.sendall(data)


def closed_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


# ---- Cases ------------------------------------------------------------------

def case_tcp(d):
    """Bytes of every length there and back, and what each state answers."""
    s = d.opened()
    assert is_code(d, d.code("write", s, "00"), errno.ENOTCONN)
    port = Echo().port
    assert d.code("connect", s, "127.0.0.1", port) == 0
    for length in (0, 1, 7, 64, 1016, 1024, 1025, 16384, 60000):
        data = os.urandom(length)
        assert d.code("write", s, *[data.hex()] * (length > 0)) == 0
        assert d.data(s, length) == data, length
    # The device takes that for the end of the connection that it had.
    assert is_code(d, d.code("connect", s, "127.0.0.1", port), errno.EISCONN)
    assert d.code("close", s) == 0


def case_udp(d, family="inet"):
    """Datagrams whole, also the empty one, and the largest."""
    v6 = family == "inet6"
    echo = Echo(socket.SOCK_DGRAM, socket.AF_INET6 if v6 else socket.AF_INET)
    s = d.connected(echo.port, "udp", family,
                    address="::1" if v6 else "127.0.0.1")
    for length in (5, 0, 1400, 9000, 60000):
        data = os.urandom(length)
        assert d.code("write", s, *[data.hex()] * (length > 0)) == 0
        m = d.await_that(length, lambda m: m["opcode"] == "WRITE")
        assert bytes.fromhex(m.get("data", "")) == data[::-1], length
    assert d.code("close", s) == 0


def case_no_udp(d):
    assert is_code(d, d.code("open", "udp"), errno.EPROTONOSUPPORT)


def case_refused(d):
    """A closed port and what the rules deny answer alike, byte for byte."""
    answers = set()
    for address, port in (("127.0.0.1", closed_port()), ("192.0.2.1", 80),
                          ("169.254.169.254", 80), ("10.0.0.1", 22)):
        s = d.opened()
        m = d.answer(d.say("connect", s, address, port))
        answers.add((m["opcode"], m["code"]))
        assert d.code("close", s) == 0
    assert answers == {("ACK", -errno.ECONNREFUSED)}, answers


def case_options(d):
    port = Echo().port
    s = d.connected(port)
    sol, tcp = socket.SOL_SOCKET, socket.IPPROTO_TCP

    def get(level, name, size=4):
        m = d.answer(d.say("getopt", s, level, name, size))
        return m["code"], bytes.fromhex(m.get("data", ""))
    assert d.code("setopt", s, sol, 9, "01000000") == 0      # SO_KEEPALIVE
    assert get(sol, 9) == (0, struct.pack("<I", 1))
    assert d.code("setopt", s, tcp, 1, "01000000") == 0      # TCP_NODELAY
    assert get(tcp, 1) == (0, struct.pack("<I", 1))
    assert d.code("setopt", s, sol, 13, "0100000005000000") == 0
    assert get(sol, 13, 8) == (0, struct.pack("<II", 1, 5))  # SO_LINGER
    assert get(sol, 4) == (0, bytes(4))                      # SO_ERROR
    assert d.code("setopt", s, sol, 36, "01000000") == -errno.ENOPROTOOPT
    assert d.code("setopt", s, tcp, 1, "01") == -errno.EINVAL
    assert get(sol, 25)[0] == -errno.ENOPROTOOPT             # BINDTODEVICE
    m = d.answer(d.say("ioctl", s, 0x541b))                  # FIONREAD
    assert (m["code"], m["data"]) == (0, "00000000"), m
    assert d.code("ioctl", s, 0x8912) == -errno.ENOTTY       # SIOCGIFCONF
    assert d.code("close", s) == 0


def case_unknown_socket(d):
    """What is said to a number that is not open is answered all the same."""
    s = d.opened()
    assert d.code("close", s) == 0
    for head in ("0163", "0264", "0365"):
        data = head == "0365"
        d.say("send", head + f"{s:02x}00" + ("04000000" "00000000" if data
                                             else "00000000"))
        m = d.await_that(head, lambda m: m["opcode"] == "ACK" and
                         m["message"] == int(head[2:], 16))
        assert m["code"] in (-errno.EBADF, -errno.EINVAL), m


def case_early_close(d):
    """CONNECT, WRITE and CLOSE without waiting: the bytes arrive first."""
    got = []
    server = socket.create_server(("127.0.0.1", 0))

    def take():
        with server.accept()[0] as c:
            while data := c.recv(65536):
                got.append(data)
    thread = threading.Thread(target=take)
    thread.start()
    data = os.urandom(50000)
    s = d.opened()
    said = [d.say("connect", s, "127.0.0.1", server.getsockname()[1]),
            d.say("write", s, data[:30000].hex()),
            d.say("write", s, data[30000:].hex())]
    assert d.answer(said[0])["code"] == 0
    said.append(d.say("close", s))
    assert [d.answer(m)["code"] for m in said[1:]] == [0, 0, 0]
    thread.join(PATIENCE)
    assert b"".join(got) == data


def case_limit(d, count):
    """One socket more than the limit is not opened, and all is well after."""
    count = int(count)
    sockets = [d.opened() for _ in range(count)]
    assert is_code(d, d.code("open"), errno.EMFILE)
    for s in sockets:
        assert d.code("close", s) == 0
    assert d.code("close", d.opened()) == 0


def case_cycles(d, count):
    """Opens, connects and closes, one after another."""
    port = Echo().port
    for i in range(int(count)):
        s = d.connected(port)
        assert d.code("write", s, f"{i:08x}") == 0
        assert d.data(s, 4) == bytes.fromhex(f"{i:08x}")
        assert d.code("close", s) == 0


def case_overflow(d, count):
    """More than may wait for a peer that never reads: its socket ends, and says
    so, and another is as good as before."""
    server = socket.create_server(("127.0.0.1", 0))
    server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s = d.connected(server.getsockname()[1])
    other = d.connected(Echo().port)
    peer = server.accept()[0]
    part = bytes(60000).hex()
    said = [d.say("write", s, part) for _ in range(int(count))]
    assert d.answer(said[-1])["code"] < 0
    d.await_that("CLOSE", lambda m: m["opcode"] == "CLOSE" and
                 m["socket"] == s)
    assert d.code("write", other, "0102") == 0
    assert d.data(other, 2) == b"\1\2"
    assert d.code("close", other) == 0
    d.code("close", s)
    peer.close()


def case_hold(d, port):
    """A connection whose peer never reads, and which has sent what goes, until
    standard input ends."""
    s = d.connected(port)
    for _ in range(20):
        d.say("write", s, bytes(60000).hex())
    sys.stdin.read()


def main(control, case, device, *arguments):
    globals()["case_" + case](Device(control, int(device)), *arguments)


if __name__ == "__main__":
    main(*sys.argv[1:])
