# SPDX-License-Identifier: Apache-2.0
"""Somebody is called, and somebody else answers: forks, forwarding, and phones that secure nothing."""
import base64
import re

import devconfig
from cases.calls import policy_with
from cases.invited import (HEARD, SILENT, Network, ask, brought_in, invite, leave, listened,
                           messages_in, outcome)
from harness import check, test
from proxy import add, replace

OUTSIDE = 3000  # Hz: what nobody must hear, and no prompt holds
REASON = 'cause=403;text="diverted"'
FOLLOWS = policy_with('diversion=allowed-set')


def reasons(net, method, user=None):
    """What the server says in the Reason of these requests."""
    return [s.message.get('reason') for s in net.proxy.find(method, user=user)]


def not_taken(net, uri, phone, *others):
    """Nobody new is in, and this phone was sent nothing that could be heard."""
    check(net.people(uri) == sorted(('alice', *others)), f'he is not in, found {net.people(uri)}')
    phone.hang_up()
    phone.ended()
    report = phone.find('report')[0]
    check(report.get('received', 0) == 0, f'he was sent no media, found {phone.why()}')
    check('received' in report or not phone.find('connected'), f'he listened: {phone.why()}')


def rejected(net, uri, phone, name='bob', statuses=(403,), after_answer=True, reason=REASON):
    """alice, who hears nobody, has @name called; whoever that @phone is, is refused."""
    alice = net.alice
    answer, told = outcome(alice, ask(alice, invite(name)))
    check(answer == 202 and told[-1] in statuses,
          f'{statuses}, found {answer}, {told}: {net.proxy.story()}')
    method = 'BYE' if after_answer else 'CANCEL'
    check(net.proxy.wait(method), f'{method} follows: {net.proxy.story()}')
    check(any(reason in r for r in reasons(net, method)),
          f'with a Reason, found {reasons(net, method)}')
    if after_answer:
        check(net.proxy.find('ACK'), f'after an ACK: {net.proxy.story()}')
    else:
        check(not net.proxy.find('BYE'), f'a CANCEL is enough: {net.proxy.story()}')
    not_taken(net, uri, phone)
    alice.say('sleep 0.8', 'stats')
    alice.wait('stats')
    alice.hang_up()
    check(alice.ended() == 3, f'alice was told, and heard nobody, found {alice.why()}')


def meeting(net, invite_list=('bob', 'carol')):
    """alice, who must hear nobody."""
    net.alice, uri = net.create(invite=invite_list, silent=[(OUTSIDE, SILENT)],
                                more=['--measure-from', '0.2'])
    return uri


# ---- signs of a diversion, each alone ----

@test('R058 R059: a 181 alone ends the call by CANCEL under diversion=strict')
def sign_181(bench):
    net = Network(bench)
    phone = net.phone('bob', tone=OUTSIDE, more=['--send-181', '--answer-after', '60000'])
    rejected(net, meeting(net), phone, after_answer=False)


@test('R059: a History-Info alone that tells of a forwarding ends the call')
def sign_history(bench):
    net = Network(bench)
    entry = (f'<{devconfig.identity("bob")}?Reason=SIP%3Bcause%3D302>;index=1, '
             f'<{devconfig.identity("carol")};cause=302>;index=1.1;mp=1')
    phone = net.phone('bob', tone=OUTSIDE, more=['--history-info', entry])
    uri = meeting(net)
    answer, told = outcome(net.alice, ask(net.alice, invite('bob')))
    check((answer, told[-1]) == (202, 403), f'403, found {answer}, {told}')
    check(net.proxy.wait('CANCEL', 3) or net.proxy.wait('BYE', 3), net.proxy.story())
    check(any(REASON in r for r in reasons(net, 'CANCEL') + reasons(net, 'BYE')), 'with a Reason')
    not_taken(net, uri, phone)


@test('R059: an assertion of somebody else while it rings gets CANCEL')
def sign_assertion_ringing(bench):
    net = Network(bench)
    net.proxy.when('INVITE', status=180).edit(
        add('P-Asserted-Identity', f'<{devconfig.identity("carol")}>'))
    phone = net.phone('bob', tone=OUTSIDE, more=['--answer-after', '60000'])
    rejected(net, meeting(net), phone, after_answer=False)


