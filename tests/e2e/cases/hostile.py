# SPDX-License-Identifier: Apache-2.0
"""Messages that kill other servers, torture, and thousands of silent connections."""
import base64
import os
import random
import re
import resource
import socket
import subprocess
import sys
import time
import uuid

import devconfig
import sip
from cases.calls import conference_of, policy_with
from harness import CLIENTS, check, test, wait_until


@test('one INVITE with Contact: *, answered and never acknowledged, kills nothing',
      only='sanitized')
def contact_star(bench):
    server = bench.server()
    password = server.read('passwords/alice').strip()
    offer = sip.sdp('m=audio 40000 RTP/SAVP 8\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:' +
                    'A' * 40 + '\r\n')
    for contact in ('*', '<sip:>', '<tel:+155>', '<mailto:a@b.c>', '<foo:bar>', '<<>>', ''):
        peer = sip.Peer(server.tls_port, 'tls')
        call = uuid.uuid4().hex
        text = sip.request(peer, 'INVITE', server.lounge, call,
                           extra='Content-Type: application/sdp\n')
        challenge_text = text
        peer.send(challenge_text, offer)
        answer = peer.receive(5)
        while answer is not None and sip.status_of(answer) < 200:
            answer = peer.receive(5)
        check(answer is not None, 'an answer comes')
        authorization = sip.digest(sip.header(answer, 'WWW-Authenticate'), 'alice', password,
                                   'INVITE', server.lounge)
        text = sip.request(peer, 'INVITE', server.lounge, call, 2,
                           'Content-Type: application/sdp\n' + authorization)
        text = '\n'.join(f'Contact: {contact}' if line.startswith('Contact:') else line
                         for line in text.split('\n'))
        peer.send(text, offer)
        peer.receive(2)
        peer.close()  # and never an ACK
    time.sleep(34)    # the timers of an INVITE without ACK have run out
    server.alive()


@test('SDP that sends sdp_parse() round in circles is refused')
def sdp_killers(bench):
    server = bench.server()
    for media in ('m=audio 9 FOO (\r\n', 'm=audio 9 RT\u00be/AVP 0\r\n', 'm=audio 9 RTP/SAVP (\r\n',
                  'm=audio 9 RTP/SAVP 0\r\n' * 2000, 'm=\r\n', 'm=audio\r\n',
                  'm=audio 99999999999 RTP/SAVP 0\r\n',
                  'm=audio 9 RTP/SAVP 0\r\na=key-mgmt:mikey ' + 'A' * 4000 + '\r\n',
                  'm=audio 9 RTP/SAVP 0\r\na=crypto:' + '9' * 4000 + '\r\n'):
        peer = sip.Peer(server.sip_port, 'tcp')
        body = (b'v=0\r\no=m 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n' +
                media.encode('latin1'))
        answer = sip.invite(peer, server.factory, body)
        check(sip.status_of(answer) in (400, 401, 403, 413, 488),
              f'{media[:30]!r} is refused, found {answer}')
        peer.close()
    check(memory_mb(server) < 500, 'and costs no memory')
    server.alive()


def memory_mb(server):
    with open(f'/proc/{server.process.child.pid}/status') as status:
        return int(next(line for line in status if line.startswith('VmRSS')).split()[1]) / 1024


def torture(server, transport):
    result = subprocess.run(
        [sys.executable, os.path.join(CLIENTS, 'sip_torture.py'), '127.0.0.1',
         str(server.sip_port), transport], stdout=subprocess.PIPE, text=True, timeout=200)
    check(result.returncode == 0, f'the server lives: {result.stdout[-2000:]}')


@test('torture messages over UDP and TCP leave calls working', only='sanitized')
def tortured(bench):
    server = bench.server()
    torture(server, 'udp')
    torture(server, 'tcp')
    server.alive()
    wait_until(lambda: server.ctl('status')['legs'] == 0, 'no leg is left', 40)


