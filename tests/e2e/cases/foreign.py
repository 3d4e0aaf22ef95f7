# SPDX-License-Identifier: Apache-2.0
"""People of another operator: their tickets are of another KMS, which the server's own one asks."""
import os
import re
import secrets
import time

import devconfig
from cases.calls import conference_of, expect_good, hearing
from cases.invited import Network, ask, invite, is_success, outcome
from cases.refusals import refused, take_ticket
from harness import Kms, check, set_option, test, wait_until

VISITED = 'sip:kms@visited.example'


class TlsKms(Kms):
    """HTTPS, as KMSs show each other their certificates."""

    def __init__(self, bench, folder, port, keys):
        self.keys = keys
        super().__init__(bench, folder, port)
        self.url = f'https://127.0.0.1:{port}/keymanagement'

    def start(self):
        self.process = self.bench.spawn(
            [self.bench.program('conclave-kms'), '--keys', self.keys, '--listen',
             f'127.0.0.1:{self.port}', '--cert', 'tls/agent.pem', '--key', 'tls/agent.pem'],
            self.folder, f'kms-{self.port}', server=True)
        wait_until(self.answers, 'the KMS accepts connections', 20)


def policy_of(relay):
    return devconfig.policy_text().replace(
        'deny=\n', 'deny=\nforeign-kms=relay\n' if relay else 'deny=\n', 1)


class Operators:
    """A server whose KMS knows none of the callers, and the KMS that does. The first one is embedded,
    or with @apart a process of its own; each then asks the other."""

    def __init__(self, bench, relay=True, known=True):
        self.known, self.home, self.visited = known, None, None
        self.server = bench.server(policy=policy_of(relay), options=[('kms', 'uri', VISITED)],
                                   prepare=self.prepare)

    def prepare(self, server, apart=False):
        home, visited = server.bench.ports.take(), server.bench.ports.take()
        key = secrets.token_hex(32)
        text = server.read('kms-keys.conf')
        people = text[text.index('[user alice]'):]

        def asks(port):
            return f'''url=https://127.0.0.1:{port}/keymanagement
ca=tls/cafile.pem
client-cert=tls/agent.pem
certificate-name=cn:localhost
timeout=1s
'''
        is_asked = 'certificate=cn:localhost\n'
        peer = f'''[peer home]
uri={devconfig.KMS_URI}
psk={key}
identities=*@{devconfig.DOMAIN}
{asks(home)}{is_asked if apart else ''}'''
        own = text[:text.index('[user alice]')].replace(devconfig.KMS_URI, VISITED)
        if apart:
            own = set_option(own, 'kms', 'client-ca', 'tls/cafile.pem')
        server.write('kms-keys.conf', own + (peer if self.known else ''), 0o600)
        server.write('home-keys.conf', f'''[kms]
uri={devconfig.KMS_URI}
client-ca=tls/cafile.pem
[peer visited]
uri={VISITED}
psk={key}
identities=*@{devconfig.HOST}
{is_asked}maps=yes
{asks(visited) if apart else ''}{people}''', 0o600)
        self.home = TlsKms(server.bench, server.folder, home, 'home-keys.conf')
        server.kms_url = self.home.url
        if apart:
            self.visited = TlsKms(server.bench, server.folder, visited, 'kms-keys.conf')
            server.set_options([('kms', 'url', self.visited.url),
                                ('kms', 'ca-file', 'tls/cafile.pem')])

    def more(self, *words):
        return ['--kms-ca', self.server.path('tls/cafile.pem'), *words]


class OperatorsApart(Operators):
    """The same with a network in which people can be called."""

    def __init__(self, bench):
        self.known = True
        self.network = Network(bench, policy=policy_of(True), own_kms=True,
                               options=[('kms', 'uri', VISITED)],
                               prepare=lambda server: self.prepare(server, apart=True))
        self.server = self.network.server


@test('with foreign-kms=relay people of another KMS make a conference and hear each other')
def relayed(bench):
    net = Operators(bench)
    alice = bench.ua(net.server, 'alice', 'create', **hearing(440, 660),
                     more=net.more('--invite', devconfig.identity('bob')))
    bob = bench.ua(net.server, 'bob', 'join', conference_of(alice), **hearing(660, 440),
                   more=net.more())
    bob.wait('connected')
    time.sleep(3)
    for ua in (alice, bob):
        ua.hang_up()
    expect_good(alice, bob)
    log = net.home.process.log()
    for name in ('alice', 'bob'):
        check(re.search(rf'resolve granted: sip:{name}@.* identity=peer visited', log) is not None,
              f'the KMS of {name} was asked by its peer, found {log[-2000:]}')


@test('of two conclave-kms each has tickets resolved by the other, over TLS that proves both')
def two_processes(bench):
    net = OperatorsApart(bench)
    bob = net.network.phone('bob', more=net.more())
    alice, uri = net.network.create(invite=['bob'], more=net.more())
    is_success(outcome(alice, ask(alice, invite('bob'))))
    net.network.until(uri, 'alice', 'bob')
    bob.hang_up()
    alice.hang_up()
    for kms, who, peer in ((net.home, uri, 'visited'), (net.visited, uri, 'home')):
        log = kms.process.log()
        check(re.search(f'resolve granted: [^\n]*identity=peer {peer}', log) is not None,
              f'the peer {peer} had a ticket resolved for {who}, found {log[-3000:]}')


@test('with foreign-kms=reject, or a KMS that is no peer, a ticket of another KMS gets 403')
def rejected(bench):
    for relay, known in ((False, True), (True, False)):
        net = Operators(bench, relay=relay, known=known)
        refused(bench.ua(net.server, 'alice', 'create',
                         more=net.more('--invite', devconfig.identity('bob'))), 403)
        log = net.server.process.log()
        check('ALARM' not in log, f'nothing is wrong with our own key, found {log[-2000:]}')


@test('with the KMS of the callers stopped they get 503 or 504, and in time')
def stopped(bench):
    net = Operators(bench)
    path = os.path.join(bench.folder, 'alice.ticket')
    take_ticket(bench, net.server, 'alice', net.server.factory, path,
                more=net.more('--purpose', 'conclave:create'))
    net.home.stop()
    for _ in range(2):
        refused(bench.ua(net.server, 'alice', 'create', keys=False,
                         more=['--ticket-file', path]), 503, 504)
    log = net.server.process.log()
    check('ALARM' not in log and 'gives no answer to ours' in log,
          f'the log says whose fault it is, found {log[-2000:]}')
