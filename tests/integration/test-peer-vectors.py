#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Is the independent peer itself right? Golden vectors for its MIKEY, published ones for SRTP.

Speaks TAP. A peer that is to judge the server has to be judged first.
"""
import json
import os
import sys

SOURCE = os.environ.get('G_TEST_SRCDIR', os.path.join(os.path.dirname(__file__), '../..'))
sys.path.insert(0, os.path.join(SOURCE, 'tests/e2e/peer'))
import media  # noqa: E402 pylint: disable=wrong-import-position
import ticket  # noqa: E402 pylint: disable=wrong-import-position

with open(os.path.join(SOURCE, 'tests/vectors/mikey-ticket-vectors.json'), encoding='ascii') as _f:
    VECTORS = json.load(_f)['vectors']


def vector(name):
    return next(v for v in VECTORS if v['name'] == name)


def octets(text):
    return bytes.fromhex(text)


def same(found, wanted, what):
    assert found == wanted, f'{what}: {found!r} found, {wanted!r} wanted'


def refuses(function, what):
    try:
        function()
    except ticket.MikeyError:
        return
    raise AssertionError(f'accepted: {what}')


def prf_has_every_vector():
    digests = {'MIKEY-1': 'sha1', 'MIKEY_1': 'sha1', 'HMAC_SHA_256': 'sha256'}
    n = 0
    for v in VECTORS:
        if v['kind'] == 'prf':
            digest = digests.get(str(v['prf'])) or ('sha1' if '/mikey-1/' in v['name'] else 'sha256')
            same(ticket.prf(octets(v['inkey']), octets(v['label']), 4 * len(v['outkey']), digest),
                 octets(v['outkey']), v['name'])
            n += 1
    assert n > 40, n


def requests_are_written_octet_by_octet():
    v = vector('request/256-public')
    wanted = octets(v['REQUEST_INIT_PSK'])
    built = ticket.request_init(octets(v['psk']), b'alice', v['identity_i'].encode(),
                                v['identity_kms'].encode(), [b'sip:bob@operator.example'],
                                'DEFGHIJNO', 0xf4866510 - ticket.NTP_OF_1970,
                                int(v['csb_id'], 16), octets(v['rand_i']),
                                octets('f486570040000000'))
    same(built, wanted, 'REQUEST_INIT_PSK')


def grants_are_read():
    v = vector('request/256-public')
    grant = ticket.Grant(octets(v['psk']), octets(v['rand_i']), octets(v['REQUEST_INIT_PSK']),
                         octets(v['REQUEST_RESP']))
    keys = v['kemac_keys']
    same(grant.mpki.hex(), keys[0]['key'], 'MPKi')
    same(grant.mpkr.hex(), keys[1]['key'], 'MPKr')
    same(grant.session_keys[0][1].hex(), keys[2]['key'], 'TGK')
    same(grant.session_keys[0][3].hex(), keys[2]['spi'], 'SPI')
    same(grant.ticket.flags, v['granted_flags'], 'flags')


def granted():
    """The ticket of the transfer vector, as if a KMS had sent it."""
    v = vector('transfer/256-fork-public')
    received = ticket.Message(octets(v['TRANSFER_INIT'])).must_find(ticket.TICKET)['ticket']
    keys = [(ticket.TGK, octets(k['key']), b'', octets(k['spi'])) for k in v['session_keys']]
    return v, received, keys


def transfers_are_written_octet_by_octet():
    v, received, _ = granted()
    spi = octets(v['session_keys'][0]['spi'])
    sessions = [ticket.session_block(i, [0, 1], ssrc, spi)
                for i, ssrc in ((1, 0x10203040), (2, None), (3, 0x10203041), (4, None))]
    gcm = {0: 6, 1: 16, 4: 12, 5: 0, 6: 0, 7: 1, 8: 1, 20: 16}
    built = ticket.transfer_init(received, octets(v['mpki']), octets(v['mpkr']),
                                 v['identity_i'].encode(), v['identity_r'].encode(), sessions,
                                 {0: ticket.AES_CM_128_HMAC_SHA1_80, 1: gcm}, int(v['csb_id'], 16),
                                 octets(v['rand_i']), octets('f486570240000000'))
    same(built, octets(v['TRANSFER_INIT']), 'TRANSFER_INIT')


def answers_are_verified_and_keys_come_out():
    v, received, keys = granted()
    bundle = ticket.Bundle(received, octets(v['mpkr']), keys, octets(v['TRANSFER_INIT']),
                           octets(v['TRANSFER_RESP']))
    same(bundle.responder.decode(), v['responder'], 'responder')
    for session in v['srtp']:
        parameters, key, salt, mki, ssrc = bundle.srtp(session['cs_id'])
        same((key.hex(), salt.hex(), mki.hex(), ssrc),
             (session['master_key'], session['master_salt'], session['mki'], session['ssrc']),
             f'crypto session {session["cs_id"]}')
        same(parameters[0], 6, 'encryption')


def no_flipped_bit_of_an_answer_is_believed():
    v, received, keys = granted()
    good = octets(v['TRANSFER_RESP'])
    for bit in range(8 * len(good)):
        bad = bytearray(good)
        bad[bit // 8] ^= 1 << bit % 8
        refuses(lambda bad=bytes(bad): ticket.Bundle(received, octets(v['mpkr']), keys,
                                                     octets(v['TRANSFER_INIT']), bad),
                f'bit {bit} of TRANSFER_RESP')


def no_flipped_bit_of_a_grant_is_believed():
    v = vector('request/256-public')
    good = octets(v['REQUEST_RESP'])
    for bit in range(0, 8 * len(good), 3):
        bad = bytearray(good)
        bad[bit // 8] ^= 1 << bit % 8
        refuses(lambda bad=bytes(bad): ticket.Grant(octets(v['psk']), octets(v['rand_i']),
                                                    octets(v['REQUEST_INIT_PSK']), bad),
                f'bit {bit} of REQUEST_RESP')


def broken_messages_are_refused():
    for v in VECTORS:
        if v['kind'] == 'negative' and v['name'].split('/')[1] in (
                'empty', 'header-cut', 'version-2', 'unknown-first-payload', 'octet-after-v',
                'mac-cut', 'ends-without-last-payload'):
            refuses(lambda v=v: ticket.Message(octets(v['hex'])), v['name'])


def srtp_keys_are_those_of_the_rfc():
    # RFC 3711 appendix B.3
    srtp = media.Srtp(octets('E1F97A0D3E018BE0D64FA32C06DE4139'),
                      octets('0EC675AD498AFEEBB6960B3AABE6'), b'')
    same(srtp.key.hex().upper(), 'C61E7A93744F39EE10734AFE3FF7A087', 'cipher key')
    same(srtp.salt.hex().upper(), '30CBBC08863D8C85D49DB34A9AE1', 'salt')
    same(srtp.auth.hex().upper(), 'CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4', 'auth key')


def aes_counts_as_in_the_rfc():
    # RFC 3711 appendix B.2
    stream = ticket.aes_ctr(octets('2B7E151628AED2A6ABF7158809CF4F3C'),
                            octets('F0F1F2F3F4F5F6F7F8F9FAFBFCFD0000'), bytes(48))
    same(stream.hex().upper(), 'E03EAD0935C95E80E166B16DD92B4EB4D23513162B02D0F72A43A2FE4A5F97AB'
         '41E95B3BB0A2E8DD477901E4FCA894C0', 'key stream')


def packets_survive_and_copies_do_not():
    key, salt = os.urandom(16), os.urandom(14)
    out, into = media.Srtp(key, salt, b'abcd'), media.Srtp(key, salt, b'abcd')
    for sequence in (65534, 65535, 0, 1):  # over the edge of the rollover counter
        packet = bytes([0x80, 8]) + sequence.to_bytes(2, 'big') + bytes(8) + b'sound'
        sealed = out.protect(packet)
        same(into.unprotect(sealed), packet, f'packet {sequence}')
        for bad in (sealed, sealed[:-1] + bytes([sealed[-1] ^ 1])):
            try:
                into.unprotect(bad)
            except media.SrtpError:
                continue
            raise AssertionError('accepted again, or with a wrong tag')


def tones_have_their_level():
    samples = media.decode(media.encode(media.tone(440, -18, 0, 2048)))
    assert abs(media.level(samples, 440) + 18) < 0.2, media.level(samples, 440)
    assert media.level(samples, 1000) < -60, media.level(samples, 1000)


TESTS = [prf_has_every_vector, requests_are_written_octet_by_octet, grants_are_read,
         transfers_are_written_octet_by_octet, answers_are_verified_and_keys_come_out,
         no_flipped_bit_of_an_answer_is_believed, no_flipped_bit_of_a_grant_is_believed,
         broken_messages_are_refused, srtp_keys_are_those_of_the_rfc, aes_counts_as_in_the_rfc,
         packets_survive_and_copies_do_not, tones_have_their_level]


def main():
    print(f'1..{len(TESTS)}')
    bad = 0
    for number, function in enumerate(TESTS, 1):
        name = function.__name__.replace('_', '-')
        try:
            function()
            print(f'ok {number} - {name}', flush=True)
        except Exception as error:  # a peer that crashes is wrong as well
            bad += 1
            print(f'not ok {number} - {name}\n# {type(error).__name__}: {error}', flush=True)
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
