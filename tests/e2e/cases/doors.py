# SPDX-License-Identifier: Apache-2.0
"""Who may come in now, and for how long: lobby, lock, PIN, places, dates, ends (policy model 3.2, 3.6)."""
import base64
import hashlib
import os
import re
import time

import devconfig
import sip
from cases.calls import HEARD, SILENT, conference_of, hearing, policy_with
from cases.invited import Network
from cases.refusals import refused
from harness import check, test, wait_until

identity = devconfig.identity
KNOCK_HZ = 700


def create(bench, server, *people, more=(), tone=440, **options):
    """A conference of alice, who takes commands, and its URI."""
    words = [word for name in people for word in ('--invite', identity(name))]
    alice = bench.ua(server, 'alice', 'create', tone=tone, more=[*words, *more, '--interactive'],
                     **options)
    return alice, conference_of(alice)


def waits(bench, server, name, uri, **options):
    """Somebody who has been told to wait."""
    ua = bench.ua(server, name, 'join', uri, more=['--interactive', '--answer-timeout', '50'],
                  **options)
    told = ua.wait('progress')
    check(told['status'] == 182 and not told['sdp'], f'{name} waits, found {told}')
    check(server.roster(uri)[name]['state'] == 'lobby', f'in the lobby: {server.roster(uri)}')
    return ua


def bye(*people):
    for ua in people:
        ua.say('bye')
        check(ua.ended() == 0, f'{ua.name} is content: {ua.why()}')


def loudest(ua, hertz, seconds=1.0):
    """The loudest that this tone gets from now on."""
    ua.say('reset', f'sleep {seconds}', 'stats')
    levels = {level['hz']: level['max_db'] for level in ua.next('stats')['levels']}
    return levels[hertz]


def knocked(ua):
    """The knock has come since the last reset. "You are the first one here" is below -37 dB at its tone."""
    def heard():
        ua.say('stats')
        return any(level['hz'] == KNOCK_HZ and level['max_db'] > -33
                   for level in ua.next('stats')['levels'])
    wait_until(heard, f'{ua.name} hears a knock')


# ---- lobby ----

@test('in a lobby people wait with 182 and without sound until conclavectl, a key or a REFER lets them in')
def lobby(bench):
    server = bench.server(policy=policy_with('lobby=yes\nlobby-timeout=10s'))
    people = ('bob', 'carol', 'dave', 'erin')
    alice, uri = create(bench, server, *people, more=['--listen-for', str(KNOCK_HZ)])
    alice.say('reset')
    erin = waits(bench, server, 'erin', uri)
    knocked(alice)
    asked = time.monotonic()
    bob = waits(bench, server, 'bob', uri, **hearing(660, 440))
    server.ctl('admit', uri, identity('bob'))
    bob.wait('connected')
    carol = waits(bench, server, 'carol', uri)
    alice.say(f'refer {identity("carol")}')
    carol.wait('connected')
    alice.say('dtmf *2')  # erin has waited longest
    refused(erin, 480)
    check(time.monotonic() - asked < 10, 'turned away, not timed out')
    dave = waits(bench, server, 'dave', uri)
    dave_waits = time.monotonic()
    erin = waits(bench, server, 'erin', uri)
    bob.say('dtmf *1')  # nobody listens to him
    check(server.roster(uri)['dave']['state'] == 'lobby', 'keys of guests open nothing')
    alice.say('dtmf *1')
    dave.wait('connected')
    check(server.roster(uri)['erin']['state'] == 'lobby', 'one key lets in one')
    refused(erin, 480)
    check(9 < time.monotonic() - dave_waits < 25, 'after the time that the policy gives')
    bye(carol, dave, bob, alice)


@test('join-before-creator=no: 480 with Retry-After until the creator is in')
def before_creator(bench):
    server = bench.server(policy=policy_with('join-before-creator=no'))
    alice, uri = create(bench, server, 'bob', more=['--no-media'], tone=None)
    event = refused(bench.ua(server, 'bob', 'join', uri), 480)
    check(event.get('retry_after', 0) > 0, f'with a Retry-After, found {event}')
    second = bench.ua(server, 'alice', 'join', uri, tone=440, more=['--interactive'])
    second.wait('connected')
    bob = bench.ua(server, 'bob', 'join', uri, duration=2, **hearing(660, 440))
    check(bob.ended() == 0, f'bob is in: {bob.why()}')
    bye(second, alice)


