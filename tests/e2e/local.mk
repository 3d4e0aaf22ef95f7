# SPDX-License-Identifier: Apache-2.0
# End to end: real clients against the built server, on loopback. Not part of "make check", because
# it wants baresip; scripts/test runs it.
EXTRA_DIST += %D%/run.py %D%/harness.py %D%/sip.py %D%/cases/__init__.py %D%/cases/attacks.py \
	%D%/cases/allowed.py %D%/cases/lists.py %D%/cases/doors.py %D%/cases/means.py %D%/cases/restart.py \
	%D%/cases/calls.py %D%/cases/clauses.py %D%/cases/hostile.py %D%/cases/kms_trouble.py %D%/cases/operator.py \
	%D%/cases/refusals.py %D%/cases/soak.py \
	%D%/cases/diverted.py %D%/cases/invited.py %D%/cases/removed.py %D%/cases/watched.py %D%/cases/whole.py %D%/clients/baresip/ctl.py %D%/clients/baresip/mkconf.sh \
	%D%/cases/scscf.py %D%/cases/proxied.py %D%/cases/load.py %D%/cases/torture.py tests/vectors/torture \
	%D%/kamailio.py %D%/proxy.py %D%/clients/kamailio.cfg.in \
	%D%/clients/sipp/uac_100rel.xml %D%/clients/sipp/uac_refer.xml %D%/clients/sipp/uac_update.xml \
	%D%/clients/sipp/uas_participant.xml \
	%D%/clients/sip_fuzz.py %D%/clients/sip_torture.py %D%/clients/tonecheck.py

.PHONY: check-e2e
check-e2e: all $(check_PROGRAMS)
	/usr/bin/python3 $(srcdir)/tests/e2e/run.py --build $(abs_top_builddir) $(E2E)
