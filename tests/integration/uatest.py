# SPDX-License-Identifier: Apache-2.0
"""What the tests of conclave-ua share: running it, its KMS, and TAP.

The programs come from G_TEST_BUILDDIR (make check sets it). Ports are free ones of the loopback;
nothing else is listened on.
"""
import json
import os
import re
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


def make_certificate(key, cert, names):
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt',
                    'ec_paramgen_curve:P-256', '-nodes', '-keyout', key, '-out', cert, '-days', '2',
                    '-subj', '/CN=test', '-addext', f'subjectAltName={names}'],
                   check=True, capture_output=True)


def joined(key, cert):
    """Key and certificate in one file, as --cert wants them."""
    path = key + '+cert'
    with open(path, 'w', encoding='ascii') as out:
        for part in (key, cert):
            with open(part, encoding='ascii') as text:
                out.write(text.read())
    return path


class Kms:
    """A key management service with three users, on a port of its own. @http_auth: how they prove
    themselves to HTTP; then it has a key file of its own."""

    def __init__(self, http_auth=None, tls=None):
        self.keys = os.path.join(work, f'kms-{http_auth or ""}.conf')
        self.http_auth = http_auth
        self.tls = tls  # certificate, key, client-ca

    def __enter__(self):
        if not os.path.exists(self.keys):
            self.run('init', '--uri=sip:kms@127.0.0.1')
            for user in ('alice', 'bob', 'mallory'):
                self.run('user', 'add', user, f'--identity=sip:{user}@127.0.0.1',
                         '--may-request=any', '--secure-conference',
                         f'--write-psk={self.psk(user)}')
            if self.http_auth:
                self.demand(self.http_auth)
        more = ['--cert', self.tls[0], '--key', self.tls[1]] if self.tls else []
        self.process = subprocess.Popen([KMS, '-k', self.keys, '-l', '127.0.0.1:0', *more],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.url = None
        for stream in (self.process.stdout, self.process.stderr):
            if self.url is None:
                for line in iter(stream.readline, ''):
                    found = re.search(r'https?://\S+', line)
                    if found:
                        self.url = found.group()
                        break
        check(self.url is not None, 'the KMS does not say where it is')
        return self

    def psk(self, user):
        return f'{work}/{user}{self.http_auth or ""}.psk'

    def demand(self, how):
        with open(self.keys, encoding='utf-8') as text:
            lines = text.read()
        more = f'http-auth = {how}\n'
        if self.tls:
            more += f'client-ca = {self.tls[2]}\n'
        lines = lines.replace('[kms]\n', '[kms]\n' + more)
        if self.tls:
            lines = re.sub(r'(?m)^\[user (\w+)\]\n', r'\g<0>certificate = sip:\1@127.0.0.1\n', lines)
        with open(self.keys, 'w', encoding='utf-8') as out:
            out.write(lines)

    def run(self, *words):
        subprocess.run([KMS, '-k', self.keys, *words], check=True, capture_output=True)

    def options(self, user):
        return ['--kms', self.url, '--kms-uri', 'sip:kms@127.0.0.1', '--psk-id', user,
                '--psk-file', self.psk(user), '--identity', f'sip:{user}@127.0.0.1']

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
