# SPDX-License-Identifier: Apache-2.0
"""People who are brought in by others: REFER to the focus, its calls, and what the referrer hears."""
import base64
import os
import re
import subprocess
import time
import uuid

import devconfig
import sip
from cases.calls import conference_of, policy_with
from harness import Ua, check, mikey_arguments, test, wait_until

HEARD, SILENT = -30, -45
SOFTPHONES = policy_with(
    'key-mgmt-allow=mikey-ticket;sdes\nauth=asserted\nsignalling=tls')


class Network:
    """A server whose calls go through a proxy that it trusts, and people who can be called there."""

    def __init__(self, bench, policy=None, options=(), **more):
        self.bench = bench
        self.proxy = bench.proxy()
        uri = f'{self.proxy.uri()};lr'
        self.server = bench.server(policy=policy, options=[
            ('sip', 'trusted-peers', self.proxy.host), ('sip', 'outbound', uri), *options], **more)
        self.proxy.route(r'.*\.conf1|factory.*|lounge.*', ('udp', '127.0.0.1', self.server.sip_port))

    # -- people --

    def phone(self, name, tone=None, hear=(), silent=(), more=(), keys=None, duration=None,
              routed=True):
        """Somebody who waits for a call; @keys: whose they are, if not his own."""
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
        ua.target = ('udp', '127.0.0.1', port)
        if routed:
            self.proxy.route(name, ua.target)
        return ua

    def create(self, name='alice', invite=('bob', 'carol'), more=(), **options):
        """Somebody who makes a conference and takes commands, and its URI."""
        words = [word for who in invite for word in ('--invite', devconfig.identity(who))]
        ua = self.bench.ua(self.server, name, 'create', more=[*words, '--interactive', *more],
                           **options)
        return ua, conference_of(ua)

    def join(self, name, uri, more=(), **options):
        ua = self.bench.ua(self.server, name, 'join', uri, more=['--interactive', *more], **options)
        ua.wait('connected')
        return ua

    def refer(self, name, uri, target, more=(), **options):
        """A REFER outside of any dialog: who sends it, and what came of it."""
        ua = self.bench.ua(self.server, name, 'refer', uri,
                           more=['--refer-to', target, *more], **options)
        ua.wait('referring')
        return ua, outcome(ua, 1)

    # -- what they find --

    def people(self, uri):
        return sorted(self.server.roster(uri))

    def until(self, uri, *names):
        """These and nobody else are in."""
        wait_until(lambda: self.people(uri) == sorted(names),
                   f'{names} are in', 15)
        return self.server.roster(uri)

    def calls(self, name):
        """The INVITEs with which the server has called him."""
        return self.proxy.find('INVITE', user=name, fits=lambda m: not m.in_dialog)

    def tickets_for(self, name):
        """What the KMS was asked for so that the server can call him."""
        return re.findall(rf'KMS: \w+ request of user \'conf1\' for \S+ -> '
                          rf'[^\n]*{devconfig.identity(name)}', self.server.process.log())

    def untouched(self, name):
        check(not self.calls(name), f'{name} is not called: {self.proxy.story()}')
        check(not self.tickets_for(name), f'and there is no ticket for {name}')


def ask(ua, command):
    """The number of its REFER."""
    ua.say(command)
    return ua.next('referring')['refer']


def outcome(ua, refer, seconds=20):
    """(answer, statuses of the NOTIFYs) of its REFER, as soon as nothing more comes."""
    end = time.monotonic() + seconds
    while True:
        mine = [e for e in ua.events if e.get('refer') == refer]
        answers = [e for e in mine if e['event'] == 'refer-answered']
        notices = [e for e in mine if e['event'] == 'notified']
        if answers and (not answers[0]['notifies'] or (notices and notices[-1]['last'])):
            check([n['last'] for n in notices[:-1]] == [False] * len(notices[:-1]),
                  f'only one NOTIFY is the last, found {notices}')
            return answers[0]['status'], [n['status'] for n in notices]
        check(ua.read(end - time.monotonic()) is not None,
              f'{ua.name} ended before the last NOTIFY: {ua.why()}')


def is_success(found):
    """Accepted, and brought in; a NOTIFY of ringing may have been overtaken by the last one."""
    return found[0] == 202 and found[1] in ([100, 180, 200], [100, 200])