@test('what the keys of the answer prove counts before what the network asserts with it')
def keys_before_assertion(bench):
    for policy, asserted in ((None, 'bob'), (None, 'carol'), (FOLLOWS, 'carol')):
        net = Network(bench, policy=policy)
        net.proxy.when('INVITE', status=200).edit(
            replace('P-Asserted-Identity', f'<{devconfig.identity(asserted)}>'))
        phone = net.phone('bob')
        alice, uri = net.create()
        brought_in(alice, 'bob')
        row = net.until(uri, 'alice', 'bob')['bob']
        check(row['proof'] == 'ticket', f'bob, by his ticket, found {row}')
        leave(alice, phone)


@test('under diversion=strict a call that was forwarded and came back to who was called is his')
def came_back(bench):
    net = Network(bench)
    entry = (f'<{devconfig.identity("carol")}?Reason=SIP%3Bcause%3D302>;index=1, '
             f'<{devconfig.identity("bob")};cause=302>;index=1.1;mp=1')
    net.proxy.when('INVITE', status=180).drop()
    net.proxy.when('INVITE', status=200).edit(add('History-Info', entry))
    phone = net.phone('bob')
    alice, uri = net.create()
    brought_in(alice, 'bob')
    net.until(uri, 'alice', 'bob')
    leave(alice, phone)


@test('R104: whom a call was forwarded to cannot resolve the ticket, and is not in')
def other_phone(bench):
    net = Network(bench)
    net.proxy.when('INVITE', user='bob').divert('carol', history=False, ring=False)
    phone = net.phone('carol', tone=OUTSIDE)
    uri = meeting(net)
    answer, told = outcome(net.alice, ask(net.alice, invite('bob')))
    check((answer, told[-1]) == (202, 488), f'488, found {answer}, {told}')
    check(phone.ended() == 5, f'her KMS refuses, found {phone.why()}')
    check(net.people(uri) == ['alice'], 'nobody came')


@test('R098: with another key than his ticket has nobody is in')
def wrong_key(bench):
    net = Network(bench)
    phone = net.phone('bob', tone=OUTSIDE, keys='carol')
    uri = meeting(net)
    answer, told = outcome(net.alice, ask(net.alice, invite('bob')))
    check((answer, told[-1]) == (202, 488), f'488, found {answer}, {told}')
    check(phone.ended() == 5, f'the KMS refuses, found {phone.why()}')
    check(net.people(uri) == ['alice'], 'nobody came')


def spoil_answer(message):
    """Another octet in the MAC of the TRANSFER_RESP."""
    found = re.search(rb'a=key-mgmt:mikey (\S+)', message.body)
    octets = bytearray(base64.b64decode(found.group(1)))
    octets[-3] ^= 1
    message.body = message.body.replace(found.group(1), base64.b64encode(bytes(octets)))


@test('R098 R104: an answer whose TRANSFER_RESP was changed on its way gets ACK and BYE')
def changed_answer(bench):
    net = Network(bench)
    net.proxy.when('INVITE', status=200).edit(spoil_answer)
    rejected(net, meeting(net), net.phone('bob', tone=OUTSIDE), statuses=(488,), reason='cause=488')


@test('R058: an answer without TRANSFER_RESP says nothing of who it is, and gets ACK and BYE')
def no_answer_keys(bench):
    net = Network(bench)
    phone = net.phone('bob', tone=OUTSIDE, more=['--no-transfer-resp'])
    rejected(net, meeting(net), phone, statuses=(488, 403), reason='cause=')


@test('R046 R063: an answer in plain RTP gets ACK and BYE')
def plain_answer(bench):
    net = Network(bench)
    phone = net.phone('bob', tone=OUTSIDE, more=['--answer-plain'])
    rejected(net, meeting(net), phone, statuses=(488,), reason='cause=488')


