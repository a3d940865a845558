# SPDX-License-Identifier: GPL-3.0-or-later
"""A host in miniature: imports a virtual phone over USB/IP and talks to it.

A third writing of the protocols, after the daemon's and the phone's; it knows
no more than phone_check.py needs.
"""
import collections
import plistlib
import select
import socket
import struct
import time

PDU = struct.Struct(">IIIII")
PATIENCE = 10.0


class Gone(Exception):
    """The server has closed the connection."""


def connect(address):
    if address.startswith("unix:"):
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(address[5:])
    else:
        host, port = address.rsplit(":", 1)
        sock = socket.create_connection((host, int(port)))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def receive(sock, count):
    parts = []
    while count:
        part = sock.recv(min(count, 1 << 20))
        if not part:
            raise Gone
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def devlist(address):
    """(busid, vendor, product, address, configurations) of each device."""
    sock = connect(address)
    sock.sendall(struct.pack(">HHI", 0x0111, 0x8005, 0))
    _, _, status, count = struct.unpack(">HHII", receive(sock, 12))
    assert status == 0
    found = []
    for _ in range(count):
        entry = receive(sock, 312)
        busid = entry[256:288].split(b"\0")[0].decode()
        vendor, product = struct.unpack_from(">HH", entry, 300)
        receive(sock, 4 * entry[311])
        found.append((busid, vendor, product,
                      struct.unpack_from(">I", entry, 292)[0], entry[310]))
    return found


def devinfo(address, busid):
    """The entry, and {(type, index): bytes} of a device's descriptors."""
    sock = connect(address)
    sock.sendall(struct.pack(">HHI32s", 0x0111, 0x8002, 0, busid.encode()))
    _, code, status = struct.unpack(">HHI", receive(sock, 8))
    assert (code, status) == (0x0002, 0), (code, status)
    entry = receive(sock, 312)
    raw = receive(sock, struct.unpack(">I", receive(sock, 4))[0])
    found, at = {}, 0
    while at < len(raw):
        kind, index, _, size = struct.unpack_from(">BBHI", raw, at)
        found[kind, index] = raw[at + 8:at + 8 + size]
        assert len(found[kind, index]) == size
        at += 8 + size
    return entry, found


class Device:
    """One import.  URBs are submitted, and waited for by number."""

    def __init__(self, address, busid):
        self.sock = connect(address)
        self.sock.sendall(struct.pack(">HHI32s", 0x0111, 0x8003, 0,
                                      busid.encode()))
        _, _, status = struct.unpack(">HHI", receive(self.sock, 8))
        if status:
            raise OSError(status, "import refused")
        self.entry = receive(self.sock, 312)
        bus, number, self.speed = struct.unpack_from(">III", self.entry, 288)
        self.devid = bus << 16 | number
        self.seq = 100
        self.pending = {}
        self.done = {}
        self.unlinked = {}

    def close(self):
        self.sock.close()

    def submit(self, endpoint, data=b"", length=None, setup=bytes(8), flags=0):
        """OUT sends `data`; IN (0x80 set) asks for `length` bytes."""
        self.seq += 1
        into = endpoint >> 7
        size = length if length is not None else len(data)
        pdu = struct.pack(">IIIIIIiiii8s", 1, self.seq, self.devid, into,
                          endpoint & 15, flags, size, 0, 0, 0, setup)
        self.pending[self.seq] = endpoint
        self.sock.sendall(pdu + (b"" if into else data))
        return self.seq

    def submit_iso(self, endpoint, sizes, data=b"", flags=2, start=0):
        """Packets of these sizes; wait() gives (status, data, frame, packets)
        with (actual, status) of each packet."""
        self.seq += 1
        into = endpoint >> 7
        pdu = struct.pack(">IIIIIIiiii8s", 1, self.seq, self.devid, into,
                          endpoint & 15, flags, sum(sizes), start, len(sizes),
                          8, bytes(8))
        at, packets = 0, b""
        for size in sizes:
            packets += struct.pack(">IIII", at, size, 0, 0)
            at += size
        self.pending[self.seq] = endpoint
        self.sock.sendall(pdu + (b"" if into else data) + packets)
        return self.seq

    def take_iso(self, head, into):
        status, actual, frame, count = struct.unpack_from(">iiii", head, 20)
        data = receive(self.sock, actual) if into else b""
        raw = receive(self.sock, 16 * count)
        packets = [struct.unpack_from(">Ii", raw, 16 * i + 8)
                   for i in range(count)]
        return status, data, frame, packets

    def unlink(self, seq):
        self.seq += 1
        self.sock.sendall(struct.pack(">IIIIII24x", 2, self.seq, self.devid, 0,
                                      0, seq))
        return self.seq

    def pump(self, timeout):
        """Takes one reply; False when none came in time."""
        if not select.select([self.sock], [], [], timeout)[0]:
            return False
        head = receive(self.sock, 48)
        command, seq = struct.unpack_from(">II", head)
        if command == 4:
            self.unlinked[seq] = struct.unpack_from(">i", head, 20)[0]
            return True
        assert command == 3, head
        status, actual = struct.unpack_from(">ii", head, 20)
        into = self.pending.pop(seq) & 0x80
        if struct.unpack_from(">i", head, 32)[0] > 0:
            self.done[seq] = self.take_iso(head, into)
            return True
        self.done[seq] = (status, receive(self.sock, actual) if into
                          else actual)
        return True

    def wait(self, seq, timeout=PATIENCE):
        end = time.monotonic() + timeout
        while seq not in self.done:
            if not self.pump(max(0, end - time.monotonic())):
                raise TimeoutError(f"URB {seq}")
        return self.done.pop(seq)

    def wait_unlinked(self, seq, timeout=PATIENCE):
        end = time.monotonic() + timeout
        while seq not in self.unlinked:
            if not self.pump(max(0, end - time.monotonic())):
                raise TimeoutError(f"UNLINK {seq}")
        return self.unlinked.pop(seq)

    def control(self, kind, request, value=0, index=0, length=0, data=b""):
        length = length or len(data)
        setup = struct.pack("<BBHHH", kind, request, value, index, length)
        seq = self.submit(kind & 0x80, data, length, setup)
        return self.wait(seq)

    def bulk_out(self, endpoint, data, flags=0):
        return self.wait(self.submit(endpoint, data, flags=flags))

    def bulk_in(self, endpoint, length):
        return self.wait(self.submit(endpoint, length=length))

    def string(self, index):
        status, raw = self.control(0x80, 6, 3 << 8 | index, 0x0409, 255)
        assert status == 0 and raw[0] == len(raw) and raw[1] == 3
        return raw[2:].decode("utf-16le")


