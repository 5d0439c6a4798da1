"""flood.py DEVICE GUEST MAC COUNT: frames that mean no good, COUNT of each kind, in turn: SYNs from all over the subnet, resets
and tiny segments of connections that aren't there, fragments whose rest never comes, truncated and random ones."""
import random
import socket
import struct
import sys

device, guest, mac, count = sys.argv[1], socket.inet_aton(sys.argv[2]), bytes.fromhex(sys.argv[3].replace(":", "")), int(sys.argv[4])
chance = random.Random(5)
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
wire.bind((device, 0))


def total(data):
    if len(data) % 2:
        data += b"\0"
    value = sum(struct.unpack(">%dH" % (len(data) // 2), data))
    while value >> 16:
        value = (value & 0xffff) + (value >> 16)
    return ~value & 0xffff


def packet(protocol, body, fragment=0):
    source = bytes([10, 0, 0, chance.randrange(3, 255)])
    header = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(body), chance.randrange(65536), fragment, 64, protocol, 0) + source + guest
    header = header[:10] + struct.pack(">H", total(header)) + header[12:]
    return source, header + body


def segment(flags, payload=b""):
    ports = struct.pack(">HH", chance.randrange(1024, 65536), 9)
    header = ports + struct.pack(">IIBBHHH", chance.randrange(1 << 32), chance.randrange(1 << 32), 0x50, flags, 1024, 0, 0)
    source, whole = packet(6, header + payload)
    pseudo = source + guest + struct.pack(">BBH", 0, 6, len(header) + len(payload))
    sum16 = total(pseudo + header + payload)
    return whole[:36] + struct.pack(">H", sum16) + whole[38:]


kinds = [
    lambda: segment(2),
    lambda: segment(4),
    lambda: segment(16, b"x"),
    lambda: packet(17, bytes(64), 0x2000 | chance.randrange(1, 100))[1],
    lambda: segment(2)[: chance.randrange(1, 40)],
    lambda: chance.randbytes(chance.randrange(1, 200)),
]
sent = 0
for i in range(count):
    for make in kinds:
        source = bytes([2, 0, 0]) + chance.randbytes(3)
        try:
            wire.send(mac + source + b"\x08\x00" + make())
            sent += 1
        except OSError:
            pass  # the device's queue is full: as it should be
print(sent, "frames")
