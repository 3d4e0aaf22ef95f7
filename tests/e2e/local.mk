# SPDX-License-Identifier: Apache-2.0
# End to end: real clients against the built server, on loopback. Not part of "make check", because
# it wants baresip; scripts/test runs it.
EXTRA_DIST += %D%/run.py %D%/harness.py %D%/sip.py %D%/kamailio.py %D%/proxy.py %D%/cases \
	%D%/clients/baresip/ctl.py %D%/clients/baresip/mkconf.sh %D%/clients/kamailio.cfg.in \
	%D%/clients/sipp/uac_100rel.xml %D%/clients/sipp/uac_refer.xml %D%/clients/sipp/uac_update.xml \
	%D%/clients/sipp/uas_participant.xml %D%/clients/sip_fuzz.py %D%/clients/sip_torture.py \
	%D%/clients/tonecheck.py tests/vectors/torture

dist-hook:
	rm -rf $(distdir)/tests/e2e/cases/__pycache__

.PHONY: check-e2e
check-e2e: all $(check_PROGRAMS)
	/usr/bin/python3 $(srcdir)/tests/e2e/run.py --build $(abs_top_builddir) $(E2E)
