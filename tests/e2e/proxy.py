# SPDX-License-Identifier: Apache-2.0
"""A SIP proxy that does odd things on demand, and remembers all that passed: who sent what, when?

It routes by user part, over UDP and TCP, forks, diverts, edits, delays, drops, answers by itself.
INVITEs have a state here (branches, CANCEL, the best answer), everything else passes statelessly.
It has an address of its own, so that a server may trust it, or not.

    proxy = Proxy(); proxy.start()
    proxy.route('bob', ('udp', '127.0.0.1', 5070))           several targets: a fork
    proxy.when('INVITE', user='bob').divert('carol')         181, History-Info, a new Request-URI
    proxy.when(status=200, method='INVITE').edit(add('P-Asserted-Identity', '<sip:carol@...>'))
    proxy.when('BYE').drop(times=2)
    proxy.wait('CANCEL', user='bob', out=True)
"""
import hashlib
import heapq
import itertools
import re
import selectors
import socket
import threading
import time

COMPACT = {'v': 'via', 'f': 'from', 't': 'to', 'm': 'contact', 'i': 'call-id', 'l': 'content-length',
           'c': 'content-type', 'r': 'refer-to', 'b': 'referred-by', 'k': 'supported',
           'o': 'event', 's': 'subject', 'e': 'content-encoding', 'x': 'session-expires'}
PHRASES = {100: 'Trying', 180: 'Ringing', 181: 'Call Is Being Forwarded', 200: 'OK',
           302: 'Moved Temporarily', 404: 'Not Found', 408: 'Request Timeout', 480: 'Not There',
           481: 'No Such Transaction', 483: 'Too Many Hops', 486: 'Busy Here', 503: 'Out Of Service',
           600: 'Busy Everywhere', 603: 'Decline'}
REPEAT_SECONDS = 0.5
GIVE_UP_SECONDS = 32


def long_name(name):
    name = name.strip().lower()
    return COMPACT.get(name, name)


class Message:
    """A request or an answer: its start line, its headers in their order, its body."""

    def __init__(self, start, headers, body=b''):
        self.start, self.headers, self.body = start, headers, body

    @classmethod
    def parse(cls, data):
        """None: these octets are no message."""
        head, found, body = data.partition(b'\r\n\r\n')
        if not found:
            return None
        lines = re.sub(rb'\r\n[ \t]+', b' ', head).decode('utf-8', 'surrogateescape').split('\r\n')
        headers = [tuple(part.strip() for part in line.partition(':')[::2]) for line in lines[1:]]
        message = cls(lines[0], headers, body)
        if not re.match(r'SIP/2\.0 \d{3}( |$)|\S+ \S+ SIP/2\.0$', lines[0]):
            return None
        length = message.get('content-length')
        if length.isdecimal():
            message.body = body[:int(length)]
        return message

    def octets(self):
        headers = [(n, v) for n, v in self.headers if long_name(n) != 'content-length']
        headers.append(('Content-Length', str(len(self.body))))
        text = '\r\n'.join([self.start, *(f'{n}: {v}' for n, v in headers)]) + '\r\n\r\n'
        return text.encode('utf-8', 'surrogateescape') + self.body

    def copy(self):
        return Message(self.start, list(self.headers), self.body)

    # -- what it says --

    @property
    def is_request(self):
        return not self.start.startswith('SIP/2.0 ')

    @property
    def status(self):
        """0: a request."""
        return 0 if self.is_request else int(self.start.split(' ', 2)[1])

    @property
    def method(self):
        """Of an answer: of what it answers."""
        if self.is_request:
            return self.start.split(' ')[0]
        return (self.get('cseq').split() + [''] * 2)[1]

    @property
    def uri(self):
        return self.start.split(' ')[1] if self.is_request else ''

    @uri.setter
    def uri(self, uri):
        self.start = f'{self.method} {uri} SIP/2.0'

    @property
    def user(self):
        """Whom it is for: user part of the Request-URI, of an answer that of To."""
        return user_of(self.uri if self.is_request else self.get('to'))

    @property
    def call_id(self):
        return self.get('call-id')

    @property
    def branch(self):
        return parameter(self.get('via'), 'branch')

    @property
    def in_dialog(self):
        return bool(parameter(self.get('to'), 'tag'))

    def get(self, name):
        """The first value, '' if there is none."""
        values = self.all(name)
        return values[0] if values else ''

    def all(self, name):
        """Every value of this header; Via and the routes are taken apart at their commas."""
        name = long_name(name)
        values = [v for n, v in self.headers if long_name(n) == name]
        if name in ('via', 'route', 'record-route', 'history-info', 'diversion',
                    'p-asserted-identity'):
            values = [part for value in values for part in split_list(value)]
        return values

    # -- changing it --

    def remove(self, name):
        name = long_name(name)
        self.headers = [(n, v) for n, v in self.headers if long_name(n) != name]

    def set(self, name, *values):
        """In the place of the first one, if there is one."""
        place = next((i for i, (n, _) in enumerate(self.headers)
                      if long_name(n) == long_name(name)), len(self.headers))
        self.remove(name)
        self.headers[place:place] = [(name, value) for value in values]

    def push(self, name, value):
        """On top of the others of its name."""
        place = next((i for i, (n, _) in enumerate(self.headers)
                      if long_name(n) == long_name(name)), 0)
        self.headers.insert(place, (name, value))

    def pop(self, name):
        values = self.all(name)
        self.set(name, *values[1:])
        return values[0] if values else ''

    def add(self, name, value):
        self.headers.append((name, value))


