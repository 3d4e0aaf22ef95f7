# SPDX-License-Identifier: Apache-2.0
"""Thrown out by REFER, and invited by one: removal, the end of a conference, calls by the callee."""
import re

import devconfig
from cases.calls import policy_with
from cases.invited import (HEARD, SILENT, Network, ask, brought_in, invite, leave, listened,
                           outcome, satisfied)
from cases.refusals import take_ticket
from harness import Ua, check, mikey_arguments, test, wait_until


def remove(name):
    return 'remove ' + devconfig.identity(name)


def thrown_out(ua):
    check(ua.wait('ended')['cause'] == 'bye', f'{ua.name} gets a BYE, found {ua.why()}')
    ua.ended()


def cannot_join(net, name, uri):
    ua = net.bench.ua(net.server, name, 'join', uri)
    check(ua.ended() == 3 and ua.find('refused')[0]['status'] == 403,
          f'{name} does not come in again, found {ua.why()}')


# ---- removal ----

@test('the creator removes somebody with all his phones, and he does not come in again')
def all_phones(bench):
    net = Network(bench, policy=policy_with('max-endpoints-per-user=2'))
    bob = net.phone('bob')
    alice, uri = net.create()
    brought_in(alice, 'bob')
    second, carol = net.join('bob', uri), net.join('carol', uri)
    check(outcome(alice, ask(alice, remove('bob'))) == (202, [100, 200]), 'it works')
    for ua in (bob, second):
        thrown_out(ua)
    byes = net.proxy.find('BYE')
    check(byes and byes[0].message.get('reason'), f'with a Reason: {net.proxy.story()}')
    net.until(uri, 'alice', 'carol')
    cannot_join(net, 'bob', uri)
    check(outcome(alice, ask(alice, invite('bob')))[1][-1] == 403, 'nor is he called again')
    satisfied(carol)
    leave(alice)


@test('without ban-on-removal who was removed may come again')
def no_ban(bench):
    net = Network(bench, policy=policy_with('ban-on-removal=no'))
    alice, uri = net.create()
    bob = net.join('bob', uri)
    check(outcome(alice, ask(alice, remove('bob'))) == (202, [100, 200]), 'it works')
    thrown_out(bob)
    bob = net.join('bob', uri)
    satisfied(alice, bob)


def dialog_uri(ua, name):
    """A Refer-To that names one dialog of his: the focus's side of what he reports."""
    found = re.fullmatch(r'([^;]+);local-tag=([^;]+);remote-tag=([^;]+)',
                         ua.wait('connected')['dialog'])
    call, local, remote = found.groups()
    who = devconfig.identity(name)
    return (f'{who}?Call-ID={call.replace("@", "%40")}&From=%3C{who}%3E%3Btag%3D{local}'
            f'&To=%3C{who}%3E%3Btag%3D{remote}')


@test('the creator removes one phone of somebody by its dialog, and the other stays')
def one_phone(bench):
    net = Network(bench, policy=policy_with('max-endpoints-per-user=2'))
    alice, uri = net.create()
    first, second = net.join('bob', uri), net.join('bob', uri)
    target = dialog_uri(first, 'bob')
    _, found = net.refer('alice', uri, target, ['--refer-method', 'BYE'])
    check(found == (202, [100, 200]), f'it works, found {found}')
    thrown_out(first)
    rows = net.server.ctl('show', uri)['participants']
    check(len(rows) == 2, f'the other phone stays, found {rows}')
    satisfied(second, alice)


@test('somebody removes himself, and nobody else; who is not there is 404')
def oneself(bench):
    net = Network(bench)
    alice, uri = net.create(invite=('bob', 'carol', 'dave'))
    bob, carol = net.join('bob', uri), net.join('carol', uri)
    for name in ('carol', 'alice'):
        answer, told = outcome(bob, ask(bob, remove(name)))
        check((told[-1] if told else answer) == 403, f'bob may not, found {answer}, {told}')
    net.until(uri, 'alice', 'bob', 'carol')
    found = outcome(alice, ask(alice, remove('dave')))
    check(found == (202, [100, 404]), f'dave is not there, found {found}')
    found = outcome(carol, ask(carol, remove('carol')))
    check((found[0], found[1][-1]) == (202, 200), f'carol may go, found {found}')
    thrown_out(carol)
    net.until(uri, 'alice', 'bob')
    leave(bob, alice)


@test('a moderator removes people; his REFER without ticket does nothing')
def moderator(bench):
    net = Network(bench, policy=policy_with(f'moderators=creator;{devconfig.identity("bob")}'))
    alice, uri = net.create()
    bob, carol = net.join('bob', uri), net.join('carol', uri)
    _, (answer, told) = net.refer('bob', uri, devconfig.identity('carol'), [
        '--refer-method', 'BYE', '--refer-body', 'none'])
    check(answer == 403 and not told, f'403 without a ticket, found {answer}, {told}')
    net.until(uri, 'alice', 'bob', 'carol')
    check(outcome(bob, ask(bob, remove('carol'))) == (202, [100, 200]), 'with one it works')
    thrown_out(carol)
    net.until(uri, 'alice', 'bob')
    satisfied(alice, bob)


