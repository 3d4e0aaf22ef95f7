#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""conclave-ua in every role of a conference: asking and being asked by REFER, changing keys and the
allowed set, being called well and badly. The other side is another conclave-ua, or a few lines of
SIP written here."""
import contextlib
import email
import os
import signal
import socket
import sys
import xml.etree.ElementTree

import uatest
from uatest import HEAR, Kms, Pair, Ua, both_good, check, test


def events(ua, name):
    return [event for event in ua.events if event['event'] == name]


@contextlib.contextmanager
def running(*words):
    ua = Ua(*words)
    try:
        yield ua
    finally:
        ua.stop()


def mikey_pair(kms, answer=(), call=(), caller='alice'):
    return Pair(answer=['--keymgmt', 'mikey', *kms.options('bob'), *HEAR['answer'], *answer],
                call=['--keymgmt', 'mikey', *kms.options(caller), *HEAR['call'], *call])


# ---- other keys in a call ---------------------------------------------------------------------

def changes(kms, *call, what, method, answer=(), new_keys=True):
    with mikey_pair(kms, call=['--duration', '3', '--allow-method', method, *call],
                    answer=answer) as pair:
        alice, bob = pair.finish()
    both_good(alice, bob, keymgmt='mikey-ticket')
    changed = events(pair.alice, 'keys-changed')
    check([event['what'] for event in changed] == what, pair.alice.events)
    connected = events(pair.alice, 'connected')[0]
    for report in (alice[1], bob[1]):
        check(report['key_changes'] == (len(what) if new_keys else 0), report)
        check(report['received'] > 100 and report['bad_auth'] == 0, report)
        check(report['longest_gap_ms'] < 500, report)
    check(alice[1]['csb_id'] == bob[1]['csb_id'] and alice[1]['mki'] == bob[1]['mki'], alice)
    return connected, alice[1]


@test
def the_allowed_set_and_the_keys_change_in_a_call_without_a_gap():
    with Kms() as kms:
        for method in ('reinvite', 'update'):
            before, after = changes(
                kms, '--allow-at', '0.7:sip:carol@127.0.0.1,sip:dave@127.0.0.1', '--rekey-at',
                '1.6', what=['allow', 'rekey'], method=method)
            check(before['csb_id'] != after['csb_id'] and before['mki'] != after['mki'], after)


@test
def an_update_keeps_its_bundle_and_brings_a_key_where_the_ticket_lets_it():
    with Kms() as kms:
        before, after = changes(kms, '--update-at', '0.8', what=['update'], method='reinvite',
                                new_keys=False)
        check(before['csb_id'] == after['csb_id'] and before['mki'] == after['mki'], after)
        before, after = changes(kms, '--update-at', '0.8', '--supply-keys', what=['update'],
                                method='update')
        check(before['csb_id'] == after['csb_id'] and before['mki'] != after['mki'], after)


@test
def who_was_called_may_change_the_keys_as_well():
    with Kms() as kms:
        with mikey_pair(kms, call=['--duration', '2.5'], answer=['--rekey-at', '0.8']) as pair:
            alice, bob = pair.finish()
        both_good(alice, bob)
        check(events(pair.bob, 'keys-changed'), pair.bob.events)
        check(alice[1]['key_changes'] == bob[1]['key_changes'] == 1, (alice, bob))


@test
def hold_after_new_keys_goes_on_with_the_new_keys():
    with Kms() as kms:
        with mikey_pair(kms, call=['--duration', '3.5', '--rekey-at', '0.6', '--hold', 'inactive',
                                   '--hold-after', '1.4', '--resume-after', '2.2']) as pair:
            alice, bob = pair.finish()
    both_good(alice, bob, key_changes=1)


@test
def keys_that_are_refused_leave_the_old_ones():
    with Kms() as kms:
        # bob's name at the KMS is gone by then: he cannot have the second ticket resolved
        with mikey_pair(kms, call=['--duration', '2.5', '--rekey-at', '1.2']) as pair:
            pair.alice.wait_for('connected')
            kms.run('user', 'revoke', 'bob')
            kms.process.send_signal(signal.SIGHUP)
            try:
                (status, alice), (_, bob) = pair.finish()
            finally:
                kms.run('user', 'restore', 'bob')
    check(status == 3 and alice['keys_unchanged'] == 1, alice)
    check(alice['key_changes'] == 0 and alice['bad_auth'] == 0 and alice['received'] > 90, alice)
    check(bob['bad_auth'] == 0 and bob['received'] > 90, bob)


# ---- a few lines of SIP -----------------------------------------------------------------------

class Message:
    def __init__(self, octets):
        head, _, self.body = octets.decode('utf-8', 'replace').partition('\r\n\r\n')
        lines = head.split('\r\n')
        self.first = lines[0]
        self.headers = [tuple(part.strip() for part in line.split(':', 1)) for line in lines[1:]]

    def get(self, name):
        found = [value for key, value in self.headers if key.lower() == name.lower()]
        return found[0] if found else None

    def method(self):
        return self.first.split()[0]

    def status(self):
        return int(self.first.split()[1]) if self.first.startswith('SIP/2.0') else 0


class Peer:
    """Answers calls, and keeps all that comes; the rest is up to the test. Its media port is deaf."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(('127.0.0.1', 0))
        self.port = self.socket.getsockname()[1]
        self.socket.settimeout(10)
        self.seen = []
        self.n = 0
        self.invite = None
        self.uri = f'sip:focus@127.0.0.1:{self.port}'

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.socket.close()

    def send(self, text):
        self.socket.sendto(text.encode(), self.where)

    def answer(self, request, status, headers=(), body='', tag='peer'):
        lines = [f'SIP/2.0 {status} Whatever']
        lines += [f'{key}: {value}' for key, value in request.headers if key.lower() == 'via']
        to = request.get('To')
        lines += [f'From: {request.get("From")}', to_line(to, tag),
                  f'Call-ID: {request.get("Call-ID")}', f'CSeq: {request.get("CSeq")}', *headers]
        self.send('\r\n'.join([*lines, f'Content-Length: {len(body)}', '', body]))

    def request(self, method, of, headers=(), body=''):
        """In the dialog that the request @of has opened."""
        self.n += 1
        target = of.get('Contact').strip('<>')
        self.send('\r\n'.join([
            f'{method} {target} SIP/2.0', f'Via: SIP/2.0/UDP 127.0.0.1:{self.port};'
            f'branch=z9hG4bK-{self.port}-{self.n}-{method}', 'Max-Forwards: 70',
            'From: ' + to_line(of.get('To'), 'peer')[4:], f'To: {of.get("From")}',
            f'Call-ID: {of.get("Call-ID")}', f'CSeq: {100 + self.n} {method}',
            f'Contact: <{self.uri}>', *headers, f'Content-Length: {len(body)}', '', body]))

    def notify(self, refer, line, state, identified=True, kind='message/sipfrag'):
        event = f'refer;id={refer.get("CSeq").split()[0]}' if identified else 'refer'
        self.request('NOTIFY', refer, [f'Event: {event}', f'Subscription-State: {state}',
                                       f'Content-Type: {kind}'], line)

    def sdp(self):
        return ('v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n'
                f'm=audio {self.port} RTP/AVP 8\r\n')

    def take(self):
        octets, self.where = self.socket.recvfrom(65536)
        return Message(octets)

    def until(self, wanted):
        """Serves until a request of that method, or an answer with that status, has come."""
        while True:
            message = self.take()
            self.seen.append(message)
            method = message.method()
            if method == 'INVITE' and method != wanted:
                self.answer_call(message)
            elif method in ('BYE', 'UPDATE', 'OPTIONS') and method != wanted:
                self.answer(message, 200)
            if wanted in (method, message.status()):
                return message

    def answer_call(self, message):
        self.invite = message
        self.answer(message, 200, [f'Contact: <{self.uri}>;isfocus',
                                   'Content-Type: application/sdp'], self.sdp())