def invite(name):
    return 'refer ' + devconfig.identity(name)


def brought_in(ua, name):
    """He has him called, and that works."""
    found = outcome(ua, ask(ua, invite(name)))
    check(found[0] == 202 and found[1][-1] == 200, f'{name} is brought in, found {found}')


def refused_to(ua, name, *statuses):
    """He asks, and it comes to nothing, with one of these statuses."""
    found = outcome(ua, ask(ua, invite(name)))
    check(found[1] and found[1][-1] in statuses or found[0] in statuses,
          f'it ends with {statuses}, found {found}')
    return found


def leave(*people):
    for ua in people:
        ua.hang_up()
    for ua in people:
        check(ua.ended() in (0, 3), f'{ua.name} ends well, found {ua.why()}')


def satisfied(*people):
    """They hang up, and what they heard is what they should have."""
    for ua in people:
        ua.hang_up()
    for ua in people:
        check(ua.ended() == 0, f'{ua.name} is content, found {ua.why()}')


def listened(*people):
    """Long enough for each to be judged."""
    time.sleep(2.5)
    satisfied(*people)


def messages_in(bench, text):
    """What conclave-ua makes of the MIKEY message in this SDP."""
    found = re.search(r'a=key-mgmt:mikey (\S+)', text)
    check(found, f'there is a MIKEY message: {text}')
    result = subprocess.run([bench.program('conclave-ua'), 'decode', found.group(1)],
                            stdout=subprocess.PIPE, text=True, timeout=20)
    return result.stdout


# ---- calls that the creator asks for ----

@test('R064 R111 R122: the creator has somebody called by REFER, and both hear each other')
def dial_out(bench):
    net = Network(bench)
    carol = net.phone('carol', tone=880, hear=[(440, HEARD)], silent=[(880, SILENT)],
                      more=['--answer-after', '1500'])
    alice, uri = net.create(tone=440, hear=[(880, HEARD)], silent=[(440, SILENT)],
                            more=['--measure-from', '3'])
    found = outcome(alice, ask(alice, invite('carol')))
    check(found == (202, [100, 180, 200]), f'the NOTIFYs tell how it goes, found {found}')
    row = net.until(uri, 'alice', 'carol')['carol']
    check((row['keys'], row['proof']) == ('mikey-ticket', 'ticket'), f'by ticket, found {row}')
    call = net.calls('carol')[0].message
    offer = call.body.decode()
    check(re.findall(r'(?m)^m=\w+ \d+ (\S+)', offer) == ['RTP/SAVP'], f'secured alone: {offer}')
    check('a=crypto' not in offer, 'and with keys by ticket alone')
    check(uri in call.get('contact') and 'isfocus' in call.get('contact'), call.get('contact'))
    check(uri in call.get('p-asserted-identity') and uri in call.get('from'), str(call.headers))
    check(not call.get('referred-by'), 'who asked is not told unless the policy says so')
    check('histinfo' in call.get('supported'), 'the network may say that it diverts')
    listened(alice, carol)


@test('R122: REFER works inside the dialog and outside, with MIKEY and with SDP, with and without NOTIFY')
def shapes(bench):
    net = Network(bench)
    alice, uri = net.create(invite=('bob', 'carol', 'dave', 'erin'))
    dialog = alice.wait('connected')['dialog']
    for name, more in (('bob', []), ('carol', ['--target-dialog', dialog]),
                       ('dave', ['--refer-body', 'sdp']), ('erin', ['--norefersub'])):
        phone = net.phone(name)
        ua, found = net.refer('alice', uri, devconfig.identity(name), more)
        check(found == (202, []) if name == 'erin' else is_success(found),
              f'{name} {more}: he is called, found {found}')
        check(ua.ended() == 0, f'the referrer is content, found {ua.why()}')
        phone.wait('connected')
    net.until(uri, 'alice', 'bob', 'carol', 'dave', 'erin')
    log = net.server.process.log()
    check(not ua.find('notified'), f'norefersub: no NOTIFY was sent, found {ua.events}')
    check(log.count('is called for sip:alice@example.org') == 4, 'one call each')
    net.server.ctl('end', uri)