@test('join-before-creator=no with a lobby: people wait there, the creator hears so and lets them in')
def lobby_before_creator(bench):
    server = bench.server(policy=policy_with('lobby=yes\njoin-before-creator=no'))
    alice, uri = create(bench, server, 'bob', 'carol', more=['--no-media'], tone=None)
    bob = waits(bench, server, 'bob', uri, **hearing(660, 440))
    carol = waits(bench, server, 'carol', uri)
    server.ctl('admit', uri, identity('carol'))
    carol.wait('connected')
    bye(carol)
    second = bench.ua(server, 'alice', 'join', uri, tone=440,
                      more=['--interactive', '--listen-for', str(KNOCK_HZ), '--measure-from', '0'])
    second.wait('connected')
    second.say('sleep 1', 'stats')
    check(second.next('stats')['levels'][0]['max_db'] > -35, 'she is told that somebody waits')
    second.say('dtmf *1')
    bob.wait('connected')
    bob.say('sleep 2')
    bye(bob, second, alice)


# ---- lock ----

@test('a locked conference lets nobody new in either way: by key, by conclavectl, while a phone rings')
def lock(bench):
    net = Network(bench)
    server = net.server
    dave = net.phone('dave', more=['--answer-after', '60000'])
    alice, uri = create(bench, server, 'bob', 'carol', 'dave')
    bob = bench.ua(server, 'bob', 'join', uri, more=['--interactive'])
    bob.wait('connected')
    alice.say(f'refer {identity("dave")}')
    check(net.proxy.wait(user='dave', status=180), 'the phone of dave rings')
    alice.say('dtmf *7')
    check(net.proxy.wait('CANCEL', user='dave'), 'and stops at the lock')
    refused(bench.ua(server, 'carol', 'join', uri), 403)
    again = bench.ua(server, 'bob', 'join', uri, duration=0.3)
    check(again.ended() == 0, f'bob is in already, at two phones as well: {again.why()}')
    alice.say(f'refer {identity("carol")}')
    wait_until(lambda: alice.read(5) and [e for e in alice.find('notified') if e['refer'] == 2
                                          and e['last']], 'the outcome of the REFER')
    last = [e for e in alice.find('notified') if e['refer'] == 2][-1]
    check(last['status'] == 403 and not net.proxy.find('INVITE', user='carol'),
          f'nobody new is called: {last}')
    bob.say('dtmf *7')
    alice.say('dtmf *7')
    wait_until(lambda: 'conference unlocked by sip:alice@' in server.process.log(), 'unlocked')
    check(server.process.log().count('conference unlocked') == 1, 'by alice, not by bob')
    carol = bench.ua(server, 'carol', 'join', uri, more=['--interactive'])
    carol.wait('connected')
    bye(carol)
    server.ctl('lock', uri)
    refused(bench.ua(server, 'carol', 'join', uri), 403)
    server.ctl('unlock', uri)
    carol = bench.ua(server, 'carol', 'join', uri, more=['--interactive'])
    carol.wait('connected')
    bye(carol, bob)
    alice.say('bye')
    alice.ended()
    dave.ended()


# ---- PIN ----

def pin_lines(digits, more=''):
    salt = os.urandom(16)
    key = hashlib.pbkdf2_hmac('sha256', digits.encode(), salt, 100000)
    words = [base64.b64encode(part).decode() for part in (salt, key)]
    return f'pin=additional\npin-hash=pbkdf2-sha256$100000${words[0]}${words[1]}\n{more}'


def private(server):
    """A policy with a PIN's hash is nobody's business."""
    os.chmod(server.path('policy.conf'), 0o640)


