# SPDX-License-Identifier: Apache-2.0
"""Conferences that work: who hears whom, by what keys, over what transport."""
import re
import time

import devconfig
from harness import check, levels, test, wait_until

HEARD, SILENT = -30, -45


def conference_of(ua):
    """The URI that the creator was given, without what is about transport."""
    contact = ua.wait('connected')['contact']
    return re.sub(r'^sips?:([^;:]+@[^;:]+).*', r'sip:\1', contact)


def expect_good(*people):
    for ua in people:
        check(ua.ended(60) == 0, f'{ua.name} is content, found {ua.why()}')


def hearing(own, *others, foreign=()):
    """Options of a participant who should hear @others, and neither himself nor @foreign."""
    return {'tone': own, 'hear': [(hz, HEARD) for hz in others],
            'silent': [(hz, SILENT) for hz in (own, *foreign)]}


@test('three people with tickets hear each other and not themselves')
def three(bench):
    server = bench.server()
    alice = bench.ua(server, 'alice', 'create', duration=9, **hearing(440, 660, 1000), more=[
        '--invite', devconfig.identity('bob'), '--invite', devconfig.identity('carol'),
        '--measure-from', '3', '--measure-for', '4'])
    uri = conference_of(alice)
    check(re.fullmatch(r'sip:[a-z2-7]{20,}\.conf1@127\.0\.0\.1', uri),
          f'the conference URI holds at least 96 random bits, found {uri}')
    check(alice.wait('connected')['isfocus'], 'the Contact carries isfocus')
    bob = bench.ua(server, 'bob', 'join', uri, duration=6, **hearing(660, 440, 1000),
                   more=['--measure-from', '1.5', '--measure-for', '3'])
    carol = bench.ua(server, 'carol', 'join', uri, duration=6, **hearing(1000, 440, 660),
                     more=['--measure-from', '1.5', '--measure-for', '3'])
    carol.wait('connected')
    bob.wait('connected')
    roster = wait_until(lambda: len(server.roster(uri)) == 3 and server.roster(uri),
                        'three are on the roster')
    for name, row in roster.items():
        check(row['keys'] == 'mikey-ticket' and row['proof'] == 'ticket',
              f'{name} is proven by a ticket, found {row}')
    expect_good(bob, carol, alice)
    for ua in (alice, bob, carol):
        report = ua.find('report')[0]
        check(report['keymgmt'] == 'mikey-ticket', f'{ua.name} has keys by MIKEY')
        check(report['received'] > 200 and report['lost'] < 5, f'{ua.name} got audio: {report}')
        check(report['bad_auth'] == 0, f'{ua.name} got authentic packets alone')


@test('every SRTP suite carries a conference')
def suites(bench):
    names = ('AES_CM_128_HMAC_SHA1_80', 'AES_CM_128_HMAC_SHA1_32', 'AES_256_CM_HMAC_SHA1_80',
             'AES_256_CM_HMAC_SHA1_32', 'AEAD_AES_128_GCM', 'AEAD_AES_256_GCM')
    server = bench.server(policy=policy_with(f'srtp-suites={";".join(names)}\n'
                                             'create-max-per-user=10'))
    calls = []
    for name in names:
        alice = bench.ua(server, 'alice', 'create', duration=6, **hearing(440, 660), more=[
            '--invite', devconfig.identity('bob'), '--suite', name, '--measure-from', '2',
            '--measure-for', '2'])
        bob = bench.ua(server, 'bob', 'join', conference_of(alice), duration=4,
                       **hearing(660, 440), more=['--suite', name, '--measure-for', '2'])
        calls.append((name, bob, alice))
    for name, bob, alice in calls:
        expect_good(bob, alice)
        for ua in (alice, bob):
            check(ua.find('report')[0]['suite'] == name, f'{ua.name} has {name}')


def policy_with(lines, conference_lines=''):
    """The development policy with other lines for the factory, and for the lounge."""
    text = devconfig.policy_text()
    for line in filter(None, lines.split('\n')):
        key = line.split('=')[0]
        factory, lounge = text.split('[conference lounge]')
        factory = re.sub(r'(?m)^%s=.*\n' % re.escape(key), '', factory)
        factory = factory.replace('[factory adhoc]\n', f'[factory adhoc]\n{line}\n')
        text = factory + '[conference lounge]' + lounge
    for line in filter(None, conference_lines.split('\n')):
        key = line.split('=')[0]
        factory, lounge = text.split('[conference lounge]\n')
        lounge = re.sub(r'(?m)^%s=.*\n' % re.escape(key), '', lounge)
        text = factory + f'[conference lounge]\n{line}\n' + lounge
    return text


@test('a conference works over UDP, TCP and TLS, IPv4 and IPv6, at once')
def transports(bench):
    server = bench.server()
    hosts = ['127.0.0.1'] + (['[::1]'] if devconfig.has_ipv6() else [])
    alice = bench.ua(server, 'alice', 'create', duration=12, tone=440, tls=True, hear=[
        (660, HEARD), (1000, HEARD)], more=['--invite', devconfig.identity('bob'), '--invite',
                                            devconfig.identity('carol'), '--measure-from', '5',
                                            '--measure-for', '3'])
    uri = conference_of(alice)
    bob = bench.ua(server, 'bob', 'join', uri, duration=8, **hearing(660, 440, 1000), more=[
        '--proxy', f'sip:127.0.0.1:{server.sip_port};transport=tcp', '--measure-from', '2',
        '--measure-for', '3'])
    carol = bench.ua(server, 'carol', 'join', uri, duration=8, **hearing(1000, 440, 660), more=[
        '--proxy', f'sip:{hosts[-1]}:{server.sip_port};transport=udp', '--measure-from', '2',
        '--measure-for', '3'])
    expect_good(bob, carol, alice)