def to_line(to, tag):
    return f'To: {to}' if 'tag=' in to else f'To: {to};tag={tag}'


def calling(peer, *more):
    return running('call', peer.uri, '--keymgmt', 'none', '--identity', 'sip:alice@example.org',
                   *more)


ACTIVE, OVER = 'active;expires=60', 'terminated;reason=noresource'


@test
def refers_in_a_dialog_are_told_apart_and_their_notifies_may_come_early_or_late():
    with Peer() as peer, calling(peer, '--refer', '0.2:sip:carol@example.org', '--remove',
                                 '0.3:sip:dave@example.org', '--end-conference', '0.4') as alice:
        first, second, third = peer.until('REFER'), peer.until('REFER'), peer.until('REFER')
        check([refer.get('Refer-To') for refer in (first, second, third)] ==
              ['<sip:carol@example.org>', '<sip:dave@example.org;method=BYE>',
               f'<{peer.uri};method=BYE>'], first.headers)
        check(first.get('Call-ID') == peer.invite.get('Call-ID') and 'tag=peer' in first.get('To'),
              first.headers)
        check(first.get('Referred-By') == '<sip:alice@example.org>', first.headers)
        # the second one's answer is overtaken by its NOTIFY
        peer.notify(second, 'SIP/2.0 100 Trying\r\n', ACTIVE)
        peer.until(200)
        for refer in (first, second, third):
            peer.answer(refer, 202, [f'Contact: <{peer.uri}>'])
        for refer, line, state in ((second, 'SIP/2.0 200 OK\r\n', OVER),
                                   (first, 'SIP/2.0 180 Ringing', ACTIVE),
                                   (first, 'SIP/2.0 200 OK\r\nTo: <sip:c@d>\r\n', OVER)):
            peer.notify(refer, line, state)
            peer.until(200)
        # the end of the conference is a BYE before it is told
        peer.request('BYE', peer.invite)
        peer.until(200)
        peer.notify(third, 'SIP/2.0 200 Ended\r\n', OVER)
        peer.until(200)
        status, report = alice.finish()
    check(status == 0 and report['cause'] == 'bye', report)
    check([(r['what'], r['outcome'], r['finished']) for r in report['refers']] ==
          [('invite', 200, True), ('remove', 200, True), ('end', 200, True)], report)
    told = [(event['refer'], event['status']) for event in events(alice, 'notified')]
    check(told == [(2, 100), (2, 200), (1, 180), (1, 200), (3, 200)], told)