def split_list(text):
    """At commas that stand neither in quotes nor in <>."""
    parts = re.findall(r'(?:"(?:[^"\\]|\\.)*"|<[^>]*>|[^,"<])+', text)
    return [part.strip() for part in parts if part.strip()]


def user_of(text):
    found = re.search(r'sips?:([^@;>]+)@', text)
    return found.group(1) if found else ''


def parameter(value, name):
    """Of a header, outside its <>; '' if it is not there."""
    found = re.search(r';\s*%s\s*=\s*([^;,\s]+)' % name, re.sub(r'<[^>]*>|"[^"]*"', '', value), re.I)
    return found.group(1) if found else ''


def address_of(uri):
    """(transport, host, port) of a SIP URI with an address in it; None: it has a name."""
    found = re.search(r'sips?:(?:[^@>]*@)?(\d+\.\d+\.\d+\.\d+)(?::(\d+))?([^>]*)', uri)
    if not found:
        return None
    transport = re.search(r'transport=(\w+)', found.group(3), re.I)
    return (transport.group(1).lower() if transport else 'udp', found.group(1),
            int(found.group(2) or 5060))


# ---- edits ----

def add(name, value):
    return lambda message: message.add(name, value)


def replace(name, *values):
    return lambda message: message.set(name, *values)


def strip(name):
    return lambda message: message.remove(name)


# ---- what it has seen ----

class Seen:
    """A message at a moment: @at on the monotonic clock, @wall on the wall's."""

    def __init__(self, message, peer, out):
        self.message, self.peer, self.out = message, peer, out
        self.at, self.wall = time.monotonic(), time.time()

    def __repr__(self):
        arrow = '->' if self.out else '<-'
        return f'{self.wall % 1000:.3f} {arrow} {self.peer[0]}:{self.peer[2]} {self.message.start}'