@test('the referrer hears busy, not found, no answer and nobody there as what they are')
def outcomes(bench):
    net = Network(bench, policy=policy_with('dial-out-timeout=5s'))
    net.phone('bob', more=['--busy'])
    ringing = net.phone('carol', more=['--answer-after', '60000'])
    net.proxy.route('erin', ('udp', '127.0.0.1', bench.ports.take()))  # nobody there
    alice, uri = net.create(invite=('bob', 'carol', 'dave', 'erin'))
    asked = {name: ask(alice, invite(name)) for name in ('carol', 'erin', 'bob', 'dave')}
    for name, statuses in (('bob', [486]), ('dave', [404]), ('carol', [487, 408]),
                           ('erin', [487, 408])):
        answer, told = outcome(alice, asked[name])
        check(answer == 202 and told[0] == 100 and told[-1] in statuses,
              f'{name}: {statuses}, found {answer}, {told}')
    check(net.proxy.wait('CANCEL', user='carol'), f'CANCEL of what rings: {net.proxy.story()}')
    check(ringing.ended() in (0, 3), f'it stops ringing, found {ringing.why()}')
    check(net.people(uri) == ['alice'], 'nobody came')
    net.server.ctl('end', uri)


@test('somebody who was called hangs up, and is called again')
def again(bench):
    net = Network(bench)
    alice, uri = net.create()
    for _ in range(2):
        carol = net.phone('carol')
        brought_in(alice, 'carol')
        net.until(uri, 'alice', 'carol')
        satisfied(carol)
        net.until(uri, 'alice')
    check(len({s.message.call_id for s in net.calls('carol')}) == 2, 'by two calls')
    satisfied(alice)


@test('who is in already is not called again; the referrer hears that he is there')
def twice(bench):
    for rule, expected in (('accept', (202, [200])), ('reject', (403, []))):
        net = Network(bench, policy=policy_with(f'refer-duplicate={rule}'))
        carol = net.phone('carol')
        alice, uri = net.create()
        brought_in(alice, 'carol')
        found = outcome(alice, ask(alice, invite('carol')))
        check((found[0], found[1][-1:]) == expected, f'{rule}: {expected}, found {found}')
        check(len(net.calls('carol')) == 1, 'one call')
        alice.hang_up()
        satisfied(carol)


@test('two REFERs for the same person make one call, and both referrers hear of it')
def same_target(bench):
    net = Network(bench)
    carol = net.phone('carol', more=['--answer-after', '700'])
    alice, uri = net.create()
    first, second = ask(alice, invite('carol')), ask(alice, invite('carol'))
    for number in (first, second):
        found = outcome(alice, number)
        check(found[0] == 202 and found[1][-1] == 200, f'200 for both, found {found}')
    check(len(net.calls('carol')) == 1, f'one call: {net.proxy.story()}')
    satisfied(alice, carol)


@test('a call goes on when who asked for it has left the conference')
def orphan(bench):
    net = Network(bench)
    bob = net.phone('bob', more=['--answer-after', '1500'])
    alice, uri = net.create()
    carol = net.join('carol', uri)
    ask(alice, invite('bob'))
    bob.wait('invited')
    alice.hang_up()
    net.until(uri, 'carol')
    bob.wait('connected')
    net.until(uri, 'bob', 'carol')
    check(alice.ended() in (0, 1), f'she does not hear how it ended, found {alice.why()}')
    satisfied(bob, carol)


@test('Replaces goes into the call, Referred-By where the policy says so')
def passed_on(bench):
    for rule in ('yes', 'no'):
        net = Network(bench, policy=policy_with(f'pass-referred-by={rule}'))
        bob = net.phone('bob')
        alice, uri = net.create()
        dialog = 'abc%40192.0.2.1%3Bto-tag%3D1%3Bfrom-tag%3D2'
        _, found = net.refer('alice', uri, f'{devconfig.identity("bob")}?Replaces={dialog}')
        call = net.calls('bob')[0].message
        check(call.get('replaces') == 'abc@192.0.2.1;to-tag=1;from-tag=2',
              f'Replaces, found {call.headers}')
        check(bool(call.get('referred-by')) == (rule == 'yes'), f'Referred-By: {call.headers}')
        check(not call.get('referred-by') or 'alice@' in call.get('referred-by'), 'of alice')
        leave(alice)
        bob.hang_up()


