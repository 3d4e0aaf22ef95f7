# SPDX-License-Identifier: Apache-2.0
"""What the tests of conclave-ua share: running it, its KMS, and TAP.

The programs come from G_TEST_BUILDDIR (make check sets it). Ports are free ones of the loopback;
nothing else is listened on.
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile

BUILD = os.environ.get('G_TEST_BUILDDIR', '.')
SOURCE = os.environ.get('G_TEST_SRCDIR', os.path.join(os.path.dirname(__file__), '../..'))
UA = os.path.join(BUILD, 'conclave-ua')
KMS = os.path.join(BUILD, 'conclave-kms')
TIMEOUT = 30
SUITES = ['AES_CM_128_HMAC_SHA1_80', 'AES_CM_128_HMAC_SHA1_32', 'AES_256_CM_HMAC_SHA1_80',
          'AEAD_AES_128_GCM', 'AEAD_AES_256_GCM']

tests = []
work = None


def test(function):
    tests.append(function)
    return function


def check(condition, what):
    if not condition:
        raise AssertionError(what)


class Ua:
    """One conclave-ua --json; its events are read line by line."""

    def __init__(self, *words, stdin=None):
        self.process = subprocess.Popen([UA, *words, '--json'], stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, stdin=stdin or subprocess.DEVNULL,
                                        text=True)
        self.events = []

    def wait_for(self, name):
        while True:
            line = self.process.stdout.readline()
            if line == '':
                raise AssertionError(f'no "{name}"; saw {self.events}; '
                                     f'stderr: {self.process.stderr.read()}')
            event = json.loads(line)
            self.events.append(event)
            if event['event'] == name:
                return event

    def finish(self):
        """Returns exit status and report."""
        out, err = self.process.communicate(timeout=TIMEOUT)
        self.events += [json.loads(line) for line in out.splitlines()]
        check(self.events, f'no output; stderr: {err}')
        return self.process.returncode, self.events[-1]

    def names(self):
        return [event['event'] for event in self.events]

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()


class Pair:
    """Somebody waits for a call and somebody calls him."""

    def __init__(self, host='127.0.0.1', transport='udp', answer=(), call=(), commands=False):
        self.uas = []
        try:
            self.bob = self.start('answer', '--listen', f'[{host}]:0' if ':' in host else f'{host}:0',
                                  '--transport', transport, '--identity', f'sip:bob@{host}',
                                  *answer)
            contact = self.bob.wait_for('listening')['contact']
            self.alice = self.start('call', contact, *call,
                                    stdin=subprocess.PIPE if commands else None)
        except Exception:
            self.stop()
            raise

    def start(self, *words, stdin=None):
        ua = Ua(*words, stdin=stdin)
        self.uas.append(ua)
        return ua

    def finish(self):
        return self.alice.finish(), self.bob.finish()

    def stop(self):
        for ua in self.uas:
            ua.stop()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.stop()


def both_good(alice, bob, **wanted):
    for who, (status, report) in (('caller', alice), ('called', bob)):
        check(status == 0, f'{who}: exit {status}: {report}')
        check(report['lost'] == 0 and report['bad_auth'] == 0 and report['malformed'] == 0,
              f'{who}: {report}')
        check(report['received'] > 40, f'{who}: {report}')
        for key, value in wanted.items():
            check(report.get(key) == value, f'{who}: {key} is {report.get(key)}, not {value}')


HEAR = dict(answer=['--tone', '1000', '--expect-hear', '440:-20', '--expect-silent', '1000:-60'],
            call=['--tone', '440', '--expect-hear', '1000:-20', '--expect-silent', '440:-60',
                  '--duration', '1.5'])


def talk(host='127.0.0.1', transport='udp', answer=(), call=(), **wanted):
    with Pair(host, transport, [*HEAR['answer'], *answer], [*HEAR['call'], *call]) as pair:
        both_good(*pair.finish(), **wanted)


class Kms:
    """A key management service with three users, on a port of its own."""

    def __enter__(self):
        self.keys = os.path.join(work, 'kms.conf')
        if not os.path.exists(self.keys):
            self.run('init', '--uri=sip:kms@127.0.0.1')
            for user in ('alice', 'bob', 'mallory'):
                self.run('user', 'add', user, f'--identity=sip:{user}@127.0.0.1',
                         '--may-request=any', '--secure-conference',
                         f'--write-psk={work}/{user}.psk')
        self.process = subprocess.Popen([KMS, '-k', self.keys, '-l', '127.0.0.1:0'],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.url = None
        for stream in (self.process.stdout, self.process.stderr):
            if self.url is None:
                for line in iter(stream.readline, ''):
                    if 'http://' in line:
                        self.url = 'http://' + line.split('http://')[1].split()[0]
                        break
        check(self.url is not None, 'the KMS does not say where it is')
        return self

    def run(self, *words):
        subprocess.run([KMS, '-k', self.keys, *words], check=True, capture_output=True)

    def options(self, user):
        return ['--kms', self.url, '--kms-uri', 'sip:kms@127.0.0.1', '--psk-id', user,
                '--psk-file', f'{work}/{user}.psk', '--identity', f'sip:{user}@127.0.0.1']

    def __exit__(self, *unused):
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()


def main():
    global work
    work = tempfile.mkdtemp(prefix='conclave-ua-')
    wanted = [t for t in tests if len(sys.argv) < 2 or t.__name__ in sys.argv[1:]]
    print(f'1..{len(wanted)}', flush=True)
    bad = 0
    for number, function in enumerate(wanted, 1):
        name = function.__name__.replace('_', '-')
        try:
            skip = function()
            print(f'ok {number} - {name}' + (f' # SKIP {skip}' if skip else ''), flush=True)
        except (AssertionError, subprocess.SubprocessError, OSError, ValueError, KeyError) as error:
            bad += 1
            print(f'not ok {number} - {name}', flush=True)
            for line in str(error).splitlines():
                print(f'# {line}', flush=True)
    shutil.rmtree(work)
    return 1 if bad else 0
