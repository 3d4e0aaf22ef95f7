# SPDX-License-Identifier: Apache-2.0
"""The allowed set: who may change it, how, and what becomes of those who drop out (5.1 to 5.3)."""
import devconfig
from cases.calls import HEARD, conference_of, hearing
from cases.invited import Network
from cases.refusals import refused
from harness import Ua, check, mikey_arguments, test, wait_until

identity = devconfig.identity


def names(*people):
    return ','.join(map(identity, people))


def hang_up(ua, status=0):
    ua.say('bye')
    check(ua.ended() == status, f'{ua.name} ends with {status}, found {ua.why()}')
    return ua.find('report')[0]


def whole(report, who, changes=0):
    """Nothing of the audio was lost, whatever happened to the keys."""
    check(report['bad_auth'] == 0, f'{who} got authentic packets alone: {report}')
    check(report['lost'] < 5 and report['longest_gap_ms'] < 500, f'{who} heard no gap: {report}')
    check(report['key_changes'] >= changes, f'{who} has had {changes} changes of keys: {report}')


def replaced_by(bench, method):
    net = Network(bench)
    dave = net.phone('dave', more=['--answer-after', '60000'])
    alice, contact = net.create(invite=('bob', 'carol', 'dave'), tone=440, hear=[(660, HEARD)],
                                more=['--interactive', '--allow-method', method,
                                      '--measure-from', '1'])
    uri = conference_of(alice)
    bob = bench.ua(net.server, 'bob', 'join', uri, more=['--interactive'], **hearing(660, 440))
    carol = bench.ua(net.server, 'carol', 'join', uri)
    carol.wait('connected')
    bob.wait('connected')
    refused(bench.ua(net.server, 'erin', 'join', uri), 403)
    alice.say(f'refer {identity("dave")}')
    check(net.proxy.wait(user='dave', status=180), 'the phone of dave rings')
    alice.say(f'allow {names("bob", "erin")}')
    alice.wait('keys-changed')
    end = carol.wait('ended')
    check('403' in end['reason'] and 'no longer allowed' in end['reason'],
          f'carol is told why she has to go: {end}')
    check(net.proxy.wait('CANCEL', user='dave'), 'nor is dave called any longer')
    dave.ended()
    for late in (bench.ua(net.server, 'carol', 'join', uri),
                 bench.ua(net.server, 'dave', 'join', uri)):
        refused(late, 403)
    erin = bench.ua(net.server, 'erin', 'join', uri, duration=2, **hearing(880, 440, 660))
    check(erin.ended() == 0, f'erin is in, and hears both: {erin.why()}')
    whole(hang_up(bob), 'bob')
    alice.say('bye')
    alice.ended()
    report = alice.find('report')[0]
    whole(report, 'alice', 1)
    check(all(e['met'] for e in report['expectations']), f'alice heard bob: {report}')
    check(len(net.proxy.find('INVITE', user='dave')) == 1, net.proxy.story())
    offers = [line for line in net.server.process.log().splitlines() if 'allowed set replaced' in line]
    check(len(offers) == 1, f'it was replaced once, found {offers}')


@test('R091 R092: the creator replaces the allowed set by re-INVITE; who drops out goes, who is new comes')
def by_reinvite(bench):
    replaced_by(bench, 'reinvite')


@test('R091 R092: the creator replaces the allowed set by UPDATE; who drops out goes, who is new comes')
def by_update(bench):
    replaced_by(bench, 'update')


def set_of(server, uri):
    """Who besides alice may join now, as the server judges it."""
    return sorted(name for name in devconfig.PEOPLE if name != 'alice' and
                  server.ctl('why', identity(name), uri)['verdict'] == 'allowed')


def ticket_of_alice(bench, server, purpose, *names, more=()):
    """Options that use a ticket with these names."""
    path = f'{bench.folder}/{purpose}.ticket'
    words = [word for name in names for word in ('--for', name)]
    ua = Ua(bench, 'alice', ['ticket', *mikey_arguments(server, 'alice'), *words, '--purpose',
                             purpose, '--ticket-file', path, *more], bench.folder)
    check(ua.ended() == 0, f'alice gets a ticket: {ua.why()}')
    return ['--ticket-file', path]