@test('an answer in a reliable 183 is acknowledged by PRACK and lets him in')
def reliable(bench):
    net = Network(bench)
    carol = net.phone('carol', tone=880, hear=[(440, HEARD)], more=['--reliable',
                                                                   '--answer-after', '300'])
    alice, uri = net.create(tone=440, hear=[(880, HEARD)], more=['--measure-from', '1'])
    brought_in(alice, 'carol')
    check(net.proxy.find('PRACK'), f'PRACK: {net.proxy.story()}')
    check(net.proxy.find('INVITE', status=183), 'of a 183')
    net.until(uri, 'alice', 'carol')
    listened(alice, carol)


@test('requests and answers that are lost on the way are sent again, and he is in once')
def lost(bench):
    net = Network(bench)
    net.proxy.when('INVITE', status=200).drop(times=1)
    net.proxy.when('ACK').drop(times=1)
    carol = net.phone('carol')
    alice, uri = net.create()
    brought_in(alice, 'carol')
    wait_until(lambda: len(net.proxy.find('ACK')) >= 2, 'a 200 that is repeated gets its ACK again')
    check(len(net.server.ctl('show', uri)['participants']) == 2, 'he is in once')
    satisfied(alice, carol)


@test('a 302 is no way to somebody else: nobody is called, and the referrer hears 302')
def redirected(bench):
    net = Network(bench)
    net.phone('carol')
    net.proxy.when('INVITE', user='bob').answer(
        302, lambda m: m.add('Contact', f'<{devconfig.identity("carol")}>'))
    alice, uri = net.create()
    found = outcome(alice, ask(alice, invite('bob')))
    check(found[0] == 202 and 300 <= found[1][-1] < 500, f'302, found {found}')
    net.untouched('carol')
    leave(alice)


@test('an answer that crosses our CANCEL gets ACK and BYE')
def crossing(bench):
    net = Network(bench)
    net.proxy.when('CANCEL').drop()
    bob = net.phone('bob', tone=880, more=['--answer-after', '1500'])
    alice, uri = net.create()
    calling = ask(alice, invite('bob'))
    bob.wait('invited')
    check(outcome(alice, ask(alice, 'remove ' + devconfig.identity('bob')))[1][-1] == 200, 'out')
    check(outcome(alice, calling)[1][-1] == 487, 'the call is given up')
    check(bob.wait('ended')['cause'] == 'bye', f'he answers, and gets a BYE: {bob.why()}')
    check(net.proxy.find('ACK'), f'after an ACK: {net.proxy.story()}')
    check(net.people(uri) == ['alice'], 'he was never in')
    bob.ended()
    check(bob.find('report')[0]['received'] == 0, f'and was sent nothing, found {bob.why()}')
    leave(alice)


@test('R057: into a conference that nobody can dial into people come by REFER of the creator alone')
def dial_out_only(bench):
    net = Network(bench, policy=policy_with('dial-in=no'))
    bob, carol = net.phone('bob'), net.phone('carol')
    alice, uri = net.create()
    dialled = bench.ua(net.server, 'bob', 'join', uri)
    check(dialled.ended() == 3 and dialled.find('refused')[0]['status'] == 403,
          f'bob cannot dial in, found {dialled.why()}')
    for name in ('bob', 'carol'):
        brought_in(alice, name)
    net.until(uri, 'alice', 'bob', 'carol')
    satisfied(alice, bob, carol)


# ---- who may not ----

def held_refer(bench, net, uri, meanwhile):
    """A REFER of alice that waits on its way, with its ticket in it, until @meanwhile is done."""
    net.proxy.when('REFER').delay(1, times=1)
    ua = bench.ua(net.server, 'alice', 'refer', uri, more=[
        '--refer-to', devconfig.identity('carol'), '--proxy', net.proxy.uri()])
    check(net.proxy.wait('REFER'), f'the REFER is on its way: {ua.why()}')
    meanwhile()
    return ua