@test('mutated messages by the thousand leave calls working', only='sanitized')
def mutated(bench):
    server = bench.server()
    result = subprocess.run(
        [sys.executable, os.path.join(CLIENTS, 'sip_fuzz.py'), '127.0.0.1', str(server.sip_port),
         '4000', '7'], stdout=subprocess.PIPE, text=True, timeout=200)
    check(result.returncode == 0, f'the server lives: {result.stdout}')
    server.alive()


SNIPPETS = (b'%00', b'<', b'>', b'"', b';', b',', b'\r\n ', b'sip:', b'tel:', b'*', b'@', b'[::1]',
            b'=', b'4294967295', b'-1', b'\x00', b'\xff\xfe', b'A' * 400, b'%', b'?', b';lr', b':0')
OFFER = ('m=audio 40000 RTP/SAVP 8\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:' + 'A' * 40 +
         '\r\na=curr:qos local none\r\na=des:qos mandatory local sendrecv\r\n')
LIST = (b'<?xml version="1.0"?><resource-lists xmlns="urn:ietf:params:xml:ns:resource-lists"><list>'
        b'<entry uri="sip:carol@127.0.0.1:9"/></list></resource-lists>')


def bodies():
    offer = sip.sdp(OFFER)
    return ((b'', ''), (offer, 'application/sdp'), (b'SIP/2.0 200 OK\r\n', 'message/sipfrag'),
            (b'AQIDBAUGBwg=', 'application/mikey'), (LIST, 'application/resource-lists+xml'),
            (b'--x\r\nContent-Type: application/sdp\r\n\r\n' + offer +
             b'\r\n--x\r\nContent-Type: application/resource-lists+xml\r\n'
             b'Content-Disposition: recipient-list\r\n\r\n' + LIST + b'\r\n--x--\r\n',
             'multipart/mixed;boundary=x'))


def something(rnd, peer, uri, dialog, cseq):
    """A message that could be a good one: in somebody's call, or about it."""
    # as Target-Dialog has it: the server's tag is the local one
    call, remote, local = re.match(r'(.*);local-tag=(.*);remote-tag=(.*)', dialog).groups()
    method = rnd.choice(('REFER', 'REFER', 'INVITE', 'INVITE', 'UPDATE', 'PRACK', 'NOTIFY', 'SUBSCRIBE',
                         'INFO', 'CANCEL', 'ACK'))
    inside = rnd.random() < .6
    targets = [f'<{devconfig.identity(rnd.choice(("carol", "dave", "erin")))}>'] * 20 + [
        '<sip:bob@example.org>', '<sip:nobody@127.0.0.1:9;method=BYE>', f'<{uri}>',
        f'<sip:bob@example.org;method=BYE?Call-ID={call}%3Bfrom-tag%3D1%3Bto-tag%3D2>',
        '<sip:c@127.0.0.1:9?Replaces=a%3Bto-tag%3Db%3Bfrom-tag%3Dc>']
    extra = rnd.sample((
        'Referred-By: <sip:alice@example.org>\n', 'Refer-Sub: false\n', 'Event: refer\n',
        'Subscription-State: terminated;reason=noresource\n', 'Expires: 0\n', 'Expires: 60\n',
        f'Target-Dialog: {dialog}\n', f'Replaces: {call};to-tag={remote};from-tag={local}\n',
        f'Join: {call};to-tag={remote};from-tag={local}\n', 'Require: 100rel\n',
        'Supported: 100rel, precondition, replaces\n', 'Require: recipient-list-invite\n',
        f'RAck: 1 {cseq} INVITE\n', 'Session-Expires: 90;refresher=uac\n',
        'History-Info: <sip:bob@example.org>;index=1;rc=1\n', 'Privacy: id\n'),
        rnd.randint(0, 4))
    body, kind = rnd.choice(bodies())
    if method == 'REFER':
        extra.append(f'Refer-To: {rnd.choice(targets)}\n')
    if kind:
        extra.append(f'Content-Type: {kind}\n')
    text = sip.request(peer, method, uri, call if inside else uuid.uuid4().hex, cseq,
                       ''.join(extra), remote if inside else '')
    if inside:
        text = re.sub(r'(?m)^(From: .*;tag=).*$', lambda m: m.group(1) + local, text)
    return (text.replace('\n', '\r\n') + f'Content-Length: {len(body)}\r\n\r\n').encode() + body