@test('two softphones with SDES over TLS and a ticket holder meet in one conference')
def softphones(bench):
    server = bench.server()
    alice = bench.baresip(server, 'alice', 500)
    bob = bench.baresip(server, 'bob', 800)
    for phone in (alice, bob):
        phone.dial(server.lounge)
        phone.wait('CALL_ESTABLISHED')
    carol = bench.ua(server, 'carol', 'join', server.lounge, tls=True, duration=9,
                     **hearing(1200, 500, 800), more=['--measure-from', '2', '--measure-for', '4'])
    carol.wait('connected')
    roster = server.roster(server.lounge)
    check(sorted(roster) == ['alice', 'bob', 'carol'], f'three are in, found {sorted(roster)}')
    for name, keys, proof in (('alice', 'sdes', 'digest'), ('bob', 'sdes', 'digest'),
                              ('carol', 'mikey-ticket', 'ticket')):
        check((roster[name]['keys'], roster[name]['proof']) == (keys, proof),
              f'{name} has keys by {keys} and proof by {proof}, found {roster[name]}')
    alice.pump(3)
    bob.pump(3)
    expect_good(carol)
    alice.quit()
    bob.quit()
    for phone, own, other in ((alice, 500, 800), (bob, 800, 500)):
        found = levels(phone.recording(), (500, 800, 1200), skip=2.5, seconds=5)
        check(found[other] > HEARD, f'{phone.name} heard the other softphone, found {found}')
        check(found[1200] > HEARD, f'{phone.name} heard the ticket holder, found {found}')
        check(found[own] < SILENT, f'{phone.name} did not hear himself, found {found}')


@test('two conferences never hear each other')
def apart(bench):
    server = bench.server()
    tones = {'alice': 440, 'bob': 660, 'dave': 1500, 'erin': 2100}
    people = []
    rooms = []
    for creator, guest in (('alice', 'bob'), ('dave', 'erin')):
        foreign = [hz for name, hz in tones.items() if name not in (creator, guest)]
        common = ['--measure-from', '2', '--measure-for', '4']
        host = bench.ua(server, creator, 'create', duration=10, more=[
            '--invite', devconfig.identity(guest), *common],
            **hearing(tones[creator], tones[guest], foreign=foreign))
        rooms.append(conference_of(host))
        visitor = bench.ua(server, guest, 'join', rooms[-1], duration=8, more=common,
                           **hearing(tones[guest], tones[creator], foreign=foreign))
        people += [visitor, host]
    check(rooms[0] != rooms[1], 'the two have URIs of their own')
    expect_good(*people)


@test('hold and resume silence a participant and bring him back')
def hold(bench):
    server = bench.server(policy=policy_with('create-max-per-user=2'))
    calls = []
    for how in ('sendonly', 'inactive'):  # both at the same time
        alice = bench.ua(server, 'alice', 'create', duration=14, tone=440,
                         more=['--invite', devconfig.identity('bob')])
        uri = conference_of(alice)
        bob = bench.ua(server, 'bob', 'join', uri, tone=660, duration=11, more=[
            '--hold', how, '--hold-after', '3', '--resume-after', '6', '--expect-hear',
            f'440:{HEARD}', '--measure-from', '7'])
        calls.append((how, alice, bob, uri))
    for how, _, bob, uri in calls:
        bob.wait('held', 20)
        wait_until(lambda: server.roster(uri)['bob']['state'] == 'on-hold',
                   f'the roster shows {how}', 2)
    for how, _, bob, uri in calls:
        bob.wait('resumed', 20)
        wait_until(lambda: server.roster(uri)['bob']['state'] == 'connected', 'he is back')
    for _, alice, bob, _ in calls:
        expect_good(bob, alice)


@test('CANCEL at any moment leaves nothing behind')
def cancel(bench):
    server = bench.server(policy=policy_with('create-max-per-user=100'))
    for delay in (0, 1, 3, 10, 30, 100, 300):
        ua = bench.ua(server, 'alice', 'create', duration=2,
                      more=['--invite', devconfig.identity('bob'), '--cancel-after',
                                                      str(delay)])
        status = ua.ended(40)
        check(status in (0, 3), f'cancelled after {delay} ms or not, found {ua.why()}')
        refused = ua.find('refused')
        check(not refused or refused[0]['status'] == 487, f'487, found {refused}')
    wait_until(lambda: server.ctl('status')['legs'] == 0, 'no leg is left')
    server.alive()


@test('the conference ends with BYE for all when the operator says so')
def ends(bench):
    server = bench.server()
    alice = bench.ua(server, 'alice', 'create', more=['--invite', devconfig.identity('bob')])
    uri = conference_of(alice)
    bob = bench.ua(server, 'bob', 'join', uri)
    bob.wait('connected')
    server.ctl('end', uri)
    for ua in (alice, bob):
        check(ua.wait('ended')['cause'] == 'bye', f'{ua.name} got a BYE')
    expect_good(alice, bob)
    wait_until(lambda: all(row['uri'] != uri for row in server.conferences()), 'it is gone')
    late = bench.ua(server, 'bob', 'join', uri)
    check(late.ended() == 3 and late.find('refused')[0]['status'] in (404, 410),
          f'an ended conference is not found, found {late.why()}')
