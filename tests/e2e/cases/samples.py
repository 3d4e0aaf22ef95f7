# SPDX-License-Identifier: Apache-2.0
"""The example policies of etc/policies: does a server with each of them do what their comments say?"""
import os
import re

import devconfig
import sip
from cases.attacks import CRYPTO, Dialog
from cases.calls import conference_of, hearing
from cases.doors import bye, waits
from cases.invited import ask, brought_in, invite, leave, outcome
from cases.refusals import refused
from harness import TOP, Ua, check, mikey_arguments, test, wait_until

identity = devconfig.identity
BUSINESS = 'sip:alice@acme.business.example.org'
# The samples are for these factories; the KMS has to know whose they are.
SERVICES = '\n'.join(f'[service {name}]\nuser={devconfig.SERVICE}\nhost=example.org\n'
                     for name in ('lab', 'board', 'business'))


class Sampled:
    """A server with a sample, over TLS, that calls whomever it calls at one port."""

    def __init__(self, bench, sample, change=lambda text: text, more_keys=lambda text: text):
        self.bench, self.port = bench, bench.ports.take()

        def prepare(server):
            text = server.read('kms-keys.conf').replace(f'host={devconfig.HOST}\n', 'host=example.org\n'
                                                        'factory=sip:mmtel@conf-factory.example.org\n')
            server.write('kms-keys.conf', f'{more_keys(text)}\n{SERVICES}', 0o600)
        with open(os.path.join(TOP, 'etc/policies', sample)) as policy:
            self.server = bench.server(policy=change(policy.read()), prepare=prepare, options=[
                ('sip', 'outbound', f'sip:127.0.0.1:{self.port};transport=tls;lr')])

    def create(self, factory, *people, name='alice', **options):
        more = [word for who in people for word in ('--invite', identity(who))]
        return self.bench.ua(self.server, name, 'create', f'sip:{factory}@example.org', tls=True,
                             more=[*more, '--interactive', *options.pop('more', ())], **options)

    def join(self, name, uri, **options):
        return self.bench.ua(self.server, name, 'join', uri, tls=True,
                             more=['--interactive', *options.pop('more', ())], **options)

    def joined(self, name, uri, **options):
        ua = self.join(name, uri, **options)
        ua.wait('connected')
        return ua

    def phone(self, name, keys='mikey', more=()):
        """Who answers the calls of the server."""
        server = self.server
        words = mikey_arguments(server, name) if keys == 'mikey' else ['--identity', identity(name)]
        ua = Ua(self.bench, name, [
            'answer', '--listen', f'127.0.0.1:{self.port}', '--transport', 'tls', '--cert',
            server.path('tls/agent.pem'), '--ca', server.path('tls/cafile.pem'), '--keymgmt', keys,
            *words, *more], self.bench.folder)
        ua.wait('listening')
        return ua

    def softphone(self, name, uri):
        """SDES over TLS, and a password."""
        dialog = Dialog(sip.Peer(self.server.tls_port, 'tls'), uri, name)
        answer = dialog.open(sip.sdp(CRYPTO % ('A' * 40)),
                             self.server.read(f'passwords/{name}').strip())
        dialog.contact = re.search(r'<(sip:[^;:>]+@[^;:>]+)', sip.header(answer, 'Contact')).group(1)
        return dialog

    def people(self, uri):
        return sorted(self.server.roster(uri))


@test('lab.conf: softphones and tickets meet, everybody of the lab may come and have others called')
def lab(bench):
    net = Sampled(bench, 'lab.conf')
    alice = net.softphone('alice', 'sip:factory.lab@example.org')
    uri = alice.contact
    bob = net.softphone('bob', uri)
    carol = net.joined('carol', uri)
    check(net.people(uri) == ['alice', 'bob', 'carol'], f'by password and ticket: {net.people(uri)}')
    dave = net.phone('dave', keys='sdes')
    bob.send('REFER', extra=f'Refer-To: <{identity("dave")}>\n')
    check(sip.status_of(bob.final()) == 202, 'a softphone may have somebody called')
    dave.wait('connected')
    wait_until(lambda: 'dave' in net.people(uri), 'whoever answers is taken for who was called')
    room = 'sip:room.lab@example.org'
    erin = net.softphone('erin', room)
    check(net.people(room) == ['erin'], 'the room is always there')
    clear = sip.invite(sip.Peer(net.server.sip_port, 'tcp'), room, sip.sdp(CRYPTO % ('A' * 40)),
                       user='bob', password=net.server.read('passwords/bob').strip())
    check(sip.status_of(clear) == 403, f'over TLS alone, found {clear}')
    for dialog in (alice, bob, erin):
        dialog.send('BYE')
    bye(carol)
    dave.hang_up()


@test('adhoc-service.conf: the ticket decides who comes, the policy who never; business guests wait')
def adhoc(bench):
    net = Sampled(bench, 'adhoc-service.conf', lambda text: text.replace(
        'members=sip:spam@example.net', f'members=sip:spam@example.net;{identity("dave")}'),
                  lambda text: text.replace(f'identities={identity("alice")}\n',
                                            f'identities={identity("alice")};{BUSINESS}\n'))
    alice = net.create('factory.conf1', 'bob', 'dave', tone=440)
    uri = conference_of(alice)
    bob = net.joined('bob', uri, **hearing(660, 440))
    refused(net.join('carol', uri), 403)
    refused(net.join('dave', uri), 403)
    second = net.create('factory.conf1', 'bob')
    second.wait('connected')
    refused(net.create('factory.conf1', 'bob'), 403)
    check(outcome(bob, ask(bob, invite('alice')))[0] == 403, 'a guest has nobody called')
    refused(net.create('factory.business', 'bob', name='bob'), 403)
    bob.say('sleep 1.5', 'bye')
    check(bob.ended() in (0, 3), f'bob hears alice and not himself: {bob.why()}')
    boss = bench.ua(net.server, 'alice', 'create', 'sip:factory.business@example.org', tls=True, more=[
        '--identity', BUSINESS, '--invite', identity('carol'), '--interactive'])
    boss.wait('connected')
    office = conference_of(boss)
    carol = waits(bench, net.server, 'carol', office, tls=True)
    net.server.ctl('admit', office, identity('carol'))
    carol.wait('connected')
    bye(carol, boss, second)
    leave(alice)


@test('board.conf: a chair has the board called, nobody dials in, nobody answers for a member')
def board(bench):
    net = Sampled(bench, 'board.conf')
    suite = ['--suite', 'AEAD_AES_256_GCM']
    refused(net.create('factory.board', 'alice', name='carol', more=suite), 403)
    refused(net.create('factory.board', 'bob'), 488)  # weaker keys
    alice = net.create('factory.board', 'bob', 'dave', tone=440, more=suite)
    uri = conference_of(alice)
    refused(net.join('bob', uri, more=suite), 403)
    found = outcome(alice, ask(alice, invite('dave')))
    check(found[1] and found[1][-1] == 403, f'who is not of the board is not called, found {found}')
    found = outcome(alice, ask(alice, invite('carol')))
    check(found[1][-1] in (403, 488), f'nor who is not in the ticket, found {found}')
    dave = net.phone('dave', more=suite)
    found = outcome(alice, ask(alice, invite('bob')))
    check(found[1][-1] != 200 and net.people(uri) == ['alice'],
          f'nobody answers for a member, found {found}')
    dave.hang_up()
    dave.ended()
    bob = net.phone('bob', more=suite)
    brought_in(alice, 'bob')
    check(net.server.roster(uri)['bob']['suite'] == 'AEAD_AES_256_GCM', 'with the strongest keys')
    leave(bob, alice)