@test('R102 R103: nobody is called and no ticket fetched before the ticket of the REFER is resolved')
def nothing_before(bench):
    net = Network(bench, own_kms=True, options=[('kms', 'timeout', '20s')])
    carol = net.phone('carol')
    alice, uri = net.create()
    ua = held_refer(bench, net, uri, net.server.kms.freeze)
    check(ua.wait('notified')['status'] == 100, 'the REFER is accepted')
    wait_until(lambda: net.server.ctl('status')['kms-outstanding'] == 1, 'the KMS is asked')
    time.sleep(0.5)
    check(not net.calls('carol'), f'nobody is called while it is silent: {net.proxy.story()}')
    check(net.server.ctl('status')['kms-outstanding'] == 1, 'for nothing but that')
    net.server.kms.thaw()
    check(is_success(outcome(ua, 1)), f'then he is, found {ua.why()}')
    lines = re.findall(r'(\w+) granted: (\S+) -> .* identity=conf1', net.server.kms.process.log())
    check(lines[-2:] == [('resolve', devconfig.identity('alice')), ('request', uri)],
          f'first her ticket is resolved, then one for carol is fetched, found {lines}')
    satisfied(alice, carol)


@test('R102 R109 R124: a REFER with a forged, stolen, other or no ticket calls nobody')
def bad_tickets(bench):
    """What is wrong without the KMS is the answer itself, as 5.5 step 2 comes before the 202 of step 3."""
    net = Network(bench)
    net.phone('carol')
    alice, uri = net.create()
    target = devconfig.identity('carol')
    for more, at_once, later in (
            (['--refer-body', 'none'], 403, None),
            (['--forge', 'bad-mac'], 202, 488),
            (['--forge', 'bad-vi'], 202, 488),
            (['--forge', 'expired'], 488, None),
            (['--for', uri], 202, 488),
            (['--for', uri, '--for', devconfig.identity('bob')], 202, 488),
            (['--for', uri, '--for', target, '--for', devconfig.identity('bob')], 488, None),
            (['--for', target], 488, None),
            (['--purpose', 'join'], 488, None)):
        ua, (answer, told) = net.refer('alice', uri, target, more)
        check((answer, told[-1] if told else None) == (at_once, later),
              f'{more}: {at_once}, then {later}, found {answer}, {told}')
        check(ua.ended() == 3, f'{more}: the referrer hears no, found {ua.why()}')
    net.untouched('carol')
    check(net.people(uri) == ['alice'], 'nobody came')
    brought_in(alice, 'carol')
    satisfied(alice)


@test('R056 R124: who is outside may have nobody called, and nobody outside is called')
def not_allowed(bench):
    net = Network(bench)
    for name in ('bob', 'dave'):
        net.phone(name)
    alice, uri = net.create()
    carol = net.join('carol', uri)
    found = refused_to(alice, 'dave', 403)
    check(found == (202, [100, 403]), f'dave is outside: 403 when she is proven, found {found}')
    refused_to(carol, 'bob', 403)
    for name in ('carol', 'dave', 'erin'):
        ua, (answer, told) = net.refer(name, uri, devconfig.identity('bob'))
        check((told[-1] if told else answer) == 403, f'{name}: 403, found {answer}, {told}')
    for name in ('bob', 'dave'):
        net.untouched(name)
    leave(alice, carol)


@test('a REFER to the conference itself, to another one, or to a factory goes round no circle')
def loops(bench):
    net = Network(bench, policy=policy_with('create-max-per-user=3\nticket-wildcards=yes'))
    alice, uri = net.create()
    other, there = net.create()
    before = net.server.ctl('status')['sip-dialogs']
    for target in (uri, there, net.server.factory, net.server.lounge):
        ua, (answer, told) = net.refer('alice', uri, target)
        check(answer == 403 and not told, f'{target}: 403, found {answer}, {told}')
    log = net.server.process.log()
    check(log.count('refused: loop') == 3 and log.count('refused: focus') == 1,
          f'each for what it is: {re.findall("refused: [a-z]+", log)}')
    check(not net.proxy.find('INVITE'), f'nothing was sent: {net.proxy.story()}')
    check(net.server.ctl('status')['sip-dialogs'] == before, 'no dialog is left')
    satisfied(alice, other)


