#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""conclave-ua and baresip: a call each way with SDES-SRTP, a tone each way, both recordings read.

An independent peer proves what two halves of the same program cannot. Speaks TAP; skipped where
baresip is not installed.
"""
import glob
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

SOURCE = os.environ.get('G_TEST_SRCDIR', os.path.join(os.path.dirname(__file__), '../..'))
BUILD = os.environ.get('G_TEST_BUILDDIR', '.')
UA = os.path.join(BUILD, 'conclave-ua')
CLIENTS = os.path.join(SOURCE, 'tests/e2e/clients')
sys.path.insert(0, os.path.join(CLIENTS, 'baresip'))

SECONDS = 4


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def free_port():
    """An even UDP and TCP port with nothing on it nor right after it (TLS goes there)."""
    for _ in range(50):
        with socket.socket() as probe:
            probe.bind(('127.0.0.1', 0))
            port = probe.getsockname()[1] & ~1
        try:
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                for number in (port, port + 1):
                    with socket.socket(socket.AF_INET, kind) as probe:
                        probe.bind(('127.0.0.1', number))
            return port
        except OSError:
            continue
    raise OSError('no free ports')


class Baresip:
    def __init__(self, work, codec, hertz):
        import ctl  # pylint: disable=import-outside-toplevel
        self.folder = tempfile.mkdtemp(dir=work)
        self.port, control = free_port(), free_port()
        subprocess.run([os.path.join(CLIENTS, 'baresip/mkconf.sh'), self.folder, 'bob',
                        str(self.port), str(control), 'srtp-mand', f'sine:{hertz}',
                        f'codecs={codec}'], check=True)
        with open(os.path.join(self.folder, 'log'), 'wb') as log:
            self.process = subprocess.Popen(['baresip', '-f', self.folder], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log)
        for _ in range(300):
            try:
                self.control = ctl.Ctl(control)
                return
            except OSError:
                check(self.process.poll() is None, 'baresip does not start')
                time.sleep(0.1)
        raise AssertionError('baresip does not listen')

    def level(self, hertz):
        """What baresip decoded, measured by conclave's own tone check."""
        recordings = sorted(glob.glob(os.path.join(self.folder, 'rec', '*dec.wav')))
        check(recordings, 'baresip recorded nothing')
        result = subprocess.run([sys.executable, os.path.join(CLIENTS, 'tonecheck.py'),
                                 recordings[-1], '--has', f'{hertz}:-25', '--skip', '1', '--gaps',
                                 '0.2'], capture_output=True, text=True, check=False)
        return result.returncode == 0, result.stdout

    def end(self):
        try:
            self.control.cmd('quit', timeout=2)
        except (EOFError, OSError):
            pass
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def report_of(output):
    return json.loads(output.strip().splitlines()[-1])


def judge(status, report, baresip, codec):
    check(status == 0, report)
    check(report['suite'] == 'AES_CM_128_HMAC_SHA1_80' and report['codec'] == codec, report)
    check(report['lost'] == 0 and report['bad_auth'] == 0 and report['received'] > 100, report)
    good, text = baresip.level(440)
    check(good, f'baresip did not hear us: {text}')


LISTEN = ['--tone', '440', '--expect-hear', '1000:-15', '--expect-silent', '440:-45',
          '--measure-from', '1', '--duration', str(SECONDS), '--json']


def we_call_baresip(work, codec):
    baresip = Baresip(work, codec, 1000)
    try:
        call = subprocess.run([UA, 'call', f'sip:bob@127.0.0.1:{baresip.port}', '--codec', codec,
                               *LISTEN], capture_output=True, text=True, check=False, timeout=30)
        judge(call.returncode, report_of(call.stdout), baresip, codec)
    finally:
        baresip.end()


def baresip_calls_us(work, codec):
    baresip = Baresip(work, codec, 1000)
    ua = subprocess.Popen([UA, 'answer', '--listen', '127.0.0.1', '--identity',
                           'sip:alice@127.0.0.1', '--codec', codec, *LISTEN],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        contact = json.loads(ua.stdout.readline())['contact']
        baresip.control.cmd('dial', contact.replace(';transport=udp', ''))
        output, _ = ua.communicate(timeout=30)
        judge(ua.returncode, report_of(output), baresip, codec)
    finally:
        if ua.poll() is None:
            ua.kill()
            ua.communicate()
        baresip.end()


TESTS = [(f'{function.__name__.replace("_", "-")}-with-{codec.lower()}', function, codec)
         for function in (we_call_baresip, baresip_calls_us) for codec in ('PCMA', 'PCMU')]


def main():
    if shutil.which('baresip') is None:
        print('1..0 # SKIP baresip is not installed')
        return 0
    print(f'1..{len(TESTS)}', flush=True)
    bad = 0
    with tempfile.TemporaryDirectory(prefix='ua-baresip-') as work:
        for number, (name, function, codec) in enumerate(TESTS, 1):
            try:
                function(work, codec)
                print(f'ok {number} - {name}', flush=True)
            except (AssertionError, subprocess.SubprocessError, OSError, ValueError) as error:
                bad += 1
                print(f'not ok {number} - {name}', flush=True)
                print('\n'.join(f'# {line}' for line in str(error).splitlines()), flush=True)
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
