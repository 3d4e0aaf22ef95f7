# SPDX-License-Identifier: Apache-2.0
"""The torture messages of RFC 4475, as they stand there and as if meant for this server.

tests/vectors/torture holds them octet by octet, one file each by the name that the RFC gives it. What
is answered has to be one of the statuses below; 0 stands for silence. Where the RFC leaves a choice,
the table says which ones are right here.
"""
import contextlib
import os
import re
import time
import uuid

import sip
from cases.attacks import CRYPTO, Dialog, peer_from
from cases.load import Conference
from harness import TOP, Failure, check, test, wait_until

FOLDER = os.path.join(TOP, 'tests', 'vectors', 'torture')

# name: (statuses over UDP, over TCP or None: the same, what it is)
EXPECTED = {
    # valid
    'wsinv': ({481}, None, 'folds, odd case, spaces; the To has a tag, so it is of no dialog'),
    # The stack's first-line parser takes no such method, and counts what it drops as malformed.
    'intmeth': ({0, 400, 501}, None, 'every character that a token may have, and a NUL'),
    'esc01': ({400, 403, 488}, None, 'escapes in URIs'),
    'escnull': ({405}, None, 'REGISTER with NULs; we are no registrar'),
    'esc02': ({501}, None, 'a method that is not REGISTER in spite of its escapes'),
    'lwsdisp': ({200}, None, 'no space between display name and <'),
    'longreq': ({400, 403, 488}, None, 'long values, 34 Vias'),
    'dblreq': ({405}, None, 'a second request behind the first in one datagram'),
    'semiuri': ({200}, None, 'a semicolon in the user part'),
    'transports': ({200}, None, 'Vias of unknown transports'),
    'mpart01': ({405}, None, 'binary multipart in MESSAGE, which is not served'),
    'unreason': ({0}, None, 'a response to nothing, odd phrase'),
    'noreason': ({0}, None, 'a response to nothing, no phrase'),
    # invalid
    'badinv01': ({0, 400}, None, 'separators without anything between in Via'),
    'clerr': ({400}, {0, 400}, 'Content-Length beyond the end; a stream waits for the rest'),
    'ncl': ({400}, None, 'negative Content-Length'),
    'scalar02': ({400}, None, 'numbers that are too large'),
    'scalarlg': ({0}, None, 'a response to nothing with numbers that are too large'),
    'quotbal': ({400}, None, 'a quote that does not end'),
    'ltgtruri': ({400}, None, '<> around the Request-URI'),
    'lwsruri': ({0, 400}, None, 'space in the Request-URI'),
    'lwsstart': ({400, 403, 488}, None, 'several spaces in the first line'),
    'trws': ({200, 400}, None, 'spaces behind the first line'),
    'escruri': ({400, 403, 404, 488}, None, 'headers in the Request-URI'),
    'baddate': ({400, 403, 488}, None, 'a time zone that is not GMT'),
    'regbadct': ({400, 405}, None, 'Contact without <> that needs them'),
    'badaspec': ({200, 400}, None, 'spaces within <>'),
    'baddn': ({400}, None, 'a comma in a display name without quotes'),
    'badvers': ({505}, None, 'SIP/7.0'),
    'mismatch01': ({400}, None, 'CSeq with another method'),
    'mismatch02': ({400, 501}, None, 'the same, unknown method'),
    'bigcode': ({0}, None, 'a response with an overlarge code'),
    # transactions and applications
    'badbranch': ({200, 400}, None, 'a branch that is the magic cookie alone'),
    'insuf': ({400}, None, 'no Call-ID, From and To'),
    'unkscm': ({416}, None, 'unknown scheme'),
    'novelsc': ({416}, None, 'a scheme that is not for SIP'),
    'unksm2': ({400, 405}, None, 'unknown schemes in To, From and Contact'),
    'bext01': ({420}, None, 'Require of what nobody supports'),
    'invut': ({415}, None, 'unknown Content-Type'),
    'regaut01': ({405}, None, 'unknown authorization scheme'),
    'multi01': ({400}, {0, 400}, 'several Call-IDs, CSeqs, Tos; its length is two octets too long'),
    'mcl01': ({400}, None, 'two Content-Lengths that differ'),
    'bcast': ({0}, None, 'a response with a Via of everybody'),
    'zeromf': ({200, 483}, None, 'Max-Forwards is 0'),
    'cparam01': ({405}, None, 'Contact parameter'),
    'cparam02': ({405}, None, 'URI parameter in Contact'),
    'regescrt': ({405}, None, 'escaped header in Contact'),
    'sdp01': ({400, 403, 406, 488}, None, 'an Accept without application/sdp'),
    'inv2543': ({400, 403, 488}, None, 'RFC 2543: no branch, no From tag, no length'),
}