def answer_of(rnd, peer, call):
    """Something that who is called could say to an INVITE, CANCEL or BYE."""
    status = rnd.choice((100, 180, 181, 183, 183, 200, 200, 202, 302, 401, 422, 486, 487, 603))
    body, kind = rnd.choice(bodies())
    lines = re.findall(r'(?m)^(?:Via|From|Call-ID|CSeq):.*$', call)
    extra = rnd.sample((f'Contact: <sip:b@{peer.local}>', f'Contact: <sip:b@{peer.local}>',
                        'Require: 100rel', f'RSeq: {rnd.randint(1, 3)}', 'Min-SE: 4000',
                        'History-Info: <sip:b@example.org>;index=1,<sip:z@example.org>;index=1.1;rc=1',
                        'P-Asserted-Identity: <sip:z@example.org>', 'Session-Expires: 90',
                        f'Record-Route: <sip:{peer.local};lr>', 'Supported: timer'), 5)
    if kind:
        extra.append(f'Content-Type: {kind}')
    head = [f'SIP/2.0 {status} Word', *(line.rstrip('\r') for line in lines), *extra,
            f'To: {sip.header(call, "To").split(";")[0]};tag={rnd.choice("abc")}',
            f'Content-Length: {len(body)}', '', '']
    return '\r\n'.join(head).encode() + body


def play_callee(rnd, peer):
    """Whatever has come for those who are called gets some answers."""
    while True:
        message = peer.receive(.001)
        if message is None:
            return
        for _ in range(rnd.randint(0, 3)):
            if not message.startswith('SIP/2.0'):
                peer.send_raw(spoiled(rnd, answer_of(rnd, peer, message)))


def spoiled(rnd, message):
    message = bytearray(message)
    for _ in range(rnd.choice((0, 0, 1, 1, 2, 4))):
        at = rnd.randrange(len(message))
        if rnd.random() < .3:
            message[at] = rnd.randrange(256)
        elif rnd.random() < .4:
            del message[at:at + rnd.randint(1, 12)]
        else:
            message[at:at] = rnd.choice(SNIPPETS)
    return bytes(message[:8000])


@test('spoiled REFERs, offers, PRACKs and NOTIFYs in the calls of others leave calls working',
      only='sanitized')
def in_calls(bench):
    port = bench.ports.take()
    server = bench.server(
        policy=policy_with('refer-ticket=optional\nrefer-allow=any\ndial-out-timeout=5s\n'
                           'dial-out-parallel=20'),
        options=[('sip', 'outbound', f'sip:127.0.0.1:{port};lr')])
    callee = sip.Peer(server.sip_port, own_port=port)
    rnd = random.Random(int(os.environ.get('CLV_SEED', '11')))
    cseq = 1500000000  # beyond those of the callers, so that their calls heed it
    for _ in range(int(os.environ.get('CLV_ROUNDS', '4'))):
        alice = bench.ua(server, 'alice', 'create', more=[
            word for name in ('bob', 'carol', 'dave', 'erin')
            for word in ('--invite', devconfig.identity(name))])
        uri = conference_of(alice)
        dialogs = [alice.wait('connected')['dialog']]
        bob = bench.ua(server, 'bob', 'join', uri)
        dialogs.append(bob.wait('connected')['dialog'])
        peer = sip.Peer(server.sip_port)
        for _ in range(500):
            cseq += 1
            message = something(rnd, peer, uri, rnd.choice(dialogs), cseq)
            try:
                peer.send_raw(spoiled(rnd, message))
                peer.receive(.002)
                play_callee(rnd, callee)
            except OSError:
                pass
        peer.close()
        check(server.process.running(), f'the server runs: {server.process.log()[-4000:]}')
        for conference in server.conferences():
            server.ctl('end', conference['uri'])
        for ua in (bob, alice):
            ua.hang_up()
            ua.ended()
    server.alive()
    wait_until(lambda: server.ctl('status')['legs'] == 0, 'no leg is left', 60)


