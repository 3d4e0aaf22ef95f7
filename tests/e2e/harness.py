# SPDX-License-Identifier: Apache-2.0
"""End-to-end tests: servers on free ports in folders of their own, real clients, TAP.

A test is a function with @test('sentence that holds'); it gets a Bench, on which it starts what
it needs, and raises on the first thing that is not so. The bench ends everything afterwards, and
judges the servers' end, too: status 0, no sanitizer report, no secret in any log.
"""
import base64
import concurrent.futures
import contextlib
import errno
import json
import os
import queue
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(TOP, 'scripts'))
import devconfig  # noqa: E402

CLIENTS = os.path.join(HERE, 'clients')
START_SECONDS = 20
STOP_SECONDS = 15
SANITIZER_REPORT = re.compile(r'(?:Address|Leak|Thread)Sanitizer|runtime error:')


class Failure(Exception):
    pass


class Skip(Exception):
    pass


def check(holds, sentence):
    if not holds:
        raise Failure(sentence)


def wait_until(condition, sentence, seconds=10, every=0.05):
    """What @condition returns as soon as it is true."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failure(f'after {seconds} s still not: {sentence}')
        time.sleep(every)


# ---- ports ----

class Ports:
    """Free ports below the ephemeral range; given back when a test is over."""
    taken = set()
    lock = threading.Lock()

    def __init__(self):
        self.mine = set()

    def take(self, count=1):
        """The first of @count neighbours."""
        for _ in range(500):
            first = random.randrange(10000, 32000 - count, 2)
            span = set(range(first, first + count))
            with Ports.lock:
                if not span.isdisjoint(Ports.taken):
                    continue
                Ports.taken |= span
            if all(map(port_is_free, (first, first + count - 1))):
                self.mine |= span
                return first
            with Ports.lock:
                Ports.taken -= span
        raise Failure(f'no {count} free ports')

    def give_back(self):
        with Ports.lock:
            Ports.taken -= self.mine


def port_is_free(port):
    for family, host in ((socket.AF_INET, '127.0.0.1'), (socket.AF_INET6, '::1')):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            with contextlib.suppress(OSError), socket.socket(family, kind) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((host, port))
                except OSError as error:
                    if error.errno == errno.EADDRINUSE:  # no such address is no objection
                        return False
    return True


# ---- processes ----

class Process:
    """A child with its output in a file, and its lines on the way if wanted."""

    def __init__(self, arguments, folder, name, env=None, stdin=subprocess.DEVNULL, lines=False):
        self.name = name
        self.log_path = os.path.join(folder, name + '.log')
        self.lines = queue.Queue()
        with open(self.log_path, 'ab') as log:
            self.child = subprocess.Popen(
                arguments, cwd=folder, env={**os.environ, **(env or {})}, stdin=stdin, stderr=log,
                stdout=subprocess.PIPE if lines else log, start_new_session=True)
        if lines:
            self.reader = threading.Thread(target=self._read, daemon=True)
            self.reader.start()

    def _read(self):
        with open(self.log_path, 'ab') as log:
            for line in self.child.stdout:
                log.write(line)
                log.flush()
                self.lines.put(line.decode('utf-8', 'replace').rstrip('\n'))
        self.lines.put(None)

    def next_line(self, seconds):
        """None: the output has ended."""
        try:
            line = self.lines.get(timeout=max(seconds, 0.001))
        except queue.Empty:
            raise Failure(f'{self.name}: nothing came within {seconds:.1f} s') from None
        if line is None:
            self.lines.put(None)
        return line

    def log(self):
        with open(self.log_path, errors='replace') as log:
            return log.read()

    def running(self):
        return self.child.poll() is None

    def signal(self, number):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.child.pid, number)

    def wait(self, seconds):
        try:
            return self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failure(f'{self.name} is still running after {seconds} s') from None

    def end(self, seconds=STOP_SECONDS):
        """Asks first. Returns the exit status."""
        if self.running():
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGTERM)
            try:
                self.child.wait(seconds)
            except subprocess.TimeoutExpired:
                self.signal(signal.SIGKILL)
                self.child.wait()
                raise Failure(f'{self.name} did not end within {seconds} s') from None
        return self.child.returncode


def set_option(text, section, key, value):
    """The configuration @text with [section] key=value."""
    line = f'{key}={value}'
    begin = re.search(r'(?m)^\[%s\]$' % re.escape(section), text)
    if begin is None:
        return f'{text}\n[{section}]\n{line}\n'
    rest = text[begin.end():]
    stop = re.search(r'(?m)^\[', rest)
    body, tail = (rest[:stop.start()], rest[stop.start():]) if stop else (rest, '')
    body = re.sub(r'(?m)^%s=.*\n' % re.escape(key), '', body)
    return text[:begin.end()] + '\n' + line + body + tail


# ---- servers ----

class Kms:
    """A conclave-kms of its own, for tests in which it fails."""

    def __init__(self, bench, folder, port):
        self.bench, self.folder, self.port = bench, folder, port
        self.url = f'http://127.0.0.1:{port}/keymanagement'
        self.process = None
        self.start()

    def start(self):
        self.process = self.bench.spawn(
            [self.bench.program('conclave-kms'), '--keys', 'kms-keys.conf', '--listen',
             f'127.0.0.1:{self.port}'], self.folder, f'kms-{self.port}', server=True)
        wait_until(self.answers, 'the KMS accepts connections', START_SECONDS)

    def answers(self):
        check(self.process.running(), f'the KMS ended: {self.process.log()[-2000:]}')
        with contextlib.suppress(OSError):
            socket.create_connection(('127.0.0.1', self.port), 1).close()
            return True
        return False

    def stop(self):
        check(self.process.end() == 0, 'the KMS ends with status 0')

    def freeze(self):
        self.process.signal(signal.SIGSTOP)

    def thaw(self):
        self.process.signal(signal.SIGCONT)


class Server:
    """A conclaved with its configuration; @prepare may change that once more before it starts."""

    def __init__(self, bench, options=(), policy=None, own_kms=False, env=None, prepare=None):
        self.bench, self.env = bench, env
        self.folder = bench.new_folder('server')
        take = bench.ports.take
        self.sip_port, self.tls_port, self.kms_port = take(), take(), take()
        devconfig.make(self.folder, self.sip_port, self.tls_port, self.kms_port)
        self.kms = self._own_kms() if own_kms else None
        self.kms_url = f'http://127.0.0.1:{self.kms_port}/keymanagement'
        self.set_options(self._options(options))
        if policy is not None:
            self.write('policy.conf', policy)
        if prepare is not None:
            prepare(self)
        self.process = None
        self.start()

    def _own_kms(self):
        """With a key for tickets that outlives it: old tickets work when it is back."""
        self.write('tickets.key', os.urandom(32).hex() + '\n', 0o600)
        keys = self.read('kms-keys.conf')
        self.write('kms-keys.conf', set_option(keys, 'kms', 'tpk-file', 'tickets.key'), 0o600)
        return Kms(self.bench, self.folder, self.kms_port)

    def second_kms(self):
        """Another conclave-kms with the same users and ticket keys, at an address of its own."""
        return Kms(self.bench, self.folder, self.bench.ports.take())

    def _options(self, options):
        media = self.bench.ports.take(200)
        all_options = [('media', 'port-first', media), ('media', 'port-last', media + 199),
                       ('log', 'level', 'debug')]
        if self.kms is not None:
            shutil.copy(self.path('kms-keys.conf'), self.path('server.psk'))
            key = re.search(r'(?m)^psk=(.*)$', self.read('kms-keys.conf')).group(1)
            self.write('server.psk', key + '\n', 0o600)
            all_options += [('kms', 'url', self.kms.url), ('kms', 'psk-file', 'server.psk')]
        return all_options + list(options)

    def path(self, name):
        return os.path.join(self.folder, name)

    def read(self, name):
        return devconfig.read(self.path(name))

    def write(self, name, text, mode=0o644):
        devconfig.write(self.path(name), text, mode)

    def set_options(self, options):
        text = self.read('conclave.conf')
        if self.kms is not None:
            text = re.sub(r'(?s)\n\[embedded-kms\].*', '\n', text)
        for section, key, value in options:
            text = set_option(text, section, key, value)
        self.write('conclave.conf', text)

    def start(self):
        self.process = self.bench.spawn(
            [self.bench.program('conclaved'), '--config', 'conclave.conf'], self.folder,
            'conclaved', server=True, lines=True, env=self.env)
        line = self.process.next_line(START_SECONDS)
        check(line is not None and line.startswith('ready'),
              f'the server prints "ready", found {line!r}: {self.process.log()[-3000:]}')
        return line

    def ctl(self, *words, expect=0):
        """What conclavectl --json says."""
        result = subprocess.run(
            [self.bench.program('conclavectl'), '--config', self.path('conclave.conf'), '--json',
             *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=20)
        check(result.returncode == expect,
              f'conclavectl {" ".join(words)} gives {expect}, found {result.returncode}: '
              f'{result.stdout}{result.stderr}')
        return json.loads(result.stdout) if result.stdout.startswith('{') else result.stderr

    def conferences(self):
        return self.ctl('list')['conferences']

    def roster(self, uri):
        """The participants that are in, by user part."""
        rows = self.ctl('show', uri)['participants']
        return {row['identity'].split(':')[1].split('@')[0]: row
                for row in rows if row['identity']}

    @property
    def factory(self):
        return devconfig.FACTORY

    @property
    def lounge(self):
        return devconfig.LOUNGE

    def alive(self):
        """Does the server still work? A whole call answers."""
        check(self.process.running(), f'the server runs: {self.process.log()[-3000:]}')
        self.ctl('status')
        ua = self.bench.ua(self, 'alice', 'create', duration=1,
                           more=['--invite', devconfig.identity('bob')])
        ua.ended(30)
        check(ua.status == 0, f'a call still works, found {ua.why()}')


# ---- clients ----

class Ua:
    """A conclave-ua; its events are dictionaries."""

    def __init__(self, bench, name, arguments, folder):
        self.name = name
        self.events = []
        self.process = bench.spawn([bench.program('conclave-ua'), *arguments, '--json'], folder,
                                   f'ua-{name}-{len(bench.processes)}', lines=True,
                                   stdin=subprocess.PIPE if '--interactive' in arguments
                                   else subprocess.DEVNULL)

    def say(self, *commands):
        """To one that was started with --interactive."""
        with contextlib.suppress(BrokenPipeError):
            self.process.child.stdin.write(''.join(c + '\n' for c in commands).encode())
            self.process.child.stdin.flush()

    def read(self, seconds):
        """The next event; None: it has ended."""
        line = self.process.next_line(seconds)
        if line is None:
            return None
        try:
            event = json.loads(line)
        except ValueError:
            raise Failure(f'{self.name}: no JSON: {line!r}') from None
        self.events.append(event)
        return event

    def wait(self, name, seconds=20):
        """The first event of this name, come or to come."""
        for event in self.events:
            if event.get('event') == name:
                return event
        end = time.monotonic() + seconds
        while True:
            event = self.read(end - time.monotonic())
            check(event is not None, f'{self.name} ended before "{name}": {self.why()}')
            if event.get('event') == name:
                return event

    def next(self, name, seconds=20):
        """The next event of this name that has not been read yet."""
        end = time.monotonic() + seconds
        while True:
            event = self.read(end - time.monotonic())
            check(event is not None, f'{self.name} ended before "{name}": {self.why()}')
            if event.get('event') == name:
                return event

    def ended(self, seconds=60):
        """The exit status, when everything has been read."""
        end = time.monotonic() + seconds
        while self.read(end - time.monotonic()) is not None:
            pass
        return self.process.wait(10)

    def hang_up(self):
        self.process.signal(signal.SIGINT)

    @property
    def status(self):
        return self.process.child.returncode

    def why(self):
        return f'status {self.process.child.poll()}: {self.process.log()[-1500:]}'

    def find(self, name):
        return [event for event in self.events if event.get('event') == name]


def mikey_arguments(server, name, kms_url=None):
    return ['--kms', kms_url or server.kms_url, '--kms-uri', devconfig.KMS_URI, '--identity',
            devconfig.identity(name), '--psk-id', name, '--psk-file',
            server.path(f'keys/{name}.psk')]


class Baresip:
    """A softphone with SDES over TLS and a tone; what it hears is recorded."""

    def __init__(self, bench, server, name, hertz, password=None, encryption='srtp-mand',
                 transport='tls', account=None):
        sys.path.insert(0, os.path.join(CLIENTS, 'baresip'))
        import ctl
        self.name = name
        self.folder = bench.new_folder('baresip-' + name)
        port, control = bench.ports.take(2), bench.ports.take()
        media = bench.ports.take(8)
        self.port = port
        if account is not None:  # a whole line for the accounts file
            password, remote = 'x', 0
        elif password is None:
            password = server.read(f'passwords/{name}').strip()
        if account is None:
            remote = server.tls_port if transport == 'tls' else server.sip_port
        subprocess.run(
            [os.path.join(CLIENTS, 'baresip', 'mkconf.sh'), self.folder, name, str(port),
             str(control), encryption, f'sine:{hertz}', f'transport={transport}',
             f'rtp={media}-{media + 7}', f'auth_user={name}', f'auth_pass={password}'],
            check=True)
        if account is not None:
            devconfig.write(os.path.join(self.folder, 'accounts'), account + '\n')
        self.remote = f':{remote};transport={transport}'
        self.process = bench.spawn(['baresip', '-f', self.folder], self.folder,
                                   'baresip-' + name)

        def connect():
            with contextlib.suppress(OSError):
                return ctl.Ctl(control)
            return None
        self.control = wait_until(connect, f'baresip of {name} listens for commands', 20)

    def dial(self, uri):
        self.control.cmd('dial', uri + self.remote)

    def wait(self, event, seconds=15):
        found = self.control.wait(event, seconds)
        check(found is not None, f'{self.name}: no {event} within {seconds} s, found '
              f'{[e.get("type") for e in self.control.events]}: {self.process.log()[-1500:]}')
        return found

    def pump(self, seconds):
        self.control.pump(seconds)

    def quit(self):
        with contextlib.suppress(EOFError, OSError):
            self.control.cmd('hangup')
            self.control.wait('CALL_CLOSED', 3)
            self.control.cmd('quit', timeout=2)
        with contextlib.suppress(Failure):
            self.process.wait(5)

    def recording(self):
        folder = os.path.join(self.folder, 'rec')
        files = [f for f in os.listdir(folder) if f.endswith('dec.wav')]
        check(len(files) == 1, f'{self.name} has one recording, found {files}')
        return os.path.join(folder, files[0])


def levels(path, hertz, skip=1.0, seconds=4.0):
    """dBFS of each of these tones in a recording."""
    sys.path.insert(0, CLIENTS)
    import array
    import tonecheck
    rate, channels, pcm = tonecheck.read_wav(path)
    samples = array.array('h')
    samples.frombytes(pcm[:len(pcm) // (2 * channels) * 2 * channels])
    samples = samples[::channels][int(skip * rate):int((skip + seconds) * rate)]
    check(len(samples) > rate, f'{path} is longer than a second')
    return {f: tonecheck.db(tonecheck.level(samples, rate, f)) for f in hertz}


class Sipp:
    """sipp with a scenario of clients/sipp; @remote None: it waits for a call at @port.

    @keys fill the [words] of the scenario; user and password answer a challenge.
    """

    def __init__(self, bench, scenario, remote=None, user='alice', password='', transport='udp',
                 host='127.0.0.1', **keys):
        if shutil.which('sipp') is None:
            raise Skip('needs sipp')
        self.folder = bench.new_folder('sipp')
        self.scenario = scenario
        self.port, media = bench.ports.take(), bench.ports.take(4)
        words = [] if remote is None else [remote]
        for key, value in {'user': user, **keys}.items():
            words += ['-key', key, value]
        self.process = bench.spawn(
            ['sipp', *words, '-sf', os.path.join(CLIENTS, 'sipp', scenario + '.xml'), '-m', '1',
             '-i', host, '-p', str(self.port), '-mp', str(media), '-t', f'{transport[0]}1', '-au',
             user, '-ap', password, '-s', keys.get('service', 'service'), '-timeout', '60s',
             '-timeout_error', '-trace_err', '-error_file', 'errors', '-trace_msg',
             '-message_file', 'messages', '-nostdin'], self.folder, 'sipp-' + scenario)

    def messages(self):
        """All that it sent and received."""
        with contextlib.suppress(FileNotFoundError):
            return devconfig.read(os.path.join(self.folder, 'messages'))
        return ''

    def good(self, seconds=65):
        """Everything came as the scenario has it."""
        status = self.process.wait(seconds)
        with contextlib.suppress(FileNotFoundError):
            errors = devconfig.read(os.path.join(self.folder, 'errors'))
            check(status == 0, f'sipp {self.scenario}: status {status}: {errors[:1500]}')
        check(status == 0, f'sipp {self.scenario}: status {status}: {self.messages()[-1500:]}')


# ---- the bench ----

class Bench:
    def __init__(self, build, keep):
        self.build, self.keep = build, keep
        self.folder = tempfile.mkdtemp(prefix='conclave-e2e-')
        self.ports = Ports()
        self.processes = []
        self.servers = []
        self.proxies = []
        self.secrets = set()

    def program(self, name):
        return os.path.join(self.build, name)

    def new_folder(self, name):
        folder = os.path.join(self.folder, f'{name}-{len(os.listdir(self.folder))}')
        os.mkdir(folder, 0o700)
        return folder

    def spawn(self, arguments, folder, name, server=False, **more):
        process = Process(arguments, folder, name, **more)
        self.processes.append(process)
        if server:
            self.servers.append(process)
        return process

    def server(self, **more):
        return Server(self, **more)

    def ua(self, server, name, verb, target=None, tone=None, hear=(), silent=(), duration=None,
           identity=None, more=(), kms_url=None, tls=False, keys=True):
        """A conclave-ua as this user; @hear and @silent are judged by its exit status."""
        transport = 'tls' if tls else 'udp'
        port = server.tls_port if tls else server.sip_port
        arguments = [verb]
        if verb == 'create':
            arguments += ['--factory', target or server.factory]
        else:
            arguments += [target]
        arguments += ['--proxy', f'sip:127.0.0.1:{port};transport={transport}']
        arguments += mikey_arguments(server, name, kms_url) if keys else [
            '--identity', devconfig.identity(name)]
        if tls:
            arguments += ['--ca', server.path('tls/cafile.pem')]
        if tone is not None:
            arguments += ['--tone', str(tone)]
        for option, tones in (('--expect-hear', hear), ('--expect-silent', silent)):
            if tones:
                arguments += [option, ','.join(f'{hz}:{db}' for hz, db in tones)]
        if duration is not None:
            arguments += ['--duration', str(duration)]
        return Ua(self, name, arguments + list(more), self.folder)

    def proxy(self, **more):
        """A SIP proxy for odd things; see proxy.py."""
        import proxy
        self.proxies.append(proxy.Proxy(**more).start())
        return self.proxies[-1]

    def sipp(self, scenario, remote=None, **more):
        return Sipp(self, scenario, remote, **more)

    def baresip(self, server, name, hertz, **more):
        return Baresip(self, server, name, hertz, **more)

    # -- the end --

    def end(self):
        """Ends everything; complains about servers that ended badly and logs that tell secrets."""
        complaints = []
        for proxy in self.proxies:
            try:
                proxy.stop()
            except Exception:
                complaints.append('the proxy failed: ' + traceback.format_exc())
        for process in reversed(self.processes):
            try:
                status = process.end()
            except Failure as failure:
                complaints.append(str(failure))
                continue
            if process in self.servers and status != 0:
                complaints.append(f'{process.name} ended with status {status}')
        for process in self.processes:
            report = SANITIZER_REPORT.search(process.log())
            if report:
                complaints.append(f'{process.name}: {process.log()[report.start() - 200:][:3000]}')
        complaints += self.told_secrets()
        return complaints

    def known_secrets(self):
        """Every key and password of the servers' folders, as octets and as written."""
        found = set(self.secrets)
        for folder, _, files in os.walk(self.folder):
            for name in files:
                path = os.path.join(folder, name)
                if os.path.basename(folder) in ('keys', 'passwords') or name in (
                        'server.psk', 'tickets.key'):
                    found.add(devconfig.read(path).strip())
                if name == 'kms-keys.conf':
                    found.update(re.findall(r'(?m)^psk=(\S+)$', devconfig.read(path)))
                if name == 'users.conf':
                    found.update(re.findall(r'(?m)^ha1\S*=(\S+)$', devconfig.read(path)))
        return found

    def told_secrets(self):
        needles = set()
        for secret in self.known_secrets():
            text = secret[len('base64:'):] if secret.startswith('base64:') else secret
            needles.add(text.lower())
            for raw in octets_of(secret):
                needles.add(raw.hex())
                needles.add(base64.b64encode(raw).decode().rstrip('=').lower())
        told = []
        for process in self.servers:
            log = process.log().lower()
            told += [f'{process.name} tells a secret in its log' for n in needles if n in log]
        return told

    def remove(self):
        if not self.keep:
            shutil.rmtree(self.folder, ignore_errors=True)


