#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Does Wireshark's MIKEY dissector read what it knows of our messages as we wrote it?

Every message of the golden file and of the public vectors is looked at; the library writes these
very octets (test-mikey-golden, test-mikey-vectors). They are TRANSFER_INIT and TRANSFER_RESP of
calls and of updates, requests and resolves with their answers, a request by certificate, and an Error.

The dissector of Wireshark 4.0 knows neither the data types of RFC 6043 nor the payloads TR, RANDR,
TP and TICKET, nor the GENERIC-ID map: it takes the map for payloads and calls the rest malformed. So
each message is checked twice:

 - as it is: the fields of the common header are ours; whatever it says of the rest is not looked at;
 - its payloads that the dissector knows (T, IDR, SP, KEMAC, CERT, PKE, ERR, General Extension, V,
   SIGN) one after the other behind a header with a map that it knows: all of them must be found, in order, with nothing
   malformed. Payloads unknown to it (RANDR, TP, TICKET) are left out.
"""
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile

SOURCE = os.environ.get('G_TEST_SRCDIR', '.')
KNOWN = {1: 'Key data transport', 2: 'Envelope data', 4: 'Signature', 5: 'Timestamp',
         7: 'Certificate', 9: 'Verification', 10: 'Security Policy', 12: 'Error', 14: 'IDR',
         21: 'General Extension'}
CERTIFICATES = ('pk-root', 'pk-kms', 'pk-kms-key')
MESSAGES = ('REQUEST_INIT_PSK', 'REQUEST_RESP', 'RESOLVE_INIT_PSK', 'RESOLVE_RESP', 'TRANSFER_INIT',
            'TRANSFER_RESP', 'error_message')
MACS = {0: 0, 1: 20, 2: 32}


def u16(octets, at):
    return struct.unpack_from('!H', octets, at)[0]


def length_of(number, octets, at):
    """Octets of the payload at @at, Next payload included."""
    if number == 1:
        end = at + 4 + u16(octets, at + 2)
        return end + 1 + MACS[octets[end]] - at
    if number == 2:
        return 3 + (u16(octets, at + 1) & 0x3fff)
    if number == 4:
        return 2 + (u16(octets, at) & 0x0fff)
    if number == 7:
        return 4 + u16(octets, at + 2)
    if number == 8:
        return 2 + (20, 16, 32)[octets[at + 1]]
    if number == 12:
        return 4
    if number == 16:
        return 10 + u16(octets, at + 8)
    if number == 5:
        return 2 + (8 if octets[at + 1] < 2 else 4)
    if number == 9:
        return 2 + MACS[octets[at + 1]]
    if number == 10:
        return 5 + u16(octets, at + 3)
    if number == 14:
        return 5 + u16(octets, at + 3)
    if number == 15:
        return 3 + octets[at + 2]
    if number == 17:
        size = 10 + u16(octets, at + 8)
        size += 2 + u16(octets, at + size)
        return size + 2 + u16(octets, at + size)
    if number == 21:
        return 4 + u16(octets, at + 2)
    raise ValueError(f'payload {number}')


def payloads(message):
    """(number, octets) of each payload of a message with a GENERIC-ID map."""
    at = 10
    for _ in range(message[8]):
        at += 3 + (message[at + 2] & 0x7f)
        at += 2 + u16(message, at)
        at += 1 + message[at]
    number, found = message[2], []
    while number:
        size = length_of(number, message, at)
        found.append((number, message[at:at + size]))
        # a signature ends a message and has no such octet
        number, at = message[at] if number != 4 else 0, at + size
    assert at == len(message)
    return found


def known_part(message):
    """The known payloads behind an SRTP-ID header without sessions."""
    kept = [(n, p) for n, p in payloads(message) if n in KNOWN]
    out = bytearray([1, 0, kept[0][0], message[3]]) + message[4:8] + bytes([0, 0])
    for i, (number, payload) in enumerate(kept):
        following = kept[i + 1][0] if i + 1 < len(kept) else 0
        out += payload if number == 4 else bytes([following]) + payload[1:]
    return bytes(out), [n for n, _ in kept]


def capture(path, messages):
    with open(path, 'wb') as out:
        out.write(struct.pack('<IHHiIII', 0xa1b2c3d4, 2, 4, 0, 0, 65535, 101))
        for i, message in enumerate(messages):
            udp = struct.pack('!HHHH', 2269, 2269, 8 + len(message), 0) + message
            ip = struct.pack('!BBHHHBBH4s4s', 0x45, 0, 20 + len(udp), i, 0, 64, 17, 0,
                             bytes([127, 0, 0, 1]), bytes([127, 0, 0, 1])) + udp
            out.write(struct.pack('<IIII', i, 0, len(ip), len(ip)) + ip)


def fields(path):
    command = ['tshark', '-n', '-r', path, '-T', 'fields', '-E', 'separator=|', '-E',
               'occurrence=a', '-e', 'mikey.version', '-e', 'mikey.csb_id', '-e',
               'mikey.next_payload', '-e', '_ws.malformed', '-e', 'mikey.cs_count', '-e',
               'mikey.prf_func']
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return [line.split('|') for line in done.stdout.splitlines()]


def golden():
    with open(os.path.join(SOURCE, 'tests/vectors/mikey-golden.txt'), encoding='ascii') as file:
        for line in file:
            name, _, text = line.strip().partition(' ')
            if text and not line.startswith('#') and name not in CERTIFICATES:
                yield name, bytes.fromhex(text)


def public():
    """Messages of the public vectors, but for those that are to be refused."""
    path = os.path.join(SOURCE, 'tests/vectors/mikey-ticket-vectors.json')
    with open(path, encoding='utf-8') as file:
        vectors = json.load(file)['vectors']
    for vector in vectors:
        for field, value in vector.items():
            if field in MESSAGES and isinstance(value, str):
                yield f'{vector["name"]} {field}', bytes.fromhex(value)


def integers(text):
    return [int(part, 0) for part in text.split(',') if part]


def main():
    if shutil.which('tshark') is None:
        print('1..0 # SKIP there is no tshark')
        return 0
    cases = list(golden()) + list(public())
    types = {message[1] for _, message in cases}
    failed, n = False, 0
    print(f'1..{2 * len(cases) + 1}')
    with tempfile.TemporaryDirectory() as folder:
        whole, part = os.path.join(folder, 'whole'), os.path.join(folder, 'part')
        capture(whole, [message for _, message in cases])
        capture(part, [known_part(message)[0] for _, message in cases])
        for path in (whole, part):
            rows = fields(path)
            assert len(rows) == len(cases)
            for (name, message), row in zip(cases, rows):
                n += 1
                version, csb_id, following, malformed, n_cs, prf = row
                good = (integers(version)[:1] == [1] and integers(prf)[:1] == [message[3] & 0x7f] and
                        integers(csb_id)[:1] == [struct.unpack_from('!I', message, 4)[0]] and
                        integers(following)[:1] == [message[2]])
                if path == whole:
                    good = good and integers(n_cs)[:1] == [message[8]]
                else:
                    known = known_part(message)[1]
                    good = (good and not malformed and
                            integers(following) == known + ([0] if known[-1] != 4 else []))
                kind = 'header' if path == whole else 'payloads that are known'
                print(f'{"ok" if good else "not ok"} {n} - {name}: {kind}')
                if not good:
                    failed = True
                    print(f'# {row}')
    wanted = {6, 11, 12, 13, 14, 15, 16, 18}  # RESOLVE_INIT_PK has the payloads of REQUEST_INIT_PK
    print(f'{"ok" if types >= wanted else "not ok"} {n + 1} - every type of message is among them')
    if not types >= wanted:
        print(f'# missing: {wanted - types}')
        failed = True
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
