#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""conclave-ua against itself: both halves of a call, over real sockets, audio by frequency."""
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time

import uatest
from uatest import (HEAR, SOURCE, SUITES, TIMEOUT, UA, Kms, Pair, Ua, both_good, check, joined,
                    make_certificate, talk, test)


@test
def they_hear_each_other_over_udp():
    talk(suite=SUITES[0], keymgmt='sdes', codec='PCMA')


@test
def they_hear_each_other_over_tcp_and_mu_law():
    talk(transport='tcp', call=['--codec', 'PCMU'], codec='PCMU')


@test
def they_hear_each_other_over_ipv6():
    try:
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).bind(('::1', 0))
    except OSError:
        return 'no IPv6 here'
    talk(host='::1')


@test
def they_hear_each_other_over_checked_tls():
    key, cert = os.path.join(uatest.work, 'key.pem'), os.path.join(uatest.work, 'cert.pem')
    make_certificate(key, cert, 'IP:127.0.0.1')
    talk(transport='tls', answer=['--cert', joined(key, cert)], call=['--ca', cert])


@test
def an_unknown_tls_server_is_refused_at_once():
    start = time.monotonic()
    with Pair(transport='tls', call=['--duration', '1']) as pair:
        status, report = pair.alice.finish()
    check(status == 3 and report['local'], report)
    check('certificate' in report['problem'], report)
    check(time.monotonic() - start < 5, 'it took too long')


@test
def a_certificate_for_somebody_else_is_refused():
    key, cert = os.path.join(uatest.work, 'key2.pem'), os.path.join(uatest.work, 'cert2.pem')
    make_certificate(key, cert, 'IP:127.0.0.2,DNS:localhost')
    with Pair(transport='tls', answer=['--cert', joined(key, cert)],
              call=['--ca', cert, '--duration', '1']) as pair:
        status, report = pair.alice.finish()
    check(status == 3 and report['local'] and 'IP address mismatch' in report['problem'], report)


@test
def every_suite_works_by_sdes():
    with contextlib.ExitStack() as stack:
        pairs = {suite: stack.enter_context(
            Pair('127.0.0.1', 'udp', [*HEAR['answer'], '--suite', ','.join(SUITES)],
                 [*HEAR['call'], '--suite', suite])) for suite in SUITES}
        for suite, pair in pairs.items():
            both_good(*pair.finish(), suite=suite)


@test
def plain_rtp_works_when_both_want_it():
    talk(answer=['--keymgmt', 'none'], call=['--keymgmt', 'none'], keymgmt='none')


@test
def plain_rtp_is_refused_by_who_wants_keys():
    with Pair(call=['--keymgmt', 'none']) as pair:
        (status, report), (bob_status, _) = pair.finish()
    check((status, report['status']) == (3, 488), report)
    check(bob_status == 5, bob_status)


@test
def no_suite_in_common_is_refused():
    with Pair(answer=['--suite', SUITES[0]], call=['--suite', SUITES[3]]) as pair:
        (status, report), _ = pair.finish()
    check((status, report['status']) == (3, 488), report)


@test
def a_refusal_is_told():
    with Pair(answer=['--answer-status', '486']) as pair:
        (status, report), (bob_status, bob) = pair.finish()
    check((status, report['status'], report['state']) == (3, 486, 'refused'), report)
    check((bob_status, bob['status']) == (3, 486), bob)


@test
def a_call_can_be_cancelled():
    with Pair(answer=['--answer-after', '5000'], call=['--cancel-after', '300']) as pair:
        (status, report), (_, bob) = pair.finish()
    check((status, report['status']) == (3, 487), report)
    check(bob['cause'] == 'cancel', bob)


@test
def impatience_cancels_too():
    with Pair(answer=['--answer-after', '5000'], call=['--answer-timeout', '0.3']) as pair:
        (status, report), _ = pair.finish()
    check((status, report['status']) == (3, 487), report)


@test
def nobody_there_is_no_mystery():
    ua = Ua('call', 'sip:bob@127.0.0.1:9;transport=tcp', '--duration', '1')
    try:
        status, report = ua.finish()
        check(status == 3 and report['local'], report)
    finally:
        ua.stop()


@test
def hold_stops_the_music_and_resume_brings_it_back():
    with Pair(answer=['--tone', '1000'],
              call=['--hold', 'inactive', '--hold-after', '1', '--resume-after', '2',
                    '--duration', '3', '--tone', '440', '--listen-for', '1000']) as pair:
        (status, alice), (bob_status, bob) = pair.finish()
    check(status == 0 and bob_status == 0, (alice, bob))
    check('held' in pair.alice.names() and 'resumed' in pair.alice.names(), pair.alice.names())
    check(pair.bob.names().count('reoffered') == 2, pair.bob.names())
    # a second of three was silent on both sides, and SRTP went on where it had been
    for report in (alice, bob):
        check(800 <= report['longest_gap_ms'] <= 1300, report)
        check(report['bad_auth'] == 0 and report['replayed'] == 0 and report['lost'] == 0, report)
        check(80 <= report['received'] <= 120, report)