@test
def a_refer_that_fails_or_is_never_finished_is_a_failure():
    for line, state, wanted in (('SIP/2.0 403 Forbidden\r\n', OVER, 3),
                                ('SIP/2.0 100 Trying\r\n', OVER, 1),
                                ('SIP/2.0 200 OK\r\n', ACTIVE, 1), ('nonsense', OVER, 1)):
        with Peer() as peer, calling(peer, '--refer', '0.1:sip:carol@example.org', '--duration',
                                     '0.6') as alice:
            refer = peer.until('REFER')
            peer.answer(refer, 202, [f'Contact: <{peer.uri}>'])
            peer.notify(refer, line, state)
            check(peer.until(200).get('CSeq').endswith('NOTIFY'), peer.seen[-1].first)
            peer.until('BYE')
            peer.answer(peer.seen[-1], 200)
            status, report = alice.finish()
        check(status == wanted, f'{line}: {report}')


@test
def notifies_about_nothing_are_refused():
    with Peer() as peer, calling(peer, '--refer', '0.1:sip:carol@example.org', '--duration',
                                 '1') as alice:
        refer = peer.until('REFER')
        peer.answer(refer, 202, [f'Contact: <{peer.uri}>'])
        cases = [(['Event: refer;id=4711', f'Subscription-State: {OVER}'], 481),
                 (['Event: conference', f'Subscription-State: {OVER}'], 489),
                 ([f'Subscription-State: {OVER}'], 489), (['Event: refer'], 400)]
        for headers, wanted in cases:
            peer.request('NOTIFY', refer, headers)
            check(peer.until(wanted).status() == wanted, headers)
        peer.notify(refer, 'SIP/2.0 200 OK', OVER, identified=False)
        peer.until(200)
        peer.until('BYE')
        peer.answer(peer.seen[-1], 200)
        status, report = alice.finish()
    check(status == 0, report)


@test
def a_refer_outside_of_a_call_says_which_dialog_it_knows():
    with Peer() as peer, running('refer', peer.uri, '--refer-to',
                                 'sip:carol@example.org?Call-ID=a&From=b', '--refer-method', 'BYE',
                                 '--refer-body', 'none', '--target-dialog',
                                 'x@y;local-tag=a;remote-tag=b', '--norefersub', '--identity',
                                 'sip:alice@example.org') as alice:
        refer = peer.until('REFER')
        check(refer.get('Refer-To') == '<sip:carol@example.org;method=BYE?Call-ID=a&From=b>',
              refer.headers)
        check(refer.get('Target-Dialog') == 'x@y;local-tag=a;remote-tag=b', refer.headers)
        check(refer.get('Refer-Sub') == 'false' and 'norefersub' in refer.get('Supported'),
              refer.headers)
        peer.answer(refer, 200, ['Refer-Sub: false', f'Contact: <{peer.uri}>'])
        status, report = alice.finish()
    check(status == 0 and report['refers'][0]['answer'] == 200, report)


