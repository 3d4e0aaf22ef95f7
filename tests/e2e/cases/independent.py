# SPDX-License-Identifier: Apache-2.0
"""A participant written from the RFCs alone, against the whole server."""
import json
import os
import sys

import devconfig
from harness import Failure, check, mikey_arguments, test

PEER = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'peer', 'peer.py')


class Peer:
    """peer/peer.py; speaks like conclave-ua, two JSON lines."""

    def __init__(self, bench, server, name, verb, target, transport, *more):
        self.name = name
        self.process = bench.spawn(
            [sys.executable, PEER, verb, target, '--server', f'127.0.0.1:{server.sip_port}',
             '--transport', transport, *mikey_arguments(server, name), *more], bench.folder,
            f'peer-{name}-{len(bench.processes)}', lines=True)

    def event(self, name):
        while True:
            line = self.process.next_line(20)
            if line is None:
                raise Failure(f'the peer {self.name} ended before "{name}": {self.process.log()}')
            event = json.loads(line)
            if event['event'] == name:
                return event
            if event['event'] == 'report':
                raise Failure(f'the peer {self.name} ended before "{name}": {event}')


def hear(*tones):
    return ['--expect-hear', ','.join(f'{hertz}:-30' for hertz in tones)]


def silent(hertz):
    return ['--expect-silent', f'{hertz}:-50']


@test('R043 R045 R116: a peer written from the RFCs creates a conference, and is heard and hears in it')
def peer_creates(bench):
    server = bench.server()
    peer = Peer(bench, server, 'alice', 'create', server.factory, 'tcp', '--invite',
                devconfig.identity('bob'), '--tone', '440', '--duration', '8', '--skip', '2',
                *hear(700), *silent(440))
    conference = peer.event('connected')['contact']
    bob = bench.ua(server, 'bob', 'join', conference, tone=700, duration=7,
                   hear=[(440, -30)], silent=[(700, -50)], tls=True)
    check(bob.ended() == 0, f'bob hears the peer: {bob.why()}')
    report = peer.event('report')
    check(peer.process.wait(20) == 0, f'the peer finds all as it should be: {report}')
    check(report['isfocus'] and report['rejected'] == 0 and report['lost'] == 0, f'{report}')


@test('R121: a peer written from the RFCs dials in over UDP and TCP; a third one is a stranger')
def peers_join(bench):
    server = bench.server()
    alice = bench.ua(server, 'alice', 'create', tone=440, duration=9,
                     hear=[(700, -30), (1000, -30)], silent=[(440, -50)],
                     more=['--invite', devconfig.identity('bob'), '--invite',
                           devconfig.identity('carol'), '--measure-from', '3', '--measure-for', '3'])
    conference = alice.wait('connected')['contact']
    bob = Peer(bench, server, 'bob', 'join', conference, 'udp', '--tone', '700', '--duration', '7',
               '--skip', '2.5', *hear(440, 1000), *silent(700))
    carol = Peer(bench, server, 'carol', 'join', conference, 'tcp', '--tone', '1000', '--duration',
                 '7', '--skip', '2.5', *hear(440, 700), *silent(1000))
    dave = Peer(bench, server, 'dave', 'join', conference, 'tcp')
    refused = dave.event('report')
    check(refused['status'] == 403, f'dave is not on the list: {refused}')
    for peer in (bob, carol):
        report = peer.event('report')
        check(peer.process.wait(20) == 0, f'{peer.name}: {report}')
    check(alice.ended() == 0, f'alice hears both: {alice.why()}')