def octets_of(text):
    """The octets that a secret's text may stand for."""
    out = []
    with contextlib.suppress(ValueError):
        out.append(bytes.fromhex(text))
    if text.startswith('base64:'):
        out.append(base64.b64decode(text[7:]))
    return out


# ---- TAP ----

tests = []


def test(sentence, only=None):
    """@only: 'ordinary' or 'sanitized', for what the other build can neither show nor hide."""
    def register(function):
        function.only = only
        tests.append((sentence, function))
        return function
    return register


def kind_of(build):
    with open(os.path.join(build, 'Makefile')) as makefile:
        found = re.search(r'(?m)^SANITIZE_FLAGS = .*-fsanitize', makefile.read())
    return 'sanitized' if found else 'ordinary'


def run_one(sentence, function, build, keep):
    """None, or what went wrong; a Skip is passed on."""
    bench = Bench(build, keep)
    skip = problem = None
    try:
        function(bench)
    except Skip as reason:
        skip = reason
    except Failure as failure:
        problem = str(failure)
    except Exception:  # the harness's own mistakes are failures, too
        problem = traceback.format_exc()
    complaints = bench.end()
    bench.ports.give_back()
    if skip is not None:
        bench.remove()
        raise skip
    if problem is None and complaints:
        problem = '\n'.join(complaints)
    elif complaints:
        problem += '\nand then: ' + '\n'.join(complaints)
    if problem is not None and keep:
        problem += f'\nlogs are in {bench.folder}'
    elif problem is not None:
        for process in bench.processes:
            problem += f'\n--- end of {process.name}.log\n' + process.log()[-2500:]
    bench.remove()
    return problem