@test('with a PIN everybody, the creator too, hears prompts alone and is not heard until it is right')
def pin(bench):
    digits = '918273645'
    bench.secrets.add(digits)
    server = bench.server(policy=policy_with(pin_lines(digits, 'pin-tries=3\npin-timeout=8s')),
                          prepare=private)
    listening = ['--listen-for', '440,660']
    alice, uri = create(bench, server, 'bob', 'carol', 'dave', more=listening)
    check(server.roster(uri)['alice']['state'] == 'pin', f'{server.roster(uri)}')
    alice.say(f'dtmf {digits}#')
    wait_until(lambda: server.roster(uri)['alice']['state'] == 'connected', 'alice is in')
    bob = bench.ua(server, 'bob', 'join', uri, tone=660, more=['--interactive', *listening])
    carol = bench.ua(server, 'carol', 'join', uri, more=['--interactive'])
    asked = time.monotonic()
    bob.wait('connected')
    carol.wait('connected')
    bob.say('sleep 1', 'stats')
    stats = bob.next('stats')
    check(stats['total_db'] > -45, f'bob hears the prompt: {stats}')
    wait_until(lambda: loudest(bob, 440, 0.5) < SILENT, 'and then nothing, and not alice', 5)
    check(loudest(alice, 660) < SILENT, 'nor does she hear him')
    for times in (1, 2):
        bob.say('dtmf 11#')
        wait_until(lambda n=times: server.process.log().count('bob@example.org gave a wrong PIN')
                   == n, f'{times} wrong')
    bob.say('sleep 0.5', 'reset', 'sleep 1', 'stats')
    check(bob.next('stats')['total_db'] > -45, 'he is told so')
    bob.say('dtmf 0#')
    end = bob.wait('ended')
    check('403' in end['reason'] and 'PIN' in end['reason'], f'the third ends the call: {end}')
    end = carol.wait('ended')
    check('403' in end['reason'] and 7 < time.monotonic() - asked < 40, f'no PIN in time: {end}')
    refused(bench.ua(server, 'bob', 'join', uri), 403)
    check('pin-tries' in server.process.log(), 'he has no tries left in another call')
    dave = bench.ua(server, 'dave', 'join', uri, **hearing(660, 440),
                    more=['--interactive', '--measure-from', '4'])
    dave.wait('connected')
    dave.say(f'dtmf 5*{digits}#')
    wait_until(lambda: server.roster(uri)['dave']['state'] == 'connected', 'dave is in')
    check(loudest(alice, 660) > HEARD, 'alice hears him')
    dave.say('sleep 3.5')
    bye(dave, alice)


@test('a creator without media who adds them in the same dialog is asked for the PIN, too')
def pin_for_added_media(bench):
    from cases.clauses import SOFTPHONE_FACTORY, Call, media
    server = bench.server(policy=policy_with(f'{SOFTPHONE_FACTORY}\n{pin_lines("1234")}'),
                          prepare=private)
    call = Call(server, server.factory)
    made = call.offer(sip.sdp(''))
    check(sip.status_of(made) == 200, f'a control dialog, found {made}')
    call.uri = re.search(r'<([^>]+)>', sip.header(made, 'Contact')).group(1)
    uri = re.sub(r'^(sip:[^;:]+@[^;:]+).*', r'\1', call.uri)
    check(server.roster(uri)['alice']['state'] == 'connected', 'without media there is no PIN')
    check(sip.status_of(call.offer(media())) == 200, 'the media are taken')
    wait_until(lambda: server.roster(uri)['alice']['state'] == 'pin', 'and the PIN is wanted')
    call.hang_up()


# ---- places ----

def live(lines):
    """A policy that running conferences follow in everything that can be followed."""
    return policy_with(lines).replace('[policy]\n', '[policy]\nreload-running=all\n')


@test('one user too many and one phone too many get 486, or 480 where the policy says so')
def places(bench):
    lines = 'max-participants=2\nmax-endpoints-per-user=1'
    server = bench.server(policy=live(lines))
    alice, uri = create(bench, server, 'bob', 'carol')
    bob = bench.ua(server, 'bob', 'join', uri, more=['--interactive'])
    bob.wait('connected')
    refused(bench.ua(server, 'carol', 'join', uri), 486)
    refused(bench.ua(server, 'bob', 'join', uri), 486)
    server.write('policy.conf', live(lines + '\nfull-status=480'))
    server.ctl('reload')
    refused(bench.ua(server, 'carol', 'join', uri), 480)
    bye(bob)
    carol = bench.ua(server, 'carol', 'join', uri, more=['--interactive'])
    carol.wait('connected')
    bye(carol, alice)


# ---- ends ----

def over(server, uri, *people):
    for ua in people:
        end = ua.wait('ended')
        check('conference ended' in (end.get('reason') or ''), f'{ua.name} is told: {end}')
    wait_until(lambda: all(row['uri'] != uri for row in server.conferences()), 'it is gone')


def not_found(bench, server, uri):
    refused(bench.ua(server, 'bob', 'join', uri), 404)


@test('a minute before max-duration everybody is told, and then it ends; a reload may shorten it')
def duration(bench):
    server = bench.server(policy=policy_with('max-duration=64s'))
    alice, uri = create(bench, server, 'bob', tone=None)
    bob = bench.ua(server, 'bob', 'join', uri, more=['--interactive'])
    bob.wait('connected')
    bob.say('reset', 'sleep 1', 'stats')
    check(bob.next('stats')['total_db'] < -50, 'silence before')
    bob.say('sleep 2.5', 'reset', 'sleep 1', 'stats')
    check(bob.next('stats')['total_db'] > -45, 'the warning is heard')
    server.write('policy.conf', policy_with('max-duration=6s'))
    server.ctl('reload')
    over(server, uri, alice, bob)
    not_found(bench, server, uri)