class Host:
    """The host's side of the mux protocol, as strict as the phone is."""

    READS, READ_SIZE = 4, 16384
    patience = PATIENCE

    def __init__(self, device, max_packet, version=2, cut=None):
        self.dev, self.max_packet, self.cut = device, max_packet, cut
        self.tx_seq, self.rx_seq = 0, 0xffff
        self.version = 1
        self.reads = collections.deque()
        self.writes = collections.deque()
        self.partial = b""
        self.packets = collections.deque()
        self.conns = {}
        self.said = []
        self.writes_max = 0
        for _ in range(self.READS):
            self.read_more()
        self.send(0, struct.pack(">III", 2, 0, 0))
        protocol, body = self.next_packet()
        assert protocol == 0, (protocol, body)
        major, minor, padding = struct.unpack(">III", body)
        assert (minor, padding) == (0, 0)
        assert major == version, major
        self.version = major
        if major == 2:
            self.send(2, b"\x07")
            self.rx_seq = 0

    # ---- packets ----

    def read_more(self):
        self.reads.append(self.dev.submit(0x85, length=self.READ_SIZE))

    def write(self, raw, zlp=True):
        cut = self.cut or len(raw)
        for i in range(0, len(raw), cut):
            self.writes.append(self.dev.submit(0x04, raw[i:i + cut]))
        if zlp and len(raw) % self.max_packet == 0:
            self.writes.append(self.dev.submit(0x04, b""))
        while len(self.writes) > 64:
            self.take_write()

    def take_write(self):
        seq = self.writes.popleft()
        status, _ = self.dev.wait(seq)
        assert status == 0, status

    def send(self, protocol, body):
        if protocol == 0 or self.version == 1:
            head = struct.pack(">II", protocol, len(body) + 8)
        else:
            head = struct.pack(">IIIHH", protocol, len(body) + 16, 0xfeedface,
                               self.tx_seq & 0xffff, self.rx_seq)
            self.tx_seq += 1
        self.write(head + body)

    def take_read(self, timeout):
        """One completed read, whole packets into self.packets."""
        seq = self.reads[0]
        end = time.monotonic() + timeout
        while seq not in self.dev.done:
            if not self.dev.pump(max(0, end - time.monotonic())):
                return False
        self.reads.popleft()
        status, data = self.dev.done.pop(seq)
        assert status == 0, status
        self.read_more()
        self.partial += data
        if len(data) == self.READ_SIZE:
            return True
        if self.partial:
            self.packets.append(self.partial)
        self.partial = b""
        return True

    def next_packet(self, timeout=None):
        timeout = timeout or self.patience
        while True:
            while not self.packets:
                if not self.take_read(timeout):
                    raise TimeoutError("nothing from the phone")
            raw = self.packets.popleft()
            protocol, length = struct.unpack_from(">II", raw)
            assert length == len(raw), (length, len(raw))
            if protocol == 0 or self.version == 1:
                body = raw[8:]
            else:
                assert struct.unpack_from(">I", raw, 8)[0] in (
                    0xfeedface, 0xfaceface)
                self.rx_seq = struct.unpack_from(">H", raw, 12)[0]
                body = raw[16:]
            if protocol == 1:
                self.said.append(body)
                continue
            return protocol, body

    # ---- connections ----

    def tcp(self, conn, flags, data=b"", seq=None, ack=None):
        self.send(6, struct.pack(
            ">HHIIBBHI", conn.sport, conn.dport,
            conn.snd & 0xffffffff if seq is None else seq,
            conn.rcv & 0xffffffff if ack is None else ack, 0x50,
            flags, conn.window // 256, 0) + data)

    def step(self, timeout=None):
        """Takes one packet and does what is due."""
        protocol, body = self.next_packet(timeout)
        assert protocol == 6, protocol
        dport, sport, seq, ack, off, flags, window, rest = struct.unpack_from(
            ">HHIIBBHI", body)
        data = body[20:]
        assert off == 0x50 and rest == 0
        conn = self.conns.get(sport)
        assert conn is not None and conn.dport == dport, (sport, dport)
        conn.take(seq, ack, flags, window * 256, data)

    def connect(self, dport, sport=None, window=131072):
        sport = sport or 1 + max(self.conns, default=0)
        conn = Conn(self, sport, dport, window)
        self.conns[sport] = conn
        self.tcp(conn, 0x02, seq=0, ack=0)
        while conn.state == "syn":
            self.step()
        return conn


class Conn:
    def __init__(self, host, sport, dport, window):
        self.host, self.sport, self.dport = host, sport, dport
        self.window = window
        self.state = "syn"
        self.snd = self.una = 0
        self.rcv = 0
        self.edge = 0
        self.data = bytearray()
        self.reason = b""
        self.hold = False  # no acknowledgements

    def take(self, seq, ack, flags, window, data):
        if flags & 0x04:
            self.state, self.reason = "reset", data
            return
        if self.state == "syn":
            assert flags == 0x12, flags
            assert ack == 1
            self.rcv = seq + 1
            self.snd = self.una = 1
            self.state = "open"
            self.edge = ack + window
            self.data += data
            self.rcv += len(data)
            self.host.tcp(self, 0x10)
            return
        assert flags == 0x10, flags
        assert seq == self.rcv & 0xffffffff, (seq, self.rcv)
        assert self.una <= ack <= self.snd
        self.una = ack
        self.edge = ack + window
        self.rcv += len(data)
        self.data += data
        if data and not self.hold:
            self.host.tcp(self, 0x10)

    def room(self):
        return max(0, self.edge - self.snd)

    def send(self, data, chunk=49116):
        while data:
            n = min(self.room(), chunk, len(data))
            if n == 0:
                self.host.step()
                assert self.state == "open", self.reason
                continue
            seq = self.snd
            self.snd += n
            self.host.tcp(self, 0x10, data[:n], seq=seq & 0xffffffff)
            data = data[n:]

    def receive(self, count):
        while len(self.data) < count:
            assert self.state == "open", self.reason
            self.host.step()
        out = bytes(self.data[:count])
        del self.data[:count]
        return out

    def until_reset(self):
        while self.state == "open":
            self.host.step()
        return bytes(self.data)

    def close(self):
        self.host.tcp(self, 0x04)
        del self.host.conns[self.sport]

    def lockdown(self, request, fmt=plistlib.FMT_XML):
        body = plistlib.dumps(request, fmt=fmt)
        self.send(struct.pack(">I", len(body)) + body)
        size, = struct.unpack(">I", self.receive(4))
        return plistlib.loads(self.receive(size), fmt=fmt)


def chargen(count):
    line = "".join(chr(32 + i % 95) for i in range(95 * 2))
    text = "".join(line[k:k + 72] + "\r\n" for k in range(95)).encode()
    return (text * (count // len(text) + 1))[:count]


def bring_up(device, version=2, cut=None):
    """Chooses the highest configuration with the mux: a Host."""
    status, raw = device.control(0x80, 6, 0x0100, 0, 18)
    assert status == 0
    for index in range(raw[17] - 1, -1, -1):
        _, config = device.control(0x80, 6, 0x0200 | index, 0, 4096)
        assert len(config) == struct.unpack_from("<H", config, 2)[0]
        at, mux, packet = 0, False, 0
        while at < len(config):
            size, kind = config[at], config[at + 1]
            if kind == 4:
                mux = config[at + 5:at + 8] == b"\xff\xfe\x02"
            if kind == 5 and mux and config[at + 2] == 0x04:
                packet, = struct.unpack_from("<H", config, at + 4)
            at += size
        if packet:
            status, _ = device.control(0x00, 9, config[5])
            assert status == 0
            return Host(device, packet, version, cut)
    raise AssertionError("no configuration has the mux")
