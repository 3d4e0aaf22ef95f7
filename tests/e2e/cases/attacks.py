# SPDX-License-Identifier: Apache-2.0
"""Somebody who knows SIP well and means ill: inside dialogs, between them, and in great numbers."""
import contextlib
import os
import re
import socket
import time
import uuid

import devconfig
import sip
from cases.calls import conference_of, expect_good, policy_with
from harness import check, test, wait_until

CRYPTO = 'm=audio 40000 RTP/SAVP 8\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:%s\r\n'


class Dialog:
    """A dialog that keeps its tags, so that anything can be said in it, from any socket."""

    def __init__(self, peer, uri, user='alice'):
        self.peer, self.uri, self.user = peer, uri, user
        self.call, self.cseq, self.to_tag, self.remote = uuid.uuid4().hex, 0, '', uri

    def send(self, method, body=b'', extra='', peer=None, cseq=None, branch=None):
        """Returns the branch."""
        peer = peer or self.peer
        if cseq is None:
            self.cseq += 1
            cseq = self.cseq
        branch = branch or 'z9hG4bK' + uuid.uuid4().hex
        kind = 'Content-Type: application/sdp\n' if body else ''
        text = sip.request(peer, method, self.remote, self.call, cseq, kind + extra,
                           branch=branch, user=self.user)
        to = f'To: <{self.uri}>' + (f';tag={self.to_tag}' if self.to_tag else '')
        peer.send(re.sub(r'(?m)^To: .*$', lambda _: to, text), body)
        return branch

    def final(self, peer=None, seconds=5):
        """The next final response to our last request."""
        peer = peer or self.peer
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            answer = peer.receive(end - time.monotonic())
            if answer and sip.status_of(answer) >= 200 and \
                    sip.header(answer, 'CSeq').split()[0] == str(self.cseq):
                return answer
        return ''

    def open(self, body, password):
        """Up to the ACK; the 200."""
        self.send('INVITE', body)
        challenge = self.final()
        sip.acknowledge(self.peer, self.uri, self.call, self.cseq, challenge, '', self.user)
        self.send('INVITE', body, sip.digest(sip.header(challenge, 'WWW-Authenticate'), self.user,
                                             password, 'INVITE', self.uri))
        answer = self.final()
        check(sip.status_of(answer) == 200, f'{self.user} gets in, found {answer}')
        self.to_tag = re.search(r'tag=([^;>\s]+)', sip.header(answer, 'To')).group(1)
        self.remote = re.search(r'<([^>]+)>', sip.header(answer, 'Contact')).group(1)
        self.send('ACK', cseq=self.cseq)
        return answer


def softphone(server, name='alice'):
    """Somebody with SDES in the lounge."""
    peer = sip.Peer(server.tls_port, 'tls')
    dialog = Dialog(peer, server.lounge, name)
    dialog.open(sip.sdp(CRYPTO % ('A' * 40)), server.read(f'passwords/{name}').strip())
    wait_until(lambda: name in server.roster(server.lounge), f'{name} is in the lounge')
    return dialog


DIGEST_FACTORY = 'auth=digest\nno-ticket-list=policy\nallow=*@example.org\nsignalling=tls'


@test('a conference made by password, without media and keys, can be made and re-offered')
def creation_without_keys(bench):
    server = bench.server(policy=policy_with(DIGEST_FACTORY))
    password = server.read('passwords/alice').strip()
    for media in ('', 'm=audio 0 RTP/SAVP 8\r\n'):
        dialog = Dialog(sip.Peer(server.tls_port, 'tls'), server.factory)
        dialog.open(sip.sdp(media), password)
        dialog.send('INVITE', sip.sdp(media))
        check(sip.status_of(dialog.final()) == 200, 'a refresh is answered')
        dialog.send('ACK', cseq=dialog.cseq)
        dialog.send('UPDATE', sip.sdp(CRYPTO % ('A' * 40)))
        check(sip.status_of(dialog.final()) == 488, 'audio cannot be brought in later')
        dialog.send('BYE')
        check(sip.status_of(dialog.final()) == 200, 'BYE is answered')
    check(server.ctl('status')['legs'] == 0, 'nothing is left')


@test('what comes in a dialog of TLS from elsewhere in the clear learns no key and ends nothing')
def dialog_from_elsewhere(bench):
    server = bench.server()
    dialog = softphone(server)
    for transport in ('udp', 'tcp'):
        peer = sip.Peer(server.sip_port, transport)
        for method, body in (('INVITE', b''), ('INVITE', sip.sdp(CRYPTO % ('B' * 40))),
                             ('UPDATE', sip.sdp(CRYPTO % ('B' * 40))), ('BYE', b'')):
            dialog.send(method, body, peer=peer)
            answer = dialog.final(peer)
            check(sip.status_of(answer) == 403, f'{method} over {transport}: 403, found {answer}')
            check('inline:' not in answer, 'no key is told')
    check('alice' in server.roster(server.lounge), 'alice is still in')
    dialog.send('UPDATE', sip.sdp(CRYPTO % ('C' * 40)))
    answer = dialog.final()
    check(sip.status_of(answer) == 200 and 'inline:' in answer, f'she may re-key, found {answer}')
    dialog.send('BYE')
    check(sip.status_of(dialog.final()) == 200, 'and leave')
    server.alive()


@test('a thousand callers who are not let in leave nothing behind', only='sanitized')
def refused_callers(bench):
    server = bench.server()
    peer = sip.Peer(server.sip_port)
    offer = sip.sdp('m=audio 40000 RTP/SAVP 8\r\n',
                    'a=key-mgmt:mikey ' + 'AQ' * 400 + '\r\n')
    for number in range(1000):
        target = server.factory if number % 2 else server.lounge
        answer = sip.invite(peer, target, offer)
        check(400 <= sip.status_of(answer) < 500, f'refused, found {answer}')
    status = server.ctl('status')
    check(status['legs'] == 0 and status['conferences'] == 1, f'all is gone, found {status}')
    server.alive()


