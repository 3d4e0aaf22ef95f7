# SPDX-License-Identifier: Apache-2.0
"""Kamailio as the S-CSCF between clients and a server: who may call, and as whom?

Clients come to one port, the server to another (clients/kamailio.cfg.in). It has an address of its
own, so that a server can trust it and nobody else.
"""
import os
import re
import shutil
import socket

import devconfig
from harness import CLIENTS, START_SECONDS, Skip, check, wait_until

HOST = '127.0.0.7'
DOMAIN = devconfig.DOMAIN


TLS_MODULE = '''enable_tls=yes
loadmodule "tls.so"
modparam("tls", "config", "{folder}/tls.cfg")'''
TLS_PROFILE = '''[{role}:default]
method = TLSv1.2+
private_key = {folder}/agent.pem
certificate = {folder}/agent.pem
verify_certificate = {verify}
require_certificate = {verify}
ca_list = {ca}
'''


def make_certificate(folder):
    """agent.pem for our address, cafile.pem of the one who vouches for it."""
    curve = ('-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes')

    def at(name):
        return os.path.join(folder, name)
    devconfig.openssl('req', '-x509', *curve, '-keyout', at('ca.key'), '-out', at('cafile.pem'),
                      '-days', '30', '-subj', '/CN=S-CSCF test CA', '-addext',
                      'basicConstraints=critical,CA:TRUE', '-addext', 'keyUsage=keyCertSign')
    devconfig.openssl('req', *curve, '-keyout', at('key'), '-out', at('csr'), '-subj',
                      '/CN=scscf')
    devconfig.write(at('ext'), 'basicConstraints=CA:FALSE\n'
                    f'subjectAltName=IP:{HOST},URI:sip:{HOST}\n')
    devconfig.openssl('x509', '-req', '-in', at('csr'), '-CA', at('cafile.pem'), '-CAkey',
                      at('ca.key'), '-CAcreateserial', '-extfile', at('ext'), '-out', at('crt'),
                      '-days', '30')
    devconfig.write(at('agent.pem'), devconfig.read(at('key')) + devconfig.read(at('crt')), 0o600)


class Kamailio:
    """One that routes to a server over @transport; its users are those of the server."""

    def __init__(self, bench, transport='udp'):
        if shutil.which('kamailio') is None:
            raise Skip('needs kamailio')
        self.bench, self.transport = bench, transport
        self.folder = bench.new_folder('kamailio')
        self.access, self.service = bench.ports.take(), bench.ports.take()
        if transport == 'tls':
            make_certificate(self.folder)
        self.process = None
        self.answers = {}  # whom it asserts in answers of these people to the server; 'nobody'

    def trust(self, server):
        """Before @server starts: it believes who comes from here."""
        server.set_options([('sip', 'trusted-peers', HOST)])
        if self.transport == 'tls':
            own = devconfig.read(os.path.join(self.folder, 'cafile.pem'))
            server.write('tls/cafile.pem', server.read('tls/cafile.pem') + own)

    def start(self, server):
        self._write(server, self.transport)
        self.process = self.bench.spawn(
            [shutil.which('kamailio'), '-DD', '-E', '-f', 'kamailio.cfg', '-w', self.folder, '-m',
             '32', '-M', '4', '-Y', self.folder], self.folder, 'kamailio')
        wait_until(self._listens, 'Kamailio listens', START_SECONDS)
        return self

    def _write(self, server, transport):
        text = devconfig.read(os.path.join(CLIENTS, 'kamailio.cfg.in'))
        passwords = [f'    $sht(password=>{name}) = "{self.password(server, name)}";'
                     for name in devconfig.PEOPLE]
        passwords += [f'    $sht(answers=>{name}) = "{who}";' for name, who in self.answers.items()]
        tls = transport == 'tls'
        services = ('tls',) if tls else ('udp', 'tcp')
        port = server.tls_port if tls else server.sip_port
        if tls:
            profiles = ''.join(TLS_PROFILE.format(role=role, folder=self.folder, verify=verify,
                                                  ca=server.path('tls/cafile.pem'))
                               for role, verify in (('server', 'no'), ('client', 'yes')))
            devconfig.write(os.path.join(self.folder, 'tls.cfg'), profiles)
        for name, value in (
                ('SERVICE_LISTEN', '\n'.join(f'listen={t}:{HOST}:{self.service}' for t in services)),
                ('TLS_MODULE', TLS_MODULE.format(folder=self.folder) if tls else ''),
                ('ACCESS', self.access), ('SERVICE', self.service), ('HOST', HOST),
                ('SERVER', f'127.0.0.1:{port}'), ('TRANSPORT', transport),
                ('SERVICE_NAME', devconfig.SERVICE), ('PASSWORDS', '\n'.join(passwords)),
                ('DOMAIN', DOMAIN)):
            text = text.replace(f'@{name}@', str(value))
        devconfig.write(os.path.join(self.folder, 'kamailio.cfg'), text, 0o600)

    def outbound(self):
        """Where the server sends its calls."""
        return f'sip:{HOST}:{self.service};transport={self.transport};lr'

    @staticmethod
    def password(server, name):
        return server.read(f'passwords/{name}').strip()

    def _listens(self):
        check(self.process.running(), f'Kamailio runs: {self.process.log()[-3000:]}')
        for port in (self.access, self.service):
            try:
                socket.create_connection((HOST, port), 1).close()
            except OSError:
                return False
        return True

    def proxy(self, transport='udp'):
        """For --proxy of conclave-ua."""
        return f'sip:{HOST}:{self.access};transport={transport}'

    def credentials(self, server, name):
        """For conclave-ua: the password that the S-CSCF asks @name for."""
        return ['--user', name, '--password-file', server.path(f'passwords/{name}')]

    def saw(self, pattern):
        """The lines of its log in which this is found: SAW, ASSERTS, ANSWER."""
        return [line for line in self.process.log().splitlines() if re.search(pattern, line)]
