# SPDX-License-Identifier: Apache-2.0
"""URI lists: whom a new conference calls by itself (5.7, RFC 5366), and what they are told of each other."""
import re

import devconfig
from cases.calls import HEARD, conference_of, hearing, policy_with
from cases.invited import Network
from cases.refusals import refused
from harness import Ua, check, mikey_arguments, test, wait_until

identity = devconfig.identity
FACTORY_URI = devconfig.FACTORY
FACTORY = FACTORY_URI.split(':')[1].split('@')[0]


def dials(*people, how='dial'):
    return [word for name in people for word in ('--' + how, identity(name))]


def through(net):
    """Options that send everything by way of the proxy."""
    return ['--proxy', net.proxy.uri()]


def invites(net, name):
    """The INVITEs that the server has sent to somebody."""
    return net.proxy.find('INVITE', user=name)


def put_list(xml, disposition='recipient-list'):
    """An edit: the offer, and this beside it."""
    def edit(message):
        message.body = (b'--cut\r\nContent-Type: application/sdp\r\n\r\n' + message.body +
                        b'\r\n--cut\r\nContent-Type: application/resource-lists+xml\r\n'
                        b'Content-Disposition: ' + disposition.encode() + b'\r\n\r\n' +
                        xml.encode() + b'\r\n--cut--\r\n')
        message.set('Content-Type', 'multipart/mixed;boundary=cut')
        message.add('Require', 'recipient-list-invite')
    return edit


def xml_list(*people):
    entries = ''.join(f'<entry uri="{identity(name)}"/>' for name in people)
    return ('<?xml version="1.0"?><resource-lists xmlns="urn:ietf:params:xml:ns:resource-lists">'
            f'<list>{entries}</list></resource-lists>')


@test('a URI list is called after the ACK of the creation and not before, and all hear each other')
def after_ack(bench):
    net = Network(bench)
    bob = net.phone('bob', tone=660, hear=[(440, HEARD), (880, HEARD)])
    carol = net.phone('carol', tone=880, hear=[(440, HEARD), (660, HEARD)])
    net.proxy.when('ACK').delay(1, times=1)
    alice, _ = net.create(invite=(), tone=440, hear=[(660, HEARD), (880, HEARD)],
                          more=[*through(net), *dials('bob', 'carol'), '--interactive',
                                '--measure-from', '1'])
    for name in ('bob', 'carol'):
        check(net.proxy.wait('INVITE', user=name), f'{name} is called')
    acks = net.proxy.find('ACK', out=True)
    check(acks and all(acks[0].at < invites(net, name)[0].at for name in ('bob', 'carol')),
          f'the ACK comes first: {net.proxy.story()}')
    for phone in (bob, carol):
        phone.wait('connected')
    alice.say('sleep 3', 'bye')
    check(alice.ended() == 0, f'alice hears both: {alice.why()}')
    for phone in (bob, carol):
        phone.hang_up()
        check(phone.ended() == 0, f'{phone.name} hears the others: {phone.why()}')


@test('a creation that is cancelled calls nobody of its list')
def cancelled(bench):
    net = Network(bench, own_kms=True)
    bob = net.phone('bob')
    path = bench.folder + '/creation.ticket'
    ticket = Ua(bench, 'alice', ['ticket', *mikey_arguments(net.server, 'alice'), '--for', FACTORY_URI,
                                 '--for', identity('bob'), '--purpose', 'create', '--ticket-file',
                                 path], bench.folder)
    check(ticket.ended() == 0, f'alice gets a ticket: {ticket.why()}')
    net.server.kms.freeze()
    alice = bench.ua(net.server, 'alice', 'create', more=[*through(net), *dials('bob'),
                                                           '--ticket-file', path,
                                                           '--cancel-after', '300'])
    event = refused(alice, 487)
    check(not event['local'], f'the server said so: {event}')
    net.server.kms.thaw()
    wait_until(lambda: all('lounge' in row['uri'] for row in net.server.conferences()),
               'the conference is gone')
    again, uri = net.create(invite=('carol',), duration=1)
    check(again.ended() == 0, 'another one works meanwhile')
    check(not invites(net, 'bob'), f'bob was not called: {net.proxy.story()}')
    bob.hang_up()


