"""Reads captures (pcap) and says whether what a guest sent is right, from the bytes alone.

    capture.py GUEST FILE [FILE]

Every IPv4 frame of GUEST's has right sums (IP, TCP, UDP, ICMP). Its SYNs offer MSS, window scale, SACK and timestamps; after
the handshake its windows are scaled and its segments carry timestamps. Two files: both hold the same segments of GUEST's.
Prints the MSS that it offered and how many segments it sent.
"""
import socket
import struct
import sys


def frames(path):
    data = open(path, "rb").read()
    magic = data[:4]
    order = "<" if magic in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    assert struct.unpack(order + "I", data[20:24])[0] == 1, "not Ethernet"
    at = 24
    while at + 16 <= len(data):
        length, original = struct.unpack(order + "II", data[at + 8:at + 16])
        assert length == original, "a frame was cut"
        yield data[at + 16:at + 16 + length]
        at += 16 + length


def total(data):
    if len(data) % 2:
        data += b"\0"
    value = sum(struct.unpack(">%dH" % (len(data) // 2), data))
    while value >> 16:
        value = (value & 0xffff) + (value >> 16)
    return value


def options(data):
    found = {}
    while data and data[0] != 0:
        if data[0] == 1:
            data = data[1:]
            continue
        found[data[0]] = data[2:data[1]]
        data = data[data[1]:]
    return found


def segments(path, guest):
    guest = socket.inet_aton(guest)
    result = []
    for frame in frames(path):
        if frame[12:14] != b"\x08\x00" or frame[26:30] != guest:
            continue
        packet = frame[14:]
        header = (packet[0] & 15) * 4
        length = struct.unpack(">H", packet[2:4])[0]
        assert total(packet[:header]) == 0xffff, "IP checksum"
        body = packet[header:length]
        protocol = packet[9]
        pseudo = packet[12:20] + struct.pack(">BBH", 0, protocol, len(body))
        assert protocol not in (6, 17) or (protocol == 17 and body[6:8] == b"\0\0") or total(pseudo + body) == 0xffff, \
            "checksum of protocol %d in a packet of %d" % (protocol, len(body))
        assert protocol != 1 or total(body) == 0xffff, "ICMP checksum"
        if protocol == 6:
            ports, sequence, acknowledgment, offset, flags, window = struct.unpack(">IIIBBH", body[:16])
            start = (offset >> 4) * 4
            result.append((ports, sequence, acknowledgment, flags, window, len(body) - start, options(body[20:start])))
    return result


def main():
    guest, first = sys.argv[1:3]
    sent = segments(first, guest)
    assert sent, "nothing of %s's" % guest
    largest = 0
    for ports, _, _, flags, window, length, have in sent:
        if flags & 2:  # SYN
            assert {2, 3, 4, 8} <= have.keys(), "a SYN without MSS, window scale, SACK or timestamps: %s" % have
            mss = struct.unpack(">H", have[2])[0]
            scale = have[3][0]
        elif not flags & 4:
            assert 8 in have, "a segment without timestamps"
            largest = max(largest, window << scale)
    assert largest > 65535, "no window was scaled: %d" % largest
    longest = max(segment[5] for segment in sent)
    assert longest <= mss, "a segment of %d, more than %d" % (longest, mss)
    if len(sys.argv) > 3:
        other = segments(sys.argv[3], guest)
        key = lambda segment: segment[:6]
        assert set(map(key, sent)) == set(map(key, other)), "the captures differ: %d and %d segments" % (len(sent), len(other))
    print("mss %d longest %d segments %d" % (mss, longest, len(sent)))


main()