class Attacker:
    """Somebody who sends REFERs by hand and answers what they bring."""

    def __init__(self, server, uri, target):
        self.peer, self.uri, self.target = sip.Peer(server.sip_port), uri, target
        self.answered = {}

    def refer(self, body, kind='application/mikey', extra=''):
        coding = 'Content-Transfer-Encoding: base64\n' if kind == 'application/mikey' else ''
        call = uuid.uuid4().hex
        self.peer.send(sip.request(self.peer, 'REFER', self.uri, call, extra=(
            f'Refer-To: <{self.target}>\nContent-Type: {kind}\n{coding}{extra}')), body)
        self.listen(call)

    def listen(self, call, seconds=5):
        """Until this REFER has its answer."""
        while True:
            message = self.peer.receive(seconds)
            check(message is not None, f'a REFER is answered, so far {self.answered}')
            status = sip.status_of(message)
            if status == 0:
                self._agree(message)
            elif sip.header(message, 'Call-ID') == call and status >= 200:
                self.answered[status] = self.answered.get(status, 0) + 1
                return

    def _agree(self, notify):
        names = ('Via', 'From', 'To', 'Call-ID', 'CSeq')
        head = ''.join(f'{name}: {sip.header(notify, name)}\n' for name in names)
        self.peer.send('SIP/2.0 200 OK\n' + head)


def spoiled(body):
    """The same ticket in a message with another CSB ID and MAC: no replay, and no better."""
    octets = base64.b64decode(body)
    return base64.b64encode(octets[:4] + os.urandom(4) + octets[8:-8] + os.urandom(8))