def tap_line(sentence, function, build, keep):
    """(failed, text without number): what TAP says about one test."""
    began = time.monotonic()
    try:
        problem = run_one(sentence, function, build, keep)
    except Skip as reason:
        return False, f'ok {{}} - {sentence} # SKIP {reason}'
    took = time.monotonic() - began
    text = f'{"ok" if problem is None else "not ok"} {{}} - {sentence} # {took:.1f} s'
    if problem is not None:
        problem = problem.replace('{', '{{').replace('}', '}}')
        text += ''.join('\n# ' + line for line in problem.splitlines())
    return problem is not None, text


def is_wanted(function, kind, twice):
    """@twice: modules whose cases both builds run; None: all of them."""
    if function.only is not None:
        return function.only == kind
    return twice is None or function.__module__.rpartition('.')[2] in twice


def run(build, patterns, keep, jobs, twice=None):
    """Runs several at a time: they wait much more than they work."""
    kind = kind_of(build)
    chosen = [(s, f) for s, f in tests
              if any(p in s for p in patterns) or (not patterns and is_wanted(f, kind, twice))]
    print(f'1..{len(chosen)}', flush=True)
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        results = [pool.submit(tap_line, s, f, build, keep) for s, f in chosen]
        for number, result in enumerate(concurrent.futures.as_completed(results), 1):
            bad, text = result.result()
            failed += bad
            print(text.format(number), flush=True)
    return failed