# ---- REFER from user to user ------------------------------------------------------------------

def conference(stack, kms, *more):
    """Somebody who answers like a focus: carol, called by her own name"""
    ua = stack.enter_context(running('answer', '--listen', '127.0.0.1:0', '--keymgmt', 'mikey',
                                     *kms.options('mallory'), *HEAR['answer'], *more))
    return ua, ua.wait_for('listening')['contact']


def refer(kms, bob, conference_uri, *more, keys=True):
    words = kms.options('alice') if keys else ['--identity', 'sip:alice@127.0.0.1']
    return running('refer', bob, '--refer-to', conference_uri, *words, *more)


def follower(kms, *more):
    return running('answer', '--follow-refer', '--listen', '127.0.0.1:0', '--keymgmt', 'mikey',
                   *kms.options('bob'), *HEAR['call'], *more)


@test
def a_user_is_referred_and_joins_and_the_referrer_hears_so():
    for body in ('mikey', 'sdp'):
        with contextlib.ExitStack() as stack:
            kms = stack.enter_context(Kms())
            focus, uri = conference(stack, kms)
            bob = stack.enter_context(follower(kms))
            contact = bob.wait_for('listening')['contact']
            alice = stack.enter_context(refer(kms, contact, uri, '--refer-body', body))
            status, report = alice.finish()
            check(status == 0, report)
            check(report['refers'] == [{'what': 'invite', 'target': uri, 'answer': 202,
                                        'outcome': 200, 'phrase': 'OK', 'finished': True}], report)
            told = [event['status'] for event in events(alice, 'notified')]
            check(told[0] == 100 and told[-1] == 200, told)
            status, report = bob.finish()
            check(status == 0 and report['proven_referrer'] == 'sip:alice@127.0.0.1', report)
            check(report['followed'] == uri and report['received'] > 40, report)
            status, report = focus.finish()
            check(status == 0 and report['proven_peer'] == 'sip:bob@127.0.0.1', report)


@test
def who_is_referred_wants_a_ticket_that_names_the_conference():
    cases = [('no ticket at all', ['--refer-body', 'none'], False),
             ('another conference', ['--for', 'sip:bob@127.0.0.1', '--for',
                                     'sip:other@127.0.0.1'], True),
             ('another purpose', ['--purpose', 'join'], True),
             ('a bit of V', ['--forge', 'bad-mac'], True),
             ('somebody else\'s proof', ['--forge', 'bad-vi'], True)]
    with Kms() as kms:
        for what, more, keys in cases:
            with follower(kms) as bob:
                contact = bob.wait_for('listening')['contact']
                with refer(kms, contact, 'sip:mallory@127.0.0.1:9', *more, keys=keys) as alice:
                    status, report = alice.finish()
                check((status, report['status']) == (3, 403), f'{what}: {report}')
                status, report = bob.finish()
                check(status == 5 and 'followed' not in report, f'{what}: {report}')


@test
def without_notifies_the_answer_is_the_last_word():
    with contextlib.ExitStack() as stack:
        kms = stack.enter_context(Kms())
        _, uri = conference(stack, kms)
        bob = stack.enter_context(follower(kms))
        contact = bob.wait_for('listening')['contact']
        alice = stack.enter_context(refer(kms, contact, uri, '--norefersub'))
        status, report = alice.finish()
        check(status == 0 and not events(alice, 'notified'), report)
        check(report['refers'][0]['outcome'] == 0 and report['refers'][0]['answer'] == 202, report)
        check(bob.finish()[0] == 0, bob.events)


@test
def a_referral_that_leads_nowhere_is_told():
    with contextlib.ExitStack() as stack:
        kms = stack.enter_context(Kms())
        _, uri = conference(stack, kms, '--busy')
        bob = stack.enter_context(follower(kms))
        contact = bob.wait_for('listening')['contact']
        alice = stack.enter_context(refer(kms, contact, uri))
        status, report = alice.finish()
        check(status == 3 and report['refers'][0]['outcome'] == 486, report)
        check(bob.finish()[0] == 3, bob.events)