@test('R093 R096: other keys by a ticket for the focus alone, and the creation ticket itself, leave the set alone')
def unchanged(bench):
    server = bench.server()
    ticket = ticket_of_alice(bench, server, 'create', server.factory, identity('bob'),
                             identity('carol'), more=['--reusable'])
    alice = bench.ua(server, 'alice', 'create', tone=440, more=[*ticket, '--interactive'])
    uri = conference_of(alice)
    bob = bench.ua(server, 'bob', 'join', uri, tone=660, more=['--interactive'])
    bob.wait('connected')
    before = set_of(server, uri)
    check(before == ['bob', 'carol'], f'the ticket set it: {before}')
    # the creator again, with the very ticket that made the conference
    second = bench.ua(server, 'alice', 'join', uri, more=[*ticket, '--interactive'],
                      **hearing(1200, 440, 660))
    second.wait('connected')
    check(set_of(server, uri) == before, f'nothing has changed: {set_of(server, uri)}')
    bob.say('rekey')
    bob.wait('keys-changed')
    second.say('rekey')
    second.wait('keys-changed')
    check(set_of(server, uri) == before, f'nothing has changed: {set_of(server, uri)}')
    check('allowed set replaced' not in server.process.log(), 'nor was it replaced by the same')
    wait_until(lambda: second.say('stats') or second.next('stats')['received'] > 60, 'she hears')
    whole(hang_up(second), 'alice at her second phone', 1)
    whole(hang_up(bob), 'bob', 1)
    hang_up(alice)


@test('R094: a ticket for joining changes nothing, whomever it names; a ticket of the creator for the set does')
def purposes(bench):
    server = bench.server()
    alice = bench.ua(server, 'alice', 'create', tone=440, more=['--invite', identity('bob'),
                                                                '--interactive'])
    uri = conference_of(alice)
    for purpose, expected in (('join', ['bob']), ('allow', ['carol', 'erin'])):
        again = bench.ua(server, 'alice', 'join', uri, duration=0.5,
                         more=ticket_of_alice(bench, server, purpose, uri, identity('carol'),
                                              identity('erin')))
        check(again.ended() == 0, f'alice joins with it: {again.why()}')
        check(set_of(server, uri) == expected, f'{purpose}: {expected}, found {set_of(server, uri)}')
    hang_up(alice)


@test('R130: another participant cannot change the allowed set; he gets 403 and stays where he is')
def by_others(bench):
    server = bench.server()
    alice = bench.ua(server, 'alice', 'create', tone=440, more=['--invite', identity('bob'),
                                                                '--interactive'])
    uri = conference_of(alice)
    for method in ('reinvite', 'update'):
        bob = bench.ua(server, 'bob', 'join', uri, **hearing(660, 440),
                       more=['--interactive', '--allow-method', method])
        bob.wait('connected')
        bob.say(f'allow {names("bob", "erin")}')
        event = bob.wait('reinvite-refused')
        check(event['status'] == 403, f'{method}: 403, found {event}')
        bob.say('reset', 'sleep 1', 'bye')
        bob.ended()
        report = bob.find('report')[0]
        check(report['bad_auth'] == 0 and all(e['met'] for e in report['expectations']),
              f'{method}: he hears alice as before: {report}')
        check(set_of(server, uri) == ['bob'], f'nothing has changed: {set_of(server, uri)}')
    hang_up(alice)


@test('a CSB update gives a participant other keys without the KMS, and changes no set')
def csb_update(bench):
    server = bench.server(own_kms=True, options=[('kms', 'timeout', '2s')])
    alice = bench.ua(server, 'alice', 'create', tone=440, more=['--invite', identity('bob'),
                                                                '--interactive'])
    uri = conference_of(alice)
    calls = [bench.ua(server, 'bob', 'join', uri, more=['--interactive', *more],
                      **hearing(own, 440)) for own, more in ((660, ()), (880, ('--supply-keys',)))]
    for bob in calls:
        bob.wait('connected')
    server.kms.freeze()
    for bob, changes in zip(calls, (0, 1)):
        bob.say('update')
        bob.wait('keys-changed')
        bob.say('sleep 1')
        whole(hang_up(bob), 'bob', changes)
    server.kms.thaw()
    check(set_of(server, uri) == ['bob'], f'nothing has changed: {set_of(server, uri)}')
    hang_up(alice)


@test('R120: variant B: a creation without media is a conference; its creator joins later, in the same dialog')
def variant_b(bench):
    server = bench.server()
    alice = bench.ua(server, 'alice', 'create', more=['--no-media', '--invite', identity('bob'),
                                                      '--interactive'])
    uri = conference_of(alice)
    bob = bench.ua(server, 'bob', 'join', uri, **hearing(660, 440), more=['--interactive'])
    bob.wait('connected')
    row = server.roster(uri)['alice']
    check(row['state'] == 'connected', f'the creator is known: {row}')
    second = bench.ua(server, 'alice', 'join', uri, duration=2, **hearing(440, 660))
    check(second.ended() == 0, f'alice joins in another dialog: {second.why()}')
    hang_up(bob)
    hang_up(alice)