@test('who says after the answer that he is somebody else gets BYE')
def changes_identity(bench):
    net = Network(bench)
    phone = net.phone('bob', more=['--change-identity', f'1:{devconfig.identity("carol")}'])
    uri = meeting(net)
    brought_in(net.alice, 'bob')
    check(phone.wait('ended')['cause'] == 'bye', 'he gets a BYE')
    check(net.proxy.find('UPDATE'), f'upon his UPDATE: {net.proxy.story()}')
    check(any(REASON in r for r in reasons(net, 'BYE')), f'with a Reason: {reasons(net, "BYE")}')
    net.until(uri, 'alice')
    leave(net.alice)


@test('R104: early media of somebody who has not answered is not mixed, and he is sent none')
def early_media(bench):
    net = Network(bench)
    phone = net.phone('bob', tone=OUTSIDE, more=['--reliable', '--answer-after', '60000',
                                            '--report-every', '0.5'])
    uri = meeting(net)
    number = ask(net.alice, invite('bob'))
    phone.wait('pracked')
    net.alice.say('sleep 1.5', 'stats')
    net.alice.wait('stats')
    not_taken(net, uri, phone)
    check(phone.find('report')[0]['sent'] > 20, f'he has said something, found {phone.why()}')
    check(outcome(net.alice, number)[1][-1] >= 400, 'he gave up himself')
    net.alice.hang_up()
    check(net.alice.ended() == 3, f'she was told, and heard nobody, found {net.alice.why()}')


# ---- diversion=allowed-set ----

@test('R060: under diversion=allowed-set a member of the set may answer, and is seen as himself')
def to_member(bench):
    net = Network(bench, policy=FOLLOWS)
    net.proxy.when('INVITE', user='bob').divert('carol')
    carol = net.phone('carol', tone=880, hear=[(440, HEARD)], silent=[(880, SILENT)])
    alice, uri = net.create(tone=440, hear=[(880, HEARD)], silent=[(440, SILENT)],
                            more=['--measure-from', '1'])
    found = outcome(alice, ask(alice, invite('bob')))
    check(found[1][-1] == 200, f'the call works, found {found}')
    check(net.proxy.find('INVITE', status=181, out=True), '181 was seen on the way')
    row = net.until(uri, 'alice', 'carol')['carol']
    check(row['proof'] == 'ticket', f'carol is in by her ticket, found {row}')
    listened(alice, carol)


@test('R060: under diversion=allowed-set an outsider who answers is out')
def to_outsider(bench):
    net = Network(bench, policy=FOLLOWS)
    net.proxy.when('INVITE', user='bob').divert('dave')
    phone = net.phone('dave', tone=OUTSIDE)
    uri = meeting(net)
    answer, told = outcome(net.alice, ask(net.alice, invite('bob')))
    check((answer, told[-1]) == (202, 488), f'488, found {answer}, {told}')
    check(phone.ended() == 5, f'his KMS refuses, found {phone.why()}')
    check(net.people(uri) == ['alice'], 'nobody came')


@test('R060: under diversion=allowed-set an outsider asserted while it rings gets CANCEL')
def asserted_outsider(bench):
    net = Network(bench, policy=FOLLOWS)
    net.proxy.when('INVITE', status=180).edit(
        add('P-Asserted-Identity', f'<{devconfig.identity("dave")}>'))
    phone = net.phone('bob', tone=OUTSIDE, more=['--answer-after', '60000'])
    rejected(net, meeting(net), phone, after_answer=False, reason='cause=403')


@test('R104: under diversion=allowed-set a forwarding is waited for, and no media flows meanwhile')
def waits(bench):
    net = Network(bench, policy=FOLLOWS)
    phone = net.phone('bob', tone=OUTSIDE, more=['--send-181', '--answer-after', '60000'])
    uri = meeting(net)
    number = ask(net.alice, invite('bob'))
    check(net.proxy.wait('INVITE', status=180), net.proxy.story())
    net.alice.say('sleep 0.5', 'stats')
    net.alice.wait('stats')
    check(not net.proxy.find('CANCEL'), f'the call goes on: {net.proxy.story()}')
    not_taken(net, uri, phone)
    check(outcome(net.alice, number)[1][-1] >= 400, 'he gave up himself')
    net.alice.hang_up()
    check(net.alice.ended() == 3, f'she was told, and heard nobody, found {net.alice.why()}')


