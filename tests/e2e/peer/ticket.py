# SPDX-License-Identifier: Apache-2.0
"""The initiator's side of MIKEY-TICKET, written from RFC 3830, 4563, 6043 and 6309 alone.

It shares no line with libmikey: where the two understand each other, it is by the text of the
RFCs. 256-bit suite, pre-shared keys, forked keys. Standard library, and AES from OpenSSL's
libcrypto.
"""
import ctypes
import ctypes.util
import hashlib
import hmac
import struct

# Next payload numbers (RFC 3830 section 6.1, RFC 6043 section 6)
LAST, KEMAC, T, V, SP, ERR, TR, IDR, RANDR, TP, TICKET, KEY_DATA, GENERAL_EXT = (
    0, 1, 5, 9, 10, 12, 13, 14, 15, 16, 17, 20, 21)
# Data types
ERROR, REQUEST_INIT_PSK, REQUEST_RESP, TRANSFER_INIT, TRANSFER_RESP = 6, 11, 13, 14, 15
# Roles
IDR_I, IDR_R, IDR_KMS, IDR_PSK, IDR_APP = 1, 2, 3, 4, 5
RAND_I, RAND_R, RAND_KMS = 1, 2, 3
URI, BYTE_STRING = 1, 2
TGK, MPK = 0, 6

PRF_SHA256, AES_CM_256, HMAC_SHA256 = 1, 3, 2
MAC_LEN = 32

C_TEK, C_TGK_SALT = 0x2AD01C64, 0x39A2C14B
C_ENCR, C_AUTH, C_SALT = 0x150533E1, 0x2D22AC75, 0x29B88916
C_FORK_MPKR, C_FORK_TGK = 0x2B288856, 0x1512B54A

NTP_OF_1970 = 2208988800

# Ticket policy flags, the octets after the PRF's bits: D | E..L | M N O
FLAGS = {letter: bit for letter, bit in zip('DEFGHIJKLMNO', range(16, 4, -1))}

AES_CM_128_HMAC_SHA1_80 = {0: 1, 1: 16, 2: 1, 3: 20, 4: 14, 5: 0, 6: 0, 7: 1, 8: 1, 10: 1, 11: 10}
SRTP_DEFAULTS = {0: 1, 1: 16, 2: 1, 3: 20, 4: 14, 5: 0, 6: 0, 7: 1, 8: 1, 9: 0, 10: 1, 11: 10, 12: 0}


class MikeyError(Exception):
    """What the other side sent is not what the RFCs say."""


def need(condition, sentence):
    if not condition:
        raise MikeyError(sentence)


# ---- AES in counter mode -----------------------------------------------------------------------

_crypto = ctypes.CDLL(ctypes.util.find_library('crypto') or 'libcrypto.so.3')
for _name in ('EVP_CIPHER_CTX_new', 'EVP_aes_128_ctr', 'EVP_aes_256_ctr', 'EVP_aes_128_ecb'):
    getattr(_crypto, _name).restype = ctypes.c_void_p


def aes_ctr(key, counter, data):
    """AES with a 128-bit big-endian counter that starts at @counter."""
    cipher = {16: _crypto.EVP_aes_128_ctr, 32: _crypto.EVP_aes_256_ctr}[len(key)]()
    context = ctypes.c_void_p(_crypto.EVP_CIPHER_CTX_new())
    out, done = ctypes.create_string_buffer(len(data) + 16), ctypes.c_int(0)
    try:
        good = _crypto.EVP_EncryptInit_ex(context, ctypes.c_void_p(cipher), None, key, counter)
        good = good and _crypto.EVP_EncryptUpdate(context, out, ctypes.byref(done), data, len(data))
    finally:
        _crypto.EVP_CIPHER_CTX_free(context)
    need(good == 1 and done.value == len(data), 'AES failed')
    return out.raw[:len(data)]


# ---- key derivation (RFC 3830 section 4.1.2 as RFC 6043 section 5.1 uses it) --------------------

