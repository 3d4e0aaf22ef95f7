# SPDX-License-Identifier: Apache-2.0
# Samples and the service files. The sample configuration is printed by the program that reads it.
EXTRA_DIST += %D%/conclave.service.in %D%/conclave-kms.service.in
CLEANFILES += etc/conclave.service etc/conclave-kms.service etc/conclave.conf

examplesdir = $(docdir)/examples
examples_DATA = etc/conclave.conf %D%/policy.conf %D%/policies/adhoc-service.conf \
	%D%/policies/board.conf %D%/policies/lab.conf
unitdir = $(prefix)/lib/systemd/system
unit_DATA = etc/conclave.service etc/conclave-kms.service
sysusersdir = $(prefix)/lib/sysusers.d
dist_sysusers_DATA = %D%/conclave-sysusers.conf

etc/conclave.conf: conclavectl$(EXEEXT)
	$(AM_V_GEN)$(MKDIR_P) etc && ./conclavectl$(EXEEXT) sample-config >$@.tmp && mv $@.tmp $@

etc/conclave.service: %D%/conclave.service.in Makefile
	$(AM_V_GEN)$(MKDIR_P) etc && sed -e 's|@sbindir[@]|$(sbindir)|g' \
		-e 's|@sysconfdir[@]|$(sysconfdir)|g' $(srcdir)/etc/conclave.service.in >$@

etc/conclave-kms.service: %D%/conclave-kms.service.in Makefile
	$(AM_V_GEN)$(MKDIR_P) etc && sed -e 's|@sbindir[@]|$(sbindir)|g' \
		-e 's|@sysconfdir[@]|$(sysconfdir)|g' $(srcdir)/etc/conclave-kms.service.in >$@