@test
def who_follows_no_refer_says_so():
    with Kms() as kms, running('answer', '--listen', '127.0.0.1:0') as bob:
        contact = bob.wait_for('listening')['contact']
        with refer(kms, contact, 'sip:mallory@127.0.0.1') as alice:
            status, report = alice.finish()
    check((status, report['status']) == (3, 405), report)


# ---- being called -----------------------------------------------------------------------------

@test
def an_answer_in_a_reliable_183_is_enough():
    with Kms() as kms:
        for options in (['--reliable'], ['--reliable', '--answer-after', '700']):
            with mikey_pair(kms, answer=options) as pair:
                alice, bob = pair.finish()
            both_good(alice, bob, keymgmt='mikey-ticket')
            progress = events(pair.alice, 'progress')
            check([(p['status'], p['sdp']) for p in progress] == [(183, True)], progress)
            check(events(pair.bob, 'pracked'), pair.bob.events)


@test
def a_callee_can_look_diverted():
    with Pair(answer=['--send-181', '--history-info',
                      '<sip:bob@example.org>;index=1, <sip:carol@example.org>;index=1.1;rc=1',
                      '--assert-identity', 'sip:carol@example.org', '--change-identity',
                      '0.5:sip:dave@example.org'], call=['--duration', '1']) as pair:
        (status, _), (bob_status, _) = pair.finish()
    check((status, bob_status) == (0, 0), pair.alice.events)
    progress = events(pair.alice, 'progress')
    check([p['status'] for p in progress] == [181, 180], progress)
    check({p['asserted'] for p in progress} == {'sip:carol@example.org'}, progress)
    check(events(pair.bob, 'refreshed'), pair.bob.events)


@test
def answers_without_keys_are_given_on_demand_and_refused():
    with Kms() as kms:
        for how in ('--no-transfer-resp', '--answer-plain'):
            with mikey_pair(kms, answer=[how]) as pair:
                (status, report), _ = pair.finish()
            check(status == 5, f'{how}: {report}')
            check('nobody has proven anything' in report['problem'], report)


@test
def who_is_not_named_in_the_ticket_cannot_answer():
    with Kms() as kms:
        # mallory sits at bob's address; the ticket is for bob
        with running('answer', '--listen', '127.0.0.1:0', '--keymgmt', 'mikey',
                     *kms.options('mallory')) as mallory:
            bob = mallory.wait_for('listening')['contact'].replace('mallory', 'bob')
            with running('call', bob, '--keymgmt', 'mikey', *kms.options('alice')) as alice:
                status, report = alice.finish()
                check((status, report['status']) == (3, 488), report)
            status, report = mallory.finish()
            check(status == 5 and report['mikey_error'] >= 0, report)


@test
def keys_that_are_pressed_arrive_each_once():
    with Pair(answer=['--tone', '1000', '--dtmf', '0.3:7'],
              call=['--dtmf', '0.2:12#', '--dtmf', '0.9:*AD', '--duration', '2.5',
                    '--expect-hear', '1000:-20']) as pair:
        (status, alice), (bob_status, bob) = pair.finish()
    check((status, bob_status) == (0, 0), (alice, bob))
    check((bob['digits_heard'], alice['digits_heard']) == ('12#*AD', '7'), (alice, bob))
    check(alice['digits_sent'] == 6 and bob['lost'] == 0 and bob['bad_auth'] == 0, (alice, bob))
    with Pair(call=['--dtmf', '0.1:1x', '--duration', '0.5']) as pair:
        (status, report), _ = pair.finish()
    check(status == 1 and 'keys are' in report['problem'], report)


# ---- what an INVITE may bring with it ---------------------------------------------------------

