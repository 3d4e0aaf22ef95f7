# SPDX-License-Identifier: Apache-2.0
"""Softphones that the conference calls: SDES over TLS, and an S-CSCF that asserts who answers."""
import devconfig
from cases.calls import conference_of, policy_with
from cases.invited import HEARD, SILENT, ask, brought_in, invite, leave, outcome, satisfied
from harness import check, levels, test, wait_until
from kamailio import DOMAIN, Kamailio

POLICY = 'key-mgmt-allow=mikey-ticket;sdes\nauth=asserted\nsignalling=tls\n'


class Behind:
    """A server that calls through an S-CSCF over TLS, and alice in a conference of hers."""

    def __init__(self, bench, answers=None, lines='', **options):
        self.bench = bench
        self.scscf = Kamailio(bench, 'tls')
        self.scscf.answers = answers or {}
        self.server = bench.server(policy=policy_with(POLICY + lines), options=[
            ('sip', 'outbound', self.scscf.outbound())], prepare=self.scscf.trust)
        self.scscf.start(self.server)
        self.alice = bench.ua(self.server, 'alice', 'create', tls=True, more=[
            '--invite', devconfig.identity('bob'), '--invite', devconfig.identity('carol'),
            '--interactive', '--measure-from', '2'], **options)
        self.uri = conference_of(self.alice)

    def phone(self, name, hertz):
        """A softphone that is registered there."""
        phone = self.bench.baresip(self.server, name, hertz, account=(
            f'<sip:{name}@{DOMAIN};transport=udp>;outbound="{self.scscf.proxy()}";regint=600;'
            f'auth_user={name};auth_pass={self.scscf.password(self.server, name)};'
            'answermode=auto;mediaenc=srtp-mand;audio_codecs=PCMA'))
        wait_until(lambda: self.scscf.saw(f'REGISTERED <sip:{name}@'), f'{name} is registered')
        return phone

    def people(self):
        return sorted(self.server.roster(self.uri))

    def out(self, name, phone, *statuses):
        """He answers, and is not taken."""
        answer, told = outcome(self.alice, ask(self.alice, invite(name)))
        check(answer == 202 and told[-1] in statuses, f'{statuses}, found {answer}, {told}')
        phone.wait('CALL_CLOSED')
        check(self.people() == ['alice'], f'he is not in, found {self.people()}')
        leave(self.alice)
        phone.quit()


@test('a softphone with SDES is called over TLS, and its asserted identity lets it in')
def called(bench):
    net = Behind(bench, tone=440, hear=[(880, HEARD)], silent=[(440, SILENT)])
    phone = net.phone('bob', 880)
    brought_in(net.alice, 'bob')
    phone.wait('CALL_ESTABLISHED')
    row = wait_until(lambda: net.server.roster(net.uri).get('bob'), 'bob is in')
    check((row['keys'], row['proof']) == ('sdes', 'asserted'), f'by SDES, asserted, found {row}')
    phone.pump(4)
    satisfied(net.alice)
    phone.quit()
    found = levels(phone.recording(), (440, 880), skip=1, seconds=2.5)
    check(found[440] > HEARD and found[880] < SILENT, f'he heard alice alone, found {found}')


@test('R058: a softphone of which the network says nothing is not taken')
def unasserted(bench):
    net = Behind(bench, {'bob': 'nobody'})
    net.out('bob', net.phone('bob', 880), 403)


@test('R059 R060: a softphone that the network says is somebody else is not taken')
def another(bench):
    net = Behind(bench, {'bob': 'carol'})
    net.out('bob', net.phone('bob', 880), 403)


@test('R060: under diversion=allowed-set a softphone asserted as an outsider is not taken')
def outsider(bench):
    net = Behind(bench, {'bob': 'dave'}, 'diversion=allowed-set')
    net.out('bob', net.phone('bob', 880), 403)


@test('R060: under diversion=allowed-set a softphone asserted as a member is taken as that one')
def member(bench):
    net = Behind(bench, {'bob': 'carol'}, 'diversion=allowed-set')
    phone = net.phone('bob', 880)
    brought_in(net.alice, 'bob')
    wait_until(lambda: net.people() == ['alice', 'carol'], 'carol is in, and no bob')
    leave(net.alice)
    phone.quit()