def prf(in_key, label, bits, digest='sha256'):
    """PRF with blocks of 256 bits of the key, each expanded like P_hash and XORed."""
    size = hashlib.new(digest).digest_size
    rounds = -(-bits // (8 * size))
    result = bytes(rounds * size)
    for start in range(0, len(in_key), 32):
        block, a, expanded = in_key[start:start + 32], label, b''
        for _ in range(rounds):
            a = hmac.new(block, a, digest).digest()
            expanded += hmac.new(block, a + label, digest).digest()
        result = bytes(x ^ y for x, y in zip(result, expanded))
    return result[:bits // 8]


def lv8(octets):
    return bytes([len(octets)]) + octets


def lv16(octets):
    return struct.pack('>H', len(octets)) + octets


def label_message(constant, csb_id, response, rand_i, rand_r=b''):
    return struct.pack('>IBIB', constant, 0xff, csb_id, 2 if response else 1) + lv8(rand_i) + lv8(rand_r)


def label_session(constant, cs_id, rand_i, rand_r):
    return struct.pack('>IBIB', constant, cs_id, 0xffffffff, 3) + lv8(rand_i) + lv8(rand_r)


def label_fork(constant, identity, rand_kms):
    return struct.pack('>IBIB', constant, 0xff, 0xffffffff, 0) + lv16(identity) + lv8(rand_kms)


def label_initiator_data():
    return struct.pack('>IBIB', C_AUTH, 0xff, 0xffffffff, 4)


def message_keys(in_key, csb_id, response, rand_i, rand_r=b''):
    """encr_key, auth_key and salt_key of one message."""
    return tuple(prf(in_key, label_message(constant, csb_id, response, rand_i, rand_r), bits)
                 for constant, bits in ((C_ENCR, 256), (C_AUTH, 256), (C_SALT, 112)))


def kemac_iv(salt_key, csb_id, timestamp):
    mask = bytes(2) + struct.pack('>I', csb_id) + timestamp
    return bytes(a ^ b for a, b in zip(salt_key, mask)) + bytes(2)


def mac(auth_key, octets):
    return hmac.new(auth_key, octets, 'sha256').digest()


# ---- writing ----------------------------------------------------------------------------------

class Chain:
    """Payloads in order; each learns the number of the one after it when all are known."""

    def __init__(self):
        self.parts = []

    def add(self, number, body):
        self.parts.append((number, body))
        return self

    def octets(self):
        numbers = [number for number, _ in self.parts[1:]] + [LAST]
        return b''.join(bytes([following]) + body
                        for (_, body), following in zip(self.parts, numbers))

    def first(self):
        return self.parts[0][0]


def timestamp_of(unix_seconds):
    whole = int(unix_seconds)
    return struct.pack('>II', (whole + NTP_OF_1970) & 0xffffffff,
                       int((unix_seconds - whole) * 2 ** 32) & 0xffffffff)


def idr(role, kind, octets):
    return bytes([role, kind]) + lv16(octets)


def header(data_type, first, csb_id, v_flag, sessions=None):
    """@sessions: None is the empty map, else blocks of a GENERIC-ID map."""
    head = struct.pack('>BBBBI', 1, data_type, first, (0x80 if v_flag else 0) | PRF_SHA256, csb_id)
    if sessions is None:
        return head + bytes([0, 1])
    return head + bytes([len(sessions), 2]) + b''.join(sessions)


def policy_octets(flags):
    """Ticket type 1, subtype 1, version 1, PRF and flags."""
    bits = PRF_SHA256 << 17
    for letter in flags:
        bits |= 1 << FLAGS[letter]
    return struct.pack('>HBB', 1, 1, 1) + bits.to_bytes(3, 'big')


def request_init(psk, psk_id, me, kms, responders, flags, ends_unix, csb_id, rand_i, timestamp,
                 applications=()):
    """REQUEST_INIT_PSK; identities are octets."""
    wanted = Chain().add(IDR, idr(IDR_KMS, URI, kms)).add(IDR, idr(IDR_I, URI, me))
    if ends_unix is not None:
        ends = (ends_unix + NTP_OF_1970) & 0xffffffff
        wanted.add(TR, bytes([3, 3]) + struct.pack('>I', ends))
    for application in applications:
        wanted.add(IDR, idr(IDR_APP, BYTE_STRING, application))
    for responder in responders:
        wanted.add(IDR, idr(IDR_R, URI, responder))
    tp_data = bytes([wanted.first()]) + wanted.octets()
    chain = (Chain().add(T, bytes([0]) + timestamp).add(RANDR, bytes([RAND_I]) + lv8(rand_i))
             .add(IDR, idr(IDR_I, URI, me)).add(IDR, idr(IDR_KMS, URI, kms))
             .add(TP, policy_octets(flags) + lv16(tp_data))
             .add(IDR, idr(IDR_PSK, BYTE_STRING, psk_id)).add(V, bytes([HMAC_SHA256])))
    message = header(REQUEST_INIT_PSK, T, csb_id, True) + chain.octets()
    _, auth_key, _ = message_keys(psk, csb_id, False, rand_i)
    return message + mac(auth_key, message + me + kms)


def session_block(cs_id, policies, ssrc, spi):
    data = b'' if ssrc is None else struct.pack('>I', ssrc)
    return (bytes([cs_id, 0, len(policies)]) + bytes(policies) + lv16(data) + lv8(spi))


def transfer_init(ticket, mpki, mpkr, me, responder, sessions, policies, csb_id, rand_i, timestamp,
                  sdp_ids=b'mikey'):
    """TRANSFER_INIT around a granted Ticket; @policies: {number: {parameter: value}}"""
    def build(initiator_data):
        chain = (Chain().add(T, bytes([0]) + timestamp).add(RANDR, bytes([RAND_I]) + lv8(rand_i))
                 .add(IDR, idr(IDR_I, URI, me)).add(IDR, idr(IDR_R, URI, responder)))
        for number, parameters in policies.items():
            body = b''.join(bytes([kind, 1, value]) for kind, value in parameters.items())
            chain.add(SP, bytes([number, 0]) + lv16(body))
        chain.add(TICKET, ticket.body + initiator_data)
        if sdp_ids is not None:
            chain.add(GENERAL_EXT, bytes([1]) + lv16(sdp_ids))
        chain.add(V, bytes([HMAC_SHA256]))
        return header(TRANSFER_INIT, T, csb_id, 'F' in ticket.flags, sessions) + chain.octets()

    # V covers everything but Initiator Data and its length
    _, auth_key, _ = message_keys(mpki, csb_id, False, rand_i)
    v = mac(auth_key, build(b'') + me + responder)
    vi_and_vr = bytes([V, V, HMAC_SHA256]) + v + bytes([LAST, HMAC_SHA256])
    vr = mac(prf(mpkr, label_initiator_data(), 256), vi_and_vr)
    return build(lv16(vi_and_vr + vr)) + v


# ---- reading ----------------------------------------------------------------------------------

class Cursor:
    def __init__(self, octets):
        self.octets, self.at = octets, 0

    def left(self):
        return len(self.octets) - self.at

    def take(self, n):
        need(n <= self.left(), 'cut short')
        self.at += n
        return self.octets[self.at - n:self.at]

    def u8(self):
        return self.take(1)[0]

    def u16(self):
        return struct.unpack('>H', self.take(2))[0]

    def u32(self):
        return struct.unpack('>I', self.take(4))[0]

    def lv8(self):
        return self.take(self.u8())

    def lv16(self):
        return self.take(self.u16())


class Ticket:
    """TICKET as received; @body goes from ticket type to the end of Ticket Data."""

    def __init__(self, cursor):
        start = cursor.at
        self.kind, self.subtype, self.version = cursor.u16(), cursor.u8(), cursor.u8()
        bits = int.from_bytes(cursor.take(3), 'big')
        self.prf = bits >> 17
        self.flags = ''.join(letter for letter, bit in FLAGS.items() if bits >> bit & 1)
        tp_data = Cursor(cursor.lv16())
        self.identities, self.times = [], {}
        for number, fields in walk(tp_data, tp_data.u8()):
            if number == IDR:
                self.identities.append((fields['role'], fields['data']))
            elif number == TR:
                self.times[fields['role']] = fields['value']
        cursor.lv16()
        self.body = cursor.octets[start:cursor.at]
        self.initiator_data = cursor.lv16()

    def named(self, role):
        return [data for kind, data in self.identities if kind == role]


def read_payload(number, c):
    """Fields of one payload, without its Next payload octet."""
    if number == KEMAC:
        fields = {'encr': c.u8(), 'data': c.lv16(), 'mac_alg': c.u8()}
        need(fields['mac_alg'] == 0, 'KEMAC has a MAC of its own')
        return fields
    if number in (T, TR):
        role = c.u8() if number == TR else 0
        kind = c.u8()
        need(kind in (0, 1, 2, 3), 'unknown timestamp')
        return {'role': role, 'kind': kind, 'value': c.take(8 if kind in (0, 1) else 4)}
    if number == V:
        alg = c.u8()
        need(alg == HMAC_SHA256, 'V is of another suite')
        return {'alg': alg, 'mac': c.take(MAC_LEN)}
    if number == SP:
        policy, prot, body = c.u8(), c.u8(), Cursor(c.lv16())
        parameters = {}
        while body.left() > 0:
            kind = body.u8()
            need(kind not in parameters, 'parameter given twice')
            parameters[kind] = int.from_bytes(body.lv8(), 'big')
        return {'policy': policy, 'prot': prot, 'parameters': parameters}
    if number == ERR:
        fields = {'error': c.u8()}
        c.take(2)
        return fields
    if number == IDR:
        return {'role': c.u8(), 'kind': c.u8(), 'data': c.lv16()}
    if number == RANDR:
        return {'role': c.u8(), 'rand': c.lv8()}
    if number == TICKET:
        return {'ticket': Ticket(c)}
    if number == GENERAL_EXT:
        return {'kind': c.u8(), 'data': c.lv16()}
    raise MikeyError(f'payload {number} has no layout here')


def walk(cursor, number):
    """Yields (number, fields); the chain must end where its container does."""
    while number != LAST:
        following = cursor.u8()
        yield number, read_payload(number, cursor)
        number = following
    need(cursor.left() == 0, 'octets after the last payload')


class Message:
    def __init__(self, octets):
        self.octets = octets
        c = Cursor(octets)
        need(c.u8() == 1, 'version is not 1')
        self.kind, first, third = c.u8(), c.u8(), c.u8()
        self.prf, self.csb_id = third & 0x7f, c.u32()
        need(self.prf == PRF_SHA256, 'PRF of another suite')
        n_sessions, map_type = c.u8(), c.u8()
        self.sessions = {}
        need(map_type == 2 or (map_type == 1 and n_sessions == 0), 'crypto session map')
        for _ in range(n_sessions):
            cs_id, prot, count = c.u8(), c.u8(), c.u8()
            session = {'prot': prot, 'policies': list(c.take(count & 0x7f)), 'data': c.lv16(),
                       'spi': c.lv8()}
            need(cs_id not in self.sessions, 'CS ID twice')
            self.sessions[cs_id] = session
        self.payloads = list(walk(c, first))
        need(self.payloads, 'no payload')

    def find(self, number, **fields):
        for kind, found in self.payloads:
            if kind == number and all(found.get(key) == value for key, value in fields.items()):
                return found
        return None

    def must_find(self, number, **fields):
        found = self.find(number, **fields)
        need(found is not None, f'payload {number} {fields or ""} is missing')
        return found

    def verify(self, auth_key, more):
        """V over everything before its MAC, then @more; V must be last."""
        need(self.payloads[-1][0] == V, 'V is not last')
        wanted = mac(auth_key, self.octets[:-MAC_LEN] + more)
        need(hmac.compare_digest(wanted, self.payloads[-1][1]['mac']), 'V is wrong')


def read_keys(octets):
    """Key data sub-payloads: [(type, key, salt, spi)]"""
    c, keys, following = Cursor(octets), [], KEY_DATA if octets else LAST
    while following != LAST:
        need(following == KEY_DATA, 'something else among the keys')
        following, kind = c.u8(), c.u8()
        kind, kv = kind >> 4, kind & 15
        key = c.lv16()
        salt = c.lv16() if kind in (1, 3, 5) else b''
        need(kv == 1, 'a key without SPI')
        keys.append((kind, key, salt, c.lv8()))
    need(c.left() == 0, 'octets after the keys')
    return keys


def raise_error_message(message):
    if message.kind == ERROR:
        numbers = [fields['error'] for kind, fields in message.payloads if kind == ERR]
        raise MikeyError(f'Error message {numbers}')


class Grant:
    """What REQUEST_RESP brought."""

    def __init__(self, psk, rand_i, request, answer):
        message = Message(answer)
        raise_error_message(message)
        csb_id = struct.unpack('>I', request[4:8])[0]
        need(message.kind == REQUEST_RESP and message.csb_id == csb_id, 'not our answer')
        encr_key, auth_key, salt_key = message_keys(psk, csb_id, True, rand_i)
        message.verify(auth_key, request)
        kemac = message.must_find(KEMAC)
        need(kemac['encr'] == AES_CM_256, 'KEMAC of another suite')
        iv = kemac_iv(salt_key, csb_id, message.must_find(T)['value'])
        keys = read_keys(aes_ctr(encr_key, iv, kemac['data']))
        masters = [key for kind, key, _, _ in keys if kind == MPK]
        self.ticket = message.must_find(TICKET)['ticket']
        need(len(masters) == (2 if 'I' in self.ticket.flags else 1), 'number of MPKs')
        self.mpki, self.mpkr = masters[0], masters[-1]
        self.session_keys = [key for key in keys if key[0] != MPK]
        need(self.session_keys and self.session_keys[0][0] == TGK, 'no TGK')


class Bundle:
    """What TRANSFER_RESP proves: who answered, and the keys of each crypto session."""

    def __init__(self, ticket, mpkr, session_keys, transfer, answer):
        message, sent = Message(answer), Message(transfer)
        raise_error_message(message)
        need(message.kind == TRANSFER_RESP and message.csb_id == sent.csb_id, 'not our answer')
        rand_i = sent.must_find(RANDR, role=RAND_I)['rand']
        self.responder = message.must_find(IDR, role=IDR_R)['data']
        rand_kms = message.must_find(RANDR, role=RAND_KMS)['rand']
        rand_r = message.must_find(RANDR, role=RAND_R)['rand'] if 'G' in ticket.flags else b''
        forked_mpkr = prf(mpkr, label_fork(C_FORK_MPKR, self.responder, rand_kms), 8 * len(mpkr))
        _, auth_key, _ = message_keys(forked_mpkr, sent.csb_id, True, rand_i, rand_r)
        message.verify(auth_key, transfer)
        self.rands = (rand_i if 'H' in ticket.flags else b'', rand_r)
        self.keys = {spi: prf(key, label_fork(C_FORK_TGK, self.responder, rand_kms), 8 * len(key))
                     for kind, key, _, spi in session_keys if kind == TGK}
        self.sessions = message.sessions
        need(set(self.sessions) == set(sent.sessions), 'crypto sessions were added or left out')
        self.policies = {fields['policy']: fields['parameters'] for m in (sent, message)
                         for kind, fields in m.payloads if kind == SP}

    def srtp(self, cs_id):
        """(parameters, master key, master salt, MKI, SSRC)"""
        session = self.sessions[cs_id]
        need(len(session['policies']) == 1, 'not one policy')
        parameters = {**SRTP_DEFAULTS, **self.policies[session['policies'][0]]}
        need(session['spi'] in self.keys, 'SPI names no key')
        need(len(session['data']) in (4, 10), 'no SSRC')
        key = self.keys[session['spi']]
        return (parameters,
                prf(key, label_session(C_TEK, cs_id, *self.rands), 8 * parameters[1]),
                prf(key, label_session(C_TGK_SALT, cs_id, *self.rands), 8 * parameters[4]),
                session['spi'], struct.unpack('>I', session['data'][:4])[0])