@test
def a_session_is_refreshed_before_it_expires():
    with Pair(answer=['--tone', '1000'],
              call=['--session-expires', '10', '--duration', '6']) as pair:
        (status, report), (bob_status, _) = pair.finish()
    refreshed = [event for event in pair.alice.events if event['event'] == 'refreshed']
    check((status, bob_status) == (0, 0), report)
    check([(r['method'], r['status']) for r in refreshed] == [('UPDATE', 200)], refreshed)
    check(report['longest_gap_ms'] < 200, report)


@test
def a_session_that_nobody_refreshes_ends():
    with Pair(answer=['--tone', '1000'],
              call=['--session-expires', '10', '--duration', '30']) as pair:
        pair.alice.wait_for('connected')
        # alice stands still while her session expires, and wakes up to bob's BYE
        pair.alice.process.send_signal(signal.SIGSTOP)
        time.sleep(8)
        pair.alice.process.send_signal(signal.SIGCONT)
        (status, alice), (bob_status, bob) = pair.finish()
    check((bob_status, bob['cause']) == (0, 'timer'), bob)
    check((status, alice['cause']) == (0, 'bye'), alice)


@test
def commands_are_taken_from_standard_input():
    with Pair(answer=['--tone', '1000'],
              call=['--interactive', '--listen-for', '1000'], commands=True) as pair:
        stdin = pair.alice.process.stdin
        stdin.write('sleep 1\nstats\nhold\nsleep 0.3\ndance\nresume\nsleep 0.3\nbye\n')
        stdin.close()
        pair.alice.process.stdin = None
        (status, report), _ = pair.finish()
    names = pair.alice.names()
    order = ['connected', 'stats', 'holding', 'held', 'unknown-command', 'resuming', 'resumed',
             'ended', 'report']
    check([name for name in names if name in order] == order, names)
    check(status == 0, report)


@test
def the_other_side_may_hang_up():
    with Pair(answer=['--duration', '1'], call=[]) as pair:
        (status, alice), (bob_status, bob) = pair.finish()
    check((status, alice['cause'], bob_status, bob['cause']) == (0, 'bye', 0, 'local'),
          (alice, bob))


@test
def a_signal_ends_the_call_politely():
    with Pair() as pair:
        pair.alice.wait_for('connected')
        pair.alice.process.send_signal(signal.SIGTERM)
        (status, _), (bob_status, bob) = pair.finish()
    check((status, bob_status, bob['cause']) == (0, 0, 'bye'), bob)


@test
def what_is_not_heard_fails():
    with Pair(answer=['--tone', '1000'],
              call=['--duration', '1', '--expect-hear', '700:-30']) as pair:
        (status, report), _ = pair.finish()
    check(status == 4 and not report['expectations'][0]['met'], report)


@test
def what_should_not_be_heard_fails():
    with Pair(answer=['--tone', '1000'],
              call=['--duration', '1', '--expect-silent', '1000:-50']) as pair:
        (status, report), _ = pair.finish()
    check(status == 4 and not report['expectations'][0]['met'], report)


@test
def nothing_measured_proves_no_silence():
    with Pair(answer=['--answer-status', '486'], call=['--expect-silent', '1000:-50']) as pair:
        (status, report), _ = pair.finish()
    check(status == 3 and not report['expectations'][0]['met'], report)


@test
def sound_files_are_played_and_recorded():
    sound, heard = os.path.join(uatest.work, 'sound.wav'), os.path.join(uatest.work, 'heard.wav')
    with Pair(answer=['--record', sound], call=['--tone', '700', '--duration', '1']) as pair:
        pair.finish()
    talk(call=['--record', heard])
    with Pair(answer=['--play', sound],
              call=['--expect-hear', '700:-24', '--duration', '1.5']) as pair:
        (status, report), _ = pair.finish()
    check(status == 0, report)
    check(os.path.getsize(heard) > 20000, 'nothing was recorded')


# ---- with a KMS ------------------------------------------------------------------------------

def ticket_pair(kms, *call, caller='alice', kms_for_caller=True):
    who = kms.options(caller) if kms_for_caller else ['--identity', f'sip:{caller}@127.0.0.1']
    return Pair(answer=['--keymgmt', 'mikey', *kms.options('bob'), *HEAR['answer']],
                call=['--keymgmt', 'mikey', *who, *HEAR['call'], *call])


@test
def they_hear_each_other_by_ticket():
    with contextlib.ExitStack() as stack:
        kms = stack.enter_context(Kms())
        pairs = {suite: stack.enter_context(
            Pair(answer=['--keymgmt', 'mikey', *kms.options('bob'), *HEAR['answer'], '--suite',
                         ','.join(SUITES)],
                 call=['--keymgmt', 'mikey', *kms.options('alice'), *HEAR['call'], '--suite',
                       suite])) for suite in SUITES}
        for suite, pair in pairs.items():
            alice, bob = pair.finish()
            both_good(alice, bob, keymgmt='mikey-ticket', suite=suite, ssrc_as_announced=True)
            check(alice[1]['proven_peer'] == 'sip:bob@127.0.0.1', alice)
            check(bob[1]['proven_peer'] == 'sip:alice@127.0.0.1', bob)
            check(alice[1]['mki'] == bob[1]['mki'] and len(alice[1]['mki']) == 8, alice)