@test('under diversion=allowed-set who says later that he is a member stays, an outsider goes')
def changes_in_set(bench):
    for name, stays in (('carol', True), ('dave', False)):
        net = Network(bench, policy=FOLLOWS)
        phone = net.phone('bob', more=['--change-identity', f'0.5:{devconfig.identity(name)}'])
        alice, uri = net.create()
        brought_in(alice, 'bob')
        check(net.proxy.wait('UPDATE', status=200), f'an UPDATE is answered: {net.proxy.story()}')
        if stays:
            alice.say('sleep 0.5', 'stats')
            alice.wait('stats')
            net.until(uri, 'alice', 'bob')
            leave(alice, phone)
        else:
            check(phone.wait('ended')['cause'] == 'bye', f'he gets a BYE, found {phone.why()}')
            net.until(uri, 'alice')
            leave(alice)


@test('R110 R111: the ticket of a call is for one person, and for the set under diversion=allowed-set')
def set_ticket(bench):
    for policy, others in ((None, ()), (FOLLOWS, ('carol',))):
        net = Network(bench, policy=policy)
        phone = net.phone('bob')
        alice, uri = net.create()
        brought_in(alice, 'bob')
        tickets = re.findall(r"granted request of user 'conf1' for \S+ -> (.*) from",
                             net.server.process.log())
        found = set(re.findall(r'sip:(\w+)@example', tickets[0]))
        check(found == {'bob', *others}, f'for bob and {others}, found {tickets}')
        offer = net.calls('bob')[0].message.body.decode()
        flags = re.search(r'flags: (\w+)', messages_in(bench, offer)).group(1)
        check('I' in flags, f'it says who asks, found flags {flags}')
        leave(alice, phone)


# ---- forks ----

@test('R098: of two phones that ring with keys of their own the first to answer is in')
def fork(bench):
    net = Network(bench)
    fast = net.phone('bob', tone=880, hear=[(440, HEARD)], more=['--answer-after', '300'])
    slow = net.phone('bob', tone=1500, more=['--answer-after', '60000'], routed=False)
    net.proxy.route('bob', fast.target, slow.target)
    alice, uri = net.create(tone=440, hear=[(880, HEARD)], silent=[(440, SILENT), (1500, SILENT)],
                            more=['--measure-from', '1'])
    brought_in(alice, 'bob')
    slow.wait('invited')
    check(slow.ended() in (0, 3), f'the other stops ringing, found {slow.why()}')
    check(net.proxy.find('CANCEL', out=True), f'by CANCEL: {net.proxy.story()}')
    row = net.until(uri, 'alice', 'bob')
    check(len(net.server.ctl('show', uri)['participants']) == 2, f'he is in once, found {row}')
    listened(alice, fast)


@test('R098: two phones that both answer have keys of their own; the second gets ACK and BYE')
def fork_both(bench):
    net = Network(bench)
    net.proxy.cancel_losers = False
    fast = net.phone('bob', tone=880, hear=[(440, HEARD)])
    late = net.phone('bob', tone=1500, more=['--answer-after', '500'], routed=False)
    net.proxy.route('bob', fast.target, late.target)
    alice, uri = net.create(tone=440, hear=[(880, HEARD)], silent=[(440, SILENT), (1500, SILENT)],
                            more=['--measure-from', '1'])
    brought_in(alice, 'bob')
    check(late.wait('ended')['cause'] == 'bye', f'the second gets a BYE, found {late.why()}')
    answers = net.proxy.find('INVITE', status=200, user='bob')
    tags = {s.message.get('to').split('tag=')[1] for s in answers}
    acked = {s.message.get('to').split('tag=')[1] for s in net.proxy.find('ACK')}
    check(len(tags) == 2 and tags == acked, f'both are acknowledged: {net.proxy.story()}')
    keys = {re.search(rb'a=key-mgmt:mikey (\S+)', s.message.body).group(1) for s in answers}
    check(len(keys) == 2, 'each with a TRANSFER_RESP of its own')
    check(len(net.server.ctl('show', uri)['participants']) == 2, 'bob is in once')
    late.ended()
    check(late.find('report')[0]['received'] == 0, f'and was sent nothing, found {late.why()}')
    listened(alice, fast)