@test('R123: a thousand bad REFERs cause no call and bounded work for the KMS, and disturb nobody')
def flood(bench):
    net = Network(bench, own_kms=True, options=[('kms', 'timeout', '20s')])
    carol = net.phone('carol')
    alice, uri = net.create(tone=440, hear=[(660, HEARD)], silent=[(440, SILENT)],
                            more=['--measure-from', '1.5'])
    bob = net.join('bob', uri, tone=660, hear=[(440, HEARD)], silent=[(660, SILENT)])
    net.refer('alice', uri, devconfig.identity('dave'), ['--proxy', net.proxy.uri()])
    real = net.proxy.find('REFER')[0].message.body
    asked = net.server.ctl('status')['kms-requests']
    attacker = Attacker(net.server, uri, devconfig.identity('carol'))
    net.server.kms.freeze()
    for number in range(1000):
        attacker.refer((spoiled(real), base64.b64encode(os.urandom(300)), spoiled(real),
                        b'!' * 400, real[:len(real) // 8 * 4])[number % 5])
    status = net.server.ctl('status')
    check(status['kms-requests'] - asked <= 16 and status['kms-outstanding'] <= 16,
          f'the KMS was asked for 16 at most, found {status}, {attacker.answered}')
    check(status['kms-outstanding'] > 0, f'and for some, found {status}')
    # 3.5, 5.5: what the KMS is not asked for is refused at once, and costs no NOTIFY
    check(attacker.answered.get(202, 0) <= 16 and attacker.answered.get(503, 0) > 300 and
          attacker.answered.get(488, 0) >= 200, f'few 202, found {attacker.answered}')
    net.untouched('carol')
    net.server.kms.thaw()
    wait_until(lambda: net.server.ctl('status')['kms-outstanding'] == 0, 'the KMS has answered')
    net.untouched('carol')
    brought_in(alice, 'carol')
    listened(alice, bob)
    for ua in (alice, bob):
        report = ua.find('report')[0]
        check(report['lost'] == 0 and report['longest_gap_ms'] < 200,
              f'{ua.name} noticed nothing, found {report}')
    leave(carol)


@test('who names a dialog in his REFER has proven nothing, and asks the KMS no more than other strangers')
def named_dialog(bench):
    net = Network(bench, own_kms=True, options=[('kms', 'timeout', '20s'),
                                                ('kms', 'per-conference', 4)])
    alice, uri = net.create(invite=('bob', 'carol'))
    dialog = alice.wait('connected')['dialog']
    net.refer('dave', uri, devconfig.identity('carol'), ['--proxy', net.proxy.uri()])
    real = net.proxy.find('REFER')[0].message.body
    attacker = Attacker(net.server, uri, devconfig.identity('carol'))
    net.server.kms.freeze()
    for _ in range(2):
        attacker.refer(spoiled(real), extra=f'Target-Dialog: {dialog}\n')
    check(attacker.answered == {202: 1, 503: 1}, f'one is asked about, found {attacker.answered}')
    net.server.kms.thaw()
    leave(alice)


# ---- phones of others ----

@test('R034: a conference that demands TLS calls nobody over a hop in the clear, however trusted')
def no_call_in_the_clear(bench):
    net = Network(bench, policy=SOFTPHONES)
    net.phone('bob')
    alice, _ = net.create(tls=True)
    answer, told = outcome(alice, ask(alice, invite('bob')))
    check((answer, told[-1]) == (202, 403), f'the referrer hears 403, found {answer}, {told}')
    check(not net.calls('bob'), 'and nobody was called')
    leave(alice)


@test('R046: a phone of another make that answers with keys of another kind gets ACK and BYE')
def other_keys(bench):
    net = Network(bench)
    phone = bench.sipp('uas_participant', user='bob')
    net.proxy.route('bob', ('udp', '127.0.0.1', phone.port))
    alice, uri = net.create()
    found = outcome(alice, ask(alice, invite('bob')))
    check(found[0] == 202 and found[1][-1] == 488, f'488, found {found}')
    phone.good(20)
    bye = net.proxy.find('BYE')
    check(bye and 'cause=488' in bye[0].message.get('reason'), f'with a Reason: {net.proxy.story()}')
    check(net.people(uri) == ['alice'], 'nobody came')
    leave(alice)


@test('R046: an answer that is no SDP, or one of another offer, gets ACK and BYE')
def garbage(bench):
    def body(text):
        def edit(message):
            message.body = text
        return edit
    wrong = sip.sdp('m=video 40000 RTP/SAVP 96\r\nm=audio 40002 RTP/SAVP 8\r\n')
    plain = sip.sdp('m=audio 40000 RTP/AVP 8\r\n')
    refused_line = sip.sdp('m=audio 0 RTP/SAVP 8\r\n')
    for text in (b'', b'v=1\r\n', os.urandom(200), wrong, plain, refused_line):
        net = Network(bench)
        net.proxy.when('INVITE', status=200).edit(body(text))
        bob = net.phone('bob')
        alice, uri = net.create()
        found = outcome(alice, ask(alice, invite('bob')))
        check(found[0] == 202 and found[1][-1] >= 400, f'{text[:60]}: refused, found {found}')
        check(bob.wait('ended')['cause'] == 'bye', f'he gets a BYE, found {bob.why()}')
        check(net.proxy.find('ACK'), f'and an ACK: {net.proxy.story()}')
        check(net.people(uri) == ['alice'], 'nobody came')
        leave(alice)
        bob.ended()


# ---- the KMS ----

@test('with the KMS down the referrer hears 503 or 504, and the conference goes on')
def kms_down(bench):
    net = Network(bench, own_kms=True, options=[('kms', 'timeout', '1s')])
    carol = net.phone('carol')
    alice, uri = net.create()
    ua = held_refer(bench, net, uri, net.server.kms.stop)
    answer, told = outcome(ua, 1)
    check(answer == 202 and told[-1] in (503, 504), f'503 or 504, found {answer}, {told}')
    check(not net.calls('carol'), 'nobody is called')
    net.server.kms.start()
    wait_until(lambda: outcome(alice, ask(alice, invite('carol')))[1][-1] == 200,
               'it works when the KMS is back', 20, 1)
    net.until(uri, 'alice', 'carol')
    leave(alice, carol)


@test('with the KMS down between the two tickets the referrer hears 503 or 504')
def kms_down_later(bench):
    net = Network(bench, own_kms=True, options=[('kms', 'timeout', '1s')],
                  policy=policy_with('dial-out-parallel=1'))
    bob = net.phone('bob', more=['--answer-after', '60000'])
    net.phone('carol')
    alice, uri = net.create()
    first = ask(alice, invite('bob'))
    check(net.proxy.wait(status=180), 'bob rings, and everybody else must wait')
    second = ask(alice, invite('carol'))
    wait_until(lambda: f'REFER of {devconfig.identity("alice")} to invite '
               f'{devconfig.identity("carol")} allowed' in net.server.process.log(),
               'her second ticket is resolved')
    net.server.kms.stop()
    bob.hang_up()
    check(outcome(alice, first)[1][-1] >= 400, 'bob does not want')
    told = outcome(alice, second)[1]
    check(told[-1] in (503, 504), f'503 or 504, found {told}')
    net.untouched('carol')
    net.server.ctl('end', uri)