def read(name):
    with open(os.path.join(FOLDER, name + '.dat'), 'rb') as file:
        return file.read()


def for_us(raw, peer, uri):
    """Sent from this socket and, where its Request-URI is a plain one, to this URI."""
    via = re.search(rb'(?im)^(via|v)([ \t]*:[ \t]*SIP[ \t]*/[ \t]*\d\.\d[ \t\r\n]*/[ \t]*)\w+'
                    rb'([ \t\r\n]+)[^;\s,]+', raw)
    raw = (raw[:via.end(2)] + peer.transport.upper().encode() + via.group(3) +
           peer.local.encode() + b';rport' + raw[via.end():])
    raw = re.sub(rb'(?im)^((?:call-id|i)[ \t]*:[ \t]*)',
                 lambda m: m.group(1) + uuid.uuid4().hex.encode(), raw)
    line, rest = raw.split(b'\r\n', 1)
    if b'unusual' not in line and not line.startswith(b'SIP/'):
        line = re.sub(rb'sip:[^ @>]*@[a-z.-]*[a-z]|sip:[a-z.]+', uri.encode(), line, count=1)
    return line + b'\r\n' + rest


def statuses(peer, seconds):
    """Of all that comes before a silence."""
    found = []
    while True:
        answer = peer.receive(seconds)
        if answer is None:
            return found
        found.append(sip.status_of(answer))
        seconds = 0.05


def torment(server, transport):
    """Every message; the complaints."""
    wrong = []
    for name, (expected, over_stream, what) in EXPECTED.items():
        expected = over_stream if transport != 'udp' and over_stream else expected
        peer = sip.Peer(server.sip_port, transport)
        peer.send_raw(for_us(read(name), peer, server.factory))
        final = [s for s in statuses(peer, 0.3 if 0 in expected else 5) if s >= 200]
        found = final[0] if final else 0
        if found not in expected or len(set(final)) > 1:
            wrong.append(f'{name} ({what}) gets {sorted(expected)} over {transport}, found {final}')
        peer.close()
    return wrong


def as_they_stand(server, transport):
    """Wherever the answers go: here nobody waits for them."""
    for name in EXPECTED:
        peer = sip.Peer(server.sip_port, transport)
        peer.send_raw(read(name))
        statuses(peer, 0.02)
        peer.close()