class Rule:
    """What is done with the messages that it fits, @times times; None: always."""

    def __init__(self, proxy, method, user, status, fits):
        self.proxy, self.method, self.user, self.status = proxy, method, user, status
        self.fits, self.action, self.argument, self.left = fits, None, None, None

    def matches(self, message):
        return (self.action is not None and self.left != 0
                and (self.status is not None) == (not message.is_request)
                and (self.status is None or message.status == self.status)
                and (self.method is None or message.method == self.method)
                and (self.user is None or message.user == self.user)
                and (self.fits is None or self.fits(message)))

    def _does(self, action, argument, times):
        self.argument, self.left, self.action = argument, times, action
        return self

    def drop(self, times=None):
        return self._does('drop', None, times)

    def delay(self, seconds, times=None):
        return self._does('delay', seconds, times)

    def edit(self, *edits, times=None):
        return self._does('edit', edits, times)

    def answer(self, status, *edits, times=None):
        """By ourselves; the request goes no further."""
        return self._does('answer', (status, edits), times)

    def inject(self, status, *edits, times=None):
        """An answer of ours on the way, besides all that follows."""
        return self._does('inject', (status, edits), times)

    def divert(self, user, cause=302, history=True, diversion=False, ring=True, times=None):
        """Call forwarding: the caller hears 181, the call goes to @user."""
        return self._does('divert', (user, cause, history, diversion, ring), times)


class Branch:
    """An INVITE of ours to one target."""

    def __init__(self, request, target):
        self.request, self.target = request, target
        self.provisional = self.cancelled = False
        self.wanted = None  # reasons of a CANCEL that waits
        self.answer = None


class Call:
    """An INVITE that came, and where it went."""

    def __init__(self, request, source):
        self.request, self.source = request, source
        self.branches, self.won, self.answered = [], False, None