@test
def a_list_of_whom_to_call_goes_with_the_creation():
    with Peer() as peer, running(
            'create', '--factory', peer.uri, '--keymgmt', 'none', '--identity',
            'sip:alice@example.org', '--dial', 'sip:bob@example.org', '--dial-cc',
            'sip:carol@example.org?a=1&b="2"', '--dial-bcc', 'sip:dave@example.org', '--anonymize',
            '--duration', '0.2') as alice:
        invite = peer.until('BYE') and peer.invite
        peer.answer(peer.seen[-1], 200)
        check(alice.finish()[0] == 0, alice.events)
    check(invite.get('Require') == 'recipient-list-invite', invite.headers)
    parts = email.message_from_string(f'Content-Type: {invite.get("Content-Type")}\n\n'
                                      + invite.body).get_payload()
    check([part.get_content_type() for part in parts] ==
          ['application/sdp', 'application/resource-lists+xml'], invite.body)
    check(parts[1].get('Content-Disposition') == 'recipient-list', invite.body)
    check(parts[0].get_payload().startswith('v=0'), invite.body)
    copy = '{urn:ietf:params:xml:ns:copycontrol}'
    entries = xml.etree.ElementTree.fromstring(parts[1].get_payload().strip()).iter(
        '{urn:ietf:params:xml:ns:resource-lists}entry')
    found = [(e.get('uri'), e.get(copy + 'copyControl'), e.get(copy + 'anonymize'))
             for e in entries]
    check(found == [('sip:bob@example.org', 'to', 'true'),
                    ('sip:carol@example.org?a=1&b="2"', 'cc', 'true'),
                    ('sip:dave@example.org', 'bcc', 'true')], found)


@test
def headers_are_sent_as_they_are_wanted():
    with Peer() as peer, calling(
            peer, '--header', 'P-Access-Network-Info: IEEE-802.11', '--privacy', 'id',
            '--assert-identity', 'sip:alice@example.org', '--require-100rel', '--replaces',
            'x@y;local-tag=theirs;remote-tag=ours', '--join', 'z;to-tag=1;from-tag=2',
            '--refer', '0.1:sip:carol@example.org', '--norefersub', '--duration', '0.6') as alice:
        refer = peer.until('REFER')
        peer.answer(refer, 202, ['Refer-Sub: false', f'Contact: <{peer.uri}>'])
        peer.until('BYE')
        peer.answer(peer.seen[-1], 200)
        check(alice.finish()[0] == 0, alice.events)
    wanted = {'P-Access-Network-Info': 'IEEE-802.11', 'Privacy': 'id',
              'P-Asserted-Identity': '<sip:alice@example.org>'}
    for name, value in wanted.items():
        check(peer.invite.get(name) == refer.get(name) == value, (name, peer.invite.headers))
    check(peer.invite.get('Replaces') == 'x@y;to-tag=theirs;from-tag=ours', peer.invite.headers)
    check(peer.invite.get('Join') == 'z;to-tag=1;from-tag=2', peer.invite.headers)
    check(peer.invite.get('Require') == '100rel, replaces, join', peer.invite.headers)


@test
def a_registration_is_proven_used_and_taken_back():
    password = os.path.join(uatest.work, 'bob-password')
    with open(password, 'w', encoding='ascii') as out:
        out.write('secret\n')
    with Peer() as peer, running(
            'answer', '--register', '--proxy', peer.uri, '--identity', 'sip:bob@example.org',
            '--user', 'bob', '--password-file', password, '--busy', '--listen',
            '127.0.0.1:0') as bob:
        asked = peer.until('REGISTER')
        check(asked.first == 'REGISTER sip:example.org SIP/2.0', asked.first)
        peer.answer(asked, 401, ['WWW-Authenticate: Digest realm="example.org", nonce="n", '
                                 'algorithm=MD5, qop="auth"'])
        proven = peer.until('REGISTER')
        check('username="bob"' in proven.get('Authorization'), proven.headers)
        check(proven.get('Expires') == '3600' and proven.get('To') == '<sip:bob@example.org>',
              proven.headers)
        check(int(proven.get('CSeq').split()[0]) > int(asked.get('CSeq').split()[0]), proven.first)
        peer.answer(proven, 200, [f'Contact: {proven.get("Contact")};expires=3600'])
        bob.wait_for('listening')
        peer.send('\r\n'.join([
            f'INVITE {proven.get("Contact").strip("<>")} SIP/2.0',
            f'Via: SIP/2.0/UDP 127.0.0.1:{peer.port};branch=z9hG4bK-invite', 'Max-Forwards: 70',
            'From: <sip:alice@example.org>;tag=a', 'To: <sip:bob@example.org>', 'Call-ID: call',
            'CSeq: 1 INVITE', f'Contact: <{peer.uri}>', 'Content-Length: 0', '', '']))
        peer.until(486)
        gone = peer.until('REGISTER')
        check(gone.get('Expires') == '0', gone.headers)
        peer.answer(gone, 200)
        status, report = bob.finish()
    check((status, report['status']) == (3, 486), report)


