#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host for the Socket Control Model: opens what a virtual device asks for.

    scm_host.py ADDRESS BUSID DIALECT

imports the device from a USB/IP server and connects its sockets, to loopback
addresses only; says "ready" when it has configured the device.  A third writing
of the protocol, after the daemon's and muxphone's, in both dialects (8, 12).
"""
import collections
import errno
import select
import socket
import struct
import sys

from usbip_probe import Device, Gone

OPEN, CONNECT, CLOSE, WRITE, ACK, REPLY, IOCTL, SETOPT, GETOPT = range(9)
SHUTDOWN, NOOP = 9, 10
COMMANDS = (OPEN, CLOSE, ACK)
HSS = {0: OPEN, 1: CONNECT, 2: SHUTDOWN, 3: WRITE, 4: ACK, 5: REPLY, 6: CLOSE,
       0xffff: NOOP}
HSS_OPCODE = {op: opcode for opcode, op in HSS.items()}
HSS_CODE = {0: 0, -errno.EINVAL: 2, -errno.ECONNREFUSED: 3,
            -errno.EPROTONOSUPPORT: 4, -errno.ENETUNREACH: 5,
            -errno.ETIMEDOUT: 6, -errno.ENOTCONN: 8, -errno.EPIPE: 8}
ZERO_PACKET = 0x40
WRITES_MAX = 8      # of one socket, without an answer
PAYLOAD = 16000
Message = collections.namedtuple("Message", "op id socket value data")


class Dialect8:
    head, ids = 8, 256

    @staticmethod
    def size(raw):
        return 0 if raw[0] in COMMANDS else struct.unpack_from("<I", raw, 4)[0]

    @staticmethod
    def parse(raw):
        op, mid, sid, zero, value = struct.unpack_from("<BBBBI", raw)
        assert zero == 0 and op <= GETOPT, raw
        return Message(op, mid, sid, value, raw[8:])

    @staticmethod
    def wanted(m):
        """(family, IPPROTO) of an OPEN."""
        return ({2: socket.AF_INET, 10: socket.AF_INET6}[m.value & 0xffff],
                m.value >> 16)

    @staticmethod
    def address(m):
        family, port = struct.unpack_from("<H", m.data)[0], \
            struct.unpack_from(">H", m.data, 2)[0]
        if family == 2:
            assert len(m.data) in (8, 16), m.data
            return socket.inet_ntop(socket.AF_INET, m.data[4:8]), port
        assert family == 10 and len(m.data) == 28, m.data
        return socket.inet_ntop(socket.AF_INET6, m.data[8:24]), port

    @staticmethod
    def message(op, mid, sid, data=b"", value=0):
        last = value & 0xffffffff if op in COMMANDS else len(data)
        return struct.pack("<BBBBI", op, mid, sid, 0, last) + data

    @classmethod
    def ack(cls, m, code):
        return cls.message(ACK, m.id, m.socket, value=code)


class Dialect12:
    head, ids = 12, 65536

    @staticmethod
    def size(raw):
        return struct.unpack_from("<I", raw, 8)[0]

    @staticmethod
    def parse(raw):
        opcode, mid, sid, _ = struct.unpack_from("<HHII", raw)
        op, data = HSS[opcode], raw[12:]
        if op == OPEN:
            assert sid == 0 and len(data) == 9, raw
            sid, = struct.unpack_from("<I", data)
        return Message(op, mid, sid, 0, data)

    @staticmethod
    def wanted(m):
        _, family, protocol, kind = struct.unpack("<IHHB", m.data)
        assert kind == protocol, m.data
        return ({1: socket.AF_INET, 2: socket.AF_INET6}[family],
                {1: 6, 2: 17}[protocol])

    @staticmethod
    def address(m):
        family, = struct.unpack_from("<H", m.data)
        port, = struct.unpack_from(">H", m.data, 2)
        if family == 1:
            assert len(m.data) == 8, m.data
            return socket.inet_ntop(socket.AF_INET, m.data[4:8]), port
        assert family == 2 and len(m.data) in (28, 40), m.data
        return socket.inet_ntop(socket.AF_INET6, m.data[12:28]), port

    @staticmethod
    def message(op, mid, sid, data=b""):
        return struct.pack("<HHII", HSS_OPCODE[op], mid, sid,
                           len(data)) + data

    @classmethod
    def ack(cls, m, code):
        return cls.message(ACK, m.id, m.socket, struct.pack(
            "<HB", HSS_OPCODE[m.op], HSS_CODE.get(code, 1)))


DIALECTS = {"8": Dialect8, "12": Dialect12}


class Bus:
    """Messages from and to a device, by whichever endpoint each belongs on."""

    READS, READ_SIZE, WRITES = 8, 32768, 32

    def __init__(self, device, dialect):
        self.dev, self.dialect = device, dialect
        status, config = device.control(0x80, 6, 0x0200, 0, 4096)
        assert status == 0
        assert config[9 + 5:9 + 8] == b"\xff\xab\0", config
        self.events = config[9 + 4] == 4 and dialect is Dialect12
        assert device.control(0x00, 9, 1)[0] == 0
        self.partial = b""
        self.reads, self.event_reads = collections.deque(), collections.deque()
        self.writes = collections.deque()
        self.backlog = collections.deque()
        for _ in range(self.READS):
            self.reads.append(device.submit(0x81, length=self.READ_SIZE))
        for _ in range(4 if config[9 + 4] == 4 else 0):
            self.event_reads.append(device.submit(0x82, length=64))

    def send(self, raw, op):
        self.backlog.append((2 if self.events and op != WRITE else 1, raw, op))
        self.flush()

    def flush(self):
        """CLOSE must not overtake data, which goes through another pipe."""
        while self.backlog and len(self.writes) < self.WRITES:
            if self.events and self.backlog[0][2] == CLOSE and self.writes:
                return
            endpoint, raw, _ = self.backlog.popleft()
            self.writes.append((self.dev.submit(endpoint, raw,
                                                flags=ZERO_PACKET), len(raw)))

    def received(self):
        """What has come since it was asked last."""
        found = []
        for queue, endpoint, length in ((self.event_reads, 0x82, 64),
                                        (self.reads, 0x81, self.READ_SIZE)):
            while queue and queue[0] in self.dev.done:
                status, data = self.dev.done.pop(queue.popleft())
                if status == -errno.ESHUTDOWN:
                    raise Gone
                assert status == 0, status
                queue.append(self.dev.submit(endpoint, length=length))
                if endpoint == 0x82:
                    found.append(self.dialect.parse(data))
                else:
                    self.partial += data
        while self.writes and self.writes[0][0] in self.dev.done:
            seq, size = self.writes.popleft()
            assert self.dev.done.pop(seq) == (0, size)
        self.flush()
        return found + self.take_partial()

    def take_partial(self):
        found, head = [], self.dialect.head
        while len(self.partial) >= head:
            end = head + self.dialect.size(self.partial)
            if len(self.partial) < end:
                break
            found.append(self.dialect.parse(self.partial[:end]))
            self.partial = self.partial[end:]
        return found


class Sock:
    def __init__(self, sid, family, protocol):
        self.sid = sid
        kind = {0: socket.SOCK_STREAM, 6: socket.SOCK_STREAM,
                17: socket.SOCK_DGRAM}[protocol]
        self.sock = socket.socket(family, kind)
        self.sock.setblocking(False)
        self.connecting = None          # the CONNECT that waits
        self.connected = self.ended = self.broken = False
        self.shut = None                # the SHUTDOWN that waits
        self.out = collections.deque()  # [WRITE, bytes left]
        self.unanswered = 0


class Proxy:
    def __init__(self, address, busid, dialect):
        self.dialect = DIALECTS[dialect]
        self.device = Device(address, busid)
        self.bus = Bus(self.device, self.dialect)
        self.socks = {}
        self.mid = 0
        self.waiting = {}               # message id: socket id

    def ack(self, m, code):
        self.bus.send(self.dialect.ack(m, code), ACK)

    def request(self, op, sock, data=b""):
        while self.mid in self.waiting and self.dialect is Dialect8:
            self.mid = (self.mid + 1) % self.dialect.ids
        self.waiting[self.mid] = sock.sid
        self.bus.send(self.dialect.message(op, self.mid, sock.sid, data), op)
        self.mid = (self.mid + 1) % self.dialect.ids

    # ---- from the device ----

    def on_open(self, m):
        if m.socket in self.socks:
            self.ack(m, -errno.EEXIST)
            return
        self.socks[m.socket] = Sock(m.socket, *self.dialect.wanted(m))
        self.ack(m, 0)

    def on_connect(self, m):
        sock = self.socks.get(m.socket)
        if sock is None:
            self.ack(m, -errno.EBADF)
            return
        host, port = self.dialect.address(m)
        if (":" in host) != (sock.sock.family == socket.AF_INET6):
            self.ack(m, -errno.EINVAL)
            return
        assert host == "::1" or host.startswith("127."), host
        code = sock.sock.connect_ex((host, port))
        if code == errno.EINPROGRESS:
            sock.connecting = m
            return
        sock.connected = code == 0
        self.ack(m, -code)

    def on_write(self, m):
        sock = self.socks.get(m.socket)
        if sock is None or not sock.connected:
            self.ack(m, -(errno.EBADF if sock is None else errno.ENOTCONN))
        elif sock.broken:
            self.ack(m, -errno.EPIPE)
        else:
            sock.out.append([m, m.data])
            self.push(sock)

    def on_shutdown(self, m):
        sock = self.socks[m.socket]
        sock.shut = m
        self.push(sock)

    def on_close(self, m):
        sock = self.socks.pop(m.socket, None)
        if sock is None:
            self.ack(m, -errno.EBADF)
            return
        if sock.out:                     # what it wrote before goes first
            sock.sock.setblocking(True)
            sock.sock.settimeout(10)
            for write, data in sock.out:
                sock.sock.sendall(data)
                self.ack(write, 0)
        sock.sock.close()
        self.ack(m, 0)

    def on_answer(self, m):
        if self.waiting.pop(m.id, None) is not None and \
                m.socket in self.socks:
            self.socks[m.socket].unanswered -= 1

    def on_option(self, m):
        if m.op == SETOPT:
            self.ack(m, -errno.ENOPROTOOPT)
        else:
            self.bus.send(self.dialect.message(
                REPLY, m.id, m.socket, struct.pack("<iI", 0, 42)), REPLY)

    def handle(self, m):
        {OPEN: self.on_open, CONNECT: self.on_connect, WRITE: self.on_write,
         SHUTDOWN: self.on_shutdown, CLOSE: self.on_close,
         ACK: self.on_answer, REPLY: self.on_answer, IOCTL: self.on_option,
         SETOPT: self.on_option, GETOPT: self.on_option,
         NOOP: lambda m: None}[m.op](m)

    # ---- from and to the peers ----

    def push(self, sock):
        try:
            while sock.out:
                write, data = sock.out[0]
                sent = sock.sock.send(data) if data else 0
                sock.out[0][1] = data[sent:]
                if sent == len(data):
                    sock.out.popleft()
                    self.ack(write, 0)
        except BlockingIOError:
            return
        except OSError:
            self.fail(sock)
            return
        if sock.shut:
            sock.sock.shutdown(socket.SHUT_WR)
            self.ack(sock.shut, 0)
            sock.shut = None

    def fail(self, sock):
        sock.broken = True
        while sock.out:
            self.ack(sock.out.popleft()[0], -errno.EPIPE)
        self.end(sock)

    def end(self, sock):
        if not sock.ended:
            sock.ended = True
            self.request(CLOSE, sock)

    def pull(self, sock):
        try:
            data = sock.sock.recv(PAYLOAD)
        except BlockingIOError:
            return
        except OSError:
            self.fail(sock)
            return
        if not data:
            self.end(sock)
            return
        # Devices of dialect 12 need not answer.
        sock.unanswered += self.dialect is Dialect8
        self.request(WRITE, sock, data)

    def finish_connect(self, sock):
        code = sock.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        m, sock.connecting = sock.connecting, None
        sock.connected = code == 0
        self.ack(m, -code)

    def step(self):
        readers, writers = [self.device.sock], []
        crowded = len(self.bus.backlog) > 64
        by_file = {sock.sock: sock for sock in self.socks.values()}
        for sock in self.socks.values():
            if sock.connecting or sock.out:
                writers.append(sock.sock)
            if sock.connected and not sock.ended and not crowded and \
                    sock.unanswered < WRITES_MAX:
                readers.append(sock.sock)
        readable, writable, _ = select.select(readers, writers, [])
        if self.device.sock in readable:
            self.device.pump(0)
            for m in self.bus.received():
                self.handle(m)
        for one in writable:
            sock = by_file[one]
            if self.socks.get(sock.sid) is sock:
                self.finish_connect(sock) if sock.connecting else \
                    self.push(sock)
        for one in readable:
            sock = by_file.get(one)
            if sock and self.socks.get(sock.sid) is sock and not sock.ended:
                self.pull(sock)


def main(address, busid, dialect):
    proxy = Proxy(address, busid, dialect)
    print("ready", flush=True)
    try:
        while True:
            proxy.step()
    except (Gone, ConnectionResetError, BrokenPipeError):
        pass


if __name__ == "__main__":
    main(*sys.argv[1:])