@test
def a_peer_written_from_the_rfcs_is_understood():
    peer = os.path.join(SOURCE, 'tests/e2e/peer/peer.py')
    with Kms() as kms:
        for transport in ('udp', 'tcp'):
            ua = Ua('answer', '--listen', '127.0.0.1', '--transport', transport, '--keymgmt',
                    'mikey', *kms.options('bob'), *HEAR['answer'])
            try:
                port = ua.wait_for('listening')['contact'].split(':')[2].split(';')[0]
                said = subprocess.run(
                    [sys.executable, peer, 'call', 'sip:bob@127.0.0.1', '--server',
                     f'127.0.0.1:{port}', '--transport', transport, *kms.options('alice'),
                     '--tone', '440', '--duration', '2.5', '--expect-hear', '1000:-20',
                     '--expect-silent', '440:-50'], capture_output=True, text=True, check=False,
                    timeout=TIMEOUT)
                check(said.returncode == 0, said.stdout + said.stderr)
                status, report = ua.finish()
                check(status == 0 and report['proven_peer'] == 'sip:alice@127.0.0.1', report)
                check(report['bad_auth'] == 0 and report['received'] > 80, report)
            finally:
                ua.stop()


@test
def forged_offers_are_refused():
    with Kms() as kms:
        for how in ('bad-mac', 'bad-vi', 'expired', 'no-sdp-ids'):
            with ticket_pair(kms, '--forge', how) as pair:
                (status, report), (bob_status, bob) = pair.finish()
            check((status, report['status']) == (3, 488), f'{how}: {report}')
            check(bob_status == 5, f'{how}: {bob}')


@test
def a_stolen_ticket_opens_nothing():
    ticket = os.path.join(uatest.work, 'ticket')
    with Kms() as kms:
        status = subprocess.run([UA, 'ticket', '--for', 'sip:bob@127.0.0.1', '--ticket-file',
                                 ticket, '--reusable', *kms.options('alice')],
                                capture_output=True, check=False).returncode
        check(status == 0, f'no ticket: {status}')
        check(os.stat(ticket).st_mode & 0o777 == 0o600, 'others can read it')
        # whoever has the whole file is its owner; whoever has the ticket alone is a thief
        with ticket_pair(kms, '--ticket-file', ticket, kms_for_caller=False) as pair:
            both_good(*pair.finish(), keymgmt='mikey-ticket')
        with ticket_pair(kms, '--ticket-file', ticket, '--forge', 'stolen-ticket', caller='mallory',
                         kms_for_caller=False) as pair:
            (status, report), (bob_status, bob) = pair.finish()
    check((status, report['status'], bob_status) == (3, 488, 5), (report, bob))


@test
def a_replayed_offer_gives_no_keys():
    message = os.path.join(uatest.work, 'message')
    with Kms() as kms:
        with ticket_pair(kms, '--save-message', message) as pair:
            both_good(*pair.finish())
        # a called party without memory takes it; the caller still cannot speak
        with ticket_pair(kms, '--forge', 'replay', '--message-file', message, caller='mallory',
                         kms_for_caller=False) as pair:
            (status, report), _ = pair.finish()
    check(status in (3, 5), report)


@test
def a_wrong_key_at_the_kms_is_told():
    with Kms() as kms:
        options = kms.options('alice')
        options[options.index('--psk-file') + 1] = f'{uatest.work}/mallory.psk'
        ua = Ua('call', 'sip:bob@127.0.0.1:9', '--keymgmt', 'mikey', *options)
        try:
            status, report = ua.finish()
        finally:
            ua.stop()
    check(status == 5, report)
    check(report['mikey_error'] == 0, report)


@test
def a_dead_kms_is_told():
    ua = Ua('call', 'sip:bob@127.0.0.1:9', '--keymgmt', 'mikey', '--kms', 'http://127.0.0.1:9/',
            '--kms-uri', 'sip:kms@127.0.0.1', '--psk-id', 'alice', '--psk-file',
            f'{uatest.work}/alice.psk', '--identity', 'sip:alice@127.0.0.1')
    try:
        status, report = ua.finish()
    finally:
        ua.stop()
    check(status == 5, report)


@test
def a_trace_that_is_not_there_is_told():
    for path in (f'{uatest.work}/nosuch', '/nosuch', 'nosuch'):
        done = subprocess.run([UA, 'decode', path], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, timeout=20)
        check(done.returncode == 1, done)
        check('No such file' in done.stderr and done.stdout == '', done)
    for text in ('AAAA', 'AQ==', 'a=key-mgmt:mikey AQ=='):
        done = subprocess.run([UA, 'decode', text], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, timeout=20)
        check(done.returncode == 1, done)
        check('No such file' not in done.stderr, done)


if __name__ == '__main__':
    sys.exit(uatest.main())