@test
def a_registration_that_is_refused_ends_it():
    with Peer() as peer, running('answer', '--register', '--proxy', peer.uri, '--identity',
                                 'sip:bob@example.org', '--listen', '127.0.0.1:0') as bob:
        peer.answer(peer.until('REGISTER'), 403)
        status, report = bob.finish()
    check((status, report['status']) == (3, 403) and 'listening' not in bob.names(), report)


@test
def preconditions_are_met_by_update_before_the_answer():
    with Peer() as peer, calling(peer, '--preconditions', '--duration', '0.4') as alice:
        invite = peer.take()
        check(invite.get('Require') == '100rel, precondition', invite.headers)
        check('a=curr:qos local none' in invite.body and
              'a=des:qos mandatory local sendrecv' in invite.body, invite.body)
        contact = [f'Contact: <{peer.uri}>;isfocus', 'Content-Type: application/sdp']
        peer.answer(invite, 183, [*contact, 'Require: 100rel', 'RSeq: 7'], peer.sdp() +
                    'a=curr:qos local sendrecv\r\na=curr:qos remote none\r\n'
                    'a=conf:qos remote sendrecv\r\n')
        prack = peer.until('PRACK')
        check(prack.get('RAck') == f'7 {invite.get("CSeq")}', prack.headers)
        peer.answer(prack, 200)
        update = peer.take()
        check(update.method() == 'UPDATE' and 'a=curr:qos local sendrecv' in update.body and
              'a=curr:qos remote sendrecv' in update.body, update.body)
        peer.answer(update, 200, contact, peer.sdp() + 'a=curr:qos local sendrecv\r\n')
        peer.answer(invite, 200, contact[:1])
        peer.until('BYE')
        peer.answer(peer.seen[-1], 200)
        status, report = alice.finish()
    check(status == 0 and report['codec'] == 'PCMA', report)
    check('preconditions-met' in alice.names(), alice.names())


# ---- proving oneself to the KMS by HTTP -------------------------------------------------------

@test
def a_kms_that_challenges_by_http_is_answered():
    with Kms('digest') as kms:
        extra = {user: ['--kms-user', user] for user in ('alice', 'bob')}
        with mikey_pair(kms, call=extra['alice'], answer=extra['bob']) as pair:
            both_good(*pair.finish(), keymgmt='mikey-ticket')
        wrong = os.path.join(uatest.work, 'wrong')
        with open(wrong, 'w', encoding='ascii') as out:
            out.write('secret\n')
        for more in ([], ['--kms-user', 'alice', '--kms-password-file', wrong],
                     ['--kms-user', 'bob']):
            with running('call', 'sip:bob@127.0.0.1:9', '--keymgmt', 'mikey',
                         *kms.options('alice'), *more) as alice:
                status, report = alice.finish()
            check(status == 5 and '401' in report['problem'], report)


@test
def a_kms_that_wants_a_certificate_gets_it():
    path = {name: os.path.join(uatest.work, name) for name in
            ('kms.key', 'kms.pem', 'alice.key', 'alice.pem', 'both.pem', 'mallory.key',
             'mallory.pem')}
    uatest.make_certificate(path['kms.key'], path['kms.pem'], 'IP:127.0.0.1')
    for user in ('alice', 'mallory'):
        uatest.make_certificate(path[f'{user}.key'], path[f'{user}.pem'],
                                f'URI:sip:{user}@127.0.0.1')
    with Kms('certificate', (path['kms.pem'], path['kms.key'], path['alice.pem'])) as kms:
        words = ['ticket', '--for', 'sip:bob@127.0.0.1', '--ticket-file',
                 os.path.join(uatest.work, 'a-ticket'), *kms.options('alice'), '--kms-ca',
                 path['kms.pem']]
        for more, wanted in ((['--kms-cert', uatest.joined(path['alice.key'], path['alice.pem'])],
                              0), ([], 5),
                             (['--kms-cert', uatest.joined(path['mallory.key'],
                                                           path['mallory.pem'])], 5)):
            with running(*words, *more) as alice:
                status, report = alice.finish()
            check(status == wanted, report)


@test
def steps_that_there_was_no_time_for_are_a_failure():
    with Pair(call=['--duration', '0.5', '--refer', '5:sip:carol@example.org']) as pair:
        (status, report), _ = pair.finish()
    check(status == 1 and report['steps_missed'] == 1, report)


if __name__ == '__main__':
    sys.exit(uatest.main())
