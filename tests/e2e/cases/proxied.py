# SPDX-License-Identifier: Apache-2.0
"""Behind the tests' own proxy, which does what no proxy of others would do on demand."""
import signal

import devconfig
from cases.calls import conference_of, expect_good, policy_with
from cases.refusals import refused
from harness import check, test, wait_until
from proxy import add, replace


def behind(bench, policy, trusted=True, options=()):
    """A server and a proxy before it, which it trusts or not."""
    proxy = bench.proxy()
    options = [*options, *([('sip', 'trusted-peers', proxy.host)] if trusted else [])]
    server = bench.server(policy=policy, options=options)
    proxy.route(r'.*\.' + devconfig.SERVICE, ('udp', '127.0.0.1', server.sip_port))
    return server, proxy


def through(proxy):
    return ['--proxy', proxy.uri()]


@test('a call that was forwarded on its way is let in, or refused where the policy says so')
def diverted(bench):
    for rule, statuses in (('check', None), ('reject', (403,))):
        server, proxy = behind(bench, policy_with(f'diverted-dial-in={rule}'))
        alice = bench.ua(server, 'alice', 'create', tone=440, more=[
            '--invite', devconfig.identity('bob'), *through(proxy)])
        uri = conference_of(alice)
        history = (f'<{devconfig.identity("carol")}?Reason=SIP%3Bcause%3D302>;index=1, '
                   f'<{uri};cause=302>;index=1.1;mp=1')
        proxy.when('INVITE', fits=lambda m: not m.in_dialog and 'bob@' in m.get('from')).edit(
            add('History-Info', history))
        bob = bench.ua(server, 'bob', 'join', uri, duration=1, more=through(proxy))
        if statuses is None:
            expect_good(bob)
        else:
            refused(bob, *statuses)
        alice.hang_up()
        expect_good(alice)
        check(proxy.wait('BYE', out=True), f'BYE passed the proxy: {proxy.story()}')


@test('an assertion counts from a trusted proxy alone')
def assertion(bench):
    for trusted in (True, False):
        server, proxy = behind(bench, policy_with('signalling=any'), trusted)
        alice = bench.ua(server, 'alice', 'create', tone=440, more=[
            '--invite', devconfig.identity('bob'), *through(proxy)])
        uri = conference_of(alice)
        proxy.when('INVITE', fits=lambda m: not m.in_dialog and 'bob@' in m.get('from')).edit(
            replace('P-Asserted-Identity', f'<{devconfig.identity("carol")}>'))
        bob = bench.ua(server, 'bob', 'join', uri, duration=1, more=through(proxy))
        if trusted:
            refused(bob, 403)
        else:
            expect_good(bob)
        alice.hang_up()
        expect_good(alice)


@test('requests that are lost on the way are sent again, and the call is one call')
def lost(bench):
    server, proxy = behind(bench, policy_with('signalling=any'))
    proxy.when('INVITE').drop(times=1)
    proxy.when('INVITE', status=200).drop(times=1)
    proxy.when('ACK').drop(times=1)
    proxy.when('BYE').drop(times=1)
    alice = bench.ua(server, 'alice', 'create', tone=440, duration=4, more=[
        '--invite', devconfig.identity('bob'), *through(proxy)])
    uri = conference_of(alice)
    check(sorted(server.roster(uri)) == ['alice'], 'alice is in, once')
    check(server.ctl('status')['sip-dialogs'] == 1, 'by one dialog')
    expect_good(alice)
    check(len(proxy.find(status=200, method='INVITE')) >= 2, proxy.story())
    wait_until(lambda: server.ctl('status')['legs'] == 0, 'and out again')


@test('who speaks again while he is asked whether he lives stays, though the question came to nothing')
def spoke_again(bench):
    server, proxy = behind(bench, policy_with(''), options=[('media', 'silence-timeout', '2s')])
    alice = bench.ua(server, 'alice', 'create', tone=440, more=['--invite', devconfig.identity('bob')])
    uri = conference_of(alice)
    bob = bench.ua(server, 'bob', 'join', uri, more=['--interactive', *through(proxy)])
    bob.wait('connected')
    for heard in (True, False):
        proxy.when('OPTIONS').delay(1, times=1)
        proxy.when('OPTIONS').answer(408, times=1)
        bob.process.signal(signal.SIGSTOP)
        count = 1 if heard else 2
        check(proxy.wait('OPTIONS', count=count), f'bob is asked: {proxy.story()}')
        if heard:
            bob.process.signal(signal.SIGCONT)
            wait_until(lambda: 'was silent, but is there: OPTIONS got 408' in server.process.log(),
                       'he is heard again, and stays')
            check('bob' in server.roster(uri), 'he is in')
    wait_until(lambda: sorted(server.roster(uri)) == ['alice'], 'still silent, he is out')
    bob.process.signal(signal.SIGCONT)
    bob.ended()
    alice.hang_up()
    expect_good(alice)