@test('no more calls of one conference ring at once than dial-out-parallel says')
def parallel(bench):
    net = Network(bench, policy=policy_with('dial-out-parallel=1'))
    people = ('bob', 'carol', 'dave')
    phones = [net.phone(name, more=['--answer-after', '400']) for name in people]
    alice, _ = net.create(invite=(), more=[*dials(*people), '--interactive'])
    for phone in phones:
        phone.wait('connected')
    alice.say('bye')
    alice.ended()
    for phone in phones:
        phone.hang_up()
        phone.ended()
    for before, after in zip(people, people[1:]):
        answer = net.proxy.find('INVITE', user=before, status=200)
        check(answer and answer[0].at <= invites(net, after)[0].at,
              f'{after} is not called before {before} has answered: {net.proxy.story()}')


@test('who is on the list and not in the ticket is skipped, the others are called')
def skipped(bench):
    net = Network(bench)
    bob, erin = net.phone('bob'), net.phone('erin')
    alice, contact = net.create(invite=('bob',), more=[*dials('erin', 'bob'), '--dial-unnamed',
                                                       '--interactive'])
    bob.wait('connected')
    wait_until(lambda: re.search(r'erin@example.org.*not-in-allowed-set', net.server.process.log()),
               'the log tells why')
    check(not invites(net, 'erin'), f'erin is not called: {net.proxy.story()}')
    check(sorted(net.server.roster(conference_of(alice))) == ['alice', 'bob'], 'two are in')
    alice.say('bye')
    check(alice.ended() == 0, f'the creation is what it is: {alice.why()}')
    for phone in (bob, erin):
        phone.hang_up()
        phone.ended()


def told(bench, people, policy, more):
    """What the INVITE to each of @people says about the others."""
    net = Network(bench, policy=policy)
    phones = [net.phone(name) for name in people]
    alice, _ = net.create(invite=(), more=[*more, '--interactive'])
    for phone in phones:
        phone.wait('connected')
    alice.say('bye')
    alice.ended()
    for phone in phones:
        phone.hang_up()
        phone.ended()
    return {name: invites(net, name)[0].message.body.decode() for name in people}


LISTED = [*dials('bob'), *dials('carol', how='dial-cc'), *dials('dave', how='dial-bcc')]


@test('share-uri-list=yes tells those on the list of to and cc, and of bcc never')
def history(bench):
    bodies = told(bench, ('bob', 'carol', 'dave'), policy_with('share-uri-list=yes'), LISTED)
    for name, body in bodies.items():
        check('recipient-list-history' in body, f'{name} gets a history: {body}')
        listed = dict(re.findall(r'<entry uri="sip:(\w+)@example\.org"[^>]*copyControl="(\w+)"', body))
        check(listed == {'bob': 'to', 'carol': 'cc'}, f'{name} sees to and cc, found {body}')


@test('share-uri-list=yes tells nothing of who wants to be anonymous')
def history_anonymous(bench):
    bodies = told(bench, ('bob', 'carol'), policy_with('share-uri-list=yes'),
                  [*dials('bob', 'carol'), '--anonymize'])
    for name, body in bodies.items():
        check('recipient-list-history' in body and 'anonymous.invalid' in body,
              f'{name} learns that there are others: {body}')
        entries = re.findall(r'<entry [^>]*>', body)
        check(entries and not any('example.org' in entry for entry in entries),
              f'{name} learns no name, found {entries}')


@test('without share-uri-list nobody on a list learns of the others')
def no_history(bench):
    bodies = told(bench, ('bob', 'carol', 'dave'), None, LISTED)
    for name, body in bodies.items():
        others = [other for other in bodies if other != name and f'{other}@example.org' in body]
        check('resource-lists' not in body and not others, f'{name} sees no list: {body}')


@test('a list that is too long gets 403 and one that is no XML 400, and nobody is called')
def bad_lists(bench):
    net = Network(bench, policy=policy_with('max-uri-list=1'))
    bob, carol = net.phone('bob'), net.phone('carol')
    refused(bench.ua(net.server, 'alice', 'create', more=[*through(net), *dials('bob', 'carol')]), 403)
    for broken in ('<resource-lists', xml_list('bob').replace('</list>', ''), '',
                   '<!DOCTYPE x [<!ENTITY a "b">]>' + xml_list('bob')):
        net.proxy.when('INVITE', user=FACTORY).edit(put_list(broken), times=1)
        ua = bench.ua(net.server, 'alice', 'create', more=[*through(net), '--invite', identity('bob')])
        refused(ua, 400)
    def no_list(message):
        message.add('Require', 'recipient-list-invite')
    net.proxy.when('INVITE', user=FACTORY).edit(no_list, times=1)
    refused(bench.ua(net.server, 'alice', 'create', more=[*through(net), '--invite', identity('bob')]),
            400)
    check(not invites(net, 'bob') and not invites(net, 'carol'), net.proxy.story())
    for phone in (bob, carol):
        phone.hang_up()
    net.server.alive()