def reserving(rnd, ports=(0, 9, 40000, 40000)):
    """An offer whose resources are there, or not yet."""
    local = rnd.choice(('none', 'sendrecv'))
    key = base64.b64encode(bytes(rnd.choice((1, 2)) for _ in range(30))).decode()
    return sip.sdp(f'm=audio {rnd.choice(ports)} RTP/SAVP 8\r\n'
                   f'a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{key}\r\n'
                   f'a=curr:qos local {local}\r\na=curr:qos remote none\r\n'
                   'a=des:qos mandatory local sendrecv\r\na=des:qos mandatory remote sendrecv\r\n')


class Hesitant:
    """A call over TLS that does whatever comes to its mind before it is answered."""

    def __init__(self, rnd, server, user):
        self.rnd, self.uri, self.call, self.user = rnd, server.lounge, uuid.uuid4().hex, user
        self.peer = sip.Peer(server.tls_port, 'tls')
        self.tag, self.cseq, self.invites, self.rseq = '', 0, [], '1'
        password = server.read(f'passwords/{user}').strip()
        first = reserving(rnd, (40000,))
        answer = self.send('INVITE', first) or self.peer.receive(5)
        while answer is not None and sip.status_of(answer) != 401:
            answer = self.peer.receive(5)
        check(answer is not None, f'{user} is asked for a password')
        self.acknowledge(answer)
        self.send('INVITE', first, sip.digest(
            sip.header(answer, 'WWW-Authenticate'), user, password, 'INVITE', self.uri))

    def acknowledge(self, answer):
        branch = next((b for n, b in self.invites if f'{n} INVITE' == sip.header(answer, 'CSeq')), None)
        sip.acknowledge(self.peer, self.uri, self.call, int(sip.header(answer, 'CSeq').split()[0]), answer,
                        branch, self.user)

    def send(self, method, body=b'', extra=''):
        """What comes at once; None: nothing does."""
        cseq, branch = self.cseq, 'z9hG4bK' + uuid.uuid4().hex
        if method == 'CANCEL':
            cseq, branch = self.invites[-1]
        elif method != 'ACK':
            self.cseq = cseq = cseq + 1
        if method == 'INVITE':
            self.invites.append((cseq, branch))
            extra += 'Supported: 100rel, precondition\n'
        if body:
            extra += 'Content-Type: application/sdp\n'
        self.peer.send(sip.request(self.peer, method, self.uri, self.call, cseq, extra,
                                   '' if method == 'CANCEL' else self.tag, branch, self.user), body)
        return self.peer.receive(.01)

    def read(self):
        """Takes tag and RSeq from what has come, and is polite now and then."""
        message = self.peer.receive(.02)
        while message is not None:
            if sip.status_of(message) == 0 and self.rnd.random() < .8:
                self.peer.send(sip.answer_to(message, self.rnd.choice(('200 OK', '481 No', '500 No'))))
            elif 'INVITE' in sip.header(message, 'CSeq') and sip.status_of(message) > 100:
                found = re.search(r'tag=([^;>\s]+)', sip.header(message, 'To'))
                self.tag = found.group(1) if found else self.tag
                self.rseq = sip.header(message, 'RSeq') or self.rseq
                if sip.status_of(message) >= 200 and self.rnd.random() < .8:
                    self.acknowledge(message)
            message = self.peer.receive(.005)

    def act(self):
        method = self.rnd.choice(('PRACK', 'PRACK', 'PRACK', 'UPDATE', 'UPDATE', 'UPDATE', 'OPTIONS', 'INVITE',
                                  'REFER', 'SUBSCRIBE', 'NOTIFY', 'ACK', 'CANCEL', 'BYE'))
        if method in ('CANCEL', 'BYE') and self.rnd.random() < .6:
            return
        body = reserving(self.rnd) if self.rnd.random() < .7 and method in ('UPDATE', 'INVITE', 'PRACK') and (
            method != 'PRACK' or self.rnd.random() < .1) else b''
        extra = {'PRACK': f'RAck: {self.rseq} {self.invites[-1][0]} INVITE\n', 'SUBSCRIBE': 'Event: refer\n',
                 'NOTIFY': 'Event: refer\nSubscription-State: active\n',
                 'REFER': f'Refer-To: <{devconfig.identity("carol")}>\n'}.get(method, '')
        self.send(method, body, extra)