@test('a conference to which nobody comes ends after first-join-timeout, an empty one after empty-timeout')
def emptiness(bench):
    server = bench.server(policy=policy_with('first-join-timeout=2s\nempty-timeout=2s'))
    alice, uri = create(bench, server, 'bob', more=['--no-media'], tone=None)
    over(server, uri, alice)
    alice, uri = create(bench, server, 'bob')
    bye(alice)
    bob = bench.ua(server, 'bob', 'join', uri, more=['--interactive'])
    bob.wait('connected')
    bye(bob)
    wait_until(lambda: all(row['uri'] != uri for row in server.conferences()), 'it is gone')
    not_found(bench, server, uri)


@test('end-on-expiry=yes: the conference ends with the ticket that made it')
def expiry(bench):
    server = bench.server(policy=policy_with('end-on-expiry=yes'))
    alice, uri = create(bench, server, 'bob', more=['--valid-for', '5'])
    bob = bench.ua(server, 'bob', 'join', uri, more=['--valid-for', '600'])
    bob.wait('connected')
    over(server, uri, alice, bob)
    ends = alice.find('connected')[0]['ticket_ends']
    check(0 <= time.time() - ends < 15, f'when the ticket ends and not before: {ends}')


@test('end-when-creator-leaves=yes: the others are told, and it ends')
def creator_leaves(bench):
    server = bench.server(policy=policy_with('end-when-creator-leaves=yes\ncreator-grace=1s'))
    alice, uri = create(bench, server, 'bob')
    bob = bench.ua(server, 'bob', 'join', uri)
    bob.wait('connected')
    bye(alice)
    alice = bench.ua(server, 'alice', 'join', uri, more=['--interactive'])
    alice.wait('connected')
    time.sleep(1.2)
    check(sorted(server.roster(uri)) == ['alice', 'bob'], 'she was back in time')
    bye(alice)
    over(server, uri, bob)
    not_found(bench, server, uri)


@test('before not-before there is 480 with Retry-After, from not-after on 404, and it ends')
def dates(bench):
    def stamp(seconds):
        return time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(time.time() + seconds))
    server = bench.server(policy=policy_with(f'not-before={stamp(600)}'))
    ua = bench.ua(server, 'alice', 'create', more=['--invite', identity('bob')])
    event = refused(ua, 480)
    check(1 < event.get('retry_after', 0) <= 600, f'with a Retry-After, found {event}')
    server.write('policy.conf', policy_with(f'not-before={stamp(-60)}\nnot-after={stamp(4)}'))
    server.ctl('reload')
    alice, uri = create(bench, server, 'bob')
    over(server, uri, alice)
    refused(bench.ua(server, 'alice', 'create', more=['--invite', identity('bob')]), 404)


@test('who was removed by the operator stays out until a new ticket of the creator names him')
def ban(bench):
    server = bench.server()
    alice, uri = create(bench, server, 'bob', 'carol')
    bob = bench.ua(server, 'bob', 'join', uri)
    bob.wait('connected')
    server.ctl('kick', uri, identity('bob'))
    check('403' in bob.wait('ended')['reason'], 'bob is removed')
    refused(bench.ua(server, 'bob', 'join', uri), 403)
    alice.say(f'allow {identity("bob")}')
    alice.wait('keys-changed')
    bob = bench.ua(server, 'bob', 'join', uri, duration=0.5)
    check(bob.ended() == 0, f'he is back: {bob.why()}')
    bye(alice)


# ---- the line that decides ----

@test('the line that conclavectl why names is the line that decides')
def deciding_line(bench):
    policy = live(f'deny={identity("carol")}')
    server = bench.server(policy=policy)
    alice, uri = create(bench, server, 'bob', 'carol')
    refused(bench.ua(server, 'carol', 'join', uri), 403)
    verdict = server.ctl('why', identity('carol'), uri)
    named = re.match(r'policy\.conf:(\d+) ', verdict['rule'])
    check(verdict['verdict'] == 'refused' and named, f'a line of the file: {verdict}')
    lines = policy.split('\n')
    check(lines[int(named.group(1)) - 1].startswith('deny='), f'found {verdict}')
    shown = {row['key']: row for row in server.ctl('policy', 'show', uri)['values']}
    check(shown['deny']['from'].startswith(f'policy.conf:{named.group(1)}'), f'{shown["deny"]}')
    del lines[int(named.group(1)) - 1]
    server.write('policy.conf', '\n'.join(lines))
    server.ctl('reload')
    carol = bench.ua(server, 'carol', 'join', uri, duration=0.5)
    check(carol.ended() == 0, f'without it she is in: {carol.why()}')
    bye(alice)