@test('a list in a re-INVITE and one of a guest to a conference URI get 403; the call goes on')
def misplaced(bench):
    net = Network(bench)
    alice, contact = net.create(invite=('bob', 'carol'), tone=440,
                                more=[*through(net), '--interactive'])
    uri = conference_of(alice)
    carol = net.phone('carol')
    room = uri.split(':')[1].split('@')[0]
    rule = net.proxy.when('INVITE', user=room)
    rule.edit(put_list(xml_list('carol')), times=1)
    bob = bench.ua(net.server, 'bob', 'join', uri, more=through(net))
    refused(bob, 403)
    bob = bench.ua(net.server, 'bob', 'join', uri, more=['--interactive'], **hearing(660, 440))
    bob.wait('connected')
    net.proxy.when('INVITE', fits=lambda m: m.in_dialog).edit(put_list(xml_list('carol')), times=1)
    alice.say('rekey')
    event = alice.wait('reinvite-refused')
    check(event['status'] == 403, f'403, found {event}')
    bob.say('sleep 1.5', 'bye')
    check(bob.ended() == 0, f'bob hears alice as before: {bob.why()}')
    check(sorted(net.server.roster(uri)) == ['alice'], 'alice is still in')
    check(not invites(net, 'carol'), f'carol was not called: {net.proxy.story()}')
    alice.say('bye')
    alice.ended()
    carol.hang_up()


@test('a list that the creator brings to the conference itself is called; who is in, is not called again')
def brought_later(bench):
    net = Network(bench)
    alice, _ = net.create(invite=('bob', 'carol'), tone=440, more=[*through(net), '--interactive'])
    uri = conference_of(alice)
    carol = net.phone('carol', tone=880, hear=[(440, HEARD)], more=['--interactive'])
    bob = bench.ua(net.server, 'bob', 'join', uri, more=['--interactive'])
    bob.wait('connected')
    room = uri.split(':')[1].split('@')[0]
    net.proxy.when('INVITE', user=room).edit(put_list(xml_list('bob', 'carol', 'dave')), times=1)
    second = bench.ua(net.server, 'alice', 'join', uri, more=[*through(net), '--interactive'])
    second.wait('connected')
    carol.wait('connected')
    wait_until(lambda: 'carol' in net.server.roster(uri), 'carol is in')
    check(len(invites(net, 'carol')) >= 1 and not invites(net, 'bob') and not invites(net, 'dave'),
          f'carol is called, not bob, who is in, nor dave, who may not come: {net.proxy.story()}')
    carol.say('sleep 1', 'bye')
    check(carol.ended() == 0, f'carol hears alice: {carol.why()}')
    for ua in (second, bob, alice):
        ua.say('bye')
        ua.ended()


@test('a URI list that names a factory or another conference of this server goes round no circle')
def loops(bench):
    net = Network(bench, policy=policy_with('ticket-authority=extend\nallow=any'))
    bob = net.phone('bob')
    lounge = net.server.lounge
    alice, uri = net.create(invite=('bob',), more=['--dial', FACTORY_URI, '--dial', lounge,
                                                   *dials('bob'), '--dial-unnamed', '--interactive'])
    bob.wait('connected')
    for target in (FACTORY_URI, lounge):
        wait_until(lambda target=target: f'call to {target} failed: 403' in net.server.process.log(),
                   f'{target} is refused')
        check(not re.search(rf"user 'conf1' for \S+ -> {re.escape(target)}",
                            net.server.process.log()), 'no ticket was fetched for it')
    check(len(net.proxy.find('INVITE')) == 1, f'bob alone is called: {net.proxy.story()}')
    check(sorted(net.server.roster(uri)) == ['alice', 'bob'], 'two are in')
    check(len(net.server.conferences()) == 2, 'and no conference was made')
    alice.say('bye')
    alice.ended()
    bob.hang_up()
    bob.ended()
