# SPDX-License-Identifier: Apache-2.0
"""Spoiled messages over TCP and TLS: in pieces, run together, cut off, in calls and in calls of one's own."""
import os
import random
import re
import socket
import struct

import devconfig
import sip
from cases.attacks import CRYPTO, Dialog
from cases.calls import conference_of, policy_with
from cases.hostile import answer_of, bodies, something, spoiled
from harness import check, test, wait_until

LENGTHS = (b'0', b'1', b'7', b'100000', b'-1', b'4294967297', b'', b'1 1', b'0\r\nContent-Length: 9')


def mislead(rnd, message):
    """The same message with another length of its body than it has."""
    return re.sub(rb'(?i)(Content-Length: *)\d+', lambda m: m.group(1) + rnd.choice(LENGTHS), message)


def reset(connection):
    """Closed with RST instead of FIN: what was still to be said is lost."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    connection.close()


class Stream:
    """A connection that is opened again whenever either side has had enough of it."""

    def __init__(self, rnd, port, transport):
        self.rnd, self.port, self.transport = rnd, port, transport
        self.left, self.peer = b'', None
        self.opened = 0
        self.open()

    def open(self):
        self.peer = sip.Peer(self.port, self.transport)
        self.opened += 1

    def close(self):
        if self.rnd.random() < .5:
            self.peer.close()
        else:
            reset(self.peer.socket)

    def again(self):
        self.close()
        self.open()

    def say(self, message):
        """As a whole, in pieces, with the next one, or half of it and no more."""
        rnd, how = self.rnd, self.rnd.random()
        data, self.left = self.left + message, b''
        try:
            if how < .2:
                self.left = data
            elif how < .6:
                self.peer.send_raw(data)
            elif how < .8:
                for at in sorted(rnd.sample(range(len(data) + 1), min(6, len(data)))) + [len(data)]:
                    if at > 0:
                        self.peer.send_raw(data[:at])
                        data = data[at:]
                        if not data:
                            break
            elif how < .93:
                self.peer.send_raw(rnd.choice((b'\r\n\r\n', b'\r\n', b'\n', b'\0')) + data + b'\r\n\r\n')
            else:
                self.peer.send_raw(data[:rnd.randrange(len(data))])
                self.again()
        except OSError:
            self.again()

    def listen(self, seconds=.002):
        """What the server has said, if anything."""
        return self.peer.receive(seconds)


class Callees:
    """Where the server calls people over TCP: each connection of its gets odd answers."""

    def __init__(self, rnd, port):
        self.rnd, self.peers = rnd, []
        self.calls = 0
        self.door = socket.create_server(('127.0.0.1', port))
        self.door.setblocking(False)

    def play(self):
        try:
            self.peers.append(sip.Peer.accepted(self.door.accept()[0], 'tcp'))
        except BlockingIOError:
            pass
        for peer in list(self.peers):
            message = peer.receive(.001)
            if message is None or message.startswith('SIP/2.0'):
                continue
            self.calls += 1
            try:
                for _ in range(self.rnd.randint(0, 3)):
                    answer = spoiled(self.rnd, answer_of(self.rnd, peer, message))
                    peer.send_raw(mislead(self.rnd, answer) if self.rnd.random() < .1 else answer)
                if self.rnd.random() < .1:
                    raise OSError('enough of it')
            except OSError:
                self.peers.remove(peer)
                reset(peer.socket)

    def close(self):
        for peer in self.peers:
            peer.close()
        self.door.close()


class OwnCall(Dialog):
    """A call with SDES in the lounge, each of whose steps may be spoiled, left out or said twice."""

    def __init__(self, rnd, server, name):
        super().__init__(sip.Peer(server.tls_port, 'tls'), server.lounge, name)
        self.rnd, self.password = rnd, server.read(f'passwords/{name}').strip()
        self.offer = sip.sdp(CRYPTO % ('A' * 40))
        self.authorization, self.rseq, self.got_in = '', 0, False

    def step(self, method, body=b'', extra='', cseq=None):
        """Says it, most times well."""
        if cseq is None:
            self.cseq += 1
        if self.rnd.random() < .3:
            body, kind = self.rnd.choice(bodies())
        else:
            kind = 'application/sdp' if body else ''
        text = sip.request(self.peer, method, self.remote, self.call, cseq or self.cseq, extra,
                           user=self.user)
        to = f'To: <{self.uri}>' + (f';tag={self.to_tag}' if self.to_tag else '')
        text = re.sub(r'(?m)^To: .*$', lambda _: to, text) + (f'Content-Type: {kind}\n' if kind else '')
        data = (text.replace('\n', '\r\n') + f'Content-Length: {len(body)}\r\n\r\n').encode() + body
        for _ in range(self.rnd.choice((0, 1, 1, 1, 1, 1, 1, 2))):
            if self.rnd.random() < .25:
                data = spoiled(self.rnd, data)
            self.peer.send_raw(data)

    def hear(self, seconds=.05):
        """Takes the tags, the target, the RSeq and a challenge from what the server says."""
        message = self.peer.receive(seconds)
        if message is None:
            return 0
        status = sip.status_of(message)
        tag = re.search(r'tag=([^;>\s]+)', sip.header(message, 'To'))
        if tag and 100 < status < 300:
            self.to_tag = tag.group(1)
            target = re.search(r'<([^>]+)>', sip.header(message, 'Contact'))
            self.remote = target.group(1) if target else self.remote
            self.got_in |= status >= 200
        if sip.header(message, 'RSeq').isdigit():
            self.rseq = int(sip.header(message, 'RSeq'))
        if status == 401:
            self.authorization = sip.digest(sip.header(message, 'WWW-Authenticate'), self.user,
                                            self.password, 'INVITE', self.uri)
            self.step('ACK', cseq=self.cseq)
        return status

    def play(self):
        """The whole call, or what comes of it."""
        wants = self.rnd.choice(('', '', 'Require: 100rel\n', 'Supported: 100rel, timer\n',
                                 'Require: 100rel, precondition\n', 'Session-Expires: 90\n'))
        try:
            for _ in range(2):
                self.step('INVITE', self.offer, wants + self.authorization)
                while self.hear(.15) in range(100, 200) and not self.rseq:
                    pass
            invited = self.cseq
            for _ in range(self.rnd.randint(1, 12)):
                method = self.rnd.choice(('ACK', 'PRACK', 'INVITE', 'UPDATE', 'INFO', 'REFER', 'CANCEL',
                                          'OPTIONS', 'NOTIFY', 'BYE'))
                body = self.offer if method in ('INVITE', 'UPDATE', 'PRACK') else b''
                if method in ('ACK', 'CANCEL'):
                    self.step(method, body, cseq=invited)
                else:
                    self.step(method, body, f'RAck: {self.rseq} {invited} INVITE\n'
                              f'Refer-To: <{devconfig.identity("bob")}>\n' + wants)
                self.hear(.01)
        except OSError:
            pass
        self.peer.close() if self.rnd.random() < .7 else reset(self.peer.socket)
        return self.got_in


def round_of(rnd, bench, server, callees, cseq, count):
    """Two people in a conference by ticket, and everything at once around them; how many calls got in."""
    alice = bench.ua(server, 'alice', 'create', more=[
        word for name in ('bob', 'carol', 'dave', 'erin')
        for word in ('--invite', devconfig.identity(name))])
    uri = conference_of(alice)
    dialogs = [alice.wait('connected')['dialog']]
    bob = bench.ua(server, 'bob', 'join', uri, more=[
        '--proxy', f'sip:127.0.0.1:{server.sip_port};transport=tcp'])
    dialogs.append(bob.wait('connected')['dialog'])
    streams = [Stream(rnd, server.sip_port, 'tcp'), Stream(rnd, server.tls_port, 'tls')]
    got_in = 0
    for number in range(count):
        stream = rnd.choice(streams)
        message = something(rnd, stream.peer, uri, rnd.choice(dialogs), cseq + number)
        message = spoiled(rnd, message)
        stream.say(mislead(rnd, message) if rnd.random() < .1 else message)
        stream.listen()
        callees.play()
        if number % 25 == 0:
            got_in += OwnCall(rnd, server, rnd.choice(('carol', 'dave', 'erin'))).play()
    for stream in streams:
        stream.close()
    check(server.process.running(), f'the server runs: {server.process.log()[-4000:]}')
    for conference in server.conferences():
        server.ctl('end', conference['uri'])
    for ua in (bob, alice):
        ua.hang_up()
        ua.ended()
    return got_in


@test('spoiled streams in the calls of others and in calls of their own leave calls working',
      only='sanitized')
def streams_in_calls(bench):
    port = bench.ports.take()
    server = bench.server(
        policy=policy_with('refer-ticket=optional\nrefer-allow=any\ndial-out-timeout=5s\n'
                           'dial-out-parallel=20'),
        options=[('sip', 'outbound', f'sip:127.0.0.1:{port};transport=tcp;lr')])
    rnd = random.Random(int(os.environ.get('CLV_SEED', '11')))
    callees = Callees(rnd, port)
    cseq, got_in = 1500000000, 0  # beyond those of the callers, so that their calls heed it
    for _ in range(int(os.environ.get('CLV_ROUNDS', '2'))):
        got_in += round_of(rnd, bench, server, callees, cseq, 500)
        cseq += 500
    callees.close()
    check(got_in > 0 and callees.calls > 0,
          f'some of it is heeded: {got_in} calls got in, {callees.calls} requests came to who is called')
    server.alive()
    wait_until(lambda: server.ctl('status')['legs'] == 0, 'no leg is left', 60)
