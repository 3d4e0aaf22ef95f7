# SPDX-License-Identifier: Apache-2.0
"""People who are brought in by others, and thrown out again: REFER, URI lists, diversion."""
import devconfig
from harness import Ua, check, mikey_arguments, test, wait_until

DIVERTED = '"diverted"'


class Network:
    """A server whose calls go through a proxy that it trusts, and people who can be called there."""

    def __init__(self, bench, policy=None, options=(), **more):
        self.bench = bench
        self.proxy = bench.proxy()
        uri = f'{self.proxy.uri()};lr'
        self.server = bench.server(policy=policy, options=[
            ('sip', 'trusted-peers', self.proxy.host), ('sip', 'outbound', uri), *options], **more)
        self.proxy.route(r'.*\.conf1|factory.*|lounge.*', ('udp', '127.0.0.1', self.server.sip_port))

    def phone(self, name, tone=None, hear=(), silent=(), more=(), keys=None, duration=None):
        """Somebody who waits for a call."""
        port = self.bench.ports.take()
        arguments = ['answer', '--listen', f'127.0.0.1:{port}', '--keymgmt', 'mikey',
                     *mikey_arguments(self.server, keys or name)]
        if keys is not None:
            arguments[arguments.index('--identity') + 1] = devconfig.identity(name)
        if tone is not None:
            arguments += ['--tone', str(tone)]
        for option, tones in (('--expect-hear', hear), ('--expect-silent', silent)):
            if tones:
                arguments += [option, ','.join(f'{hz}:{db}' for hz, db in tones)]
        if duration is not None:
            arguments += ['--duration', str(duration)]
        ua = Ua(self.bench, name, arguments + list(more), self.bench.folder)
        ua.wait('listening')
        self.proxy.route(name, ('udp', '127.0.0.1', port))
        return ua

    def create(self, name='alice', invite=('bob', 'carol'), more=(), **options):
        """Somebody who makes a conference, and its URI."""
        words = [word for who in invite for word in ('--invite', devconfig.identity(who))]
        ua = self.bench.ua(self.server, name, 'create', more=[*words, *more], **options)
        return ua, ua.wait('connected')['contact']


def refer(seconds, who):
    return ['--refer', f'{seconds}:{devconfig.identity(who)}']


@test('the creator has somebody called by REFER, and all hear each other')
def dial_out(bench):
    net = Network(bench)
    carol = net.phone('carol', tone=880, hear=[(440, -30)], silent=[(880, -45)])
    alice, uri = net.create(tone=440, hear=[(880, -30)], silent=[(440, -45)], duration=6,
                            more=refer(0.5, 'carol'))
    check(alice.ended() == 0, f'alice heard carol, {alice.why()}')
    check(carol.ended() == 0, f'carol heard alice, {carol.why()}')