def huge(size):
    """An INVITE of this many octets in one header, in many, and in its body."""
    line = 'X-Much: ' + 'x' * 60 + '\n'
    yield 'X-Long: ' + 'x' * size + '\n', b''
    yield line * (size // len(line)), b''
    yield 'Content-Type: application/sdp\n', b'v=0\r\n' + b'a=x\r\n' * (size // 5)


@test('messages beyond the limit are refused or cut off, a conference beside loses nothing')
def too_large(bench):
    server = bench.server(options=[('sip', 'max-message', '20480')])
    conference = Conference(bench, server)
    for transport in ('udp', 'tcp', 'tls'):
        for size in (30000, 60000, 4 << 20):
            for extra, body in huge(size):
                if transport == 'udp' and size > 60000:
                    continue
                port = server.tls_port if transport == 'tls' else server.sip_port
                peer = sip.Peer(port, transport)
                peer.socket.settimeout(0.5)  # who is no longer read from need not wait
                text = sip.request(peer, 'INVITE', server.factory, uuid.uuid4().hex, extra=extra)
                try:
                    peer.send(text, body)
                    final = [s for s in statuses(peer, 0.3) if s >= 200]
                except OSError:  # closed before all was said
                    final = []
                check(all(s in (400, 413, 513) for s in final),
                      f'{size} octets over {transport} are refused, found {final}')
                peer.close()
    conference.judge()
    server.alive()


@test('a max-message below a TLS record, on which the SIP stack would abort, is refused at the start',
      only='ordinary')
def too_small_a_limit(bench):
    try:
        bench.server(options=[('sip', 'max-message', '16384')])
    except Failure as failure:
        check('max-message' in str(failure), f'and said, found {failure}')
        bench.servers.clear()  # it is meant to end badly
        return
    check(False, 'the server does not start')


@test('hundreds of INVITEs without ACK leave nothing, a conference beside loses nothing',
      only='sanitized')
def half_open(bench):
    server = bench.server()
    conference = Conference(bench, server)
    peer = sip.Peer(server.tls_port, 'tls')
    password = server.read('passwords/dave').strip()
    offer = sip.sdp(CRYPTO % ('A' * 40))
    calls = []
    for _ in range(100):
        dialog = Dialog(peer, server.lounge, 'dave')
        dialog.send('INVITE', offer)
        challenge = dialog.final()
        sip.acknowledge(peer, server.lounge, dialog.call, dialog.cseq, challenge, '', 'dave')
        dialog.send('INVITE', offer, sip.digest(sip.header(challenge, 'WWW-Authenticate'), 'dave',
                                                password, 'INVITE', server.lounge))
        calls.append(sip.status_of(dialog.final()))  # and never an ACK
    check(set(calls) <= {200, 403, 486, 503} and calls[0] == 200, f'answered, found {set(calls)}')
    wait_until(lambda: server.ctl('status')['legs'] == len(conference.people),
               'who never says ACK is out again', 45)
    conference.judge()
    server.alive()


@test('an INVITE flood over the limit gets 503 with Retry-After, a conference loses nothing',
      only='ordinary')
def invite_flood(bench):
    server = bench.server(options=[('sip', 'max-invites-per-second', '50'),
                                   ('log', 'level', 'notice')])
    conference = Conference(bench, server)
    peer = peer_from('127.0.0.2', server)
    offer = sip.sdp('m=audio 40000 RTP/SAVP 8\r\n')
    peer.socket.setblocking(False)
    found, bare = {}, 0
    for number in range(6000):
        call, branch = uuid.uuid4().hex, 'z9hG4bK' + uuid.uuid4().hex
        peer.send(sip.request(peer, 'INVITE', server.factory, call, branch=branch,
                              extra='Content-Type: application/sdp\n'), offer)
        if number % 10 != 9:
            continue
        time.sleep(0.004)
        with contextlib.suppress(BlockingIOError):
            while True:
                answer = peer.socket.recv(65536).decode()
                status = sip.status_of(answer)
                found[status] = found.get(status, 0) + 1
                bare += status == 503 and not sip.header(answer, 'Retry-After')
    check(found.get(503, 0) > 2000 and bare == 0, f'503 with Retry-After, found {found}, {bare} bare')
    check(found.get(488, 0) >= 50, f'up to the limit all are served, found {found}')
    conference.judge()
    server.alive()


@test('the torture messages of RFC 4475 get the answers that it wants, a conference loses nothing')
def rfc4475(bench):
    check({n for n in os.listdir(FOLDER) if n != 'README'} == {f'{n}.dat' for n in EXPECTED},
          'the table has every message')
    server = bench.server()
    conference = Conference(bench, server)
    wrong = []
    for transport in ('udp', 'tcp'):
        as_they_stand(server, transport)
        wrong += torment(server, transport)
    check(not wrong, '\n'.join(wrong))
    conference.judge()
    server.alive()