def peer_from(host, server):
    """A UDP peer with an address of its own."""
    peer = sip.Peer(server.sip_port)
    peer.socket.close()
    peer.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    peer.socket.bind((host, 0))
    peer.socket.connect(('127.0.0.1', server.sip_port))
    peer.local = '%s:%d' % peer.socket.getsockname()
    return peer


def cpu_seconds(server):
    with open(f'/proc/{server.process.child.pid}/stat') as stat:
        fields = stat.read().rsplit(')', 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


@test('who acknowledges no refusal is soon refused in passing, others and later calls are served',
      only='ordinary')
def no_acks(bench):
    server = bench.server(options=[('log', 'level', 'notice')])
    offer = sip.sdp('m=audio 40000 RTP/SAVP 8\r\n')
    flood, other = peer_from('127.0.0.2', server), peer_from('127.0.0.3', server)
    statuses = {}
    for number in range(12000):
        flood.send(sip.request(flood, 'INVITE', server.factory, uuid.uuid4().hex,
                               extra='Content-Type: application/sdp\n'), offer)
        if number % 10 == 9:
            time.sleep(0.002)
            flood.socket.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    status = sip.status_of(flood.socket.recv(65536).decode())
                    statuses[status] = statuses.get(status, 0) + 1
            flood.socket.setblocking(True)
    check(statuses.get(488, 0) > 500 and statuses.get(503, 0) > 5000,
          f'first 488, then 503, found {statuses}')
    before = cpu_seconds(server)
    time.sleep(5)
    spent = cpu_seconds(server) - before
    check(spent < 1.5, f'what is owed costs little, found {spent:.1f} s of 5')
    answer = sip.invite(other, server.factory, offer)
    check(sip.status_of(answer) == 488, f'others get their own answer, found {answer}')
    server.alive()

    def forgiven():
        while flood.receive(0.05):
            pass
        return sip.status_of(sip.invite(flood, server.factory, offer)) == 488
    wait_until(forgiven, 'the debtor is served again', 60, 3)


@test('questions by the ten thousand are answered in passing and cost no call', only='ordinary')
def question_flood(bench):
    server = bench.server(options=[('log', 'level', 'notice')])
    peer = sip.Peer(server.sip_port)
    peer.socket.setblocking(False)
    statuses = {}
    for number in range(26000):
        method = ('OPTIONS', 'BYE', 'MESSAGE')[number % 3]
        peer.send(sip.request(peer, method, server.factory, uuid.uuid4().hex))
        if number % 10 == 9:
            time.sleep(0.003)
            with contextlib.suppress(BlockingIOError):
                while True:
                    status = sip.status_of(peer.socket.recv(65536).decode())
                    statuses[status] = statuses.get(status, 0) + 1
    check(statuses.get(200, 0) > 1000, f'questions are answered, found {statuses}')
    check(statuses.get(503, 0) > 1000, f'beyond a limit nothing is kept, found {statuses}')
    server.alive()


@test('hundreds of connections that drip into the KMS keep nobody from his ticket')
def dripping(bench):
    server = bench.server()
    start = (b'POST /keymanagement?requesttype=ticketrequest HTTP/1.1\r\nHost: x\r\n'
             b'Content-Type: application/mikey\r\n')
    for rest in (b'X-Slow: ', b'Content-Length: 5000\r\n\r\n'):  # in the head, in the body
        held = []
        for _ in range(400):
            connection = socket.create_connection(('127.0.0.1', server.kms_port), 5)
            connection.sendall(start + rest)
            held.append(connection)
        for _ in range(2):
            for connection in held:
                with contextlib.suppress(OSError):
                    connection.sendall(b'a')
            server.alive()
        for connection in held:
            connection.close()


@test('who acknowledges no refusal in a call of his loses it, and is refused in passing from there on')
def no_acks_in_a_call(bench):
    server = bench.server(options=[('log', 'level', 'notice')])
    alice = bench.ua(server, 'alice', 'create', more=['--invite', devconfig.identity('bob')])
    uri = conference_of(alice)
    bob = bench.ua(server, 'bob', 'join', uri)
    call, remote, local = re.match(r'(.*);local-tag=(.*);remote-tag=(.*)',
                                   bob.wait('connected')['dialog']).groups()
    flood, statuses = peer_from('127.0.0.2', server), {}
    for number in range(12000):
        text = sip.request(flood, 'INVITE', uri, call, 1500000000 + number, 'Require: nothing\n', remote)
        flood.send(re.sub(r'(?m)^(From: .*;tag=).*$', lambda m: m.group(1) + local, text))
        if number % 10 == 9:
            time.sleep(0.002)
            flood.socket.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    status = sip.status_of(flood.socket.recv(65536).decode())
                    statuses[status] = statuses.get(status, 0) + 1
            flood.socket.setblocking(True)
    check(0 < statuses.get(420, 0) < 1000 and statuses.get(503, 0) > 5000,
          f'first 420, then 503, found {statuses}')
    check(sorted(server.roster(uri)) == ['alice'], f'bob is out: {server.roster(uri)}')
    before = cpu_seconds(server)
    time.sleep(5)
    spent = cpu_seconds(server) - before
    check(spent < 1.5, f'what is owed costs little, found {spent:.1f} s of 5')
    bob.ended()
    expect_good(bench.ua(server, 'bob', 'join', uri, duration=1))
    alice.hang_up()
    expect_good(alice)
    server.alive()