@test('calls that do everything in every order before they are answered leave nothing behind',
      only='sanitized')
def before_the_answer(bench):
    server = bench.server(options=[('media', 'silence-timeout', '1s')])
    rnd = random.Random(int(os.environ.get('CLV_SEED', '12')))
    for _ in range(int(os.environ.get('CLV_ROUNDS', '40'))):
        call = Hesitant(rnd, server, rnd.choice(('alice', 'bob', 'carol', 'dave', 'erin')))
        try:
            for _ in range(rnd.randint(1, 15)):
                call.read()
                call.act()
            if rnd.random() < .95:  # those who do not are in for half a minute
                call.read()
                call.send('BYE')
        except OSError:
            pass
        call.peer.close()
        check(server.process.running(), f'the server runs: {server.process.log()[-4000:]}')
    server.alive()
    wait_until(lambda: server.ctl('status')['legs'] == 0, 'no leg is left', 120)


@test('2,000 silent TCP and TLS connections leave calls working', only='ordinary')
def silent(bench):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    server = bench.server(options=[('sip', 'idle-timeout', '5s')])
    held = []
    try:
        for port in (server.sip_port, server.tls_port):
            for _ in range(1000):
                held.append(socket.create_connection(('127.0.0.1', port), 10))
        began = time.monotonic()
        server.alive()
        check(time.monotonic() - began < 10, 'a call does not wait for silent connections')
        wait_until(lambda: server.ctl('status')['sip-connections'] < 20,
                   'silent connections are closed', 30)
    finally:
        for connection in held:
            connection.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    server.alive()


@test('a peer that stops in the middle of a message or of a handshake is cut off')
def halves(bench):
    server = bench.server(options=[('sip', 'idle-timeout', '2s')])
    half = sip.Peer(server.sip_port, 'tcp')
    half.send_raw(b'OPTIONS ' + server.factory.encode() + b' SIP/2.0\r\nVia: SIP/2.0/TCP x')
    hello = socket.create_connection(('127.0.0.1', server.tls_port))
    hello.sendall(bytes.fromhex('1603010200010001fc0303'))
    garbage = socket.create_connection(('127.0.0.1', server.tls_port))
    garbage.sendall(b'GET / HTTP/1.0\r\n\r\n')
    for connection in (half.socket, hello, garbage):
        connection.settimeout(15)
        try:
            while connection.recv(4096):
                pass
        except ConnectionError:
            pass
        except socket.timeout:
            check(False, 'the server closes a connection that says nothing more')
        connection.close()
    peer = sip.Peer(server.tls_port, 'tls', ca=server.path('tls/cafile.pem'))
    check(sip.options(peer, server.factory) == 200, 'others are served')


@test('clear and forged packets at media ports are counted and dropped')
def media_ports(bench):
    server = bench.server()
    first, last = (int(re.search(r'(?m)^%s=(.*)$' % key, server.read('conclave.conf')).group(1))
                   for key in ('port-first', 'port-last'))
    alice = bench.ua(server, 'alice', 'create', tone=440,
                     more=['--invite', devconfig.identity('bob')])
    conference_of(alice)
    time.sleep(1)
    before = server.ctl('status')['packets-dropped']
    spray = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for length in range(0, 200, 3):
        for port in range(first, last + 1):
            spray.sendto(b'\x80\x08' + os.urandom(length), ('127.0.0.1', port))
    after = server.ctl('status')['packets-dropped']
    check(after > before, f'forged packets are counted: {before} before, {after} after')
    row = server.roster(conference_of(alice))['alice']
    check(row['lost'] == 0, f'and nothing is lost by them, found {row}')
    alice.hang_up()
    alice.ended()
    report = alice.find('report')[0]
    check(report['exit'] == 0 and report['lost'] == 0, f'the call is untouched, found {report}')
