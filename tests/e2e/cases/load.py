# SPDX-License-Identifier: Apache-2.0
"""A conference that goes on as if nothing were, while calls, floods and nonsense come in beside it."""
import os
import time

import devconfig
from cases import soak
from cases.calls import HEARD, SILENT, conference_of
from cases.watched import scrape
from harness import check, test

RATE = int(os.environ.get('E2E_CALL_RATE', '200'))  # calls a second
SECONDS = int(os.environ.get('E2E_CALL_SECONDS', '30'))
GAP_MS = 60
LEVEL_DB = -18  # what conclave-ua says when nobody tells it otherwise
TONES = {'alice': 440, 'bob': 660, 'carol': 1000}


class Conference:
    """Three who hear each other all the time; what they heard is judged at the end."""

    def __init__(self, bench, server):
        self.server, self.people = server, []
        for name, hz in TONES.items():
            others = [(f, HEARD) for f in TONES.values() if f != hz]
            more = ['--measure-from', '2']
            if name == 'alice':
                for guest in ('bob', 'carol'):
                    more += ['--invite', devconfig.identity(guest)]
            ua = bench.ua(server, name, 'join' if self.people else 'create',
                          self.uri if self.people else None, tone=hz, hear=others,
                          silent=[(hz, SILENT)], more=more)
            if not self.people:
                self.uri = conference_of(ua)
            ua.wait('connected')
            self.people.append(ua)
        self.began = time.monotonic()

    def judge(self):
        """Everybody heard the others, all the time, and lost nothing, nor did the server."""
        time.sleep(max(0, 4 - (time.monotonic() - self.began)))
        seconds = time.monotonic() - self.began
        roster = self.server.roster(self.uri)
        check(sorted(roster) == sorted(TONES), f'three are still in, found {sorted(roster)}')
        for name, row in roster.items():
            check(row['lost'] == 0, f'the server lost nothing of {name}, found {row}')
        for ua in self.people:
            ua.hang_up()
        for ua in self.people:
            check(ua.ended() == 0, f'{ua.name} heard the others all the time, found {ua.why()}')
            report = ua.find('report')[0]
            check(report['lost'] == 0 and report['longest_gap_ms'] <= GAP_MS,
                  f'{ua.name} lost nothing and waited for nothing, found {report}')
            check(report['received'] >= 50 * (seconds - 0.2),
                  f'{ua.name} got 50 packets a second for {seconds:.1f} s, found {report}')
            check(report['measured_s'] >= seconds - 2.5, f'{ua.name} listened to the end: {report}')
            for row in report['levels']:
                wanted = row['hz'] != TONES[ua.name]
                check(not wanted or abs(row['median_db'] - LEVEL_DB) < 1.5,
                      f'{ua.name} heard each as loud as it was said, found {row}')


def late_ticks(port):
    return scrape(port)['conclave_media_late_ticks_total']


def beside(bench, options, rate, seconds):
    """Calls beside a conference, which is judged. Counts of the calls."""
    port = bench.ports.take()
    server = bench.server(policy=soak.POLICY, options=[
        ('log', 'level', 'notice'), ('metrics', 'listen', port), *options])
    ticket = soak.get_ticket(bench, server)
    conference = Conference(bench, server)
    before = late_ticks(port)
    counts, why = soak.make_calls(bench, server, ticket, rate * seconds, rate)
    late = late_ticks(port) - before
    # Some may be the machine's, which has other things to do; a server that is late is late often.
    check(late <= seconds, f'the mixer was in time, found {late} late ticks')
    conference.judge()
    started, good, failed, _, _, refused = counts
    check(started == rate * seconds and good + refused == started and failed == 0,
          f'a call works or is refused as it should be, found {counts}: {why}')
    soak.settled(server)
    return good, refused


@test('a conference beside 200 calls a second for half a minute hears nothing of them',
      only='ordinary')
def many_calls_beside(bench):
    good, refused = beside(bench, [('kms', 'max-outstanding', '1000')], RATE, SECONDS)
    check(good > 9 * refused, f'nearly all of them work, found {good} good and {refused} refused')


@test('a conference beside more calls than the server takes hears nothing of their 503',
      only='ordinary')
def too_many_calls_beside(bench):
    good, refused = beside(bench, [('sip', 'max-invites-per-second', '25')], 100, 5)
    check(good >= 75 and refused >= 200, f'25 a second are served, found {good} and {refused}')
