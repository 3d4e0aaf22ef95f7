#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""conclave-ua in every role of a conference: asking and being asked by REFER, changing keys and the
allowed set, being called well and badly. The other side is another conclave-ua, or a few lines of
SIP written here."""
import contextlib
import signal
import sys

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
def steps_that_there_was_no_time_for_are_a_failure():
    with Pair(call=['--duration', '0.5', '--refer', '5:sip:carol@example.org']) as pair:
        (status, report), _ = pair.finish()
    check(status == 1 and report['steps_missed'] == 1, report)


if __name__ == '__main__':
    sys.exit(uatest.main())