class Proxy:
    """@host is what a server's trusted-peers would name."""

    def __init__(self, host='127.0.0.8', port=0, record_route=True, cancel_losers=True):
        self.host, self.record_route, self.cancel_losers = host, record_route, cancel_losers
        self.udp, self.tcp = self._listen(port)
        self.port = self.udp.getsockname()[1]
        self.routes, self.rules, self.seen = [], [], []
        self.calls, self.branches, self.back = {}, {}, {}
        self.connections, self.buffers = {}, {}
        self.timers, self.order = [], itertools.count()
        self.changed = threading.Condition()
        self.failure = None
        self.stopping = False
        self.selector = selectors.DefaultSelector()
        for end in (self.udp, self.tcp):
            end.setblocking(False)
            self.selector.register(end, selectors.EVENT_READ)
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _listen(self, port):
        """A datagram and a stream socket with the same port."""
        for _ in range(50):
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                udp.bind((self.host, port))
                tcp.bind((self.host, udp.getsockname()[1]))
                tcp.listen(64)
                return udp, tcp
            except OSError:
                udp.close()
                tcp.close()
                if port:
                    raise
        raise OSError('no port is free for both UDP and TCP')

    # -- setting it up --

    def start(self):
        self.thread.start()
        return self

    def stop(self):
        """Raises what went wrong inside."""
        self.stopping = True
        if self.thread.is_alive():
            self.thread.join(5)
        for end in (self.udp, self.tcp, *self.connections.values()):
            end.close()
        self.selector.close()
        if self.failure is not None:
            raise self.failure

    def uri(self, transport='udp'):
        return f'sip:{self.host}:{self.port};transport={transport}'

    def route(self, users, *targets):
        """Requests for @users, a regular expression for user parts, go to all of these targets."""
        self.routes.insert(0, (re.compile(users), targets))
        return self

    def when(self, method=None, user=None, status=None, fits=None):
        """The beginning of a rule for requests, or with a status for answers."""
        rule = Rule(self, method, user, status, fits)
        self.rules.append(rule)
        return rule

    # -- asking --

    def find(self, method=None, user=None, status=None, out=False, fits=None):
        """All that came (@out: went) and is like this; with a status answers, else requests."""
        with self.changed:
            seen = list(self.seen)
        return [s for s in seen if s.out == out and s.message.is_request == (status is None)
                and (status is None or s.message.status == status)
                and (method is None or s.message.method == method)
                and (user is None or s.message.user == user)
                and (fits is None or fits(s.message))]

    def wait(self, method=None, seconds=10, count=1, **what):
        """The first @count of these, come or to come; fewer when the time is over."""
        end = time.monotonic() + seconds
        while True:
            with self.changed:
                before = len(self.seen)
            found = self.find(method, **what)
            left = end - time.monotonic()
            if len(found) >= count or left <= 0:
                return found[:count]
            with self.changed:
                if len(self.seen) == before:
                    self.changed.wait(min(left, 0.2))

    def story(self):
        with self.changed:
            return '\n'.join(map(repr, self.seen))

    # -- the wire --

    def _run(self):
        try:
            while not self.stopping:
                wait = 0.1
                while self.timers and self.timers[0][0] <= time.monotonic():
                    heapq.heappop(self.timers)[2]()
                if self.timers:
                    wait = max(0, min(wait, self.timers[0][0] - time.monotonic()))
                for key, _ in self.selector.select(wait):
                    self._readable(key.fileobj)
        except Exception as error:  # told to the test by stop()
            self.failure = error

    def _later(self, seconds, function):
        heapq.heappush(self.timers, (time.monotonic() + seconds, next(self.order), function))

    def _readable(self, end):
        if end is self.tcp:
            connection, peer = end.accept()
            self._adopt(connection, peer)
        elif end is self.udp:
            data, peer = end.recvfrom(65536)
            self._received(data, ('udp', *peer))
        else:
            self._read_stream(end)

    def _adopt(self, connection, peer):
        self.connections[('tcp', *peer)] = connection
        self.buffers[connection] = b''
        self.selector.register(connection, selectors.EVENT_READ)

    def _read_stream(self, connection):
        peer = next(p for p, c in self.connections.items() if c is connection)
        try:
            data = connection.recv(65536)
        except OSError:
            data = b''
        if not data:
            self._lost(peer)
            return
        self.buffers[connection] += data
        while True:
            buffer = self.buffers[connection].lstrip(b'\r\n')
            head, found, rest = buffer.partition(b'\r\n\r\n')
            length = re.search(rb'(?im)^(?:content-length|l)[ \t]*:[ \t]*(\d+)', head)
            size = int(length.group(1)) if length else 0
            if not found or len(rest) < size:
                self.buffers[connection] = buffer
                return
            self.buffers[connection] = rest[size:]
            self._received(head + found + rest[:size], peer)

    def _lost(self, peer):
        connection = self.connections.pop(peer)
        self.selector.unregister(connection)
        self.buffers.pop(connection, None)
        connection.close()

    def _transmit(self, message, peer):
        """To (transport, host, port); a connection is made if there is none."""
        self._remember(message, peer, True)
        data = message.octets()
        try:
            if peer[0] == 'udp':
                self.udp.sendto(data, peer[1:])
                return
            if peer not in self.connections:
                self._adopt(socket.create_connection(peer[1:], 2, (self.host, 0)), peer[1:])
            self.connections[peer].sendall(data)
        except OSError:  # nobody there: timers and tests will tell
            pass

    def _remember(self, message, peer, out):
        with self.changed:
            self.seen.append(Seen(message.copy(), peer, out))
            self.changed.notify_all()

    # -- rules --

    def _received(self, data, peer):
        message = Message.parse(data)
        if message is None:
            return
        self._remember(message, peer, False)
        self._apply(message, peer, list(self.rules))

    def _apply(self, message, peer, rules):
        """Every rule in turn; what drops or answers is the last."""
        while rules:
            rule = rules.pop(0)
            if not rule.matches(message):
                continue
            if rule.left is not None:
                rule.left -= 1
            if rule.action == 'drop':
                return
            if rule.action == 'delay':
                self._later(rule.argument, lambda: self._apply(message, peer, rules))
                return
            if rule.action == 'edit':
                for edit in rule.argument:
                    edit(message)
            elif rule.action == 'divert':
                self._divert(message, peer, *rule.argument)
            else:
                status, edits = rule.argument
                answer = self._answer(message, peer, status, edits)
                if rule.action == 'answer':
                    if message.method == 'INVITE':
                        self.calls[message.branch] = Call(message, peer)
                        self.calls[message.branch].answered = answer
                    return
        if message.is_request:
            self._request(message, peer)
        else:
            self._response(message)

    def _answer(self, request, peer, status, edits=()):
        if request.method == 'ACK':
            return None
        answer = Message(f'SIP/2.0 {status} {PHRASES.get(status, "Odd")}', [])
        for name in ('via', 'from', 'to', 'call-id', 'cseq', 'record-route'):
            answer.headers += [(name.title(), value) for value in request.all(name)]
        if status > 100 and not request.in_dialog:
            tag = hashlib.sha256((request.call_id + request.branch).encode()).hexdigest()[:8]
            answer.set('To', request.get('to') + f';tag=p{tag}')
        for edit in edits:
            edit(answer)
        self._transmit(answer, peer)
        return answer

    def _divert(self, message, peer, user, cause, history, diversion, ring):
        old = message.uri
        new = old.replace(f':{message.user}@', f':{user}@', 1)
        reason = f'Reason=SIP%3Bcause%3D{cause}'
        entries = (f'<{old}?{reason}>;index=1', f'<{new};cause={cause}>;index=1.1;mp=1')
        if ring:
            self._answer(message, peer, 181, [add('History-Info', ', '.join(entries))]
                         if history else [])
        if history:
            message.add('History-Info', ', '.join(entries))
        if diversion:
            message.push('Diversion', f'<{old}>;reason=unconditional;counter=1')
        message.uri = new

    # -- requests --

    def _is_us(self, route):
        address = address_of(route)
        return address is not None and address[1:] == (self.host, self.port)

    def _targets(self, message):
        """Where it goes: the next Route; in a dialog the Contact, if that has a port; the table."""
        routes = message.all('route')
        if routes:
            return [address_of(routes[0])] if address_of(routes[0]) else []
        if message.in_dialog and re.search(r':\d+(;|$)', message.uri):
            return [address_of(message.uri)] if address_of(message.uri) else []
        for users, targets in self.routes:
            if users.fullmatch(message.user):
                return targets
        return []

    def _request(self, message, peer):
        hops = message.get('max-forwards') or '70'
        if hops == '0':
            self._answer(message, peer, 483)
            return
        known = self.calls.get(message.branch)
        if message.method == 'CANCEL':
            self._cancel(message, peer, known)
        elif message.method == 'ACK' and known is not None:
            pass  # it ends here: every branch got one of ours
        elif message.method == 'INVITE' and known is not None:
            if known.answered is not None:
                self._transmit(known.answered, peer)
        else:
            message.set('Max-Forwards', str(int(hops) - 1))
            while message.all('route') and self._is_us(message.get('route')):
                message.pop('route')
            self._forward(message, peer)

    def _forward(self, message, peer):
        call = None
        if message.method == 'INVITE':
            call = self.calls[message.branch] = Call(message.copy(), peer)
            self._answer(message, peer, 100)
        targets = self._targets(message)
        if not targets:
            answer = self._answer(message, peer, 404)
            if call is not None:
                call.answered = answer
            return
        for target in targets:
            self._send_branch(message.copy(), peer, target, call)

    def _send_branch(self, message, peer, target, call):
        branch = 'z9hG4bKpx' + hashlib.sha256(
            f'{message.branch} {message.get("cseq")} {target}'.encode()).hexdigest()[:20]
        self.back[branch] = peer
        top = message.pop('via')
        top = re.sub(r';rport(?=;|$)', f';rport={peer[2]}', top)
        message.push('Via', f'{top};received={peer[1]}')
        message.push('Via', f'SIP/2.0/{target[0].upper()} {self.host}:{self.port};branch={branch}')
        if self.record_route and message.method in ('INVITE', 'SUBSCRIBE', 'REFER'):
            if peer[0] != target[0]:
                message.push('Record-Route', f'<{self.uri(peer[0])};lr>')
            message.push('Record-Route', f'<{self.uri(target[0])};lr>')
        if call is not None:
            leg = Branch(message, target)
            call.branches.append(leg)
            self.branches[branch] = (call, leg)
            self._repeat(leg, REPEAT_SECONDS)
        self._transmit(message, target)

    def _repeat(self, leg, seconds):
        """An INVITE over UDP, as long as nobody says anything."""
        def again():
            if leg.provisional or leg.answer or leg.target[0] != 'udp' or seconds > GIVE_UP_SECONDS:
                return
            self._transmit(leg.request, leg.target)
            self._repeat(leg, seconds * 2)
        self._later(seconds, again)

    def _cancel(self, message, peer, call):
        self._answer(message, peer, 200 if call is not None else 481)
        for leg in call.branches if call is not None else ():
            self._cancel_branch(leg, message.all('reason'))
        if call is not None and not call.branches and call.answered is None:
            self._answer(call.request, call.source, 487)

    def _cancel_branch(self, leg, reasons=()):
        """Not before the target has said something (RFC 3261 9.1)."""
        if leg.answer is not None or leg.cancelled:
            return
        if not leg.provisional:
            leg.wanted = reasons
            return
        leg.cancelled = True
        self._transmit(self._of_branch(leg, 'CANCEL', reasons), leg.target)

    def _of_branch(self, leg, method, reasons=()):
        """CANCEL of it, or ACK of its refusal."""
        request, number = leg.request, leg.request.get('cseq').split()[0]
        out = Message(f'{method} {request.uri} SIP/2.0', [('Via', request.get('via'))])
        for name in ('from', 'to', 'call-id', 'route'):
            out.headers += [(name.title(), value) for value in request.all(name)]
        out.headers += [('CSeq', f'{number} {method}'), ('Max-Forwards', '70')]
        out.headers += [('Reason', reason) for reason in reasons]
        if method == 'ACK':
            out.set('To', leg.answer.get('to'))
        return out

    # -- answers --

    def _response(self, message):
        branch = message.branch
        peer = self.back.get(branch)
        if peer is None:
            return
        call, leg = self.branches.get(branch, (None, None))
        if message.method == 'CANCEL' or (message.status == 100 and call is not None):
            if leg is not None:
                leg.provisional = True
                self._late_cancel(leg)
            return
        if call is not None and message.method == 'INVITE' and not self._settles(message, call, leg):
            return
        message.pop('via')
        self._transmit(message, peer)

    def _late_cancel(self, leg):
        if leg.wanted is not None:
            self._cancel_branch(leg, leg.wanted)

    def _settles(self, message, call, leg):
        """Does this answer to one branch go back to the caller now?"""
        if message.status < 200:
            leg.provisional = True
            self._late_cancel(leg)
            return True
        if message.status < 300:
            leg.answer, call.won = message, True
            for other in call.branches if self.cancel_losers else ():
                if other is not leg:
                    self._cancel_branch(other)
            # The ACK of a 2xx is a matter between the ends; it must not be taken for a refusal's.
            self.calls.pop(call.request.branch, None)
            return True
        if leg.answer is not None:
            if leg.answer.status >= 300:
                self._transmit(self._of_branch(leg, 'ACK'), leg.target)
            return False
        leg.answer = message
        self._transmit(self._of_branch(leg, 'ACK'), leg.target)
        if call.won or any(other.answer is None for other in call.branches):
            return False
        best = min((b.answer for b in call.branches), key=rank).copy()
        best.pop('via')
        call.answered = best
        self._transmit(best, call.source)
        return False


def rank(answer):
    """Which of several refusals is told (RFC 3261 16.7): 6xx, then the lowest class."""
    return (answer.status < 600, answer.status)