@test('removing somebody who is being called ends that call; its referrer hears 487')
def pending(bench):
    net = Network(bench)
    bob = net.phone('bob', more=['--answer-after', '60000'])
    alice, uri = net.create()
    calling = ask(alice, invite('bob'))
    bob.wait('invited')
    removing = ask(alice, remove('bob'))
    check(outcome(alice, removing)[1][-1] == 200, 'the removal works')
    check(outcome(alice, calling)[1][-1] == 487, 'the call is given up')
    check(net.proxy.wait('CANCEL', user='bob'), f'by CANCEL: {net.proxy.story()}')
    check(bob.ended() in (0, 3), f'he stops ringing, found {bob.why()}')
    leave(alice)


@test('the creator ends the conference by REFER, and nobody else does')
def end(bench):
    net = Network(bench)
    alice, uri = net.create()
    bob = net.join('bob', uri)
    answer, told = outcome(bob, ask(bob, 'end'))
    check((told[-1] if told else answer) == 403, f'bob may not, found {answer}, {told}')
    net.until(uri, 'alice', 'bob')
    check(outcome(alice, ask(alice, 'end')) == (202, [100, 200]), 'alice may')
    for ua in (alice, bob):
        thrown_out(ua)
    wait_until(lambda: all(row['uri'] != uri for row in net.server.conferences()), 'it is gone')
    late = bench.ua(net.server, 'bob', 'join', uri)
    check(late.ended() == 3 and late.find('refused')[0]['status'] in (404, 410),
          f'and cannot be joined, found {late.why()}')


# ---- asked to call ----

@test('R111: with invite-by-refer the focus asks people to call, and they prove who asked them')
def by_refer(bench):
    net = Network(bench, policy=policy_with('invite-by-refer=yes'))
    carol = net.phone('carol', tone=880, hear=[(440, HEARD)], silent=[(880, SILENT)],
                      more=['--follow-refer', '--proxy', net.proxy.uri()])
    alice, uri = net.create(tone=440, hear=[(880, HEARD)], more=['--measure-from', '1'])
    found = outcome(alice, ask(alice, invite('carol')))
    check(found[1][-1] == 200, f'alice hears that she came, found {found}')
    check(carol.wait('following')['proven_referrer'] == uri, f'the focus asked: {carol.why()}')
    sent = net.proxy.find('REFER', user='carol')
    check(len(sent) == 1 and uri in sent[0].message.get('refer-to'), net.proxy.story())
    check(not net.calls('carol'), 'no INVITE goes to her')
    check(net.until(uri, 'alice', 'carol')['carol']['proof'] == 'ticket', 'in by a ticket')
    listened(alice, carol)


@test('with invite-by-refer somebody who does not want to call is told to the referrer')
def by_refer_refused(bench):
    net = Network(bench, policy=policy_with('invite-by-refer=yes'))
    net.phone('carol')  # knows no REFER
    alice, uri = net.create()
    found = outcome(alice, ask(alice, invite('carol')))
    check(found[0] == 202 and found[1][-1] >= 400, f'it comes to nothing, found {found}')
    check(net.people(uri) == ['alice'], 'nobody came')
    leave(alice)


@test('R125: a user refers another to the conference, who dials in with a ticket of his own')
def user_to_user(bench):
    net = Network(bench)
    carol = net.phone('carol', tone=880, hear=[(440, HEARD)],
                      more=['--follow-refer', '--proxy', net.proxy.uri()])
    alice, uri = net.create(tone=440, hear=[(880, HEARD)], more=['--measure-from', '1'])
    asker = Ua(bench, 'alice', [
        'refer', devconfig.identity('carol'), '--refer-to', uri, '--proxy', net.proxy.uri(),
        *mikey_arguments(net.server, 'alice')], bench.folder)
    asker.wait('referring')
    answer, told = outcome(asker, 1)
    check((answer, told[-1]) == (202, 200), f'alice hears that it worked, found {answer}, {told}')
    check(carol.wait('following')['proven_referrer'] == devconfig.identity('alice'),
          f'carol knows who asked: {carol.why()}')
    net.until(uri, 'alice', 'carol')
    check(asker.ended() == 0, f'found {asker.why()}')
    listened(alice, carol)


@test('R125: the ticket of the REFER lets nobody dial in')
def first_ticket(bench):
    net = Network(bench)
    alice, uri = net.create()
    # for a REFER alone; and, whatever it is for, its keys are not carol's
    for wish, forge in ((['--purpose', 'refer'], []), ([], ['--forge', 'stolen-ticket'])):
        path = f'{bench.folder}/first{len(wish)}.ticket'
        take_ticket(bench, net.server, 'alice', uri, path,
                    ['--for', devconfig.identity('carol'), *wish])
        carol = bench.ua(net.server, 'carol', 'join', uri, keys=False,
                         more=['--ticket-file', path, *forge])
        check(carol.ended() == 3 and carol.find('refused')[0]['status'] in (488, 403),
              f'carol is refused, found {carol.why()}')
    net.until(uri, 'alice')
    satisfied(alice)
