# SPDX-License-Identifier: Apache-2.0
"""SRTP (RFC 3711) with AES_CM_128_HMAC_SHA1_80, and G.711, in the standard library.

Written from the RFC, for a peer that shares nothing with the server.
"""
import hmac
import math
import struct

from ticket import aes_ctr

TAG = 10


class SrtpError(Exception):
    pass


class Srtp:
    """One direction of one stream; sender and receiver alike."""

    def __init__(self, master_key, master_salt, mki):
        salt = master_salt + bytes(2)

        def derive(label, length):
            # key derivation rate 0: the index plays no part
            x = bytearray(salt)
            x[7] ^= label
            return aes_ctr(master_key, bytes(x), bytes(length))

        self.key, self.auth, self.salt = derive(0, 16), derive(1, 20), derive(2, 14)
        self.rtcp_key, self.rtcp_auth, self.rtcp_salt = derive(3, 16), derive(4, 20), derive(5, 14)
        self.mki = mki
        self.roc, self.highest = 0, None
        self.seen = set()
        self.rtcp_index = 0

    @staticmethod
    def _counter(salt, ssrc, index):
        value = (int.from_bytes(salt, 'big') << 16) ^ (ssrc << 64) ^ (index << 16)
        return value.to_bytes(16, 'big')

    @staticmethod
    def _header_length(packet):
        length = 12 + 4 * (packet[0] & 15)
        if packet[0] & 0x10:
            length += 4 + 4 * struct.unpack('>H', packet[length + 2:length + 4])[0]
        return length

    def _crypt(self, packet, roc):
        sequence, ssrc = struct.unpack('>H', packet[2:4])[0], struct.unpack('>I', packet[8:12])[0]
        head = self._header_length(packet)
        counter = self._counter(self.salt, ssrc, roc << 16 | sequence)
        return packet[:head] + aes_ctr(self.key, counter, packet[head:])

    def protect(self, packet):
        sequence = struct.unpack('>H', packet[2:4])[0]
        if self.highest is not None and sequence < self.highest:
            self.roc += 1
        self.highest = sequence
        sealed = self._crypt(packet, self.roc)
        tag = hmac.new(self.auth, sealed + struct.pack('>I', self.roc), 'sha1').digest()[:TAG]
        return sealed + self.mki + tag

    def _guess_roc(self, sequence):
        """RFC 3711 appendix A."""
        if self.highest is None:
            return self.roc
        if self.highest < 0x8000:
            return self.roc - 1 if sequence - self.highest > 0x8000 and self.roc > 0 else self.roc
        return self.roc + 1 if self.highest - 0x8000 > sequence else self.roc

    def unprotect(self, packet):
        tail = TAG + len(self.mki)
        if len(packet) < 12 + tail:
            raise SrtpError('short')
        sealed, mki, tag = packet[:-tail], packet[-tail:-TAG], packet[-TAG:]
        if mki != self.mki:
            raise SrtpError('MKI')
        sequence = struct.unpack('>H', sealed[2:4])[0]
        roc = self._guess_roc(sequence)
        wanted = hmac.new(self.auth, sealed + struct.pack('>I', roc), 'sha1').digest()[:TAG]
        if not hmac.compare_digest(wanted, tag):
            raise SrtpError('tag')
        index = roc << 16 | sequence
        if index in self.seen:
            raise SrtpError('replay')
        self.seen.add(index)
        if self.highest is None or index > (self.roc << 16 | self.highest):
            self.roc, self.highest = roc, sequence
        return self._crypt(sealed, roc)

    def unprotect_rtcp(self, packet):
        tail = 4 + len(self.mki) + TAG
        if len(packet) < 8 + tail:
            raise SrtpError('short')
        covered, tag = packet[:len(packet) - len(self.mki) - TAG], packet[-TAG:]
        wanted = hmac.new(self.rtcp_auth, covered, 'sha1').digest()[:TAG]
        if not hmac.compare_digest(wanted, tag):
            raise SrtpError('tag')
        word, ssrc = struct.unpack('>I', covered[-4:])[0], struct.unpack('>I', covered[4:8])[0]
        body = covered[8:-4]
        if word >> 31:
            counter = self._counter(self.rtcp_salt, ssrc, word & 0x7fffffff)
            body = aes_ctr(self.rtcp_key, counter, body)
        return covered[:8] + body


# ---- sound ------------------------------------------------------------------------------------

def alaw_decode(code):
    code ^= 0x55
    segment, step = code >> 4 & 7, code & 15
    value = (step << 4) + 8
    if segment:
        value = (value + 0x100) << (segment - 1)
    return value if code & 0x80 else -value


# The nearest of the 256 values: slow to make, and beyond doubt.
_VALUES = sorted((alaw_decode(code), code) for code in range(256))


def _encoder():
    table, at = bytearray(65536), 0
    for sample in range(-32768, 32768):
        while at < 255 and abs(_VALUES[at + 1][0] - sample) < abs(_VALUES[at][0] - sample):
            at += 1
        table[sample & 0xffff] = _VALUES[at][1]
    return bytes(table)


_ALAW = _encoder()
_LINEAR = [alaw_decode(code) for code in range(256)]


def encode(samples):
    return bytes(_ALAW[int(sample) & 0xffff] for sample in samples)


def decode(octets):
    return [_LINEAR[octet] for octet in octets]


def tone(hertz, dbfs, start, n):
    amplitude = 32767 * 10 ** (dbfs / 20)
    return [amplitude * math.sin(2 * math.pi * hertz * (start + i) / 8000) for i in range(n)]


def level(samples, hertz):
    """dBFS of a sine of that frequency, under a Hann window."""
    n = len(samples)
    if n < 400:
        return -120.0
    real = imaginary = 0.0
    for i, sample in enumerate(samples):
        weight = sample * (0.5 - 0.5 * math.cos(2 * math.pi * i / n))
        angle = 2 * math.pi * hertz * i / 8000
        real += weight * math.cos(angle)
        imaginary -= weight * math.sin(angle)
    amplitude = 4 * math.hypot(real, imaginary) / n / 32768
    return 20 * math.log10(amplitude) if amplitude > 1e-6 else -120.0
